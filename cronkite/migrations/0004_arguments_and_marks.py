"""What runs were called with and asked with, which loops have ended as they were told to, and who looks at a run."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cronkite", "0003_base_managers"),
    ]

    operations = [
        migrations.AddField(
            model_name="log",
            name="args",
            field=models.JSONField(blank=True, help_text="What it ran with.", null=True, verbose_name="arguments"),
        ),
        migrations.AddField(
            model_name="log",
            name="kwargs",
            field=models.JSONField(
                blank=True, help_text="What it ran with.", null=True, verbose_name="keyword arguments"
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="asked_with",
            field=models.JSONField(
                blank=True,
                editable=False,
                help_text="The arguments of the run that was asked for. Empty: the job's own.",
                null=True,
                verbose_name="asked with",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="asked_with_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When the run was asked for that these arguments are of.",
                null=True,
                verbose_name="asked with at",
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="stopped_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When it ended as it was told to; empty: it goes on.",
                null=True,
                verbose_name="stopped at",
            ),
        ),
        migrations.AddField(
            model_name="log",
            name="watched_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When somebody looked at its run while that went on.",
                null=True,
                verbose_name="watched at",
            ),
        ),
    ]
