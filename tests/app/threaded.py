"""A module that starts a thread when it is imported, as some clients of services do."""

import threading

from app.edges import tell_process

threading.Thread(target=threading.Event().wait, name="client", daemon=True).start()

__all__ = ["tell_process"]
