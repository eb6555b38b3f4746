"""A module that closes what its process writes to, and then can't be imported."""

import os

os.close(1)
os.close(2)
raise RuntimeError("half-way through the import")
