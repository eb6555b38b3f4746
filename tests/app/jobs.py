"""Functions that behave as jobs in the field do, the bad ones included."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from django.db import connection, transaction

import cronkite

#: What keeps files open that a function has left.
leaked = []


def ok(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs}


def note(path, text=""):
    """Append a line to a file: evidence of a run that is not in cronkite's tables. One write() is one line."""
    run = cronkite.current_run()
    append(path, f"{run.job_id} {run.slot.isoformat() if run.slot else '-'} {run.fence} {os.getpid()} {text}")
    return text


def append(path, line):
    """Append a line to a file, by one write()."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def note_and_wait(path, until, text=""):
    """Append a line, wait until the file ``until`` is there, and append another one."""
    note(path, f"begin {text}")
    wait_for(until)
    note(path, f"end {text}")
    return "waited"


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.02)


def nap(seconds=0.0):
    """Take so many seconds."""
    time.sleep(seconds)


def fail(message="it went wrong"):
    raise ValueError(message)


def hang(begun=None):
    if begun:
        Path(begun).touch()
    while True:
        time.sleep(3600)


def hang_stubbornly(begun=None):
    """Hang, and heed nobody who asks for an end."""
    while True:
        try:
            if begun:
                # Whoever sees it may ask at once.
                put(begun, str(os.getpid()))
                begun = None
            time.sleep(3600)
        except BaseException:
            continue


def exit_hard(code=3):
    os._exit(code)


def exit_softly(code=0):
    sys.exit(code)


def die(number=signal.SIGKILL):
    print("about to die", flush=True)
    os.kill(os.getpid(), number)
    time.sleep(60)


def print_much(megabytes=10):
    line = "x" * 1023 + "\n"
    print("the beginning")
    for _ in range(megabytes * 1024):
        sys.stdout.write(line)
    print("an error", file=sys.stderr)
    os.system("echo from a child")
    print("the end")


def unjsonable():
    return {1, 2, 3}.__class__([object])


def leave_transaction_open():
    from django.contrib.auth.models import Group

    transaction.atomic().__enter__()
    Group.objects.create(name="left over")


def leave_bare_transaction_open():
    from django.contrib.auth.models import Group

    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
    Group.objects.create(name="left over")


def turn_autocommit_off():
    transaction.set_autocommit(False)
    transaction.commit()


def close_connection():
    connection.close()


def close_connection_under_django():
    connection.ensure_connection()
    connection.connection.close()


def change_process(directory="/"):
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    os.chdir(directory)
    os.umask(0o777)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: None)
    return describe_process()


def describe_process():
    mask = os.umask(0o022)
    os.umask(mask)
    return {
        "pid": os.getpid(),
        "directory": os.getcwd(),
        "mask": mask,
        "zone": time.tzname[0],
        "sigterm": getattr(signal.getsignal(signal.SIGTERM), "__name__", str(signal.getsignal(signal.SIGTERM))),
    }


def leave_thread():
    threading.Thread(target=hang, daemon=False).start()
    return os.getpid()


async def asynchronous(number=1):
    await asyncio.sleep(0)
    return number + 1


async def hang_asynchronously():
    await asyncio.sleep(3600)


def current():
    run = cronkite.current_run()
    return [run.job_id, run.slot and run.slot.isoformat(), run.fence, run.log_id]


def awkward():
    """Print and return what databases refuse: NUL bytes, half a character, one of four bytes."""
    print("nul \x00 smile \U0001f600")
    sys.stdout.flush()
    os.write(1, b"\xff\xfe\n")
    return ["nul \x00", "\udc80", "smile \U0001f600"]


def say(text):
    print(text)
    return os.getpid()


def say_and_wait(text, until):
    """Write a line, and wait until the file ``until`` is there."""
    print(text)
    wait_for(until)


def wait_stubbornly(begun, until):
    """Wait until the file ``until`` is there, and heed nobody who asks for an end."""
    Path(begun).touch()
    while not Path(until).exists():
        try:
            time.sleep(0.02)
        except BaseException:
            continue


def say_and_heed_nobody(begun):
    print("these were its words")
    hang_stubbornly(begun)


def leave_a_child(begun):
    """Start a process, and leave it to itself when asked for an end."""
    child = subprocess.Popen(["sleep", "3600"])
    put(begun, str(child.pid))
    time.sleep(3600)


def wait_for_a_child(begun):
    """Wait for a process of a session of its own, and for nothing else."""
    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    put(begun, str(child.pid))
    while True:
        try:
            child.wait()
        except BaseException:
            continue


def wait_in_the_system(begun):
    """Wait where no exception arrives: in the C library, for a shell."""
    os.system(f"echo $$ > '{begun}.new'; mv '{begun}.new' '{begun}'; sleep 3600; true")


def wait_in_a_library(begun):
    """Wait for a lock of the C library's that nobody gives back; unlike a shell, it leaves all signals as they are."""
    lock = ctypes.create_string_buffer(64)
    library = ctypes.CDLL(None)
    library.pthread_mutex_lock(lock)
    put(begun, str(os.getpid()))
    library.pthread_mutex_lock(lock)


def put(path, text):
    """Write a file that is whole as soon as it is there."""
    Path(f"{path}.new").write_text(text)
    Path(f"{path}.new").rename(path)


def fork_and_terminate():
    """Return the exit code of a child that is terminated while it waits."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b".")
        while True:
            time.sleep(3600)
    os.read(reader, 1)
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
