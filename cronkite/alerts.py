"""What can people be told of, once when it is wrong and once when all is well again? By mail, or by any function."""

from __future__ import annotations

from cronkite.watching.notices import Notice, mail

__all__ = ["Notice", "mail"]
