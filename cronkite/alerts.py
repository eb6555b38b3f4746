"""Who tells people that something is wrong, once, and once that all is well again?

Whichever node looks next. What is wrong is what the tables say, as the health check tells it: jobs that fail, have had
slots missed or are stuck, and nodes that are silent. So nothing is forgotten that a node has died over before it could
tell. Each thing that is wrong has a row in the table of alerts, and what is to be told of it is claimed as a slot is,
by one conditional UPDATE, whose row count is the verdict:

1. A node takes the turn to look, which comes once a minute in the whole cluster.
2. What is wrong, and has no row, gets one. What has a row, and is wrong no more, is over.
3. Of each row that somebody is to be told of, the node takes the right to tell, for five minutes at first.
4. It tells, and then notes that people know; of what is over, the row goes.

If it could not tell, or died meanwhile, another does so when the five minutes are over, and after twice the time each
further time, ``ATTEMPTS`` times in all. So people are told twice only of what a node has told, and then died before it
had noted that.

All of this is done by a thread of its own, for which no run, claim or record waits.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.core.mail import mail_admins, send_mail
from django.db import IntegrityError, connections, transaction
from django.db.models import Q
from django.utils.module_loading import import_string

from cronkite import conf
from cronkite.code import wishes
from cronkite.code.wishes import Wish
from cronkite.database import clock, leftovers, quirks
from cronkite.database.clock import Now
from cronkite.database.teller import Teller
from cronkite.models import Alert, Job, Log, Node, primary, told
from cronkite.models.alerts import AlertQuerySet
from cronkite.reports import vitals
from cronkite.reports.limits import USUAL, Level
from cronkite.schedules.durations import in_short

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
#: How much of what a run has raised is told.
CUT = 500


@dataclass(frozen=True)
class Notice:
    """What people are to know: that something is wrong, or, if it ``is_over``, that all is well again.

    ``kind`` is ``"failing"``, ``"missed"``, ``"stuck"`` (of a job) or ``"silent"`` (of a node). ``name`` is the job's
    or the node's, ``job_id`` is ``None`` for a node. ``text`` says it in a sentence. ``since`` (UTC) is when it was
    first seen. ``who`` is whom the job's ``alert`` names; empty: nobody in particular.
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

    This is what ``CRONKITE_ALERT = "cronkite.alerts.mail"`` calls. Raises what Django's mail raises.
    """
    who = [name for name in notices[0].who if "@" in name]
    subject = notices[0].text.split(":")[0].rstrip(".")
    if len(notices) > 1:
        subject = f"{subject}, and {len(notices) - 1} more"
    subject = " ".join(subject.split())[:200]
    text = "\n\n".join(notice.text for notice in notices)
    if who:
        send_mail(f"{settings.EMAIL_SUBJECT_PREFIX}{subject}", text, None, who)
    else:
        mail_admins(subject, text)


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
    rows = {row.about: row for row in Alert.objects.using(using).exclude(about=TURN)}
    seen = _see(rows, using)
    for about, wrong in seen.wrong.items():
        if about in rows:
            _go_on(rows[about], using)
        elif (row := _begin(about, wrong, using)) is not None:
            rows[about] = row
    for about, row in rows.items():
        if about not in seen.wrong and row.over_at is None:
            _end(row, is_well=about in seen.well, using=using)
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

    def __init__(self, jobs: set[int], enabled: set[int], ailing: set[str], nodes: set[str]) -> None:
        self._jobs, self._enabled, self._ailing, self._nodes = jobs, enabled, ailing, nodes

    def __contains__(self, about: str) -> bool:
        kind, _, which = about.partition(" ")
        if kind == "silent":
            return which in self._nodes
        there = self._enabled if kind == "failing" else self._jobs
        return about not in self._ailing and which.isdecimal() and int(which) in there


def _see(rows: Collection[str], using: str) -> _Seen:
    """Look what is wrong, and which of the ``rows``, by what they are about, tell of what is well again."""
    now = clock.now(using)
    silent, there = _see_nodes(now, using)
    if not conf.get().alert:
        return _Seen(silent, _Well(set(), set(), set(), there), {})
    keys = [int(about.partition(" ")[2]) for about in rows if not about.startswith("silent ")]
    jobs = Job.objects.using(using).filter(Q(pk__in=keys) | ~Q(alert="")).values_list("pk", "enabled", "alert")
    wanted = {pk: wishes.of(text) for pk, _, text in jobs}
    off = {pk for pk, wish in wanted.items() if wish.is_off}
    wrong, ailing = _see_jobs(wanted, now, using)
    kept = {pk for pk, _, _ in jobs} - off
    well = _Well(kept, kept & {pk for pk, enabled, _ in jobs if enabled}, ailing, there)
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


def _begin(about: str, wrong: _Wrong, using: str) -> Alert | None:
    """Note that something is wrong; ``None``: another node was first."""
    if not _insert(Alert(about=about, name=wrong.name, since=Now(), try_at=Now()), using):
        return None
    if wrong.node is not None:
        told.silent(wrong.node)
    return Alert.objects.using(using).filter(about=about).first()


def _go_on(row: Alert, using: str) -> None:
    """Note that it goes on, where it seemed to be over and nobody was told so."""
    if row.over_at is not None:
        again = Alert.objects.using(using).filter(pk=row.pk, over_at=row.over_at, attempts=row.attempts)
        again.update(over_at=None, try_at=None, attempts=0)


def _end(row: Alert, *, is_well: bool, using: str) -> None:
    """Note that it is over. Where nobody knows of it, or nobody can tell that all is well, it is forgotten."""
    rows = Alert.objects.using(using).filter(pk=row.pk, over_at__isnull=True)
    if is_well and rows.filter(told_at__isnull=False).update(over_at=Now(), try_at=Now(), attempts=0):
        return
    # Not while somebody is just being told: then it is the next look's.
    rows.filter(Q(attempts=0) | Q(try_at__isnull=True) | Q(try_at__lte=Now())).delete()


def _tell(seen: _Seen, using: str) -> None:
    """Tell people what they are to know, those with the same addressees at once."""
    due = Alert.objects.using(using).filter(try_at__lte=Now()).exclude(about=TURN).order_by("about")
    groups: defaultdict[tuple[str, ...], list[tuple[Alert, Notice]]] = defaultdict(list)
    for row in due:
        notice = _notice(row, seen, using)
        if notice is not None and claim(row, using):
            groups[notice.who].append((row, notice))
    leftovers.give_back(using)
    for pairs in groups.values():
        try:
            _callable()([notice for _, notice in pairs])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a project's code may raise anything
            _give_up([row for row, _ in pairs], error, using)
        else:
            for row, _ in pairs:
                settle(row, using)


def _callable() -> Callable[[Sequence[Notice]], object]:
    found: Callable[[Sequence[Notice]], object] = import_string(conf.get().alert)
    return found


def claim(row: Alert, using: str) -> bool:
    """Take the right to tell people of ``row``, as it was read; ``False`` if another node was first."""
    return bool(_claimable(row, using).update(try_at=Now() + LEASE * 2**row.attempts, attempts=row.attempts + 1))


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
        rows.filter(over_at=row.over_at).delete()


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


#: What is said when it is over.
WELL = {
    "failing": "Job {name!r} is well again: its last run has succeeded.",
    "missed": "Job {name!r} is well again: no slots of it were missed in the last 24 hours.",
    "stuck": "Job {name!r} is well again: it is not stuck any more.",
    "silent": "Node {name} is well again: it ticks, or was stopped as it should be.",
}
