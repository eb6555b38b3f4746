"""What a job may name, and what it must not: functions of many kinds for the tests of functions and calls."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import threading
from os import system  # imported to be refused
from typing import Any

from django.core.management import call_command  # noqa: F401  # imported to be refused

CALLS: list[Any] = []
FLAG = 42


def add(a: int, b: int = 0) -> int:
    return a + b


def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@decorate
@functools.lru_cache
def cached_add(a, b=0):
    return a + b


async def add_later(a, b=0):
    await asyncio.sleep(0)
    return a + b


@decorate
async def decorated_add_later(a, b=0):
    return a + b


async def name_thread():
    return threading.current_thread().name


def count_up():
    yield 1


async def count_up_later():
    yield 1


class Report:
    """A class, and by its instances a callable object."""

    def __call__(self, name):
        return f"report {name}"

    def send(self, to):
        return f"sent to {to}"

    @classmethod
    def build(cls):
        return "built"


class Endless:
    """Each layer has one more inside."""

    @property
    def __wrapped__(self):
        return Endless()

    def __call__(self):
        raise NotImplementedError


add_one = functools.partial(add, 1)
run_anything = functools.partial(subprocess.run, "true")
make_report = functools.partial(Report)
report = Report()
send_report = report.send
build_report = Report.build
append = CALLS.append
shout = str.upper
endless = Endless()
greet = lambda: "hello"  # noqa: E731


class CeleryTask:
    """A stand-in with the shape of a Celery task; test_calls.py has a test with the real one."""

    def __init__(self, function):
        self.run = function

    def __call__(self, *args, **kwargs):
        return self.run(*args, **kwargs)

    def apply_async(self):
        raise AssertionError("A job's task is called in place.")


class DjangoTask:
    """A stand-in with the shape of a task of django.tasks, for Django 5.2."""

    def __init__(self, function, takes_context=False):
        self.func = function
        self.takes_context = takes_context

    def enqueue(self):
        raise AssertionError("A job's task is called in place.")


celery_task = CeleryTask(add)
celery_system = CeleryTask(system)
django_task = DjangoTask(add)
async_django_task = DjangoTask(add_later)
context_task = DjangoTask(add, takes_context=True)


def __getattr__(name: str) -> Any:
    if name == "moody":
        raise ZeroDivisionError("no such mood")
    raise AttributeError(name)
