"""URLs that are told of a job's runs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cronkite", "0008_alerts"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="ping",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="A URL that is told of its runs, as Healthchecks has them: /start and /fail are added to it.",
                max_length=255,
                verbose_name="ping",
            ),
        ),
    ]
