"""Who is told when something is wrong with a job, and what they were told."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cronkite", "0007_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("about", models.CharField(max_length=100, unique=True, verbose_name="about")),
                ("name", models.CharField(blank=True, max_length=255, verbose_name="name")),
                ("since", models.DateTimeField(verbose_name="since")),
                ("over_at", models.DateTimeField(blank=True, null=True, verbose_name="over at")),
                ("told_at", models.DateTimeField(blank=True, null=True, verbose_name="told at")),
                (
                    "try_at",
                    models.DateTimeField(
                        blank=True, help_text="When to tell people; empty: they know.", null=True, verbose_name="try at"
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
            ],
            options={
                "verbose_name": "alert",
                "verbose_name_plural": "alerts",
                "ordering": ["about"],
                "base_manager_name": "objects",
            },
        ),
        migrations.AddField(
            model_name="job",
            name="alert",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Who is told when something is wrong, and after how many failures in a row, as in ada@example.com after 3. Empty: the project's admins, after 1. Off: nobody.",
                max_length=255,
                verbose_name="alert",
            ),
        ),
    ]
