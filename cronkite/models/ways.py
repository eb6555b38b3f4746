"""What can be chosen: who runs a job, whether slots overlap, and what becomes of a run that failed or was lost."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RunMode(models.TextChoices):
    """Whether a node runs the function itself, or hands it over to an engine."""

    AUTOMATIC = "automatic", _("automatic: a task is handed over to its engine, a function is run here")
    HERE = "here", _("here: by a node, whatever it is")
    HAND_OVER = "hand over", _("hand over: to an engine, whatever it is")


class Overlap(models.TextChoices):
    """What becomes of a slot that comes while the task of an earlier one has not ended."""

    HAND_OVER = "hand over", _("hand over: at each slot")
    WAIT = "wait for the task", _("wait for the task: then catch up")


class RetryUntil(models.TextChoices):
    """For how long a slot that failed is tried again."""

    NEXT_SLOT = "next slot", _("next slot: then that is run")
    LAST_RETRY = "last retry", _("last retry: slots that come meanwhile wait")


class OnLost(models.TextChoices):
    """What becomes of a slot whose run was lost."""

    LEAVE = "leave", _("leave: it is not run again")
    RETRY = "retry", _("retry: it may run twice")
