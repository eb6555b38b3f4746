"""How are the monitors that the project names connected to the signals?

Whatever is wrong with one is logged, and told by ``manage.py check``: no job waits for it, and no other monitor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module

from django.core.exceptions import ImproperlyConfigured

from cronkite import conf
from cronkite.code import modules

logger = logging.getLogger("cronkite")


def connect() -> None:
    """Connect each monitor of ``CRONKITE_MONITORS``; called once, when Django is ready."""
    for name, why in _each(lambda connect: connect()).items():
        logger.warning("The monitor %s is not connected, and told nothing. %s", name, why)


def problems() -> dict[str, str]:
    """Return why monitors can't be connected, in sentences, by their names; nothing is connected."""
    return _each(lambda connect: None)


def _each(use: Callable[[Callable[[], object]], object]) -> dict[str, str]:
    """Use the function ``connect`` of each monitor; return what kept that from being done."""
    try:
        names = conf.get().monitors
    except ImproperlyConfigured:
        return {}  # the check of settings says so
    found = {}
    for name in names:
        try:
            use(import_module(name).connect)
        except ImproperlyConfigured as error:
            found[name] = str(error)
        except Exception as error:  # noqa: BLE001 - a module may raise anything
            found[name] = f"{modules.said(error).rstrip('.')}."
    return found
