"""How is a file written, so that it is there whole, or as it was before?"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4


def write(path: Path, text: str) -> None:
    """Write the text as UTF-8 into a new file beside ``path``, and have that take its place; raises :class:`OSError`.

    Who reads meanwhile sees the old file or the new one. A link goes on leading to its file, which keeps its mode. What
    is no file, such as a pipe, is written to as it is.
    """
    # Asked of the path itself: /dev/stdout leads to what has no path of its own.
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    beside = target.with_name(f".{uuid4().hex}.tmp")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
