"""Look what is to be told, as one of several that have all read the same row before any of them claims it."""

from pathlib import Path

from django.core.management import BaseCommand

from app.jobs import append, wait_for
from cronkite.models import Alert
from cronkite.watching import memory, telling


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("met")
        parser.add_argument("go")
        parser.add_argument("--sabotage", action="store_true")

    def handle(self, *, met, go, sabotage, **options):
        condition = memory._claimable

        def meet(row, using):
            append(met, str(row.pk))
            wait_for(go)
            return Alert.objects.using(using).filter(pk=row.pk) if sabotage else condition(row, using)

        memory._claimable = meet
        memory.is_our_turn = lambda using: True
        telling.look()
        Path(f"{go}.done").touch()
