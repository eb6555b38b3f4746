"""The backend, as Django looks for it: what it is made of is the one for ``DATABASE_URL``."""

from __future__ import annotations

import os
import threading
from importlib import import_module

from databases import parse_url

base = import_module(f"{parse_url(os.environ['DATABASE_URL'])['ENGINE']}.base")

_kept = []
_lock = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes the connection that was closed last."""

    def get_new_connection(self, conn_params):
        """Return one that was closed, or a new one."""
        with _lock:
            if _kept:
                return _kept.pop()
        return super().get_new_connection(conn_params)

    def _close(self):
        try:
            self.connection.rollback()
        except Exception:
            super()._close()
            return
        with _lock:
            _kept.append(self.connection)
