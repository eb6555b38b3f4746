"""What does a node know of each of its workers?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from cronkite.claims.verdicts import Claim
from cronkite.models import Job
from cronkite.processes import kin
from cronkite.runs.channels import Channel
from cronkite.runs.messages import End, Resolve
from cronkite.runs.nursery import Nursery


def asked_of(job: Job) -> Resolve:
    """Return what a worker is asked before it is given the job."""
    return Resolve(job.callee, job.run_mode, job.backend)


@dataclass(eq=False)
class Worker:
    """A worker process as its node sees it: resolving ``job``, reserved for it, running ``claim``, or idle."""

    nursery: Nursery
    number: int
    channel: Channel
    job: Job | None = None
    claim: Claim | None = None
    end: End | None = None
    since: float = 0.0
    #: What it has been asked, and said yes to.
    known: set[Resolve] = field(default_factory=set)
    #: The only module that it serves, if that has changed its process.
    bound_to: str = ""
    #: When (monotonic) something has to be done: a timeout, the end of a patience.
    deadline: float | None = None
    #: Why it was killed while it resolved its job's function.
    verdict: str = ""
    #: It could not be asked, so the function is not to blame for its death.
    is_unasked: bool = False
    #: What it lacks to be a worker at all.
    lack: str = ""
    #: The function of its run has returned, and the end is to be written still.
    is_over: bool = False
    #: Its end of the channel is closed, and yet it lives: the function has closed it.
    is_deaf: bool = False
    is_killed: bool = False
    #: Which process it is, once it has said so: before all else.
    process: kin.Known | None = None
    #: Its nursery has died, so nobody tells any more how it ends.
    is_orphan: bool = False
    #: The run whose output the nursery was asked for, until it has answered.
    peeked: Claim | None = None

    @property
    def is_idle(self) -> bool:
        return self.job is None and self.claim is None and not self.is_deaf and not self.is_killed

    @property
    def is_resolving(self) -> bool:
        return self.job is not None and asked_of(self.job) not in self.known

    def busy(self, *, job: Job | None = None, claim: Claim | None = None, seconds: float | None = None) -> None:
        self.job, self.claim, self.end, self.is_over, self.is_unasked = job, claim, None, False, False
        self.since = time.monotonic()
        self.deadline = None if seconds is None else self.since + seconds

    def kill(self) -> None:
        """Kill it, with all that it has started; that it has died will be heard of."""
        self.deadline, self.is_killed = None, True
        self.nursery.kill(self.number)
        if self.nursery.is_gone and self.process is not None:
            self.process.kill()

    def has_ended_unseen(self) -> bool:
        """Tell whether it has ended where nobody else tells."""
        return self.is_orphan and not (self.process.lives() if self.process else self.claim and not self.is_deaf)
