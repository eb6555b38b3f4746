"""Show the slots that a crontab expression names, or an interval or one time,
with their offsets from UTC, and what changes of the clock do to them.

Put the expression in quotes, or your shell reads the stars. It needs no
database.

examples:
  manage.py cron next "0 3 * * mon-fri"
  manage.py cron next "30 2 * * *" --timezone Europe/Berlin --after 2026-03-28
  manage.py cron next "0 3 * * 5L"
  manage.py cron next "@every 90s"
  manage.py cron next "@at 2099-12-24T18:00" --timezone Europe/Berlin
  manage.py cron next @daily --json
  manage.py cron next "H 3 * * *" --job shop.crontab.bill

exit codes:
  0   the slots are shown
  2   the expression or another argument makes no sense
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timezone
from typing import Any

from django.conf import settings
from django.core.management import CommandError

from cronkite import schedules
from cronkite.cli import instants
from cronkite.cli.terminal import Cell, Terminal
from cronkite.cli.wording import in_words, stretch, warnings
from cronkite.exceptions import ScheduleError
from cronkite.schedules import chosen
from cronkite.schedules.coming import DEBIANS_LONGEST_GAP, Coming, Oddity, coming

MOST = 1000
_NO_JOB = (
    "Each job has numbers of its own for H; these are nobody's. Say whose you mean by --job: the dotted name of a "
    "declared job's function, or the name of another job."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Take an expression."""
    parser.add_argument(
        "expression", nargs="+", metavar="EXPRESSION", help="a crontab expression, @every or @at, in quotes"
    )
    parser.add_argument(
        "--job",
        default="",
        metavar="JOB",
        help="whose numbers H stands for: the function of a declared job, or the name of another",
    )
    parser.add_argument("--timezone", metavar="ZONE", help="whose clock it is about (default: TIME_ZONE)")
    parser.add_argument("-n", type=_number, default=10, metavar="N", help="how many slots to show (default: 10)")
    parser.add_argument("--after", metavar="TIME", help="show those after this time of that clock (default: now)")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Show the slots."""
    now, expression = datetime.now(timezone.utc), " ".join(options["expression"])
    try:
        schedule = schedules.get(expression, options["timezone"] or settings.TIME_ZONE, options["job"])
        after = _after(options["after"], schedule.timezone, now)
        found = _first(schedule, after, options["n"])
    except ScheduleError as error:
        raise CommandError(error.sentence, returncode=2) from None
    remarks = warnings(expression, schedule.seed)
    if chosen.is_in(expression) and not schedule.seed:
        remarks.insert(0, _NO_JOB)
    if options["json"]:
        terminal.json(
            {
                "expression": schedule.expression,
                "timezone": schedule.timezone,
                "resolved": chosen.resolve(expression, schedule.seed),
                "words": in_words(expression, schedule.seed),
                "warnings": remarks,
                "slots": [_for_programs(each) for each in found],
            }
        )
        return 0
    terminal.say(f"{in_words(expression, schedule.seed)}, in {schedule.timezone}", "MIGRATE_HEADING")
    for remark_ in remarks:
        terminal.say(remark_, "WARNING")
    terminal.table(
        ["LOCAL TIME", "UTC", "FROM NOW", "REMARK"],
        [_row(each, schedule.timezone, now) for each in found],
    )
    return 0


def _after(text: str | None, zone: str, now: datetime) -> datetime:
    if text is None:
        return now
    try:
        return instants.asked(text if ":" in text else f"{text} 00:00", zone, now).starts[0]
    except instants.NotATime as error:
        raise CommandError(str(error), returncode=2) from None


def _first(schedule: schedules.Schedule, after: datetime, number: int) -> list[Coming]:
    """Return so many slots, and what lies between them."""
    end = schedule.next_after(after)
    for _ in range(number - 1):
        try:
            end = schedule.next_after(end)
        except ScheduleError:
            break
    return list(coming(schedule, after, end))


def _row(each: Coming, zone: str, now: datetime) -> list[str | Cell]:
    if each.oddity is Oddity.SKIPPED:
        return ["(none)", "", "", Cell("", "WARNING", remark(each))]
    return [
        f"{each.local:%a} {instants.absolute(each.slot, zone)}",
        f"{each.slot:%Y-%m-%d %H:%M:%S}",
        instants.relative(each.slot, now),
        Cell("", "WARNING", remark(each)),
    ]


def remark(each: Coming) -> str:
    """Say what a change of the clock does to a slot."""
    if each.oddity is None or each.change is None:
        return ""
    change = each.change
    if not change.is_gap:
        which = "first" if each.oddity is Oddity.EARLIER else "second"
        return f"the clock shows {stretch(change)} twice; this is the {which} pass"
    skipped, times = f"the clock skips {stretch(change)}", "a time" if each.count == 1 else f"{each.count} times"
    if each.oddity is Oddity.SKIPPED:
        return f"{skipped}, and with it {times} of this schedule"
    if each.oddity is Oddity.MOVED and each.count == 1:
        return f"{skipped}, so this is the first instant after"
    # Of a longer one, it takes no notice.
    debian = "; Debian's cron fires for each" if change.end - change.first < DEBIANS_LONGEST_GAP else ""
    this = (
        "this one slot, the first instant after, is for all" if each.oddity is Oddity.MOVED else "this slot is for all"
    )
    return f"{skipped}, and with it {times} of this schedule; {this}{debian}"


def _for_programs(each: Coming) -> dict[str, Any]:
    return {
        "slot": None if each.oddity is Oddity.SKIPPED else f"{each.slot:%Y-%m-%dT%H:%M:%SZ}",
        "local": None if each.oddity is Oddity.SKIPPED else each.local.isoformat(),
        "oddity": each.oddity and each.oddity.value,
        "remark": remark(each),
    }


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise ArgumentTypeError(f"it must be a whole number from 1 to {MOST}, not {text!r}")
    return int(text)
