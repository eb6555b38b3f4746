"""What is wrong, told in a line for each kind of thing, however many jobs or nodes it is about?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronkite.reports.limits import Level, Limits
from cronkite.reports.spans import in_short
from cronkite.reports.vitals import RUNS, LateJob, NodeHealth, Vitals
from cronkite.schedules.durations import DAY
from cronkite.schedules.words import listed

#: How many jobs or nodes a line names.
NAMED = 3
#: How many letters of a name it shows.
LETTERS = 40


@dataclass(frozen=True)
class Named:
    """A job or a node, by the ``name`` of which a line tells, and what is to be said of it there.

    ``job`` and ``log`` are keys of what to look at: neither for a node, or for a job that is gone.
    """

    name: str
    note: str = ""
    job: int | None = None
    log: int | None = None

    @property
    def short(self) -> str:
        """The name, or as much of it as a line has room for."""
        return self.name if len(self.name) <= LETTERS else f"{self.name[: LETTERS - 1]}…"

    def __str__(self) -> str:
        return f"{self.short} ({self.note})" if self.note else self.short


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and how bad it is.

    ``kind`` is a word for programs, ``what`` the words for people, a sentence of their own if nothing is ``named``;
    ``more`` is how many jobs or nodes there are beside those.
    """

    level: Level
    kind: str
    what: str
    named: tuple[Named, ...] = ()
    more: int = 0

    @property
    def text(self) -> str:
        """All of it, as a sentence."""
        if not self.named:
            return self.what
        return _("%(what)s: %(names)s.") % {"what": self.what, "names": self.names}

    @property
    def names(self) -> str:
        """Those that are named, and how many more there are."""
        names = listed([str(each) for each in self.named])
        if not self.more:
            return names
        return ngettext("%(names)s and %(more)d more", "%(names)s and %(more)d more", self.more) % {
            "names": names,
            "more": self.more,
        }


def of(vitals: Vitals, limits: Limits) -> list[Finding]:
    """Return what is not put up with, the worst first, and of what is equally bad the most urgent."""
    found = [finding for finding in _all(vitals, limits) if finding.level]
    return sorted(found, key=lambda finding: -finding.level)


def _all(vitals: Vitals, limits: Limits) -> Iterator[Finding]:
    yield from _silence(vitals, limits)
    yield from _stuck(vitals)
    yield from _failing(vitals, limits)
    if limits.silent.level(vitals.silent_for or 0) == Level.OK:
        # While no node ticks, that is the reason, and it was said.
        yield from _waiting(vitals, limits)
    yield from _nodes(vitals, limits)
    if limits.silent.level(vitals.silent_for or 0) == Level.OK:
        yield from _unserved(vitals)
    yield from _missed(vitals, limits)


def _cut(level: Level, kind: str, what: str, named: Sequence[Named]) -> Finding:
    return Finding(level, kind, what, tuple(named[:NAMED]), max(0, len(named) - NAMED))


def _silence(vitals: Vitals, limits: Limits) -> Iterator[Finding]:
    if vitals.silent_for is None:
        said = _("No node has ever ticked. Run `manage.py cron` each minute on every machine.")
        yield Finding(Level.CRITICAL, "silent", said)
    else:
        said = _("No node has ticked for %(time)s.") % {"time": in_short(vitals.silent_for)}
        yield Finding(limits.silent.level(vitals.silent_for), "silent", said)


def _nodes(vitals: Vitals, limits: Limits) -> Iterator[Finding]:
    if vitals.silent_for is None or limits.silent.level(vitals.silent_for):
        return
    going = [node for node in vitals.nodes if node.stopped_at is None]
    # Who has been silent for longer is gone for good, as a machine that was given back.
    silent = sorted((node for node in going if _is_silent(node, limits) and node.age < DAY), key=lambda node: node.age)
    if silent:
        said = ngettext("%(count)d node fell silent", "%(count)d nodes fell silent", len(silent))
        named = [Named(node.name, in_short(node.age)) for node in silent]
        yield _cut(Level.WARNING, "gone", said % {"count": len(silent)}, named)
    ticking = [node for node in going if not _is_silent(node, limits)]
    if len(ticking) < limits.nodes:
        said = ngettext(
            "Only %(ticking)d of %(wanted)d node ticks.", "Only %(ticking)d of %(wanted)d nodes tick.", limits.nodes
        )
        values = {"ticking": len(ticking), "wanted": limits.nodes}
        yield Finding(Level.WARNING, "nodes", said % values)
    yield from _clocks(ticking, limits)


def _is_silent(node: NodeHealth, limits: Limits) -> bool:
    return limits.silent.level(node.age) != Level.OK


def _clocks(ticking: list[NodeHealth], limits: Limits) -> Iterator[Finding]:
    skews = [(abs(node.skew), node) for node in ticking if node.skew is not None and limits.skew.level(abs(node.skew))]
    if skews:
        skews.sort(key=lambda pair: -pair[0])
        said = ngettext(
            "The clock of %(count)d node is wrong", "The clocks of %(count)d nodes are wrong", len(skews)
        ) % {"count": len(skews)}
        named = [
            Named(
                node.name, (_("%(skew)s fast") if (node.skew or 0) > 0 else _("%(skew)s slow")) % {"skew": in_short(by)}
            )
            for by, node in skews
        ]
        yield _cut(limits.skew.level(skews[0][0]), "skew", said, named)


def _stuck(vitals: Vitals) -> Iterator[Finding]:
    if vitals.stuck:
        said = ngettext("%(count)d job is stuck, unlock it", "%(count)d jobs are stuck, unlock them", len(vitals.stuck))
        seen = _("locked by %(node)s, last seen alive %(age)s ago")
        named = [
            Named(job.name, seen % {"node": job.locked_by, "age": in_short(job.age)}, job.id) for job in vitals.stuck
        ]
        yield _cut(Level.CRITICAL, "stuck", said % {"count": len(vitals.stuck)}, named)


def _unserved(vitals: Vitals) -> Iterator[Finding]:
    if vitals.unserved:
        said = ngettext(
            "%(count)d job names labels that no node has",
            "%(count)d jobs name labels that no node has",
            len(vitals.unserved),
        )
        named = [Named(job.name, job.labels, job.id) for job in vitals.unserved]
        yield _cut(Level.WARNING, "unserved", said % {"count": len(vitals.unserved)}, named)


def _failing(vitals: Vitals, limits: Limits) -> Iterator[Finding]:
    jobs = [job for job in vitals.failing if limits.failing.level(job.count)]
    if jobs:
        said = ngettext("%(count)d job fails", "%(count)d jobs fail", len(jobs)) % {"count": len(jobs)}
        named = []
        for job in jobs:
            count = f"{job.count}" if job.count < RUNS else f"{RUNS}+"
            row = ngettext("at its last run", "%(count)s times in a row", job.count) % {"count": count}
            named.append(Named(job.name, row, job.id, job.log))
        yield _cut(limits.failing.level(jobs[0].count), "failing", said, named)


def _waiting(vitals: Vitals, limits: Limits) -> Iterator[Finding]:
    late = [job for job in vitals.late if limits.late.level(job.age)]
    held = [job for job in late if job.is_held]
    asked = [job for job in late if not job.is_held and job.asked_by is not None]
    due = [job for job in late if not job.is_held and job.asked_by is None and not job.problem]
    unfit = [job for job in late if not job.is_held and job.asked_by is None and job.problem]
    if asked:
        said = ngettext(
            "%(count)d job was asked for, no node takes it",
            "%(count)d jobs were asked for, no node takes them",
            len(asked),
        )
        yield _about_late("asked", said, asked, limits)
    if unfit:
        said = ngettext(
            "%(count)d job is due, and cannot run on this machine",
            "%(count)d jobs are due, and cannot run on this machine",
            len(unfit),
        )
        # Each reason once: those of many jobs are the same.
        first = {job.problem: job.id for job in reversed(unfit)}
        named = [
            Named(job.name, job.problem.rstrip(".") if first[job.problem] == job.id else in_short(job.age), job.id)
            for job in unfit
        ]
        yield _cut(limits.late.level(unfit[0].age), "unfit", said % {"count": len(unfit)}, named)
    if due:
        said = ngettext(
            "%(count)d job is due, no node takes it",
            "%(count)d jobs are due, no node takes them",
            len(due),
        )
        yield _about_late("late", said, due, limits)
    if held:
        said = ngettext(
            "%(count)d job is due, a row that it needs is locked by another transaction",
            "%(count)d jobs are due, rows that they need are locked by other transactions",
            len(held),
        )
        yield _about_late("held", said, held, limits)


def _about_late(kind: str, said: str, jobs: list[LateJob], limits: Limits) -> Finding:
    # The reason as this process sees it: nodes that tick have other code only while it is brought out.
    unable = _("%(age)s, cannot be run here")
    named = [
        Named(job.name, unable % {"age": in_short(job.age)} if job.problem else in_short(job.age), job.id)
        for job in jobs
    ]
    return _cut(limits.late.level(jobs[0].age), kind, said % {"count": len(jobs)}, named)


def _missed(vitals: Vitals, limits: Limits) -> Iterator[Finding]:
    counts = [(job.count - job.brief, job) for job in vitals.missed if job.count > job.brief]
    total = sum(count for count, _job in counts)
    if total:
        said = ngettext(
            "%(count)d slot was missed in the last 24 hours", "%(count)d slots were missed in the last 24 hours", total
        )
        named = [Named(job.name, str(count), job.id) for count, job in counts]
        yield _cut(limits.missed.level(total), "missed", said % {"count": total}, named)
