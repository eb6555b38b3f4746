"""How does a node hand jobs over to engines, and wait for none of them?

Where an engine's queue is in the jobs' own database, a courier takes the slots and hands them over, in one transaction.
Elsewhere the node claims them, as for runs, and a courier hands them over then. What came of it is written here, in the
node's own thread, by which the database's outages are lived through.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from cronkite.claims.verdicts import Claim, Contention, OutcomeUnknown, Receipt, Refused
from cronkite.code import modules
from cronkite.database import quirks, waits
from cronkite.engines import counter, couriers, following
from cronkite.engines.counter import Found, Sorted
from cronkite.engines.couriers import Couriers
from cronkite.engines.following import Group
from cronkite.models import Job, primary
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.outages import Outages
from cronkite.nodes.taker import Taker

logger = logging.getLogger("cronkite")

#: How many jobs are handed over at a time.
BATCH = 100
#: What couriers have to do with, engines aside.
IMPORTS, TASKS = "imports of tasks", "the ends of tasks"
#: What is said of a hand-off that is not known to have come about.
OVERDUE = "the engine did not answer, so whether it has the task is not known"
#: What is to be done where a node and its workers have different code.
RESTART = "Restart this node if its code was replaced while it was running."
#: Pause (seconds) before what could not be written is written again.
PAUSE = 0.5
#: What a Taker knows what to do about.
_FOR_THE_TAKER = (DatabaseError, Contention, Refused, OutcomeUnknown)


class Dispatch:
    """Hands over what the ``agenda`` has for engines, by couriers, as the node ``name``."""

    def __init__(self, name: str, agenda: Agenda, outages: Outages, errands: Couriers) -> None:
        self._name = name
        self._agenda = agenda
        self._outages = outages
        self._couriers = errands
        #: Decides and claims; set by who makes it, which needs this one.
        self.taker: Taker
        #: The jobs that are under way, by their keys.
        self._jobs: dict[int, Job] = {}
        self._sorted: dict[int, Sorted] = {}
        #: What was claimed and is to be handed over, or is being handed over.
        self._claimed: list[tuple[Sorted, Claim]] = []
        self._claims: dict[int, Claim] = {}
        #: What came of hand-offs, and is to be written, and when (monotonic seconds).
        self._found: Found = []
        self._write_at = 0.0
        #: Which of these could not be written the last time, and whether anybody was told.
        self._held: dict[UUID, bool] = {}
        #: The jobs of which a worker has said that their functions are tasks.
        self._called_tasks: set[int] = set()
        #: Which claims that can't be written this node has said it leaves.
        self._left: set[UUID] = set()
        #: Whether it is just found out which tasks to ask about, and which places are being asked.
        self._follows = False
        self._asked: set[Hashable] = set()

    # What the node asks.

    def offered(self) -> set[int]:
        """Return the keys of the jobs that are under way."""
        return set(self._jobs)

    def claims(self) -> list[Claim]:
        """Return the claims whose locks are to be renewed."""
        return list(self._claims.values())

    def is_idle(self) -> bool:
        """Tell whether there is nothing left to do."""
        return not self._jobs and not self._claims and not self._found and self._couriers.is_idle()

    def next_at(self) -> float | None:
        """Return when (monotonic seconds) to :meth:`go_on` at the latest, or ``None``."""
        known = [self._couriers.overdue_at(), self._write_at if self._found else None]
        if self._couriers.has_news():
            known.append(time.monotonic())
        return min((at for at in known if at is not None), default=None)

    def close(self) -> None:
        """End, with the couriers."""
        self._couriers.close()

    # What the node has done.

    def offer(self, jobs: list[Job]) -> None:
        """Hand over these jobs, whose slots have come, or that were asked for."""
        if jobs:
            self._jobs |= {job.pk: job for job in jobs}
        by_module: dict[str, list[Job]] = {}
        for job in jobs:
            by_module.setdefault(job.function.rpartition(".")[0], []).append(job)
        for module, group in by_module.items():
            # Apart, as an import that hangs holds up its own jobs only.
            self._couriers.send((IMPORTS, module), partial(counter.sort, group), partial(self._take, group))

    def offer_task(self, job: Job, engine: str) -> None:
        """Hand over a job whose function turned out, in a worker, to be a task of this engine."""
        self.note(job, engine)
        self._called_tasks.add(job.pk)
        self.offer([job])

    def follow(self, jobs: list[Job]) -> None:
        """Ask what became of the tasks of these jobs, unless somebody is just doing so."""
        if jobs and not self._follows:
            self._follows = True
            self._couriers.send(TASKS, partial(following.look, jobs), partial(self._ask, jobs))

    def go_on(self) -> None:
        """Do what it is time for."""
        self._couriers.tell()
        if self._claimed:
            self._send()
        if self._found and time.monotonic() >= self._write_at:
            self._write()

    def give_up(self, why: str) -> None:
        """Write of what is being handed over still that it is not known whether the engine has it, and ``why``."""
        told = {claim.token for _, claim, _ in self._found}
        left = [claim for claim in self._claims.values() if claim.token not in told]
        self._claimed.clear()
        if left or self._found:
            error = TimeoutError(f"{OVERDUE}; {why}")
            found: Found = [(self._sorted[claim.job_id], claim, error) for claim in left]
            counter.announce(found)
            self._found += found
            self._write()
        self.leave(why)

    def leave(self, why: str) -> None:
        """Say what can't be written, and ``why`` nobody will try again."""
        for _, claim, said in self._found:
            if claim.token not in self._left:
                self._left.add(claim.token)
                what = f"handed over to {said}" if isinstance(said, Receipt) else modules.said(said)
                logger.critical("%s: %s, which could not be written, %s.", claim, what, why)

    # As what a Taker has its claims started by.

    def start(self, job: Job, claim: Claim) -> None:
        """Hand over what was claimed."""
        self._claims[job.pk] = claim
        self._claimed.append((self._sorted[job.pk], claim))

    def release(self, job: Job) -> None:
        """Forget a job that was not claimed."""
        self._jobs.pop(job.pk, None)
        self._sorted.pop(job.pk, None)

    # What came of errands.

    def _take(self, jobs: list[Job], result: Callable[[], list[Sorted]]) -> None:
        """Take the jobs, as it is known now who is to have them."""
        try:
            found = result()
        except couriers.Overdue as error:
            for job in jobs:
                self._refuse(job, f"the import of {job.function} does not end: {error}", longer=True)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is of these jobs
            for job in jobs:
                self._refuse(job, modules.said(error))
            return
        called = {job.pk for job in jobs} & self._called_tasks
        self._called_tasks -= called
        places: dict[Any, list[Sorted]] = {}
        for each in found:
            if each.problem:
                self._refuse(each.job, each.problem)
                continue
            self._agenda.trust(each.job)
            if each.order is None:
                self._give_back(each.job, is_called_task=each.job.pk in called)
            else:
                self._sorted[each.job.pk] = each
                # What is no slot is claimed first, as for runs.
                is_slot = not (each.job.is_asked or each.job.is_retry)
                places.setdefault((each.place, each.is_joined and is_slot), []).append(each)
        for (place, is_joined), group in places.items():
            if is_joined:
                self._hand_over(place, group)
                continue
            self.taker.take_all([each.job for each in group])

    def _refuse(self, job: Job, problem: str, *, longer: bool = False) -> None:
        self.release(job)
        self._agenda.leave_alone(job, longer=longer)
        logger.error("Job %r cannot be handed over by node %s: %s", job.name, self._name, problem)
        if not job.is_asked and not job.is_retry:
            self.taker.decide(job, problem)
        self._agenda.pass_room_on(job.group)

    def _give_back(self, job: Job, *, is_called_task: bool) -> None:
        """Have a node run what turned out to be no task, unless it is that for the node's own workers."""
        if is_called_task:
            # To ask them once more would go on for ever.
            self._refuse(job, f"{job.function} is a task for its workers, and none for itself. {RESTART}")
            return
        self.release(job)
        self.note(job, "")
        self._agenda.move(job)

    def note(self, job: Job, engine: str) -> None:
        """Note, for all nodes, of which engine the function of ``job`` turned out to be a task.

        Where another transaction has locked the row, it is not noted: it is found out again at the next look.
        """
        job.engine = engine
        with self._outages.lived_through():
            quirks.anew(primary.alias(), partial(_note, job))

    def _hand_over(self, place: Hashable, group: list[Sorted]) -> None:
        """Take and hand over, in one transaction."""
        wanted = []
        for each in group:
            decision = self.taker.decide(each.job) if self.taker.may_claim() else None
            if decision is None:
                self.release(each.job)
                self._agenda.pass_room_on(each.job.group)
            else:
                wanted.append((each, decision))
        if wanted:
            action = partial(counter.hand_over, wanted, self._name)
            self._couriers.send(place, action, partial(self._handed_over, wanted))

    def _handed_over(self, wanted: list[Any], result: Callable[[], list[Claim | None]]) -> None:
        jobs = [each.job for each, _ in wanted]
        claims: list[Claim | None] = []
        with self.taker.claiming(jobs):
            try:
                claims = result()
            except couriers.Overdue as error:
                # It is committed, or it is not: the row tells whoever looks next.
                logger.error("%d jobs are not known to be handed over: %s.", len(jobs), error)
                self._agenda.look_within(couriers.PATIENCE)
            except _FOR_THE_TAKER:
                raise
            except Exception as error:  # noqa: BLE001 - no errand ends the node
                logger.error("%d jobs could not be handed over. %s", len(jobs), modules.said(error))
        lost = []
        for (each, decision), claim in zip(wanted, claims, strict=False):
            if claim is None:
                lost.append((each.job, decision))
            else:
                self._agenda.forget(each.job)
                self._agenda.look_for(decision.next_run)
                if claim.receipt is not None:
                    logger.info("%s: handed over by node %s to %s.", claim, self._name, claim.receipt)
                else:
                    # It was refused, so it has ended.
                    self._agenda.have_room(claim.group)
        for job in jobs:
            if not self.taker.is_doubted(job):
                self.release(job)
        self.taker.leave(lost)
        self._expect(claim for claim in claims if claim)

    def _send(self) -> None:
        """Have couriers hand over what was claimed."""
        places: dict[Hashable, list[tuple[Sorted, Claim]]] = {}
        for each, claim in self._claimed:
            places.setdefault(each.place, []).append((each, claim))
        self._claimed = []
        for place, group in places.items():
            found: Found = []
            self._couriers.send(place, partial(counter.enqueue, group, found), partial(self._enqueued, group, found))

    def _enqueued(self, group: list[tuple[Sorted, Claim]], found: Found, result: Callable[[], None]) -> None:
        # Who is given up may add to it still, and is not heard any more.
        found = list(found)
        left = group[len(found) :]
        try:
            result()
            self._claimed += left
        except couriers.Overdue as error:
            found += [(each, claim, TimeoutError(f"{OVERDUE}; {error}")) for each, claim in left]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is of these tasks
            found += [(each, claim, error) for each, claim in left]
        counter.announce(found)
        self._found += found
        self._write_at = 0.0

    def _write(self) -> None:
        """Write what came of hand-offs; again, if that is not possible now."""
        self._write_at = time.monotonic() + PAUSE
        with self._outages.lived_through():
            left = counter.record(self._found)
            self._tell_held(left)
            found, self._found = [each for each in self._found if each[1].token not in self._held], left
            for each, claim, said in found:
                self._claims.pop(each.job.pk, None)
                self.release(each.job)
                if not isinstance(said, Receipt):
                    # A task that the engine has keeps its seat.
                    self._agenda.have_room(claim.group)
                if claim.next_run is not None:
                    self._agenda.look_for(claim.next_run)
            self._expect(claim for _, claim, said in found if isinstance(said, Receipt))

    def _tell_held(self, left: Found) -> None:
        """Tell of hand-offs that can't be written, if that is so for the second time; once."""
        for _, claim, _ in left:
            if self._held.get(claim.token) is False:
                said = (
                    "%s: its hand-off can't be written yet: another transaction has locked the job's row, or the log."
                )
                logger.warning(said, claim)
        self._held = {claim.token: claim.token in self._held for _, claim, _ in left}

    def _expect(self, claims: Iterable[Claim]) -> None:
        """Look soon what became of tasks, if this node stays so long."""
        if self._agenda.stays and any(claims):
            self._agenda.look_within(following.SOONEST.total_seconds())

    def _ask(self, jobs: list[Job], result: Callable[[], list[Group]]) -> None:
        """Ask engines what became of their tasks."""
        self._follows = False
        groups: list[Group] = []
        with self._outages.lived_through(), _borne("which tasks to ask about"):
            groups = result()
        for group in groups:
            # Who does not answer is not asked by more and more of us. The tasks have their turn again.
            if group.place not in self._asked:
                self._asked.add(group.place)
                has_seats = any(job.seat for job in group.jobs.values())
                action, then = partial(following.ask, group), partial(self._followed, group.place, has_seats)
                self._couriers.send((TASKS, group.place), action, then)
        if self._agenda.stays and len(jobs) >= following.MOST:
            # There may be more.
            self._agenda.look_within(following.SOONEST.total_seconds())

    def _followed(self, place: Hashable, has_seats: bool, result: Callable[[], datetime | None]) -> None:
        self._asked.discard(place)
        again = None
        with self._outages.lived_through(), _borne("what became of tasks"):
            again = result()
        if has_seats:
            # Of tasks that have ended, the groups have room again.
            self._agenda.look_within(0)
        if again is not None and self._agenda.stays:
            rest = again - self._agenda.now()
            self._agenda.look_within(max(rest, following.SOONEST).total_seconds())


@contextmanager
def _borne(what: str) -> Iterator[None]:
    """Log whatever a question about ``what`` raises, but for errors of the database, and go on."""
    try:
        yield
    except DatabaseError:
        raise
    except couriers.Overdue as error:
        logger.error("It could not be found out %s: %s.", what, error)
    except Exception as error:  # noqa: BLE001 - no errand ends the node
        logger.error("It could not be found out %s. %s", what, modules.said(error))


def _note(job: Job) -> None:
    using = primary.alias()
    with waits.limited(using):
        if waits.lock_available(Job, [job.pk], using):
            rows = Job.objects.using(using).filter(pk=job.pk, revision=job.revision, function=job.function)
            rows.write(engine=job.engine)
