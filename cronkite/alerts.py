"""Who tells people that something is wrong, once, and once that all is well again?

Whichever node looks next. What is wrong is what the tables say, as the health check tells it: jobs that fail, have had
slots missed or are stuck, and nodes that are silent. So nothing is forgotten that a node has died over before it could
tell. Each thing that is wrong has a row in the table of alerts, and what is to be told of it is claimed as a slot is,
by one conditional UPDATE, whose row count is the verdict:

1. A node takes the turn to look, which comes once a minute in the whole cluster.
2. What is wrong, and has no row, gets one. What has a row, and is wrong no more, is over.
3. Of each row that somebody is to be told of, the node takes the right to tell, for five minutes at first.
4. It tells, and then notes that people know. The row of what is over goes when it has been well for an hour.

What is wrong again before that comes and goes: it is told the later the longer it has done so, and of one thing people
hear that it is wrong no more than once an hour in the end.

If it could not tell, or died meanwhile, another does so when the five minutes are over, and after twice the time each
further time, ``ATTEMPTS`` times in all. So people are told twice only of what a node has told, and then died, or lost
the database, before it had noted that.

All of this is done by a thread of its own, for which no run, claim or record waits.
"""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import mail_admins, send_mail
from django.db import Error, IntegrityError, connections, transaction
from django.db.models import Q
from django.utils.module_loading import import_string

from cronkite import conf
from cronkite.code import calls, wishes
from cronkite.code.wishes import Wish
from cronkite.database import clock, leftovers, quirks
from cronkite.database.clock import Now
from cronkite.database.teller import Teller
from cronkite.models import Alert, Job, Log, Node, primary, told
from cronkite.models.alerts import AlertQuerySet
from cronkite.reports import vitals
from cronkite.reports.limits import USUAL, Level
from cronkite.schedules.durations import in_short

T = TypeVar("T")

logger = logging.getLogger("cronkite")

#: The row of the turn to look, and how often it comes.
TURN, EVERY = "turn", timedelta(seconds=50)
#: For how long one may take to tell before another does so; twice that the next time, and so on.
LEASE = timedelta(minutes=5)
#: How often it is tried to tell people of something.
ATTEMPTS = 5
#: The wish of a job that says nothing, and of nodes.
NOBODY = Wish()
#: After how long (seconds) a thread is left to itself that does not come back.
HANGS = 300.0
#: Who has been silent for longer is gone for good, as a machine that was given back.
GONE = timedelta(days=1)
#: For how long a thing is well until it is forgotten that it was wrong; and how long it is kept back at most that it is
#: wrong again.
REST = timedelta(hours=1)
#: How often, and how many seconds apart, it is noted that people know, while the database is away.
NOTES, PAUSE = 10, 3.0
#: Of how many something is written in one transaction: after an outage, all jobs may be wrong at once.
CHUNK = 200
#: How much of what a run has raised is told.
CUT = 500
#: How many notices a mail tells, and how many letters of a name its subject.
MOST, LETTERS = 100, 60


@dataclass(frozen=True)
class Notice:
    """What people are to know: that something is wrong, or, if it ``is_over``, that all is well again.

    ``kind`` is ``"failing"``, ``"missed"``, ``"stuck"`` (of a job) or ``"silent"`` (of a node). ``name`` is the job's
    or the node's, ``job_id`` is ``None`` for a node. ``text`` says it in a sentence, in English, as the log does.
    ``since`` (UTC) is when it was first seen; of what comes and goes, the first time. ``who`` is whom the job's
    ``alert`` names; empty: nobody in particular.
    """

    kind: str
    is_over: bool
    name: str
    job_id: int | None
    text: str
    since: datetime
    who: tuple[str, ...] = ()


def mail(notices: Sequence[Notice]) -> None:
    """Tell by e-mail: those whom the jobs' ``alert`` names, or else ``ADMINS``; one mail for all ``notices``.

    This is what ``CRONKITE_ALERT = "cronkite.alerts.mail"`` calls. Raises
    :class:`django.core.exceptions.ImproperlyConfigured` if there is nobody to tell, and what Django's mail raises.
    """
    # Such as "@ops" is a name for others.
    who = [name for name in notices[0].who if "@" in name.lstrip("@#")]
    subject = _subject(notices[0])
    if len(notices) > 1:
        subject = f"{subject}, and {len(notices) - 1} more"
    texts = [notice.text for notice in notices[:MOST]]
    if len(notices) > MOST:
        texts.append(f"And {len(notices) - MOST} more, which the admin and `manage.py cron health` tell.")
    text = "\n\n".join(texts)
    if who:
        send_mail(f"{settings.EMAIL_SUBJECT_PREFIX}{subject}", text, None, who)
    elif not settings.ADMINS:
        raise ImproperlyConfigured("ADMINS is empty, and the jobs name no e-mail address in their alert.")
    else:
        mail_admins(subject, text)


def _subject(notice: Notice) -> str:
    """Return what fits the subject of a mail: in one line, however long the name is and whatever is in it."""
    name = notice.name if len(notice.name) <= LETTERS else f"{notice.name[: LETTERS - 1]}…"
    head = (HEADS_WELL if notice.is_over else HEADS)[notice.kind]
    return " ".join(head.format(name=name).split())


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
    if not quirks.anew(using, partial(_is_our_turn, using)):
        return
    rows = {row.about: row for row in Alert.objects.using(using).exclude(about=TURN).order_by("about")}
    seen = _see(rows, using)
    _begin({about: wrong for about, wrong in seen.wrong.items() if about not in rows}, using)
    for some in _some(rows.values()):
        with transaction.atomic(using=using):
            for row in some:
                if (wrong := seen.wrong.get(row.about)) is not None:
                    _go_on(row, wrong, using)
                elif row.over_at is None:
                    _end(row, is_well=row.about in seen.well, using=using)
    if any(row.over_at is not None for row in rows.values()):
        _forget(using)
    if conf.get().alert:
        _tell(seen, using)


_teller = Teller("cronkite alerts")


# What is wrong.


@dataclass(frozen=True)
class _Wrong:
    """Something that is wrong; ``node`` is set where it is a node that is silent, ``log_id`` where a run failed."""

    name: str
    text: str
    job_id: int | None = None
    log_id: int | None = None
    node: Node | None = None


@dataclass(frozen=True)
class _Seen:
    """What is wrong, by what it is about, and of what is known that all is well; ``names`` and wishes are jobs'."""

    wrong: dict[str, _Wrong]
    well: _Well
    wishes: dict[int, Wish]


class _Well:
    """Tells of what it is known that it is well, and not only that nobody can tell."""

    def __init__(self, jobs: set[int], succeeded: set[int], ailing: set[str], nodes: set[str]) -> None:
        self._jobs, self._succeeded, self._ailing, self._nodes = jobs, succeeded, ailing, nodes

    def __contains__(self, about: str) -> bool:
        kind, _, which = about.partition(" ")
        if kind == "silent":
            return which in self._nodes
        there = self._succeeded if kind == "failing" else self._jobs
        return about not in self._ailing and which.isdecimal() and int(which) in there


def _see(rows: Collection[str], using: str) -> _Seen:
    """Look what is wrong, and which of the ``rows``, by what they are about, tell of what is well again."""
    now = clock.now(using)
    silent, there = _see_nodes(now, using)
    if not conf.get().alert:
        return _Seen(silent, _Well(set(), set(), set(), there), {})
    keys = [int(about.partition(" ")[2]) for about in rows if not about.startswith("silent ")]
    jobs = Job.objects.using(using).filter(Q(pk__in=keys) | ~Q(alert="")).values_list("pk", "alert")
    wanted = {pk: wishes.of(text) for pk, text in jobs}
    off = {pk for pk, wish in wanted.items() if wish.is_off}
    wrong, ailing = _see_jobs(wanted, now, using)
    failed = [int(about.partition(" ")[2]) for about in rows if about.startswith("failing ") and about not in ailing]
    well = _Well(wanted.keys() - off, vitals.succeeded(using, failed) - off if failed else set(), ailing, there)
    return _Seen({about: each for about, each in wrong.items() if each.job_id not in off} | silent, well, wanted)


def _see_nodes(now: datetime, using: str) -> tuple[dict[str, _Wrong], set[str]]:
    """Return which nodes are silent, and the names of those that are not."""
    silent, there = {}, set()
    for node in Node.objects.using(using):
        age = now - node.ticked_at
        if node.stopped_at is not None or USUAL.silent.level(age.total_seconds()) == Level.OK:
            there.add(node.name)
        elif age < GONE:
            said = f"Node {node.name} is silent: its last sign of life was {in_short(age.total_seconds())} ago."
            silent[f"silent {node.name}"] = _Wrong(node.name, said, node=node)
    return silent, there


def _see_jobs(wanted: Mapping[int, Wish], now: datetime, using: str) -> tuple[dict[str, _Wrong], set[str]]:
    """Return what is wrong with jobs, and what fails, be it less often than somebody wants to know of."""
    found, ailing = {}, set()
    for failing in vitals.failing(using):
        ailing.add(f"failing {failing.id}")
        wish = wanted.get(failing.id, NOBODY)
        if failing.count >= wish.after:
            times = "its last run has failed" if failing.count == 1 else f"its last {failing.count} runs have failed"
            said = f"Job {failing.name!r} fails: {times}"
            found[f"failing {failing.id}"] = _Wrong(failing.name, said, failing.id, failing.log)
    for each in vitals.missed(using, now, USUAL.brief):
        if each.id is not None and each.count > each.brief:
            said = f"Slots of job {each.name!r} were missed: {each.count} in the last 24 hours."
            found[f"missed {each.id}"] = _Wrong(each.name, said, each.id)
    for stuck in vitals.stuck(using, now):
        said = (
            f"Job {stuck.name!r} is stuck: locked by {stuck.locked_by}, last seen alive {in_short(stuck.age)} ago. If "
            "its run is gone, unlock the job."
        )
        found[f"stuck {stuck.id}"] = _Wrong(stuck.name, said, stuck.id)
    return found, ailing


def _raised(log_id: int, using: str) -> str:
    """Return where and how the run of the log has ended, in short."""
    log = Log.objects.using(using).filter(pk=log_id).first()
    if log is None:
        return "."
    last = log.exc_info.strip().rpartition("\n")[2]
    why = (last or log.reason)[:CUT]
    return f", at last on {log.node} (log {log.pk}, {log.status.replace('_', ' ')}){f': {why}' if why else '.'}"


# What is said of it in the table: each by one conditional UPDATE, whose row count is the verdict.


def _is_our_turn(using: str) -> bool:
    alerts = Alert.objects.using(using)
    if alerts.filter(about=TURN, try_at__lte=Now()).update(try_at=Now() + EVERY):
        return True
    if alerts.filter(about=TURN).exists():
        return False
    return _insert(Alert(about=TURN, since=Now(), try_at=Now() + EVERY), using)


def _insert(row: Alert, using: str) -> bool:
    try:
        with transaction.atomic(using=using):
            row.save(using=using, force_insert=True)
    except IntegrityError:
        # Another node was first.
        return False
    return True


def _begin(new: Mapping[str, _Wrong], using: str) -> None:
    """Note what is wrong that was not noted yet; where another node was first, that is as good."""
    for about, wrong in new.items():
        # Whoever makes the row tells by the signal, too.
        if wrong.node is not None and _insert(_row(about, wrong), using):
            told.silent(wrong.node)
    rows = [_row(about, wrong) for about, wrong in sorted(new.items()) if wrong.node is None]
    Alert.objects.using(using).bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)


def _row(about: str, wrong: _Wrong) -> Alert:
    return Alert(about=about, name=wrong.name, since=Now(), try_at=Now())


def _some(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield some of the items, as long as there are any; what is written of them is one transaction.

    They come in the order of what they are about, so that two nodes don't wait for each other.
    """
    left = iter(items)
    while some := list(islice(left, CHUNK)):
        yield some


def _is_left() -> Q:
    """Return the condition that nobody is just telling it: then it is the next look's."""
    return Q(attempts=0) | Q(try_at__isnull=True) | Q(try_at__lte=Now())


def _go_on(row: Alert, wrong: _Wrong, using: str) -> None:
    """Note that it is still wrong; or again, where it was over."""
    if row.over_at is None:
        return
    rows = Alert.objects.using(using).filter(_is_left(), pk=row.pk, over_at=row.over_at, attempts=row.attempts)
    if row.try_at is None and row.told_at is not None:
        # People know that it was over, and are told again; later, if it comes and goes.
        lasted = row.told_at - row.since
        again = row.told_at + (min(lasted, REST) if lasted > EVERY else timedelta(0))
        is_noted = rows.filter(try_at__isnull=True).update(over_at=None, try_at=again)
    else:
        # They still think that it is wrong.
        is_noted = rows.update(over_at=None, try_at=None, attempts=0)
    if is_noted and wrong.node is not None:
        told.silent(wrong.node)


def _end(row: Alert, *, is_well: bool, using: str) -> None:
    """Note that it is over. Where nobody knows of it, or nobody can tell that all is well, it is forgotten."""
    rows = Alert.objects.using(using).filter(pk=row.pk, over_at__isnull=True)
    known = rows.filter(told_at__isnull=False)
    if is_well and known.filter(try_at__isnull=True).update(over_at=Now(), try_at=Now(), attempts=0):
        return
    if is_well and known.filter(_is_left()).update(over_at=Now(), try_at=None, attempts=0):
        # It came and went before people were told again.
        return
    rows.filter(_is_left(), **({"told_at__isnull": True} if is_well else {})).delete()


def _forget(using: str) -> None:
    """Forget what has been well for a while, and people know; or nobody is to know any more."""
    over = Alert.objects.using(using).filter(over_at__lt=Now() - REST)
    (over.filter(try_at__isnull=True) if conf.get().alert else over).delete()


def _tell(seen: _Seen, using: str) -> None:
    """Tell people what they are to know, those with the same addressees at once."""
    due = Alert.objects.using(using).filter(try_at__lte=Now()).exclude(about=TURN).order_by("about")
    told_of = [(row, notice) for row in due if (notice := _notice(row, seen, using)) is not None]
    ours = claim([row for row, _ in told_of], using)
    groups: defaultdict[tuple[str, ...], list[tuple[Alert, Notice]]] = defaultdict(list)
    for row, notice in told_of:
        if row.pk in ours:
            groups[notice.who].append((row, notice))
    for pairs in groups.values():
        _let_go(using)
        try:
            # An async function is awaited.
            calls.call(_callable(), [[notice for _, notice in pairs]], {})
        except (Exception, SystemExit, CancelledError) as error:  # noqa: BLE001 - a project's code may raise anything
            note = partial(_give_up, [row for row, _ in pairs], error, using)
        else:
            note = partial(_settle_all, [row for row, _ in pairs], using)
        _insist(note, using)


def _let_go(using: str) -> None:
    """Keep no connection while code of others takes its time, as long as a mail server that hangs."""
    connection = connections[using]
    if not quirks.is_borrowed(connection) and not quirks.is_in_memory(connection):
        connection.close()


def _insist(note: Callable[[], object], using: str) -> None:
    """Note what people were told, in spite of an outage that does not last; or they would be told again."""
    leftovers.close()
    for attempt in range(1, NOTES + 1):
        try:
            note()
        except Error:
            if quirks.is_borrowed(connections[using]) or attempt == NOTES:
                raise
            connections[using].close()
            time.sleep(PAUSE)
        else:
            return


def _settle_all(rows: Sequence[Alert], using: str) -> None:
    for some in _some(rows):
        with transaction.atomic(using=using):
            for row in some:
                settle(row, using)


def _callable() -> Callable[[Sequence[Notice]], object]:
    found: Callable[[Sequence[Notice]], object] = import_string(conf.get().alert)
    return found


def claim(rows: Sequence[Alert], using: str) -> set[int]:
    """Take the right to tell people of ``rows``, as they were read; return the keys of those no other has taken."""
    ours: set[int] = set()
    # Of each for itself: a number for many would not tell which.
    for some in _some([(row, _claimable(row, using)) for row in rows]):
        with transaction.atomic(using=using):
            won = [row.pk for row, rights in some if rights.update(**_lease(row))]
        ours |= {*won}
    return ours


def _lease(row: Alert) -> dict[str, Any]:
    return {"try_at": Now() + LEASE * 2**row.attempts, "attempts": row.attempts + 1}


def _claimable(row: Alert, using: str) -> AlertQuerySet:
    """Return the query for ``row``, if people are still to be told, and nobody is just telling: the condition."""
    return Alert.objects.using(using).filter(
        pk=row.pk, attempts=row.attempts, over_at__isnull=row.over_at is None, try_at__lte=Now()
    )


def settle(row: Alert, using: str) -> None:
    """Note that people know of ``row``, which was claimed as it was read; unless another has claimed it since."""
    rows = Alert.objects.using(using).filter(pk=row.pk, attempts=row.attempts + 1)
    if row.over_at is None:
        rows.filter(over_at__isnull=True).update(told_at=Now(), try_at=None, attempts=0)
    else:
        rows.filter(over_at=row.over_at).update(told_at=Now(), try_at=None, attempts=0)


def _give_up(rows: Sequence[Alert], error: BaseException, using: str) -> None:
    """Leave it to a later time, or, when that was the last, have it that people know: the log does."""
    for row in rows:
        is_last = row.attempts + 1 >= ATTEMPTS
        again = "That was the last attempt" if is_last else "It is tried again"
        logger.error("People can't be told of %r. %s: %s. %s.", row.about, type(error).__name__, error, again)
        if is_last:
            settle(row, using)


def _notice(row: Alert, seen: _Seen, using: str) -> Notice | None:
    """Return what to say of the row; ``None``: nothing, as it has changed since."""
    kind, _, which = row.about.partition(" ")
    job_id = None if kind == "silent" else int(which)
    wrong = seen.wrong.get(row.about)
    if row.over_at is None:
        if wrong is None:
            return None
        text = wrong.text if wrong.log_id is None else wrong.text + _raised(wrong.log_id, using)
    else:
        text = WELL[kind].format(name=row.name)
    wish = seen.wishes.get(job_id, NOBODY) if job_id is not None else NOBODY
    return Notice(kind, row.over_at is not None, row.name, job_id, text, row.since, wish.who)


#: What is the subject of a mail.
HEADS = {
    "failing": "Job {name!r} fails",
    "missed": "Slots of job {name!r} were missed",
    "stuck": "Job {name!r} is stuck",
    "silent": "Node {name} is silent",
}
HEADS_WELL = dict.fromkeys(("failing", "missed", "stuck"), "Job {name!r} is well again") | {
    "silent": "Node {name} is well again",
}

#: What is said when it is over.
WELL = {
    "failing": "Job {name!r} is well again: its last run has succeeded.",
    "missed": "Job {name!r} is well again: no slots of it were missed in the last 24 hours.",
    "stuck": "Job {name!r} is well again: it is not stuck any more.",
    "silent": "Node {name} is well again: it ticks, or was stopped as it should be.",
}
