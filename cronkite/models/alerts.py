"""What has the cluster told people of, and what is it still to tell?"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronkite.models.fields import CopiedText
from cronkite.models.primary import PrimaryQuerySet


class AlertQuerySet(PrimaryQuerySet["Alert"]):
    """Queries over alerts."""


class Alert(models.Model):
    """Something that is wrong, from when a node sees it first until people know that all is well again.

    See :mod:`cronkite.watching`, whose memory it is. Nothing else rests on it.
    """

    about = CopiedText(_("about"), max_length=100, unique=True)
    name = CopiedText(_("name"), max_length=255, blank=True)
    since = models.DateTimeField(_("since"))
    over_at = models.DateTimeField(_("over at"), null=True, blank=True)
    told_at = models.DateTimeField(_("told at"), null=True, blank=True)
    try_at = models.DateTimeField(
        _("try at"), null=True, blank=True, help_text=_("When to tell people; empty: they know.")
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)

    objects = AlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["about"]
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.about
