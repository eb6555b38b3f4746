"""Groups of jobs, of which so many run at a time."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("cronkite", "0006_load"),
    ]

    operations = [
        migrations.CreateModel(
            name="Group",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=64, unique=True, verbose_name="name")),
                (
                    "max_running",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="How many jobs of the group may run at a time, on all nodes together.",
                        validators=[MinValueValidator(1), MaxValueValidator(1000)],
                        verbose_name="runs at a time",
                    ),
                ),
            ],
            options={
                "verbose_name": "group",
                "verbose_name_plural": "groups",
                "ordering": ["name"],
                "base_manager_name": "objects",
                "constraints": [
                    models.CheckConstraint(condition=Q(max_running__gte=1), name="cronkite_group_lets_some_run")
                ],
            },
        ),
        migrations.AddField(
            model_name="job",
            name="group",
            field=models.CharField(
                blank=True,
                db_column="group_name",
                db_default="",
                default="",
                help_text="Of the jobs of a group, so many run at a time as the group says. Empty: it is in none.",
                max_length=64,
                verbose_name="group",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="seated_in",
            field=models.BigIntegerField(
                blank=True,
                editable=False,
                help_text="The group that its run has a seat of.",
                null=True,
                verbose_name="seated in",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="seat",
            field=models.PositiveSmallIntegerField(
                blank=True, editable=False, help_text="The number of that seat.", null=True, verbose_name="seat"
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=Q(seated_in__isnull=True, seat__isnull=True)
                | Q(lock__isnull=False, seated_in__isnull=False, seat__isnull=False),
                name="cronkite_job_seat_goes_with_lock",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(fields=["seated_in", "seat"], name="cronkite_job_one_per_seat"),
        ),
    ]
