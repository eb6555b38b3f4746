"""Functions that do to their process what a process can bear, and some more."""

import atexit
import contextlib
import contextvars
import ctypes
import decimal
import gc
import io
import logging
import multiprocessing
import os
import random
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import families
from app import apps, jobs

#: A context variable of a project's.
tenant = contextvars.ContextVar("tenant", default="nobody")


def close_everything(begun, seconds=600):
    """Close all descriptors, as a daemon does when it begins, and take its time."""
    Path(begun).touch()
    os.closerange(3, 1024)
    time.sleep(seconds)
    return "closed"


def write_rubbish():
    """Write something into every socket of this process's, as one does who has mixed descriptors up."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b"\x7f\xff\xff\xffrubbish" * 10)


def be_another(begun):
    """Become another program in this process, which heeds nobody."""
    os.execv("/bin/sh", ["sh", "-c", "trap '' TERM; : > \"$0\"; while true; do sleep 1; done", begun])


def leave_child(note):
    """Leave a child behind that was forked, and holds all descriptors."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    Path(note).write_text(str(pid))


def start_child(note, command="sleep 600"):
    """Start a program in the background, and write its id."""
    child = subprocess.Popen(["sh", "-c", f"exec {command}"])
    Path(note).write_text(str(child.pid))
    return child


def start_daemon(note):
    """Start a process that leaves the session, and whose parent ends."""
    script = f"import os,time; os.setsid(); open({str(note)!r},'w').write(str(os.getpid())); time.sleep(600)"
    subprocess.run(["sh", "-c", f'{sys.executable} -c "{script}" &'], check=True)
    jobs.wait_for(note)


def start_child_and_hang(note):
    start_child(note)
    time.sleep(600)


def start_daemon_and_hang(note):
    start_daemon(note)
    time.sleep(600)


def start_stubborn_child_and_hang_stubbornly(note):
    start_child(note, "sh -c 'trap \"\" TERM; while true; do sleep 1; done'")
    jobs.hang_stubbornly()


def die_with_child(note, how):
    """Die while a child of the function's lives that holds all descriptors."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    Path(note).write_text(str(pid))
    if how == "exit":
        os._exit(3)
    # Some libraries use signals that have no name.
    os.kill(os.getpid(), 40 if how == "real-time" else signal.SIGKILL)


def hang_in_a_pool_of_processes(note):
    """Wait for the task of another process, which never ends."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        executor.submit(_hang_noted, note).result()


def _hang_noted(note):
    Path(note).write_text(str(os.getpid()))
    time.sleep(600)


def come_back(how):
    """Fork, and have the child come back from the function, too."""
    if os.fork() == 0:
        if how == "raise":
            raise ValueError("the child")
        if how == "exit":
            sys.exit(7)
        return "the child"
    _, status = os.wait()
    return os.waitstatus_to_exitcode(status)


def use_multiprocessing_pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])


def handlers_of_children():
    """Return what a program, and what a forked child, does about signals."""
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, "
    code += "signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    program = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    reader, writer = os.pipe()
    if os.fork() == 0:
        ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        os.write(writer, b"1" if ours else b"0")
        os._exit(0)
    os.wait()
    return [*program, os.read(reader, 1).decode()]


def signal_group():
    """Do what ``kill 0`` does in a shell's trap."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    os.kill(0, signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)
    subprocess.run(["sh", "-c", "trap '' TERM; kill 0"], check=True)
    return "survived"


def leave_thread_with_handlers_lock():
    """Leave a thread behind that holds the lock of a handler of the log."""
    handler = logging.StreamHandler()
    logging.getLogger("cronkite").addHandler(handler)
    held = threading.Event()

    def hold():
        handler.acquire()
        held.set()
        time.sleep(600)

    threading.Thread(target=hold).start()
    held.wait(60)


def describe():
    """Return what of this process a run before could have changed."""
    return {
        "pid": os.getpid(),
        "cpu": resource.getrlimit(resource.RLIMIT_CPU),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "uid": os.geteuid(),
        "tenant": tenant.get(),
        "precision": decimal.getcontext().prec,
        "timeout": socket.getdefaulttimeout(),
        "recursion": sys.getrecursionlimit(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "timer": signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0,
        "environment": sorted(name for name in os.environ if name.startswith("CRONKITE_TEST_SET_")),
        "umask": _umask(),
        "children": subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.count(
            "CRONKITE_TEST_SET_"
        ),
        "scheduler": os.sched_getscheduler(0),
        "killable": Path("/proc/self/oom_score_adj").read_text(),
        "network": str(Path("/proc/thread-self/ns/net").readlink()),
        "rights": [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("NoNew")],
        "profile": sys.getprofile() is not None,
        "collected": gc.get_threshold(),
        "digits": sys.get_int_max_str_digits(),
        "stack": threading.stack_size(),
    }


def _umask():
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


CHANGES = {
    "cpu": lambda: resource.setrlimit(resource.RLIMIT_CPU, (3600, resource.getrlimit(resource.RLIMIT_CPU)[1])),
    "files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)),
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
    "uid": lambda: os.seteuid(65534),
    "tenant": lambda: tenant.set("somebody"),
    "precision": lambda: setattr(decimal.getcontext(), "prec", 5),
    "timeout": lambda: socket.setdefaulttimeout(1.5),
    "recursion": lambda: sys.setrecursionlimit(500),
    "nice": lambda: os.nice(5),
    "timer": lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 3600),
    "environment": lambda: setattr(os, "environ", {**os.environ, "CRONKITE_TEST_SET_HERE": "yes"}),
    "children": lambda: os.putenv("CRONKITE_TEST_SET_HERE", "yes"),
    "scheduler": lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
    "killable": lambda: Path("/proc/self/oom_score_adj").write_text("777"),
    "network": lambda: ctypes.CDLL(None).unshare(0x40000000),
    "rights": lambda: ctypes.CDLL(None).prctl(38, 1, 0, 0, 0),
    "profile": lambda: sys.setprofile(lambda *_: None),
    "collected": lambda: gc.set_threshold(0),
    "digits": lambda: sys.set_int_max_str_digits(641),
    "stack": lambda: threading.stack_size(1 << 18),
}


def change(what):
    CHANGES[what]()
    return describe()


def _under_limits(limit, value, uid=None):
    """Go under a limit for good, as nobody but root may lift it, and become somebody else who may not."""
    resource.setrlimit(limit, (value, value))
    if uid is not None:
        os.setuid(uid)


BONDS = {
    "uid": lambda: os.setuid(65534),
    "root": lambda: (os.chroot(Path(__file__).parent), os.chdir("/")),
    "file size": lambda: _under_limits(resource.RLIMIT_FSIZE, 1000, 65534),
    "files": lambda: _under_limits(resource.RLIMIT_NOFILE, 8, 65534),
    "soft": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])),
}


def bind(how, said="bound"):
    """Bind this process so that it can hardly do anything more."""
    print("about to be bound")
    BONDS[how]()
    return said


def leave_wakeup_descriptor():
    """Have signals wake an event loop that is gone, as one is whose end nobody has waited for."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.dup2(writer, 200)
    signal.set_wakeup_fd(200, warn_on_full_buffer=False)
    for descriptor in (reader, writer, 200):
        os.close(descriptor)


def write_under_signals(path):
    """Write into a file while signals come, one that has the number of the descriptor above; return what is in it."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    with Path(path).open("w") as file:
        os.dup2(file.fileno(), 200)
        signal.raise_signal(signal.SIGUSR1)
        os.close(200)
        file.write("mine")
    return Path(path).read_text()


def close_stdin(how):
    if how == "descriptor":
        os.close(0)
    else:
        sys.stdin.close()


def read_stdin():
    """Return what there is to read, for Python and for a program, and whether that is nothing for sure."""
    program = subprocess.run(["cat"], timeout=60, capture_output=True, text=True, check=True).stdout
    return [sys.stdin.read(), program, os.path.samestat(os.fstat(0), os.stat(os.devnull))]


wrapped = []


def wrap_stdout(text):
    """Print through a wrapper of one's own, and keep that."""
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, "utf-8")
    wrapped.append(sys.stdout)
    print(text)


def put_signal_off():
    """Return with a SIGTERM that is blocked, and that would end this process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)


def leak_descriptors():
    """Leave all descriptors open that may be."""
    try:
        while True:
            jobs.leaked.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return os.getpid()


def draw():
    """Return random numbers, after the seed that any run may set."""
    drawn = random.random()
    random.seed(42)
    return drawn


def print_megabytes(megabytes, wait_for=None):
    """Print so much, as one text and from a child."""
    print("the beginning")
    sys.stdout.write("x" * (megabytes * 1024 * 1024 // 2))
    subprocess.run(["sh", "-c", f"head -c {megabytes * 1024 * 1024 // 2} /dev/zero | tr '\\0' y"], check=True)
    print("the end")


def leave_writer(note):
    """Leave a program behind that writes on and on."""
    child = subprocess.Popen(["sh", "-c", "while echo on; do sleep 0.01; done"])
    Path(note).write_text(str(child.pid))
    print("left it")


def buffer_record(path, how="return"):
    """Log through a handler that keeps what it gets until it is flushed."""
    target = logging.FileHandler(path)
    handler = logging.handlers.MemoryHandler(1000, flushLevel=logging.CRITICAL, target=target)
    logging.getLogger("app.edges").addHandler(handler)
    logging.getLogger("app.edges").warning("told by a run")
    if how == "hang":
        time.sleep(600)


def register_at_exit(path):
    atexit.register(Path(path).write_text, "said goodbye")


left = []


def leave_executor_of_processes(note):
    """Leave an executor behind whose process waits for more."""
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    left.append(executor)
    Path(note).write_text(str(executor.submit(os.getpid).result()))


def leave_executor_of_threads(path):
    """Leave an executor behind that has work to do still."""
    executor = ThreadPoolExecutor(1)
    left.append(executor)
    executor.submit(lambda: (time.sleep(0.02), Path(path).write_text("left")))


def leave_file(path):
    """Leave a file open that holds back what was written to it."""
    left.append(Path(path).open("w"))  # noqa: SIM115 - that is the point
    left[-1].write("left")


def leave_to_client(path):
    """Have a client of a service, which was there before workers were forked, keep something until the end."""
    apps.told.append(path)


def leave_orphans(path):
    """Leave some processes to the first process of the container, which end at once; write how many dead there are."""
    for _ in range(5):
        subprocess.run(["sh", "-c", "(sleep 0.05 &) ; exit 0"], check=True)
    # They may end just now: what is not reaped in some seconds stays.
    deadline, dead = time.monotonic() + 10, families.zombies(1)
    while dead and time.monotonic() < deadline:
        time.sleep(0.05)
        dead = min(dead, families.zombies(1))
    jobs.append(path, str(dead))


def leave_service_thread():
    """Have a thread as a connection pool has it."""
    thread = threading.Thread(target=_serve, daemon=True)
    thread.start()
    return os.getpid()


def tell_process():
    """Return which process this is; the module that has it started a thread when it was imported."""
    return os.getpid()


def _serve():
    time.sleep(600)


# As if it stood in the package of a pool.
_serve.__module__ = "psycopg_pool.pool"


def write_much(begun, go):
    """Write, wait until the file ``go`` is there, and write on, as does a child; return how that has ended."""
    print("these were its first words", flush=True)
    jobs.put(begun, "")
    jobs.wait_for(go)
    for _ in range(10_000):
        print("written by the run, and so on")
    child = subprocess.run([sys.executable, "-c", "for _ in range(10_000): print('written by a child, and so on')"])
    print("these were its last words")
    return child.returncode
