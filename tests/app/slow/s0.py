"""See the package."""

from app.jobs import note  # noqa: F401
from app.slow import take_time

take_time()
