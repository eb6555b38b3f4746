"""Is all well? The strip on top of the pages: nodes and their last ticks, jobs stuck or failing, slots missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cronkite import health
from cronkite.admin import shown
from cronkite.vitals import NodeHealth

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: What each level says, from 0 on as monitoring plugins count them.
VERDICTS: tuple[_StrOrPromise, ...] = (
    _("All is well"),
    _("Something needs a look"),
    _("Something is wrong"),
    _("Nothing is known yet"),
)
#: Seconds that a node's clock may be off without being told.
SKEW = 1.0


@dataclass(frozen=True)
class Strip:
    """What the strip says: the level (0 to 3), its name, what is wrong, and a line for each node."""

    level: int
    verdict: str
    problems: list[str]
    nodes: list[str]


def report() -> Strip:
    """Return what :mod:`cronkite.health` finds."""
    found = health.report()
    return Strip(found.level, str(VERDICTS[found.level]), found.problems, [_node(node) for node in found.nodes])


def _node(node: NodeHealth) -> str:
    said = gettext("%(node)s ticked %(span)s ago") % {
        "node": node.name,
        "span": shown.span(timedelta(seconds=node.age)),
    }
    if node.skew is not None and abs(node.skew) > SKEW:
        off = timedelta(seconds=abs(node.skew))
        template = (
            gettext("%(said)s, its clock is %(span)s fast")
            if node.skew > 0
            else gettext("%(said)s, its clock is %(span)s slow")
        )
        return template % {"said": said, "span": shown.precise(off)}
    return said
