"""What does a person, or the code, decide of a job?"""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from cronkite.code.declarations import MOST_RETRIES
from cronkite.models.fields import (
    Arguments,
    DeclaredAs,
    Expression,
    GroupName,
    Labels,
    LongText,
    PingUrl,
    Seconds,
    ShortText,
    Wish,
)
from cronkite.models.ways import OnLost, Overlap, RetryUntil, RunMode
from cronkite.schedules.catch_up import CatchUp


class Definition(models.Model):
    """The columns that a ``save()`` writes: what is to be run, when, and how."""

    name = ShortText(_("name"), max_length=255)
    function = ShortText(
        _("function"), max_length=255, help_text=_("The dotted name of the function, as in shop.crontab.bill.")
    )
    args = Arguments(_("arguments"), default=list, blank=True, help_text=_("A JSON list."))
    kwargs = Arguments(_("keyword arguments"), default=dict, blank=True, help_text=_("A JSON object."))
    description = LongText(_("description"), blank=True)
    schedule = Expression(
        _("schedule"),
        max_length=255,
        help_text=_("A crontab expression: minute, hour, day of month, month, day of week, and seconds if you like."),
    )
    timezone = ShortText(
        _("time zone"), max_length=64, blank=True, help_text=_("As in Europe/Berlin. Empty: the project's.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    catch_up = ShortText(
        _("catch-up"),
        max_length=8,
        choices=[
            (CatchUp.LATEST.value, _("latest: run the newest missed slot")),
            (CatchUp.ALL.value, _("all: run each missed slot, oldest first")),
            (CatchUp.NONE.value, _("none: never run late")),
        ],
        default=CatchUp.LATEST.value,
        help_text=_("What becomes of slots that no node ran in time."),
    )
    grace = Seconds(
        _("grace"),
        null=True,
        blank=True,
        help_text=_("Seconds after which a slot is too old to be run. Empty: no limit (120 s where catch-up is none)."),
    )
    timeout = Seconds(
        _("timeout"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Seconds after which a run is ended. Empty: no limit."),
    )
    run_mode = ShortText(
        _("run"),
        max_length=16,
        choices=RunMode.choices,
        default=RunMode.AUTOMATIC.value,
        db_default=RunMode.AUTOMATIC.value,
        help_text=_("Whether a node runs the function, or hands it over to the engine that it is a task of."),
    )
    backend = ShortText(
        _("backend"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of a task that is handed over: the backend in TASKS. Empty: the task's own."),
    )
    queue = ShortText(
        _("queue"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of a task that is handed over. Empty: the task's own."),
    )
    priority = models.SmallIntegerField(
        _("priority"),
        null=True,
        blank=True,
        help_text=_("Of a task that is handed over, as its engine counts. Empty: the task's own."),
    )
    overlap = ShortText(
        _("overlap"),
        max_length=24,
        choices=Overlap.choices,
        default=Overlap.HAND_OVER.value,
        db_default=Overlap.HAND_OVER.value,
        help_text=_("What becomes of a slot that comes while a task that was handed over has not ended."),
    )
    jitter = Seconds(
        _("jitter"),
        default=0,
        db_default=0,
        help_text=_("Seconds by which each slot is begun later, at most: so many that jobs of one time come apart."),
    )
    retries = models.PositiveSmallIntegerField(
        _("retries"),
        default=0,
        db_default=0,
        validators=[MaxValueValidator(MOST_RETRIES)],
        help_text=_("How often a slot is tried again whose function has raised."),
    )
    retry_delay = Seconds(
        _("retry delay"),
        default=60,
        db_default=60,
        help_text=_("Seconds until the first retry. Each of the next takes twice as long as the one before."),
    )
    retry_until = ShortText(
        _("retry until"),
        max_length=16,
        choices=RetryUntil.choices,
        default=RetryUntil.NEXT_SLOT.value,
        db_default=RetryUntil.NEXT_SLOT.value,
        help_text=_("For how long a slot is tried again."),
    )
    on_lost = ShortText(
        _("on lost"),
        max_length=16,
        choices=OnLost.choices,
        default=OnLost.LEAVE.value,
        db_default=OnLost.LEAVE.value,
        help_text=_("What becomes of a slot whose run was lost: it may go on somewhere, and a retry run beside it."),
    )
    labels = Labels(
        _("labels"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("It runs on nodes alone that have all of these labels, as in gpu, eu. Empty: on any."),
    )
    group = GroupName(
        _("group"),
        # Or whoever writes SQL would have to quote it.
        db_column="group_name",
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of the jobs of a group, so many run at a time as the group says. Empty: it is in none."),
    )
    alert = Wish(
        _("alert"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "Who is told when something is wrong, and after how many failures in a row, as in ada@example.com after 3. "
            "Empty: the project's admins, after 1. Off: nobody."
        ),
    )
    ping = PingUrl(
        _("ping"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("A URL that is told of its runs, as Healthchecks has them: /start and /fail are added to it."),
    )
    # Null for jobs that were entered by hand, and no two nulls collide. So however many nodes start at once, they
    # make one row of one declared function between them.
    declared_as = DeclaredAs(_("declared as"), max_length=255, null=True, blank=True, unique=True, editable=False)

    class Meta:
        abstract = True
