"""How is it told what is wrong, once, whoever looks?

1. A node takes the turn to look, which comes once a minute in the whole cluster.
2. What is wrong, and has no row, gets one. What has a row, and is wrong no more, is over.
3. Of each row that somebody is to be told of, the node takes the right to tell, for five minutes at first.
4. It tells, and then notes that people know. The row of what is over goes when it has been well for an hour.

What is wrong again before that comes and goes: it is told the later the longer it has done so, and of one thing people
hear that it is wrong no more than once an hour in the end.

If it could not tell, or died meanwhile, another does so when the five minutes are over, and after twice the time each
further time, ``ATTEMPTS`` times in all. So people are told twice only of what a node has told, and then died, or lost
the database, before it had noted that.
"""

from __future__ import annotations

import logging
import random
from asyncio import CancelledError
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from django.db import connections, transaction
from django.utils.module_loading import import_string

from cronkite import conf
from cronkite.code import calls, modules
from cronkite.database import leftovers, quirks
from cronkite.database.clock import Now
from cronkite.database.teller import Teller
from cronkite.models import Alert, primary
from cronkite.watching import memory, troubles
from cronkite.watching.notices import WELL, Notice
from cronkite.watching.troubles import Seen

logger = logging.getLogger("cronkite")

#: How often it is tried to tell people of something.
ATTEMPTS = 5
#: After how long (seconds) a thread is left to itself that does not come back.
HANGS = 300.0
#: How often, and how many seconds apart, it is noted that people know, while the database is away.
NOTES, PAUSE = 10, 3.0

_teller = Teller("cronkite alerts")


def begin() -> None:
    """Have it looked what is to be told, in a thread; return at once."""
    global _teller  # noqa: PLW0603 - it is about the process
    connection = connections[primary.alias()]
    if quirks.is_borrowed(connection) or quirks.is_in_memory(connection):
        # No other thread would see what is written here.
        look()
        return
    since = _teller.busy_for()
    if since > HANGS:
        logger.error("To tell people takes longer than %g s. Another thread takes that over.", HANGS)
        _teller = Teller("cronkite alerts")
    elif since:
        return
    _teller.put(look)


def look() -> None:
    """Look once what is wrong and what is over, and tell people, if it is this node's turn."""
    using = primary.alias()
    if not quirks.anew(using, partial(memory.is_our_turn, using)):
        return
    rows = {row.about: row for row in Alert.objects.using(using).exclude(about=memory.TURN).order_by("about")}
    seen = troubles.see(rows, using)
    memory.begin({about: wrong for about, wrong in seen.wrong.items() if about not in rows}, using)
    for some in memory.chunks(rows.values()):
        with transaction.atomic(using=using):
            for row in some:
                if (wrong := seen.wrong.get(row.about)) is not None:
                    memory.go_on(row, wrong, using)
                elif row.over_at is None:
                    memory.end(row, is_well=row.about in seen.well, using=using)
    if any(row.over_at is not None for row in rows.values()):
        memory.forget(using)
    if conf.get().alert:
        _tell(seen, using)


def _tell(seen: Seen, using: str) -> None:
    """Tell people what they are to know, those with the same addressees at once."""
    due = Alert.objects.using(using).filter(try_at__lte=Now()).exclude(about=memory.TURN).order_by("about")
    told_of = [(row, notice) for row in due if (notice := _notice(row, seen, using)) is not None]
    ours = memory.claim([row for row, _ in told_of], using)
    groups: defaultdict[tuple[str, ...], list[tuple[Alert, Notice]]] = defaultdict(list)
    for row, notice in told_of:
        if row.pk in ours:
            groups[notice.who].append((row, notice))
    # In any order: to tell the first may take for ever, each time.
    for pairs in random.sample(list(groups.values()), len(groups)):
        _let_go(using)
        try:
            # An async function is awaited.
            calls.call(_callable(), [[notice for _, notice in pairs]], {})
        except (Exception, SystemExit, CancelledError) as error:  # noqa: BLE001 - a project's code may raise anything
            note = partial(_give_up, [row for row, _ in pairs], error, using)
        else:
            note = partial(_settle_all, [row for row, _ in pairs], using)
        leftovers.close()
        # In spite of an outage that does not last; or they would be told again.
        quirks.insist(using, note, NOTES, PAUSE)


def _let_go(using: str) -> None:
    """Keep no connection while code of others takes its time, as long as a mail server that hangs."""
    connection = connections[using]
    if not quirks.is_borrowed(connection) and not quirks.is_in_memory(connection):
        connection.close()


def _settle_all(rows: Sequence[Alert], using: str) -> None:
    for some in memory.chunks(rows):
        with transaction.atomic(using=using):
            for row in some:
                memory.settle(row, using)


def _callable() -> Callable[[Sequence[Notice]], object]:
    found: Callable[[Sequence[Notice]], object] = import_string(conf.get().alert)
    return found


def _give_up(rows: Sequence[Alert], error: BaseException, using: str) -> None:
    """Leave it to a later time, or, when that was the last, have it that people know: the log does."""
    for row in rows:
        is_last = row.attempts + 1 >= ATTEMPTS
        again = "That was the last attempt" if is_last else "It is tried again"
        kind, _ = troubles.parts(row.about)
        logger.error("People can't be told of %r (%s). %s. %s.", row.name, kind, modules.said(error), again)
        if is_last:
            memory.settle(row, using)


def _notice(row: Alert, seen: Seen, using: str) -> Notice | None:
    """Return what to say of the row; ``None``: nothing, as it has changed since."""
    kind, key = troubles.parts(row.about)
    job_id = None if kind == "silent" else key
    wrong = seen.wrong.get(row.about)
    if row.over_at is None:
        if wrong is None:
            return None
        text = wrong.text if wrong.log_id is None else wrong.text + troubles.raised(wrong.log_id, using)
    else:
        text = WELL[kind].format(name=row.name)
    wish = seen.wishes.get(job_id, troubles.NOBODY) if job_id is not None else troubles.NOBODY
    return Notice(kind, row.over_at is not None, row.name, job_id, text, row.since, wish.who)
