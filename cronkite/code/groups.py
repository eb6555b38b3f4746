"""What is the name of a group of jobs, of which so many run at a time?"""

from __future__ import annotations

from cronkite import conf

#: How many jobs of a group may run at a time, at most and if nobody says.
MOST_RUNNING, DEFAULT_RUNNING = 1000, 1


def canonical(name: object) -> str:
    """Return the name of a group as it is kept: in small letters, as databases differ in whether they tell them apart.

    Raises :class:`ValueError` for what is no such name. The empty text stands for no group.

    >>> canonical(" Reports "), canonical("")
    ('reports', '')
    """
    if not isinstance(name, str):
        raise ValueError(f"A group is a text, as in 'reports', and not {name!r}.")  # noqa: TRY004 - as all else
    kept = name.strip().lower()
    if kept and not conf.is_label(kept):
        raise ValueError(
            f"{name!r} is no name of a group: it has letters, digits, hyphens, dots and underscores, and at most "
            f"{conf.LONGEST_LABEL} of them."
        )
    return kept
