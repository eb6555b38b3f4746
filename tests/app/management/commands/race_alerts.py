"""Look what is to be told, as one of several that have all read the same row before any of them claims it."""

from pathlib import Path

from django.core.management import BaseCommand

from app.jobs import append, wait_for
from cronkite import alerts
from cronkite.models import Alert


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("met")
        parser.add_argument("go")
        parser.add_argument("--sabotage", action="store_true")

    def handle(self, *, met, go, sabotage, **options):
        condition = alerts._claimable

        def meet(row, using):
            append(met, str(row.pk))
            wait_for(go)
            return Alert.objects.using(using).filter(pk=row.pk) if sabotage else condition(row, using)

        alerts._claimable = meet
        alerts._is_our_turn = lambda using: True
        alerts.look()
        Path(f"{go}.done").touch()
