"""Who may see what, where Django's own pages do not tell?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser


def may_view_jobs(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user may see jobs; as Django has it, who may change one may see it."""
    return any(user.has_perm(f"cronkite.{verb}_job") for verb in ("view", "change"))  # type: ignore[union-attr]
