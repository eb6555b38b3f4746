"""How functions of every kind are called, and how they end. No database."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import signal
import threading

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections

from app import targets
from cronkite.code import calls


class Ended(BaseException):
    """What the signal handler of these tests raises, like ``RunEnded``."""


@pytest.fixture
def ending_signal():
    """Make SIGUSR1 raise :class:`Ended` in the main thread."""

    def end(number, frame):
        raise Ended

    before = signal.signal(signal.SIGUSR1, end)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "function",
    [
        targets.add,
        targets.cached_add,
        targets.add_later,
        targets.decorated_add_later,
        targets.celery_task,
        targets.django_task,
        targets.async_django_task,
        functools.partial(targets.add_later),
    ],
)
def test_every_kind_of_function_gives_its_result(function):
    assert calls.call(function, [1], {"b": 2}) == 3


def test_callable_objects_and_methods_are_called():
    assert calls.call(targets.report, ["May"], {}) == "report May"
    assert calls.call(targets.send_report, [], {"to": "Ann"}) == "sent to Ann"


@pytest.mark.parametrize("number", [1, 2])
def test_what_the_function_raises_comes_out(number):
    def fail():
        raise KeyError(number)

    async def fail_later():
        raise KeyError(number)

    for function in (fail, fail_later):
        with pytest.raises(KeyError, match=str(number)):
            calls.call(function, [], {})


def test_an_async_function_runs_in_the_main_thread_where_signals_arrive():
    assert calls.call(targets.name_thread, [], {}) == threading.main_thread().name


def test_an_async_function_sees_the_context_of_its_call():
    variable = contextvars.ContextVar("variable")

    async def read():
        return variable.get(), await sync_to_async(variable.get)()

    variable.set("run 7")
    assert calls.call(read, [], {}) == ("run 7", "run 7")


def test_connections_opened_by_async_queries_are_closed_in_their_thread(monkeypatch):
    threads = []
    monkeypatch.setattr(type(connections), "close_all", lambda self: threads.append(threading.current_thread()))

    async def query():
        return await sync_to_async(threading.current_thread)()

    async def query_and_fail():
        await query()
        raise ValueError

    used = calls.call(query, [], {})
    assert threads == [used]
    assert used is not threading.main_thread()
    with pytest.raises(ValueError):  # noqa: PT011
        calls.call(query_and_fail, [], {})
    assert len(threads) == 2
    assert not any(thread.is_alive() for thread in threads)


def test_an_async_function_works_in_another_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(calls.call(targets.add_later, [1, 2], {})))
    thread.start()
    thread.join()
    assert results == [3]


def test_an_async_job_run_by_sync_code_below_async_code_can_query():
    """A sync view under ASGI, or an async test: this thread is the one that Django gives the queries to."""

    async def query():
        return await sync_to_async(targets.add)(1, 2)

    async def view():
        return await sync_to_async(calls.call)(query, [], {})

    assert async_to_sync(view)() == 3
    assert asyncio.run(view()) == 3


def test_an_async_function_in_a_thread_with_a_running_loop_is_an_error_that_says_what_to_do():
    async def main():
        assert calls.call(targets.add, [1, 2], {}) == 3
        calls.call(targets.add_later, [1, 2], {})

    with pytest.raises(RuntimeError, match=r"await sync_to_async\(job\.run\)\(\)"):
        asyncio.run(main())


def test_an_awaitable_that_is_no_coroutine_is_awaited_and_refused_alike():
    class Later:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return 5

    async def main():
        calls.call(Later, [], {})

    assert calls.call(Later, [], {}) == 5
    with pytest.raises(RuntimeError, match="event loop is running"):
        asyncio.run(main())


def test_a_signal_that_arrives_while_the_coroutine_waits_ends_it(ending_signal, monkeypatch):
    seen = []

    async def wait():
        selector = asyncio.get_running_loop()._selector
        select = selector.select

        def interrupted_select(timeout):
            if timeout is None and not seen:
                signal.raise_signal(ending_signal)
            return select(timeout)

        monkeypatch.setattr(selector, "select", interrupted_select)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(Ended):
        calls.call(wait, [], {})
    assert seen == ["cancelled"]


def test_a_signal_that_arrives_while_the_coroutine_computes_ends_it(ending_signal):
    async def compute():
        signal.raise_signal(ending_signal)
        raise AssertionError("The signal's handler has raised before this line.")

    with pytest.raises(Ended):
        calls.call(compute, [], {})


def test_a_signal_that_arrives_in_the_loops_own_code_is_not_swallowed(ending_signal):
    seen = []

    async def wait():
        asyncio.get_running_loop().call_soon(signal.raise_signal, ending_signal)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    with pytest.raises(Ended):
        calls.call(wait, [], {})
    assert seen == ["ended"]


def test_asyncio_alone_would_swallow_it(ending_signal):
    """The saboteur: without our handler the coroutine of the test above goes on."""

    async def wait():
        loop = asyncio.get_running_loop()
        reported = loop.create_future()
        loop.set_exception_handler(lambda loop, context: reported.set_result(context["exception"]))
        loop.call_soon(signal.raise_signal, ending_signal)
        return await reported

    assert isinstance(asyncio.run(wait()), Ended)


def test_other_errors_in_the_loop_are_only_logged(caplog):
    async def work():
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        return "done"

    assert calls.call(work, [], {}) == "done"
    assert "ZeroDivisionError" in caplog.text


def test_a_coroutine_that_cancels_itself_is_cancelled():
    async def give_up():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        calls.call(give_up, [], {})


def test_a_task_that_wants_a_task_context_is_refused():
    with pytest.raises(TypeError, match="calls its enqueue"):
        calls.call(targets.context_task, [], {})
    assert "calls its enqueue()" in calls.signature_problem(targets.context_task, [], {})


@pytest.mark.skipif(django.VERSION < (6, 0), reason="django.tasks came with Django 6.0")
def test_a_real_django_task_is_called_in_place():
    from django.tasks import task

    assert calls.call(task(targets.add), [1], {"b": 2}) == 3
    assert calls.call(task(targets.add_later), [1], {"b": 2}) == 3
    assert calls.signature_problem(task(targets.add), [], {})


def test_a_real_celery_task_is_called_in_place():
    celery = pytest.importorskip("celery", reason="Celery is not installed")

    queue = celery.Celery("tests", set_as_current=False)

    @queue.task(bind=True)
    def double(self, number):
        return number * 2

    @celery.shared_task
    def triple(number):
        return number * 3

    assert calls.call(double, [2], {}) == 4
    assert calls.call(triple, [2], {}) == 6
    for task in (double, triple):
        assert calls.signature_problem(task, [2], {}) is None
        assert "missing a required argument: 'number'" in calls.signature_problem(task, [], {})
        assert calls.inner(task) is not None


class Actor:
    """A stand-in with the shape of a Dramatiq actor."""

    def __init__(self, fn):
        self.fn = fn

    def __call__(self, *args, **kwargs):
        return self.fn(*args, **kwargs)

    def send(self):
        raise AssertionError("A job's task is called in place.")

    send_with_options = send


class QueueTask:
    """A stand-in with the shape of a task of Huey, which sends itself to its queue when it is called."""

    def __init__(self, func):
        self.func = func

    def __call__(self, *args, **kwargs):
        raise AssertionError("A job's task is called in place.")

    def call_local(self, *args, **kwargs):
        return self.func(*args, **kwargs)


class Deferred:
    """A stand-in with the shape of a task of Procrastinate."""

    def __init__(self, func):
        self.func = func

    def defer(self):
        raise AssertionError("A job's task is called in place.")


@pytest.mark.parametrize("kind", [Actor, QueueTask, Deferred])
def test_tasks_of_other_queues_are_called_in_place(kind):
    task = kind(targets.add)
    assert calls.call(task, [1], {"b": 2}) == 3
    assert calls.call(kind(targets.add_later), [1], {"b": 2}) == 3
    assert calls.inner(task) is targets.add
    assert "missing a required argument: 'a'" in calls.signature_problem(task, [], {})


def test_a_coroutine_that_its_queue_would_leave_to_another_thread_is_awaited_here():
    @functools.wraps(targets.add_later)
    def leave(*args, **kwargs):
        raise AssertionError("There is no thread of Dramatiq's workers here.")

    assert calls.call(Actor(leave), [1], {"b": 2}) == 3


@pytest.mark.parametrize(
    "function", [targets.add, targets.add_later, targets.cached_add, targets.django_task, targets.celery_task]
)
def test_arguments_are_compared_with_the_signature(function):
    assert calls.signature_problem(function, [1], {"b": 2}) is None
    assert calls.signature_problem(function, [], {}) == (
        "The arguments do not fit the function: missing a required argument: 'a'."
    )
    assert "too many positional arguments" in calls.signature_problem(function, [1, 2, 3], {})
    assert "unexpected keyword argument 'c'" in calls.signature_problem(function, [1], {"c": 1})
    assert "multiple values for argument 'a'" in calls.signature_problem(function, [1], {"a": 1})


@pytest.mark.parametrize("args", [None, {}, "ab", 1])
def test_arguments_that_are_no_list_are_told(args):
    assert calls.signature_problem(targets.add, args, {}) == "The arguments must be a list."


@pytest.mark.parametrize("kwargs", [None, [], {1: 2}])
def test_keyword_arguments_that_are_no_object_are_told(kwargs):
    assert "must be an object" in calls.signature_problem(targets.add, [], kwargs)


def test_a_function_without_a_readable_signature_is_not_judged():
    assert calls.signature_problem(dict, [1, 2, 3], {}) is None
    assert calls.signature_problem(min, [], {}) is None
