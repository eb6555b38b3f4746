"""Which nodes may have a job? Those with all of its labels."""

from __future__ import annotations

from collections.abc import Iterable

from cronkite import conf


def canonical(labels: object) -> str:
    """Return labels, a text or a list of them, as the text by which they are kept: sorted, and each once.

    Raises :class:`ValueError` for what is no label.

    >>> canonical("gpu, eu"), canonical(["eu", "gpu", "eu"]), canonical("")
    ('eu,gpu', 'eu,gpu', '')
    """
    if isinstance(labels, str):
        found = labels.replace(",", " ").split()
    elif isinstance(labels, Iterable):
        found = list(labels)
    else:
        raise ValueError(f"Labels are a text or a list of texts, and not {labels!r}.")  # noqa: TRY004 - as all else
    for label in map(str, found):
        if not conf.is_label(label):
            raise ValueError(
                f"{label!r} is no label: it has letters, digits, hyphens, dots and underscores, and at most "
                f"{conf.LONGEST_LABEL} of them."
            )
    return ",".join(sorted({*found}))


def parts(kept: str) -> frozenset[str]:
    """Return the labels of a text that is kept.

    >>> sorted(parts("eu,gpu")), sorted(parts(""))
    (['eu', 'gpu'], [])
    """
    return frozenset(filter(None, kept.split(",")))
