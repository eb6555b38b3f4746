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
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8")
        return
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
