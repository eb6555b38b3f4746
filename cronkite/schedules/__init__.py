"""When does a job run, by its expression and the clock of its zone?

A text becomes an expression, with a zone a schedule, and that names slots. No Django, no database.

- ``every``, ``once``: what an interval and a one-off say, and which instants these are.
- ``monthdays``: which day of a month ``L``, ``15W`` and ``5#2`` are.
- ``grammar``: what each field of an expression may say.
- ``chosen``: which number is chosen for a job, where it says ``H``.
- ``names``, ``intervals``, ``phrases``, ``signs``, ``wrappings``: what somebody meant who wrote it otherwise, by its
  parts.
- ``foreign``: what is meant by the whole, and what to write instead.
- ``expressions``: which wall times an expression names.
- ``zonenames``, ``zonehints``: which zones there are, and which one is meant.
- ``zones``: what a zone's clock shows, skips and shows twice.
- ``walls``: which instants the wall times of an expression are in a zone.
- ``schedule``: the slots of an expression, an interval or a one-off in a zone.
- ``catch_up``: which slots run and which are missed.
- ``stretches``: for how long slots were missed.
- ``coming``: the next slots, with what the clock does to them.
- ``cautions``: what a person should know of an expression.
- ``words``, ``durations``: a schedule and a duration, as people read them.
"""

from cronkite.schedules.schedule import HORIZON, Schedule, get

#: What other wings may use.
__all__ = [
    "HORIZON",
    "Schedule",
    "catch_up",
    "cautions",
    "chosen",
    "coming",
    "durations",
    "every",
    "expressions",
    "foreign",
    "get",
    "once",
    "stretches",
    "words",
    "zonenames",
    "zones",
]
