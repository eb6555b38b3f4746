"""A package that has imported a module: ``app.kit.os`` is an attribute and no module of the package's own."""

import os  # noqa: F401
