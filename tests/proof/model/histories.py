"""What can happen to a cluster: nodes tick, stall, crash and take over, people edit, and the clock jumps.

All of it takes place in one process and on one connection. What is random is the order of whole steps, and how old that
is which a node or a person acts on. How single statements of two nodes meet is for ``proof.interleavings``.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import DatabaseError
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.exceptions import JobIsLocked, OneOffIsOver
from cronkite.models import Job
from proof.model import world as model
from proof.model.cluster import REMEMBERED, Cluster, Page
from proof.model.slots import BEGINNINGS, EXPRESSIONS, NIGHT, ZONES, one_off, seconds

LOCK_TIMEOUT = 60
MOST_JOBS = 4
ENDS = ["succeeded", "failed", "timed_out", "interrupted", "lost"]

nodes = st.sampled_from(["a", "b", "c"])
#: Which of a list's items, counted from the newest.
places = st.integers(0, REMEMBERED - 1)
#: Mostly those that a history of hours has many slots of.
expressions = st.sampled_from([*EXPRESSIONS, *EXPRESSIONS[:2], *EXPRESSIONS[:2]])
definitions = st.builds(
    model.Definition,
    schedule=expressions,
    timezone=st.sampled_from(ZONES),
    enabled=st.sampled_from([True, True, True, False]),
    catch_up=st.sampled_from(["latest", "all", "none"]),
    grace=st.sampled_from([None, None, 0, 30, 3600]),
)
#: What an edit sets, by columns.
changes = st.one_of(
    st.fixed_dictionaries({"schedule": expressions}),
    st.fixed_dictionaries({"timezone": st.sampled_from(ZONES)}),
    st.fixed_dictionaries({"enabled": st.booleans()}),
    st.fixed_dictionaries({"enabled": st.booleans(), "schedule": expressions}),
    st.fixed_dictionaries({"catch_up": st.sampled_from(["latest", "all", "none"])}),
    st.fixed_dictionaries({"grace": st.sampled_from([None, 0, 30, 3600])}),
)
#: How time passes (seconds): to the half of a second, to the very edge of a timeout, and for days.
moments = st.sampled_from([0.5, 1, 5, 19.5, 20])
whiles = st.sampled_from([30, 59.5, LOCK_TIMEOUT, LOCK_TIMEOUT + 0.5, 120, 121, 600, 3600, 5400, 7200])
ages = st.sampled_from([6 * 3600, 86400, 3 * 86400])
#: When a one-off is to be, in seconds from now; some are over. Or in the night in which clocks change.
whens = st.sampled_from([-60, 0, 1, 30, 60, 300, 3600, 7200, 86400, NIGHT, NIGHT])
#: How far somebody sets the clock, there or back.
jumps = st.one_of(moments, whiles, ages)


class Histories(Cluster):
    """The steps that a history is made of."""

    @initialize(
        beginning=st.sampled_from(BEGINNINGS),
        lock_timeout=st.sampled_from([LOCK_TIMEOUT, LOCK_TIMEOUT, LOCK_TIMEOUT, None]),
        definition=definitions,
    )
    def begin(self, beginning, lock_timeout, definition):
        self.begin_at(seconds(beginning), lock_timeout)
        self.make(replace(definition, enabled=True))

    # Time.

    @rule(by=st.one_of(moments, whiles))
    def time_passes(self, by):
        self.pass_time(by)

    @rule(by=jumps, back=st.booleans())
    def the_clock_is_set(self, by, back):
        """Set the database's clock. No stopwatch of a node notices."""
        self.world.now += -by if back else by

    # What nodes do.

    @rule(minutes=st.integers(1, 6), end=st.sampled_from(ENDS))
    def all_is_well(self, minutes, end):
        """Each minute the nodes tick, one after the other, and what one runs has ended before the next one looks."""
        for _ in range(minutes):
            self.pass_time(60)
            for node in ["a", "b"]:
                for started in self.tick(node):
                    self.end(started, end)

    @rule(by=st.one_of(moments, whiles), node=nodes)
    def one_node_ticks(self, by, node):
        """What it runs goes on; it will end, or never."""
        self.pass_time(by)
        self.tick(node)

    @rule(by=ages, node=nodes)
    def a_node_ticks_after_all_were_down(self, by, node):
        self.pass_time(by)
        self.tick(node)

    @rule(by=whiles, order=st.permutations(["a", "b"]), end=st.sampled_from(ENDS))
    def two_nodes_tick_at_once(self, by, order, end):
        """Both read the same. The slow one acts when the first run of the other has ended."""
        self.pass_time(by)
        quick, slow = [self.look_now(node, 0) for node in order]
        started = [self.act_on(read, read.instant) for read in quick]
        if started and started[0] is not None:
            self.end(started[0], end)
        for read in slow:
            self.act_on(read, read.instant)

    @rule(by=st.one_of(whiles, ages), node=nodes, jump=jumps, back=st.booleans())
    def the_clock_is_set_while_a_node_decides(self, by, node, jump, back):
        self.pass_time(by)
        reads = self.look_now(node, 0)
        self.the_clock_is_set(jump, back)
        for read in reads:
            self.act_on(read, read.instant)

    @rule(node=nodes, ahead=st.sampled_from([0, 0, 5, 59]))
    def look(self, node, ahead):
        """Look, and be held up: what was read is acted on later, or never."""
        self.reads = (self.reads + self.look_now(node, ahead))[-REMEMBERED:]

    @precondition(lambda self: self.reads)
    @rule(by=moments, place=places, held_up=st.booleans())
    def act(self, by, place, held_up):
        """Act on what was read once, maybe long ago: decided on now, or just before the node was held up."""
        self.pass_time(by)
        read = pick(self.reads, place)
        estimate = read.instant + (0 if held_up else self.stopwatch - read.taken_at)
        if estimate >= read.known.next_slot:
            self.act_on(read, estimate)

    @rule(node=nodes, place=places)
    def run_by_hand(self, node, place):
        row = pick(list(Job.objects.order_by("id")), place)
        if row is None:
            return
        known = self.world.jobs[row.name]
        try:
            claim = claiming.claim_by_hand(row, node)
        except JobIsLocked:
            claim = None
        self.check_claim(known, claim)
        run = self.world.claim_by_hand(row.name, node)
        assert (claim is None) is (run is None), f"P3: {row.name} by hand was claimed: {claim is not None}"
        self.started(claim, run)

    @rule(node=nodes)
    def renew(self, node):
        """Give a sign of life for all runs of a node; it learns of locks that are gone, and of no others."""
        ours = [started for started in self.live if started.run.node == node]
        gone = holding.renew([started.claim for started in ours])
        expected = self.world.renew([started.run for started in ours])
        told = [started.run for started in ours if started.claim in gone]
        assert told == expected, f"P3: {told} were told that their lock is gone, not {expected}"

    @precondition(lambda self: self.live)
    @rule(place=places, status=st.sampled_from(ENDS))
    def finish(self, place, status):
        """A run ends, in time or late."""
        self.end(pick(self.live, place), status)

    @precondition(lambda self: self.ended)
    @rule(place=places)
    def finish_again(self, place):
        """The database had written the end, but its answer was lost."""
        started, status = pick(self.ended, place)
        kept = holding.finish(started.claim, Outcome(status))
        assert kept is self.world.finish(started.run, status), f"P3: the end of {started.run} counts: {kept}"

    @precondition(lambda self: self.live)
    @rule(place=places)
    def crash(self, place):
        """A node is gone: its run never ends, and nobody says so."""
        self.live.remove(pick(self.live, place))
        self.counts["crashes"] += 1

    @rule(node=nodes)
    def record_orphans(self, node):
        """A node shows that it lives."""
        self.look_for_orphans(node)

    # What people do.

    @precondition(lambda self: len(self.world.alive()) < MOST_JOBS)
    @rule(definition=definitions)
    def make(self, definition):
        name = f"job {len(self.world.jobs) + 1}"
        columns = {column: getattr(definition, column) for column in definition.__dataclass_fields__}
        job = Job(name=name, function="app.jobs.ok", **columns)
        if not self.refuses(job.save, self.world.is_refused(name, definition)):
            self.world.add(name, definition)

    @precondition(lambda self: len(self.world.alive()) < MOST_JOBS)
    @rule(definition=definitions, when=whens, is_certain=st.booleans())
    def make_one_off(self, definition, when, is_certain):
        """Make a job for one time: on its zone's clock, or for a certain instant."""
        schedule = one_off(self.world.now, when, None if is_certain else definition.timezone)
        self.make(replace(definition, schedule=schedule))

    @rule(place=places)
    def open_page(self, place):
        """Load a job's page, to press one of its buttons later."""
        row = pick(list(Job.objects.order_by("id")), place)
        if row is not None:
            self.pages[row.name] = Page(row, model.read(self.world.jobs[row.name]))

    @precondition(lambda self: self.world.alive())
    @rule(place=places, change=changes)
    def edit(self, place, change):
        """Change some columns, as code does."""
        job = pick(self.world.alive(), place)
        row, definition = Job.objects.get(name=job.name), replace(job.definition, **change)
        for column, value in change.items():
            setattr(row, column, value)
        is_refused = self.world.is_refused(job.name, definition)
        if not self.refuses(lambda: row.save(update_fields=list(change)), is_refused):
            self.world.edit(job.name, definition)

    @precondition(lambda self: self.world.alive())
    @rule(place=places, when=whens, enabled=st.booleans())
    def have_it_once(self, place, when, enabled):
        """Give a job one time, or another one; and have it enabled with it, or not."""
        zone = pick(self.world.alive(), place).definition.timezone
        self.edit(place, {"schedule": one_off(self.world.now, when, zone), "enabled": enabled})

    @precondition(lambda self: self.pages)
    @rule(place=places, change=changes)
    def save_page(self, place, change):
        """Press "save" on a page that may be old: all of it is written, also what somebody else has changed since."""
        page = pick(list(self.pages.values()), place)
        for column, value in change.items():
            setattr(page.row, column, value)
        definition = replace(page.known.definition, **change)
        self.pages[page.known.name] = Page(page.row, replace(page.known, definition=definition))
        is_gone = self.world.jobs[page.known.name].is_deleted
        try:
            if self.refuses(page.row.save, not is_gone and self.world.is_refused(page.known.name, definition)):
                return
        except DatabaseError:
            assert is_gone, "a job that is there can't be saved"
        else:
            assert not is_gone, "a job that was deleted came back"
            self.world.edit(page.known.name, definition)

    @rule(enabled=st.booleans())
    def switch_all(self, enabled):
        """Enable or disable all jobs at once, in one transaction."""
        wanted = {job.name: replace(job.definition, enabled=enabled) for job in self.world.alive()}
        is_refused = any(self.world.is_refused(*each) for each in wanted.items())
        if not self.refuses(lambda: Job.objects.update(enabled=enabled), is_refused):
            for each in wanted.items():
                self.world.edit(*each)

    @precondition(lambda self: self.pages)
    @rule(place=places)
    def unlock(self, place):
        """Press "unlock" on a page that may be old: a newer run's lock stays."""
        page = pick(list(self.pages.values()), place)
        expected = page.known.holder is not None and self.world.unlock(page.known.holder)
        assert holding.unlock(page.row, "a person") is expected, "P3: not the lock that the person saw"

    @precondition(lambda self: len(self.world.alive()) > 1)
    @rule(place=places)
    def delete(self, place):
        job = pick(self.world.alive(), place)
        Job.objects.get(name=job.name).delete()
        self.world.delete(job.name)

    # What people are told.

    def refuses(self, save, expected):
        """Save; return whether that was refused, as no slot is to come: it has to be as ``expected``."""
        try:
            save()
        except OneOffIsOver:
            assert expected, "a one-off that is to come is refused"
            self.counts["refused"] += 1
            return True
        assert not expected, "a one-off that is over was enabled"
        return False


def pick(items, place):
    """Return an item, counted from the newest; ``None`` if there is none."""
    return items[-1 - place % len(items)] if items else None
