"""What a node can be made to do wrong, so that a test which passes without it is known to be able to fail.

``CRONKITE_TEST_SABOTAGE`` is a list, with spaces between: the name of a function below, and after a ``=`` its argument.
"""

import os
import random
import signal


def install():
    """Break what the environment says."""
    for word in os.environ.get("CRONKITE_TEST_SABOTAGE", "").split():
        name, _, argument = word.partition("=")
        SABOTAGES[name](*([argument] if argument else []))


def blind_claim():
    """Let a claim take whatever it has read, as code would that reads, decides and then saves.

    It waits for rows, too: whoever skips those that others are about to claim seldom meets them.
    """
    from cronkite.claims import conditions
    from cronkite.database import waits
    from cronkite.models import Job

    waits.skips = lambda connection: False
    conditions.claimable = lambda job, decision, using: Job.objects.using(using).filter(pk=job.pk)


def blind_queue():
    """Let a node take jobs for due while a run of theirs is going on."""
    from django.db.models import Q

    from cronkite.models import queries
    from cronkite.nodes.agenda import Agenda

    queries.is_free = lambda lock_timeout: Q(pk__isnull=False)
    # It looks at the rows, too, as some are there for their tasks alone.
    is_to_be_taken = Agenda._is_to_be_taken

    def blind(self, job):
        lock, job.lock = job.lock, None
        try:
            return is_to_be_taken(self, job)
        finally:
            job.lock = lock

    Agenda._is_to_be_taken = blind


def blind_finish():
    """Let the end of a run free the job's lock, whoever holds it by now."""
    from cronkite.claims import holding
    from cronkite.models import Job

    holding._held = lambda claim: Job.objects.filter(pk=claim.job_id)


def blind_seats():
    """Let a claim take a seat of its group without a look at which are taken."""
    from cronkite.claims import seats

    seats._taken = lambda group, using: set()


def silent_pass_over():
    """Let a node move past missed slots without a word in the log."""
    from cronkite.models import Log

    Log.record_missed = classmethod(lambda cls, *args, **kwargs: None)


def deaf_renewal():
    """Let a renewal never find out that its lock is gone."""
    from cronkite.claims import holding

    renewal = holding.renewal
    holding.renewal = lambda claims: renewal(claims)._replace(gone=[])


def held_node():
    """Let a node wait until the process has ended whose channel is closed."""
    from cronkite.runs import channels, pool

    receive = pool.Pool._receive

    def receive_and_wait(self, worker):
        yield from receive(self, worker)
        while worker.is_deaf and worker in self.workers and worker.claim is not None:
            yield from self._bury(channels.wait([self.nursery.fileno()], None))

    pool.Pool._receive = receive_and_wait


def open_forks():
    """Let a child that a function forks have all that is the worker's, and come back."""
    from contextlib import nullcontext

    from cronkite.processes import forks

    forks.keeping = lambda before, close: nullcontext()
    forks.only_here = lambda function, *args, **kwargs: function(*args, **kwargs)


def deaf_nursery():
    """Let a nursery see a worker's death only when nobody has its pipe any more."""
    from cronkite.processes import kin
    from cronkite.runs.nurse import Nurse

    part, listening, unseen = Nurse._part, Nurse._listening, []

    def look_again(self):
        for each in list(unseen):
            if each[0].is_read:
                unseen.remove(each)
                part(self, *each)
        return listening(self)

    kin.kill_group = lambda leader: None
    Nurse._part = lambda self, child, code: unseen.append((child, code))
    Nurse._listening = look_again


def shared_pool():
    """Let workers have the pool of connections that their node has opened."""
    from django.db import connections

    from cronkite.database import inherited
    from cronkite.runs import nursery

    begin = nursery.Nursery.__init__

    def begin_connected(self, load):
        connections["default"].ensure_connection()
        # What Django closes goes back to the pool.
        connections["default"].close()
        begin(self, load)

    nursery.Nursery.__init__ = begin_connected
    inherited.disown = lambda: None


def bound():
    """Let workers keep the limits that are set from outside, by which the disk refuses writes of SQLite."""
    from cronkite.processes.bonds import Bonds

    Bonds.are_still = lambda self: True
    Bonds.loosen = lambda self: None


def untried():
    """Let whoever imports a module do so without having had it tried apart."""
    from cronkite.code import trials

    trials.try_all = lambda names, patience: {}


def no_look_at_logs():
    """Let nobody move a job past what its logs tell of."""
    from cronkite.models import restores

    restores.realign = restores.is_realigned = lambda job, using: False


def blind_start():
    """Let a node start whether or not anything is committed."""
    from cronkite.database import commits

    commits.demand = lambda: None
    commits.demand_of = lambda using: None


def only_once():
    """Let a node take a connection that has died while it was idle for an outage."""
    from cronkite.database import quirks

    quirks.anew = lambda using, action: action()


def patience():
    """Let a node wait for rows that others have locked, for as long as that takes."""
    from contextlib import nullcontext

    from django.db.models import Q

    from cronkite.database import waits

    waits.skips = lambda connection: False
    waits.limit = lambda is_borrowed=False: Q()
    waits.impatient = lambda using: nullcontext()


def dirty_settle():
    """Let a node settle what is in doubt by whatever can be read of it."""
    from dataclasses import replace

    from cronkite.claims import claiming
    from cronkite.models import Log

    def settle(claim):
        log = Log.objects.filter(job=claim.job_id, fence=claim.fence, job__lock=claim.token).first()
        return log and replace(claim, log_id=log.pk)

    claiming.settle = settle


def early_commit():
    """Let the slot be committed before its task is enqueued."""
    from django.db import connections

    from cronkite.claims import handing

    enqueue = handing._enqueue

    def commit_and_enqueue(hand_over, claim, using):
        with connections[using].wrap_database_errors:
            connections[using].connection.commit()
        return enqueue(hand_over, claim, using)

    handing._enqueue = commit_and_enqueue


def unanswered(path):
    """Have a claim by hand wait for an answer in a C library, as drivers do."""
    from app import jobs
    from cronkite.claims import claiming

    claiming.claim_by_hand = lambda *_: jobs.wait_in_a_library(path)


#: The steps of a claim and of an end, and how to stand between two of them: (function, before or after).
STEPS = {
    "before-claim": ("claim_all", "before"),  # read and decided; nothing is sent yet
    "before-insert": ("record", "before"),  # the UPDATE has been answered
    "before-commit": ("record", "after"),  # the INSERT has been answered
    "before-start": ("claim_all", "after"),  # committed, and the function not called yet
    "before-finish": ("_finish", "before"),  # the function has returned
    "after-finish": ("_finish", "after"),  # recorded, and nobody told
}


#: And of a hand-off that is one transaction.
STEPS_OF_HAND_OVER = {
    "before-hand-over": ("claim_all", "before"),  # read and decided; nothing is sent yet
    "before-enqueue": ("_enqueue", "before"),  # the UPDATE has been answered
    "after-enqueue": ("_enqueue", "after"),  # the engine's INSERT has been answered, or is kept back
    "before-expect": ("_expect", "before"),  # the log's INSERT has been answered
    "after-hand-over": ("claim_all", "after"),  # committed, and nobody told
}


def die(how):
    """Let the process be killed at a step (``before-insert:0.05``: in one of 20 times that it comes by).

    With ``:worker`` behind it, only a worker process: a node may write the end of a run, too.
    """
    from cronkite.claims import claiming, handing, holding, taking
    from cronkite.database import quirks

    step, chance, *who = how.split(":")
    attribute, side = {**STEPS, **STEPS_OF_HAND_OVER}[step]
    if attribute == "record":
        # Where the claim would be one statement, nobody could stand within.
        quirks.can_join_writes = lambda connection: False
    modules = {"record": taking, "claim_all": claiming, "_enqueue": handing, "_expect": handing}
    module = modules.get(attribute, holding)
    function, node = getattr(module, attribute), os.getpid()

    def perhaps():
        if random.random() < float(chance) and (not who or os.getpid() != node):
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(*args, **kwargs):
        if side == "before":
            perhaps()
        result = function(*args, **kwargs)
        if side == "after" and result:
            perhaps()
        return result

    setattr(module, attribute, deadly)


SABOTAGES = {
    "blind-claim": blind_claim,
    "blind-queue": blind_queue,
    "blind-finish": blind_finish,
    "blind-seats": blind_seats,
    "silent-pass-over": silent_pass_over,
    "deaf-renewal": deaf_renewal,
    "held-node": held_node,
    "open-forks": open_forks,
    "deaf-nursery": deaf_nursery,
    "no-look-at-logs": no_look_at_logs,
    "blind-start": blind_start,
    "early-commit": early_commit,
    "dirty-settle": dirty_settle,
    "patience": patience,
    "shared-pool": shared_pool,
    "only-once": only_once,
    "die": die,
    "untried": untried,
    "bound": bound,
    "unanswered": unanswered,
}
