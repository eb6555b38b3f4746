"""A script without a ``__main__`` guard: its import ends the process."""

import sys

sys.exit(3)
