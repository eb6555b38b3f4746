"""How jobs are handed over to engines, and what becomes of that."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F
from django.db.models.functions import Coalesce, Least

from cronkite.database.generated import AlterStored

_PLANNED = Coalesce(Least("next_run", F("follow_at")), "next_run", F("follow_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("cronkite", "0004_arguments_and_marks"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="backend",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of a task that is handed over: the backend in TASKS. Empty: the task's own.",
                max_length=255,
                verbose_name="backend",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="engine",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="What the function was a task of when it was last looked at.",
                max_length=32,
                verbose_name="engine",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="follow_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When to ask what became of tasks that were handed over.",
                null=True,
                verbose_name="follow at",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="overlap",
            field=models.CharField(
                choices=[
                    ("hand over", "hand over: at each slot"),
                    ("wait for the task", "wait for the task: then catch up"),
                ],
                db_default="hand over",
                default="hand over",
                help_text="What becomes of a slot that comes while a task that was handed over has not ended.",
                max_length=24,
                verbose_name="overlap",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="priority",
            field=models.SmallIntegerField(
                blank=True,
                help_text="Of a task that is handed over, as its engine counts. Empty: the task's own.",
                null=True,
                verbose_name="priority",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="queue",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of a task that is handed over. Empty: the task's own.",
                max_length=255,
                verbose_name="queue",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="run_mode",
            field=models.CharField(
                choices=[
                    ("automatic", "automatic: a task is handed over to its engine, a function is run here"),
                    ("here", "here: by a node, whatever it is"),
                    ("hand over", "hand over: to an engine, whatever it is"),
                ],
                db_default="automatic",
                default="automatic",
                help_text="Whether a node runs the function, or hands it over to the engine that it is a task of.",
                max_length=16,
                verbose_name="run",
            ),
        ),
        migrations.AddField(
            model_name="log",
            name="backend",
            field=models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="backend"),
        ),
        migrations.AddField(
            model_name="log",
            name="engine",
            field=models.CharField(blank=True, db_default="", default="", max_length=32, verbose_name="engine"),
        ),
        migrations.AddField(
            model_name="log",
            name="queue",
            field=models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="queue"),
        ),
        migrations.AddField(
            model_name="log",
            name="task_id",
            field=models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="task"),
        ),
        migrations.AddField(
            model_name="log",
            name="worker",
            field=models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="worker"),
        ),
        # No index may name it meanwhile.
        migrations.RemoveIndex(model_name="job", name="cronkite_job_due"),
        AlterStored(
            model_name="job",
            name="due_at",
            field=models.GeneratedField(
                db_persist=True,
                expression=Coalesce(Least("asked_at", _PLANNED), "asked_at", _PLANNED),
                null=True,
                output_field=models.DateTimeField(),
                verbose_name="due at",
            ),
        ),
        migrations.AddIndex(model_name="job", index=models.Index(fields=["due_at", "id"], name="cronkite_job_due")),
        migrations.AlterField(
            model_name="log",
            name="status",
            field=models.CharField(
                choices=[
                    ("running", "running"),
                    ("handed_over", "handed over"),
                    ("succeeded", "succeeded"),
                    ("failed", "failed"),
                    ("timed_out", "timed out"),
                    ("interrupted", "interrupted"),
                    ("lost", "lost"),
                    ("missed", "missed"),
                ],
                default="running",
                max_length=16,
                verbose_name="status",
            ),
        ),
        migrations.CreateModel(
            name="Task",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fence", models.BigIntegerField(verbose_name="fencing token")),
                ("engine", models.CharField(max_length=32, verbose_name="engine")),
                ("backend", models.CharField(blank=True, max_length=255, verbose_name="backend")),
                ("task_id", models.CharField(max_length=255, verbose_name="task")),
                (
                    "lock",
                    models.UUIDField(
                        blank=True,
                        help_text="The claim that is kept until it has ended.",
                        null=True,
                        verbose_name="lock",
                    ),
                ),
                ("created", models.DateTimeField(verbose_name="created")),
                ("ask_at", models.DateTimeField(verbose_name="follow at")),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tasks",
                        to="cronkite.job",
                        verbose_name="job",
                    ),
                ),
            ],
            options={
                "verbose_name": "task",
                "verbose_name_plural": "tasks",
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["job", "ask_at"], name="cronkite_task_to_ask")],
                "constraints": [models.UniqueConstraint(fields=("job", "fence"), name="cronkite_task_one_per_claim")],
            },
        ),
    ]
