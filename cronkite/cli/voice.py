"""How does a node say on stderr what it does, however the project has set up logging?

``-v 2`` shows what is claimed, run and waited for, ``-v 3`` everything, with times and processes; a loop says who it is
without either. What one of the project's own handlers writes to the terminal already is not said twice, and no handler
gets what it would not have got: a mail for each claim is not what ``-v 2`` asks for.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.core.management.base import OutputWrapper

#: The logger of all, of how a loop starts, and of what is waited for.
ALL, LOOP, WAITING = "cronkite", "cronkite.loop", "cronkite.waiting"
#: From which level on the loggers are heard, by verbosity.
TICK_LEVELS: dict[int, dict[str, int]] = {
    2: {ALL: logging.INFO, WAITING: logging.DEBUG},
    3: {ALL: logging.DEBUG},
}
LOOP_LEVELS = {1: {LOOP: logging.INFO}, **TICK_LEVELS}
#: What stands before each line from this verbosity on.
DETAILED = 3
DETAILS = "%(asctime)s [%(process)d] %(message)s"


@contextmanager
def speaking(verbosity: int, stays: bool, err: OutputWrapper) -> Iterator[None]:
    """Say on ``err`` within the block what the verbosity asks for."""
    levels = (LOOP_LEVELS if stays else TICK_LEVELS).get(verbosity)
    if levels is None:
        yield
        return
    loggers = [logging.getLogger(name) for name in (ALL, LOOP, WAITING)]
    before = {logger.name: (logger.level, logger.getEffectiveLevel()) for logger in loggers}
    theirs = _Theirs({name: effective for name, (_, effective) in before.items()})
    reached = _reached(loggers)
    voice = _Voice(err, theirs, [handler for handler in reached if _is_terminal(handler)])
    if verbosity >= DETAILED:
        voice.setFormatter(logging.Formatter(DETAILS))
    for handler in reached:
        handler.addFilter(theirs)
    loggers[0].addHandler(voice)
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.setLevel(min(level, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        for logger in loggers:
            logger.setLevel(before[logger.name][0])
        loggers[0].removeHandler(voice)
        for handler in reached:
            handler.removeFilter(theirs)


class _Theirs(logging.Filter):
    """Lets through what the project's own levels let through."""

    def __init__(self, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._levels = levels

    def filter(self, record: logging.LogRecord) -> bool:
        # A handler of the root's hears of others, too, which are not our business.
        return record.levelno >= self._levels.get(record.name, logging.NOTSET)


class _Voice(logging.Handler):
    """Writes what no handler of the project's writes to the terminal."""

    def __init__(self, err: OutputWrapper, theirs: _Theirs, terminals: list[logging.Handler]) -> None:
        super().__init__()
        self._err = err
        self._theirs = theirs
        self._terminals = terminals

    def emit(self, record: logging.LogRecord) -> None:
        if self._theirs.filter(record) and any(record.levelno >= terminal.level for terminal in self._terminals):
            return
        try:
            self._err.write(self.format(record), str)
            self._err.flush()
        except Exception:  # noqa: BLE001 - as each of logging's own: nobody must fail because of what he says
            self.handleError(record)


def _reached(loggers: list[logging.Logger]) -> list[logging.Handler]:
    """Return the handlers that hear of what is logged, each once."""
    found: dict[logging.Handler, None] = {}
    for start in loggers:
        logger: logging.Logger | None = start
        while logger is not None:
            found.update(dict.fromkeys(logger.handlers))
            logger = logger.parent if logger.propagate else None
    return list(found)


def _is_terminal(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    return stream is not None and stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}
