"""Which nodes may have a job, how a slot is begun later, and how it is tried again."""

from django.core.validators import MaxValueValidator
from django.db import migrations, models
from django.db.models import Case, F, When
from django.db.models.functions import Coalesce, Least

from cronkite.database.generated import AlterStored

_FOLLOWED = Coalesce(Least(F("follow_at"), F("retry_at")), F("follow_at"), F("retry_at"))
_SLOT = Case(
    When(retry_at__isnull=False, retry_until="last retry", then=F("retry_at")),
    When(jittered_slot=F("next_run"), then=F("jittered_to")),
    default=F("next_run"),
)
_PLANNED = Coalesce(Least(_SLOT, _FOLLOWED), _SLOT, _FOLLOWED)


class Migration(migrations.Migration):
    dependencies = [
        ("cronkite", "0005_hand_over"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="on_lost",
            field=models.CharField(
                choices=[("leave", "leave: it is not run again"), ("retry", "retry: it may run twice")],
                db_default="leave",
                default="leave",
                help_text="What becomes of a slot whose run was lost: it may go on somewhere, and a retry run beside it.",
                max_length=16,
                verbose_name="on lost",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="retries",
            field=models.PositiveSmallIntegerField(
                db_default=0,
                default=0,
                help_text="How often a slot is tried again whose function has raised.",
                validators=[MaxValueValidator(30)],
                verbose_name="retries",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="retry_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When to try the last slot again.",
                null=True,
                verbose_name="retry at",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="retry_attempt",
            field=models.PositiveSmallIntegerField(
                blank=True,
                editable=False,
                help_text="The number that attempt will have.",
                null=True,
                verbose_name="retry attempt",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="retry_delay",
            field=models.PositiveIntegerField(
                db_default=60,
                default=60,
                help_text="Seconds until the first retry. Each of the next takes twice as long as the one before.",
                verbose_name="retry delay",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="retry_slot",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="The slot that is to be tried again.",
                null=True,
                verbose_name="retry slot",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="retry_until",
            field=models.CharField(
                choices=[
                    ("next slot", "next slot: then that is run"),
                    ("last retry", "last retry: slots that come meanwhile wait"),
                ],
                db_default="next slot",
                default="next slot",
                help_text="For how long a slot is tried again.",
                max_length=16,
                verbose_name="retry until",
            ),
        ),
        migrations.AddField(
            model_name="log",
            name="attempt",
            field=models.PositiveSmallIntegerField(
                db_default=1, default=1, help_text="Which attempt at the slot it is.", verbose_name="attempt"
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="jitter",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="Seconds by which each slot is begun later, at most: so many that jobs of one time come apart.",
                verbose_name="jitter",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="jittered_slot",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="The slot that is begun later.",
                null=True,
                verbose_name="jittered slot",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="jittered_to",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When that slot is begun.", null=True, verbose_name="jittered to"
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="labels",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="It runs on nodes alone that have all of these labels, as in gpu, eu. Empty: on any.",
                max_length=255,
                verbose_name="labels",
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="labels",
            field=models.CharField(blank=True, db_default="", default="", max_length=1024, verbose_name="labels"),
        ),
        migrations.RemoveIndex(model_name="job", name="cronkite_job_due"),
        AlterStored(
            model_name="job",
            name="due_at",
            field=models.GeneratedField(
                db_persist=True,
                expression=Coalesce(Least(F("asked_at"), _PLANNED), F("asked_at"), _PLANNED),
                null=True,
                output_field=models.DateTimeField(),
                verbose_name="due at",
            ),
        ),
        migrations.AddIndex(model_name="job", index=models.Index(fields=["due_at", "id"], name="cronkite_job_due")),
        migrations.AddConstraint(
            model_name="log",
            constraint=models.UniqueConstraint(fields=("job", "slot", "attempt"), name="cronkite_log_one_per_attempt"),
        ),
        # Only now: at no time may a slot be run twice.
        migrations.RemoveConstraint(
            model_name="log",
            name="cronkite_log_one_per_slot",
        ),
    ]
