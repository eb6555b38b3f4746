"""How many jobs of a group may run at a time?"""

from __future__ import annotations

from collections.abc import Mapping

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from cronkite.code.groups import DEFAULT_RUNNING, MOST_RUNNING
from cronkite.database import quirks
from cronkite.models.fields import GroupName
from cronkite.models.primary import PrimaryQuerySet


class GroupQuerySet(PrimaryQuerySet["Group"]):
    """Queries over groups."""

    def ensure(self, wanted: Mapping[str, int]) -> None:
        """Have a row of each of these names; one that is made lets so many jobs run, others as many as before.

        Raises :class:`django.db.DatabaseError`; in a transaction of the caller's, also a conflict with whoever does the
        same, if the transaction is not to see what others commit meanwhile.
        """
        if missing := wanted.keys() - set(self.filter(name__in=wanted).values_list("name", flat=True)):
            # Another node may be about to do the same.
            groups = [self.model(name=name, max_running=wanted[name]) for name in sorted(missing)]
            with quirks.reading_latest(self.db):
                self.bulk_create(groups, ignore_conflicts=True)

    def get_by_natural_key(self, name: str) -> Group:
        """Return the group of that name; raises :class:`Group.DoesNotExist`."""
        return self.get(name=name)


class Group(models.Model):
    """Jobs of which at most so many run at a time, in the whole cluster.

    Jobs name their group, and each claim takes one of its seats, which the lock keeps: see
    :mod:`cronkite.claims.seats`.
    """

    name = GroupName(_("name"), max_length=64, unique=True)
    max_running = models.PositiveSmallIntegerField(
        _("runs at a time"),
        default=DEFAULT_RUNNING,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_RUNNING)],
        help_text=_("How many jobs of the group may run at a time, on all nodes together."),
    )
    objects = GroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=models.Q(max_running__gte=1), name="cronkite_group_lets_some_run")
        ]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        """Return the name, by which fixtures know a group where keys differ."""
        return (self.name,)
