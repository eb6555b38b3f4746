"""Tasks of django.tasks, which came with Django 6.0."""

from django.tasks import task

import cronkite


@cronkite.cron("0 7 * * *", args=[2])
@task
def double(number):
    """Double it."""
    return 2 * number


@task
def plain():
    """Of the task backend alone."""
