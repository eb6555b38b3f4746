"""How a job's function is called: in place, whether it is sync, async or a task of a task queue."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any

from asgiref.sync import AsyncToSync, ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: The tasks of task queues: by a method that only their class has, where the function in them is found.
_TASKS = {
    "enqueue": "func",  # django.tasks, and its backport
    "apply_async": "run",  # Celery
    "send_with_options": "fn",  # Dramatiq
    "call_local": "func",  # Huey
    "defer": "func",  # Procrastinate
}

#: Where the backends of Django and its backport are defined that run a task at once.
_IMMEDIATE = frozenset({"django.tasks.backends.immediate", "django_tasks.backends.immediate"})

#: The engines that jobs can be handed over to, as logs name them.
DJANGO_TASKS = "django.tasks"
CELERY = "celery"

if sys.version_info >= (3, 14):
    from annotationlib import Format

    # Annotations are evaluated late since 3.14; a name imported for type checkers only must not raise here.
    _signature = functools.partial(inspect.signature, annotation_format=Format.FORWARDREF)
else:
    _signature = inspect.signature

_NEEDS_CONTEXT = (
    "It is a task that takes the task context, which only a task backend can give. "
    "Write a function that calls its enqueue(), and make that the job's function."
)
_LOOP_IS_RUNNING = (
    "An async job cannot be called in a thread whose event loop is running. "
    "In async code, write: await sync_to_async(job.run)()."
)


def call(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call the function in this process, and return its result once it has one; what it raises goes through.

    - A task of a task queue is called in place, not enqueued.
    - What turns out to be awaitable is awaited. In the main thread that happens in this very thread, so that an
      exception raised by a signal handler ends the coroutine (it meets ``CancelledError``) and comes out of here.
      Its database connections, which Django opens in a thread of their own, are closed.

    Raises ``TypeError`` for a ``django.tasks`` task that takes a context, ``RuntimeError`` for an async function if
    an event loop is running in this thread. A coroutine that cancels itself raises ``asyncio.CancelledError``, which
    is no ``Exception``.
    """
    return _awaited(_begun(function, args, kwargs), _wait_here)


def call_over_this_connection(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Do what :func:`call` does, but have an async function, too, ask the database in this thread: for tests.

    So it sees what their transaction has written, and is part of that.
    """
    return _awaited(_begun(function, args, kwargs), _wait_bridged)


def _begun(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Return the function's result, or what is to be awaited for it."""
    if getattr(function, "takes_context", False) and task_function(function):
        raise TypeError(_NEEDS_CONTEXT)
    # A Celery task sets itself up for a call, and may want itself. A call of others may send them to their queue.
    if not _is_celery_task(function):
        function = task_function(function) or function
    return function(*args, **kwargs)


def _awaited(result: Any, wait: Callable[[Awaitable[Any]], Any]) -> Any:
    """Return the result, awaited by ``wait`` if it has to be."""
    # Asking the result, not the function, whether it is async: a decorator may hide an "async def".
    if not _is_awaitable(result):
        return result
    if _loop_is_running():
        if inspect.iscoroutine(result):
            result.close()  # or Python warns that it was never awaited
        raise RuntimeError(_LOOP_IS_RUNNING)
    return wait(result)


def signature_problem(function: Any, args: Any, kwargs: Any) -> str | None:
    """Return a sentence that says why the function cannot be called with these arguments, or ``None`` if it can.

    ``None``, too, for a function whose signature Python cannot tell. Types of values are not judged.
    """
    if not isinstance(args, list):
        return "The arguments must be a list."
    if not isinstance(kwargs, dict) or not all(isinstance(name, str) for name in kwargs):
        return "The keyword arguments must be an object whose keys are names."
    needs_context = bool(getattr(function, "takes_context", False) and task_function(function))
    if needs_context and not engine(function):
        return _NEEDS_CONTEXT
    taken = signature(function)
    if taken is None:
        return None
    if needs_context:
        # Its engine gives it the first one.
        taken = taken.replace(parameters=[*taken.parameters.values()][1:])
    try:
        taken.bind(*args, **kwargs)
    except TypeError as error:
        return f"The arguments do not fit the function: {error}."
    return None


def signature(function: Any) -> inspect.Signature | None:
    """Return which arguments the function, or the task, takes; ``None`` where Python cannot tell."""
    # A task's own signature says nothing: the function in it has one. Celery's "run" is bound where it takes self.
    try:
        return _signature(task_function(function) or function)
    except (TypeError, ValueError):
        return None


def inner(function: Any) -> Callable[..., Any] | None:
    """Return what a wrapper calls (one layer inwards), or ``None`` when the function is no wrapper that we know."""
    if isinstance(function, functools.partial):
        return function.func
    if (of_task := task_function(function)) is not None:
        return of_task
    if inspect.ismethod(function):
        return function.__func__
    return getattr(function, "__wrapped__", None)


def task_function(target: Any) -> Callable[..., Any] | None:
    """Return the function in a task of a task queue; ``None`` for whatever is no such task.

    Told by their shapes, so that none of the queues need be installed.
    """
    if is_mock(target):
        return None
    kind = target.__class__  # not type(): Celery's shared tasks stand for others
    for method, attribute in _TASKS.items():
        # What invents its attributes does so in the object, and not in its class.
        if callable(getattr(kind, method, None)) and callable(function := getattr(target, attribute, None)):
            # Dramatiq leaves coroutines to a thread of its workers, which is not here.
            coroutine = getattr(function, "__wrapped__", None) if attribute == "fn" else None
            return coroutine if inspect.iscoroutinefunction(coroutine) else function
    return None


def engine(target: Any, backend: str = "") -> str:
    """Return the name of the engine that ``target`` is a task of and can be handed over to, or nothing.

    ``backend`` names one of the settings' TASKS, if not the task's own. One that would run the task at once, here, is
    no engine; nor is Celery where it is told to do so.
    """
    if task_function(target) is None:
        return ""
    if callable(getattr(target.__class__, "apply_async", None)):
        try:
            app = getattr(target, "app", None)
            return "" if app is None or app.conf.task_always_eager else CELERY
        except Exception:  # noqa: BLE001 - whoever hands it over says what is wrong with the app
            return CELERY
    if callable(getattr(target.__class__, "get_backend", None)):
        try:
            kind = type((target.using(backend=backend) if backend else target).get_backend())
        except Exception:  # noqa: BLE001 - whoever hands it over says what is wrong with the backend
            return DJANGO_TASKS
        return "" if is_immediate(kind) else DJANGO_TASKS
    return ""


def is_immediate(kind: type) -> bool:
    """Tell whether a backend of this class runs a task at once."""
    return kind.__module__ in _IMMEDIATE


def is_mock(target: Any) -> bool:
    """Tell whether ``target`` is what ``unittest.mock`` puts in the place of something else."""
    mock = sys.modules.get("unittest.mock")
    if mock is None:
        return False
    # With autospec=True, a function of the same signature is put there, which has the mock.
    found = vars(target).get("mock") if inspect.isfunction(target) else target
    return isinstance(found, mock.NonCallableMock)


def _is_celery_task(target: Any) -> bool:
    return not is_mock(target) and callable(getattr(target.__class__, "apply_async", None))


def _is_awaitable(result: Any) -> bool:
    try:
        return inspect.isawaitable(result)
    except Exception:  # noqa: BLE001 - such as a lazy object's, which is made when it is asked what it is
        return False


def _loop_is_running() -> bool:
    """Whether this thread is inside an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _signals_arrive_here() -> bool:
    """Whether a signal handler can raise in this thread, and Django is not waiting for this thread to do async work.

    In other threads, and below another ``async_to_sync``, only asgiref's own bridge is free of deadlocks: there this
    very thread may be the one in which Django must run the coroutine's queries (an async job run by a sync view under
    ASGI, or in an async test).
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and getattr(AsyncToSync.executors, "current", None) is None


def _run(awaitable: Awaitable[Any]) -> Any:
    """Await in an event loop of its own in this, the main, thread."""
    swallowed: list[BaseException] = []

    async def main() -> Any:
        task = asyncio.current_task()

        def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # A signal handler may raise while the loop runs a callback of its own. The loop then reports the
            # exception here and goes on, so the coroutine would never learn that it has to end.
            error = context.get("exception")
            if task is None or error is None or isinstance(error, (Exception, asyncio.CancelledError)):
                loop.default_exception_handler(context)
            else:
                swallowed.append(error)
                task.cancel()

        asyncio.get_running_loop().set_exception_handler(on_error)
        # With a context of its own, Django opens the connections in a thread that ends with this call.
        async with ThreadSensitiveContext():
            try:
                return await awaitable
            finally:
                await sync_to_async(connections.close_all)()

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if swallowed:
            raise swallowed[0] from None
        raise


def _wait_here(awaitable: Awaitable[Any]) -> Any:
    return _run(awaitable) if _signals_arrive_here() else _wait_bridged(awaitable)


def _wait_bridged(awaitable: Awaitable[Any]) -> Any:
    return async_to_sync(_wait_for)(awaitable)


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    """Return what the awaitable yields; ``async_to_sync`` takes functions only."""
    return await awaitable
