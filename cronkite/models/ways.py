"""Who runs a job, and may it be handed over while the last task goes on?"""

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
