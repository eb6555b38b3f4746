"""Which job is next, of those that wait for the same?"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from cronkite.models import Job


def slot_of(job: Job) -> datetime:
    """Return when the job's slot comes, or its retry."""
    assert job.comes_at is not None
    return job.comes_at


class Lane:
    """Jobs in the order of their slots, as far as others let them; those that were asked for are few and come first."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.asked: deque[Job] = deque()

    def fill(self, jobs: Iterable[Job]) -> None:
        """Have these jobs, which are in their order, in the place of all others."""
        self.jobs.clear()
        self.asked.clear()
        for job in jobs:
            (self.asked if job.is_asked else self.jobs).append(job)

    def put_first(self, job: Job) -> None:
        """Have one more, before all others of its kind."""
        (self.asked if job.is_asked else self.jobs).appendleft(job)

    def take(self) -> Job:
        """Return the first, and strike it off."""
        return (self.asked or self.jobs).popleft()

    def strike(self, now: datetime, condition: Callable[[Job], bool]) -> list[Job]:
        """Strike those off whose slot has come, or that were asked for, and that meet the condition; return them."""
        come = [*self.asked, *list(self.jobs)[: self.come(now)]]
        struck = [job for job in come if condition(job)]
        if struck:
            gone = {id(job) for job in struck}
            self.keep(lambda job: id(job) not in gone)
        return struck

    def keep(self, condition: Callable[[Job], bool]) -> None:
        """Strike off what does not meet the condition."""
        self.fill([job for job in (*self.asked, *self.jobs) if condition(job)])

    def is_empty(self) -> bool:
        """Tell whether there is none."""
        return not self.jobs and not self.asked

    def come(self, now: datetime) -> int:
        """Return how many of the jobs have a slot that has come."""
        return bisect_right(self.jobs, now, key=slot_of)

    def shuffle(self, now: datetime, *, in_order: bool) -> None:
        """Have the jobs whose slot has come in any order, or those of a slot if ``in_order``; those to come follow."""
        come = [self.jobs.popleft() for _ in range(self.come(now))]
        random.shuffle(come)
        if in_order:
            come.sort(key=slot_of)
        self.jobs.extendleft(reversed(come))
