"""See the package."""

import app.hanging  # noqa: F401
