"""What did a look at the declared jobs do?"""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass
class Deeds:
    """What was done, each in a line for people: rows that were ``added``, ``changed``, ``deleted``; declarations that
    can't be jobs (``refused``); modules that could not be read (``broken``).

    ``kept`` has the names of jobs whose rows say otherwise than the code, and stay as they are.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return any(vars(self).values())

    def join(self, others: Deeds) -> None:
        """Take what ``others`` has, too."""
        for each in fields(self):
            getattr(self, each.name).extend(getattr(others, each.name))
