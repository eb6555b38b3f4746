"""A job that does to its process whatever a process can bear, something else each time."""

import logging
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import threading
import time
from contextlib import suppress

from app import jobs, storm

#: How long (seconds) what is left behind lives: longer than a run may take, and not until the end of the tests.
LINGER = 8


def run(evidence, ways=None):
    """Note that a run begins, do something, and note that it ends if it comes to that. A child comes back at once."""
    note, pid = storm.note(), os.getpid()
    jobs.append(evidence, note("begin"))
    WAYS[random.choice(ways or list(WAYS))]()
    if os.getpid() == pid:
        jobs.append(evidence, note("end"))


def fork_and_come_back():
    if os.fork() == 0:
        raise SystemExit(3)


def fork_and_return():
    os.fork()


def close_everything():
    os.closerange(3, 1024)


def close_everything_and_sleep():
    os.closerange(3, 1024)
    time.sleep(LINGER)


def close_everything_and_hang():
    os.closerange(3, 1024)
    time.sleep(600)


def exit_hard():
    os._exit(random.randrange(4))


def hang():
    time.sleep(600)


def hang_stubbornly():
    jobs.hang_stubbornly()


def leave_child():
    subprocess.Popen(["sleep", str(LINGER)])


def leave_forked_child():
    if os.fork() == 0:
        time.sleep(LINGER)
        os._exit(0)


def die_with_child():
    leave_forked_child()
    os.kill(os.getpid(), signal.SIGKILL)


def leave_thread():
    threading.Thread(target=time.sleep, args=[LINGER]).start()


def leave_thread_with_lock():
    def hold():
        # Whatever the log's last resort is, it has a lock.
        with logging.lastResort.lock:
            time.sleep(LINGER)

    threading.Thread(target=hold).start()


def fail():
    raise ValueError("it went wrong")


def change_process():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    resource.setrlimit(resource.RLIMIT_CPU, (1, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def use_pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(abs, range(4))


def print_much():
    print("x" * (4 << 20))


def signal_group():
    with suppress(ChildProcessError):
        subprocess.run(["sh", "-c", "trap '' TERM; kill 0"])


WAYS = {
    function.__name__: function
    for function in (
        fork_and_come_back,
        fork_and_return,
        close_everything,
        close_everything_and_sleep,
        close_everything_and_hang,
        exit_hard,
        hang,
        hang_stubbornly,
        leave_child,
        leave_forked_child,
        die_with_child,
        leave_thread,
        leave_thread_with_lock,
        fail,
        change_process,
        use_pool,
        print_much,
        signal_group,
    )
}
