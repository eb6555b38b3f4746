"""What is kept of a job that nobody decides?"""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, When
from django.utils.translation import gettext_lazy as _

from cronkite.models.fields import CopiedText, Json, KeptByDatabase, Token, earliest
from cronkite.models.ways import RetryUntil


class Kept(models.Model):
    """The columns that no ``save()`` writes: the plan, the lock and the seat, what is to be tried, asked and told."""

    revision = models.PositiveBigIntegerField(
        _("revision"), default=0, editable=False, help_text=_("The number of edits.")
    )

    next_run = models.DateTimeField(
        _("next run"), null=True, blank=True, editable=False, help_text=_("The next slot to consider.")
    )
    planned_at = models.DateTimeField(
        _("planned at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Since when it has this schedule, and is enabled or disabled."),
    )
    last_slot = models.DateTimeField(
        _("last slot"), null=True, blank=True, editable=False, help_text=_("The newest slot that was run or missed.")
    )
    fence = models.PositiveBigIntegerField(
        _("fencing token"), default=0, editable=False, help_text=_("The number of claims.")
    )
    lock = Token(_("lock"), null=True, blank=True, editable=False, help_text=_("The claim that holds it."))
    locked_by = CopiedText(_("locked by"), max_length=255, blank=True, editable=False)
    locked_at = models.DateTimeField(
        _("locked at"), null=True, blank=True, editable=False, help_text=_("The last sign of life of the run.")
    )

    # What its run has of its group's. No foreign key: a seat is kept by whoever has it, whatever becomes of the group.
    seated_in = models.BigIntegerField(
        _("seated in"), null=True, blank=True, editable=False, help_text=_("The group that its run has a seat of.")
    )
    seat = models.PositiveSmallIntegerField(
        _("seat"), null=True, blank=True, editable=False, help_text=_("The number of that seat.")
    )

    # Written by the first node that sees the slot: no other code that plans a job need know of it.
    jittered_slot = models.DateTimeField(
        _("jittered slot"), null=True, blank=True, editable=False, help_text=_("The slot that is begun later.")
    )
    jittered_to = models.DateTimeField(
        _("jittered to"), null=True, blank=True, editable=False, help_text=_("When that slot is begun.")
    )
    retry_at = models.DateTimeField(
        _("retry at"), null=True, blank=True, editable=False, help_text=_("When to try the last slot again.")
    )
    retry_slot = models.DateTimeField(
        _("retry slot"), null=True, blank=True, editable=False, help_text=_("The slot that is to be tried again.")
    )
    retry_attempt = models.PositiveSmallIntegerField(
        _("retry attempt"), null=True, blank=True, editable=False, help_text=_("The number that attempt will have.")
    )
    # Known when it is saved, so that a node need not import the function to know who is to have it.
    engine = CopiedText(
        _("engine"),
        max_length=32,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text=_("What the function was a task of when it was last looked at."),
    )
    follow_at = models.DateTimeField(
        _("follow at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When to ask what became of tasks that were handed over."),
    )

    asked_at = models.DateTimeField(
        _("asked at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When somebody asked for a run that no node has taken yet."),
    )
    asked_by = CopiedText(_("asked by"), max_length=255, blank=True, editable=False)
    asked_with = Json(
        _("asked with"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("The arguments of the run that was asked for. Empty: the job's own."),
    )
    # Code that knows of no such arguments leaves them when it takes or withdraws the request that they are of.
    asked_with_at = models.DateTimeField(
        _("asked with at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When the run was asked for that these arguments are of."),
    )
    # The database keeps it, so that one index, and one query, finds all that a node has to see.
    due_at = KeptByDatabase(
        verbose_name=_("due at"),
        expression=earliest(
            "asked_at",
            Case(
                # Slots that wait for a retry are not to be seen: they would fill the page of what is due.
                When(retry_at__isnull=False, retry_until=RetryUntil.LAST_RETRY.value, then=F("retry_at")),
                When(jittered_slot=F("next_run"), then=F("jittered_to")),
                default=F("next_run"),
            ),
            "follow_at",
            "retry_at",
        ),
        output_field=models.DateTimeField(),
        db_persist=True,
        null=True,
    )

    class Meta:
        abstract = True
