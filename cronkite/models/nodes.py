"""Which nodes tick, and when did each show itself last?"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronkite.models.fields import CopiedText
from cronkite.models.primary import PrimaryQuerySet


class NodeQuerySet(PrimaryQuerySet["Node"]):
    """Queries over nodes."""


class Node(models.Model):
    """One row per node's name, which the node itself writes; see :mod:`cronkite.nodes.heartbeat`.

    Nothing rests on it: it tells people who ticks, and nodes do without it.
    """

    name = CopiedText(_("name"), max_length=255, unique=True)
    ticked_at = models.DateTimeField(_("ticked at"), help_text=_("The last sign of life, by the database's clock."))
    started_at = models.DateTimeField(
        _("started at"), help_text=_("Since when it is known; a node that stays: since when it runs.")
    )
    # The node's clock, not the difference: each database has its own way to subtract instants.
    clock_at = models.DateTimeField(
        _("its own clock"), null=True, blank=True, help_text=_("What the node's clock said when it ticked.")
    )
    stays = models.BooleanField(_("stays"), default=False, help_text=_("Whether it is a loop."))
    stopped_at = models.DateTimeField(
        _("stopped at"), null=True, blank=True, help_text=_("When it ended as it was told to; empty: it goes on.")
    )
    labels = CopiedText(_("labels"), max_length=1024, blank=True, default="", db_default="")
    version = CopiedText(_("version"), max_length=32, blank=True, help_text=_("The version of django-cronkite."))

    objects = NodeQuerySet.as_manager()

    class Meta:
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        ordering = ["name"]
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.name

    @property
    def skew(self) -> float | None:
        """How many seconds the node's clock is ahead of the database's, less the time that a statement takes."""
        return None if self.clock_at is None else (self.clock_at - self.ticked_at).total_seconds()
