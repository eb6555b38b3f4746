"""Expressions as other schedulers read them: what one is told to write is what was meant."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronkite.exceptions import ScheduleError
from cronkite.schedules import foreign
from cronkite.schedules.expressions import parse, read

pytestmark = pytest.mark.once


def refusal_of(text):
    try:
        read(text)
    except ScheduleError as refusal:
        return refusal
    return None


def advice(text):
    """Return what the refusal says, and the expression that it suggests, which must be one."""
    refusal = refusal_of(text)
    message, suggestion = str(refusal), refusal.suggestion
    if suggestion is not None:
        assert f"write {suggestion!r}" in message
        read(suggestion)
    return message, suggestion


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        # Seconds first: Spring, node-cron and Quartz.
        ("0 30 9 * * 1-5", "30 9 * * 1-5"),
        ("0 0 0 * * *", "0 0 * * *"),
        ("0 0/5 14 * * ?", "*/5 14 * * *"),
        ("*/10 * * * * ?", "* * * * * */10"),
        ("30 0 3 ? * MON-FRI", "0 3 * * MON-FRI 30"),
        ("0 22-2 * * * *", "22-59,0-2 * * * *"),
        ("0 0 12 1/5 * ?", "0 12 */5 * *"),
        ("0 0 12 1/1 * ? *", "0 12 * * *"),
        ("0 15 10 L jan ?", "15 10 L jan *"),
        # Quartz counts from Sunday as 1, and has a question mark; the others don't.
        ("0 0 3 ? * 2-6", "0 3 * * mon-fri"),
        ("0 15 10 ? * 6#1", "15 10 * * fri#1"),
        ("0 15 10 ? * 6L", "15 10 * * friL"),
        ("0 0 3 LW * ? *", "0 3 LW * *"),
        ("0 30 9 * * 7", "30 9 * * 7"),
        # A year last: Quartz, EventBridge, croniter.
        ("0 15 10 ? * 6 2026-2028", "15 10 * * fri"),
        ("cron(0 18 ? * MON-FRI *)", "0 18 * * MON-FRI"),
        ("0 3 * * ? *", "0 3 * * *"),
        ("0 3 1 1 * 2026", "0 3 1 1 *"),
        ("0 3 * * * 0 2026", "0 3 * * * 0"),
        ("* * * * * * *", "* * * * * *"),
        # A time zone.
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "0 3 * * *"),
        ("TZ='UTC' @daily", "@daily"),
        ("CRON_TZ=Asia/Tokyo 0 0 3 * * *", "0 3 * * *"),
        ("0 3 * * mon America/Argentina/Buenos_Aires", "0 3 * * mon"),
        # A line of a crontab.
        ("0 3 * * * root /usr/bin/backup --all", "0 3 * * *"),
        ("*/5 * * * * /usr/bin/php -q cron.php", "*/5 * * * *"),
        ("0 3 * * * www-data", "0 3 * * *"),
        ("0 3 * * 1-5 cd /srv && ./run > log", "0 3 * * 1-5"),
        ("0 3 * * mon # nightly", "0 3 * * mon"),
        ("MAILTO=a@b.c 0 3 * * *", "0 3 * * *"),
        ("@daily root /bin/true", "@daily"),
        ("cron: '0 3 * * *'", "0 3 * * *"),
        (r"\*/5 \* \* \* \*", "*/5 * * * *"),
        ("*****", "* * * * *"),
        # Blanks, dashes, digits.
        ("0 3 * * mon, fri", "0 3 * * mon,fri"),
        ("1 , 2 ,3 * * * *", "1,2,3 * * * *"),
        ("0 3 * * mon - fri", "0 3 * * mon-fri"),
        ("*/ 5 * * * *", "*/5 * * * *"),
        ("* /5 * * * *", "*/5 * * * *"),
        ("0\xa03\u2003* * *", "0 3 * * *"),
        ("\ufeff0 3\u200b * * *", "0 3 * * *"),
        ("0 3 * * 1\u20135", "0 3 * * 1-5"),
        ("0 9\u221217 * * *", "0 9-17 * * *"),
        ("\uff10 \uff13 \uff0a * 1\uff0c2", "0 3 * * 1,2"),
        ("\u0663 * * * *", "3 * * * *"),
        ("*/\u0663 * * * *", "*/3 * * * *"),
        ("0 3 * * *\r\n", "0 3 * * *"),
        ("\u201c0 3 * * *\u201d", "0 3 * * *"),
        # Signs.
        ("? * * * *", "* * * * *"),
        ("0 0 l * *", "0 0 L * *"),
        ("0 0 l-2,15 * *", "0 0 L-2,15 * *"),
        ("0 0 wl * *", "0 0 LW * *"),
        ("0 0 1w * *", "0 0 1W * *"),
        ("0 3 * * Tuesday#2", "0 3 * * tue#2"),
        ("0 3 * * 5l", "0 3 * * 5L"),
        ("0 3 * * L5", "0 3 * * 5L"),
        ("0 3 * * FRIDAYL", "0 3 * * friL"),
        ("0 3 * * fri#L", "0 3 * * friL"),
        ("0 3 * * 5#-1", "0 3 * * 5L"),
        ("0 3 * * L", "0 3 * * sat"),
        ("0 3 * * mon..fri", "0 3 * * mon-fri"),
        ("/5 * * * *", "*/5 * * * *"),
        ("0/15 * * * *", "*/15 * * * *"),
        ("5/15 * * * *", "5-59/15 * * * *"),
        ("59/15 * * * *", "59 * * * *"),
        # Nicknames and intervals.
        ("@Daily", "@daily"),
        ("daily", "@daily"),
        ("@minutely", "* * * * *"),
        ("@every 5 minutes", "@every 5m"),
        ("@every 30m1h", "@every 1h30m"),
        ("@every 1.5h", "@every 1h30m"),
        ("@every 1w", "@every 7d"),
        ("@EVERY 5M", "@every 5m"),
        ("@Every 1h30m", "@every 1h30m"),
        ("@every minute", "@every 1m"),
        ("@every 2 months", "0 0 1 */2 *"),
        ("\u201c@every 90s\u201d", "@every 90s"),
        ("@every\xa090s", "@every 90s"),
        ("every 90 seconds", "@every 1m30s"),
        ("every 3 days", "@every 3d"),
        ("rate(2 weeks)", "@every 14d"),
        ("PT7M", "@every 7m"),
        ("every 5 minutes", "*/5 * * * *"),
        ("every hour", "0 * * * *"),
        ("rate(1 day)", "0 0 * * *"),
        ("03:30", "30 3 * * *"),
        ("Mon..Fri 03:00", "0 3 * * mon-fri"),
        ("*-*-* 03:00:00", "0 3 * * *"),
        ("PT5M", "*/5 * * * *"),
        ("P1M", "0 0 1 * *"),
        ("P3M", "0 0 1 */3 *"),
        ("P1Y", "0 0 1 1 *"),
        ("0 0 12 ? * MON/2", "0 12 * * mon-6/2"),
        ("0 0 12 ? * 5/3", "0 12 * * thu"),
        ("CRON_EXPR=30 3 1 * * 5", "30 3 1 * * 5"),
        ("RANDOM_DELAY=45 0 3 * * *", "0 3 * * *"),
        ("OnCalendar=Sun 03:00", "0 3 * * Sun"),
        ("OnCalendar=Mon,Fri *-*-* 03:00", "0 3 * * Mon,Fri"),
        ("0 3 * * * CET", "0 3 * * *"),
        ("0 3 * * * Backup/run", "0 3 * * *"),
        ("P1D", "0 0 * * *"),
        ("@anually", "@annually"),
        ("@dayly", "@daily"),
        ("crontab(minute=0, hour='*/3')", "0 */3 * * *"),
        ("crontab(hour=7, minute=30, day_of_week='monday')", "30 7 * * mon"),
        ("0 3 * * *;", "0 3 * * *"),
        ("- 0 3 * * *", "0 3 * * *"),
        ("0&nbsp;3 * * *", "0 3 * * *"),
        ("crontab(0, 3)", "0 3 * * *"),
        ("celery.schedules.crontab(0, 0, day_of_month='2')", "0 0 2 * *"),
        ("crontab(minute={0, 30}, day='1', month='*/2')", "0,30 * 1 */2 *"),
        ("semimonthly", "0 0 1,15 * *"),
        ("*-12-24 18:00", "0 18 24 12 *"),
        ("03-05 08:05:40", "5 8 5 3 * 40"),
        # One-offs.
        ("2030-03-05 08:05:40", "@at 2030-03-05T08:05:40"),
        ("2030-03-05T08:05", "@at 2030-03-05T08:05"),
        ("at 2030-03-05 8:05", "@at 2030-03-05T08:05"),
        ("@at 2030-03-05", "@at 2030-03-05T00:00"),
        ("@at  2030-03-05T08:05", "@at 2030-03-05T08:05"),
        ("@at 2030-03-05t08:05z", "@at 2030-03-05T08:05Z"),
        ("@at 2030-03-05T08:05:40.123+0100", "@at 2030-03-05T08:05:40+01:00"),
        ("TZ=Europe/Berlin @at 2030-03-05T08:05", "@at 2030-03-05T08:05"),
        ("@AT 2030-03-05T08:05", "@at 2030-03-05T08:05"),
        ("@at 2030-03-05T08:05 Europe/Berlin", "@at 2030-03-05T08:05"),
        ("@at 2030-03-05 8:05 (CET)", "@at 2030-03-05T08:05"),
        ("2030-03-05T08:05+01:00[Europe/Berlin]", "@at 2030-03-05T08:05+01:00"),
        ("@at 2030-03-05 08:05 UTC", "@at 2030-03-05T08:05Z"),
        # Words.
        ("@daily 03:00", "0 3 * * *"),
        ("daily at noon", "0 12 * * *"),
        ("Daily at 3am", "0 3 * * *"),
        ("at 12:15 am", "15 0 * * *"),
        ("weekly on monday", "0 0 * * mon"),
        ("weekly, on Mondays and Fridays, at 9:30", "30 9 * * mon,fri"),
        ("every weekday at 17:00", "0 17 * * mon-fri"),
        ("every monday to thursday at 5 pm", "0 17 * * mon-thu"),
        ("monthly on the 15th", "0 0 15 * *"),
        ("every month on the 1st at 4:30", "30 4 1 * *"),
        ("hourly at :15", "15 * * * *"),
        ("0 3 * * mon and fri", "0 3 * * mon,fri"),
        ("0 3 * * mon, wed & fri", "0 3 * * mon,wed,fri"),
        ("0 3 * * mon through fri", "0 3 * * mon-fri"),
        ("0 3 1 and 15 * *", "0 3 1,15 * *"),
        ("0 3 * * weekend", "0 3 * * sat,sun"),
        ("0 3 * * * deploy and notify", "0 3 * * *"),
        # Ranges that run backwards.
        ("* 22-2 * * *", "* 22-23,0-2 * * *"),
        ("* 22-2/2 * * *", "* 22,0,2 * * *"),
        ("0 5-1/2 * * *", "0 5-23/2,1 * * *"),
        ("50-10/5 * * * *", "50,55,0-10/5 * * * *"),
        ("59-0 * * * *", "59,0 * * * *"),
        ("* * * * fri-mon", "* * * * fri-sat,sun-mon"),
        ("* * * * fri-mon/2", "* * * * fri,sun"),
        ("* * * * FRIDAY-MONDAY", "* * * * fri-sat,sun-mon"),
        ("* * * * 1-0", "* * * * 1-7"),
        ("* * * * 7-2", "* * * * 0-2"),
        ("* * * * sat-sun", "* * * * sat,sun"),
        ("0 0 * nov-feb *", "0 0 * nov-dec,jan-feb *"),
        ("0 0 25-5 * *", "0 0 25-31,1-5 * *"),
        ("0 8-18/2,22-2 * * *", "0 8-18/2,22-23,0-2 * * *"),
        # Names.
        ("0 3 * * MONDAY", "0 3 * * mon"),
        ("0 3 * * Tues,Thurs", "0 3 * * tue,thu"),
        ("0 3 * January-MARCH monday-friday", "0 3 * jan-mar mon-fri"),
        ("0 3 * Sept. *", "0 3 * sep *"),
        ("0 3 * M\xe4rz Mi", "0 3 * mar wed"),
        ("0 3 * ao\xfbt lun-ven", "0 3 * aug mon-fri"),
        ("0 3 * enero mi\xe9rcoles", "0 3 * jan wed"),
        ("0 3 * * weekdays", "0 3 * * mon-fri"),
        ("0 3 * * \u5468\u4e00-\u5468\u4e94", "0 3 * * mon-fri"),
    ],
)
def test_what_is_meant_is_what_to_write(text, meant):
    assert advice(text)[1] == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 30 9 * * 1-5", "the seconds come last here"),
        ("0 0 3 13 * FRI", "which is on each day that either day field names"),
        ("0 3 * * * 2026", "no field names the year; write '0 3 * * *', and have the job enabled in 2026 alone"),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "write '0 3 * * *', and 'Europe/Berlin' as the time zone"),
        ("0 3 * * * CET", "write '0 3 * * *', and 'CET' as the time zone"),
        ("0 3 * * * europe/berlin", "write '0 3 * * *', and 'Europe/Berlin' as the time zone"),
        ("CRON_TZ=Mars/Olympus 0 3 * * *", "write '0 3 * * *', and a time zone beside it ('Mars/Olympus' is none)"),
        ("0 3 * * * Backup/run", "a schedule says when, and 'Backup/run' is for the job's function; write '0 3 * * *'"),
        ("0 3 * * * Europe/Berlin", "write '0 3 * * *', and 'Europe/Berlin' as the time zone"),
        ("0 3 * * * root backup", "a schedule says when, and 'root backup' is for the job's function"),
        ("0 0 * * * " + "long " * 20, "and 'long long long long long long long long…' is for the job's function"),
        ("0 3 1 1 * 2030-2032", "and have the job enabled in 2030-2032 alone"),
        ("0 3 * * * GMT+2", "and 'Etc/GMT-2' as the time zone"),
        ("0 3 * * * +02:00", "and 'Etc/GMT-2' as the time zone"),
        ("0 3 * * * +05:30", "and a time zone beside it ('+05:30' is none)"),
        ("0 3 * * * america/New York", "and 'America/New_York' as the time zone"),
        ("0 3 * * * (Berlin)", "and 'Europe/Berlin' as the time zone"),
        ("0 3 * * * Etc/GMT+02", "and 'Etc/GMT+2' as the time zone"),
        ("0 3 * * * Etc/GMT+13", "('Etc/GMT+13' is none)"),
        ("@reboot /bin/x", "'@reboot' names no times, as nodes start at any time"),
        ("crontab(minutes=0, hours=3)", "'crontab(minutes=0, hours=3)' is a call, and a schedule a text"),
        ("0 3 * * * | 0 4 * * *", "2 schedules, and a job has one; have a job for each: '0 3 * * *', '0 4 * * *'"),
        ("0 3 * * * or 0 4 * * * or @daily", "these are 3 schedules"),
        ("0 3 * * *, 0 4 * * *", "these are 2 schedules"),
        ("0 3 * * *\n0 4 * * *", "these are 2 schedules"),
        ("0 3 * * * 0 4 * * *", "these are 2 schedules"),
        ("0\u200b 3 * * *", r"crontab does not read '\u200b'"),
        ("0 3 * * 1\u20135", "crontab does not read '\u2013' (en dash); write"),
        ("0 3 * * mon, fri", "there are no blanks within a field"),
        ("0 0 3 ? * 2-6", "'2-6' counts from Sunday as 1, as Quartz does"),
        ("0 3 l * *", "'l' is 'L' here"),
        ("@every 5", "'@every 5' names no interval; write numbers with d, h, m or s"),
        ("@every 0s", "write one of at least 1s"),
        ("@every 4000d", "write one of at most 3650d"),
        ("every 5 months", "which is the closest of those that go into a year"),
        ("@at noon", "'@at noon' names no time; write a date, a T and a time, as in @at 2026-12-24T18:00"),
        ("@at 2030-02-30T00:00", "2030-02-30T00:00 is no time of the calendar"),
        ("@at 2030-03-05T08:05+19:00", "has an offset that no clock has"),
        ("0 0 * * 1#6", "write 1#1 to 1#5, or 1L for the last one"),
        ("0 0 L-31 * *", "write L to L-30"),
        ("@at 2030-03-05T08:05 europe/berlin", "write '@at 2030-03-05T08:05', and 'Europe/Berlin' as the time zone"),
        (
            "0 0 25-L * *",
            "'25-L' is not understood; write 1 to 31, with * , - / as in man 5 crontab, or L, L-2, LW or 15W",
        ),
        ("0 0 * * 1-5#2", "with * , - / as in man 5 crontab, or 5L or 5#2"),
        ("@reboot", "nodes start at any time; call the function where your project starts, or write one of @hourly"),
    ],
)
def test_it_is_said_what_is_strange_and_what_else_there_is_to_do(text, words):
    assert words in advice(text)[0]


@pytest.mark.parametrize(
    "text", ["0 3 * * *", "0 0 13 * fri", "@daily", "0 3 * jan mon", "* * * * * */5", "*/61 * * * *"]
)
def test_what_crontab_reads_is_not_translated(text):
    parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "0 25 * * *",
        "0 3 * * 8",
        "* * * *",
        "@daily 3",
        "0 3 * jui *",
        "0 3 * * foo",
        "0 0 * * 1#6",
        # Nothing of it may be left out.
        "0 3 * * * at noon",
        "0 3 * * * and on sundays",
        "0 3 * * * until 2027",
        "0 3 * * * --verbose",
        "@daily but not on sundays",
        "every day except sunday",
        "every 5 minutes on weekdays",
        "monthly on monday",
        "daily at 25:00",
        "Mon *-*-01 03:00",
        "@every 5",
        "@every 0s",
        "@every 500ms",
        "@every 4000d",
        "@every",
        "@at",
        "@at noon",
        "@at 2030-03-05 6:00 PM",
        "@at 2030-03-05T08:05 Olympus",
        "@at 2030-02-30 Europe/Berlin",
        "@at 2030-02-30",
        "@at 2030-13-01T00:00",
        "biweekly",
        "bimonthly",
        "biannually",
        "fortnightly",
        "crontab(hour=3, weeks=2)",
        "crontab(0, 3, 1)",
        "crontab(minute=now())",
    ],
)
def test_what_is_not_understood_gets_no_suggestion(text):
    assert advice(text)[1] is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("R R * * *", "H H * * *"),
        ("R(0-5) * * * *", "H(0-5) * * * *"),
        ("R/15 * * * *", "H/15 * * * *"),
        ("h 3 * * *", "H 3 * * *"),
        ("0~30 * * * *", "H(0-30) * * * *"),
        ("~ 3 * * *", "H 3 * * *"),
        ("30~ 3 ~20 * *", "H(30-59) 3 H(1-20) * *"),
        ("~/10 * * * *", "H/10 * * * *"),
        ("5,~ 3 * * MON", "5,H 3 * * MON"),
    ],
)
def test_a_number_that_another_scheduler_chooses_is_chosen_here(text, meant):
    assert advice(text)[1] == meant


BOUNDS = {0: (0, 59), 1: (0, 23), 2: (1, 31), 3: (1, 12), 4: (0, 6)}


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(st.sampled_from([*BOUNDS]), st.data())
def test_a_range_that_runs_backwards_keeps_its_step(place, data):
    low, high = BOUNDS[place]
    first = data.draw(st.integers(low + 1, high))
    last = data.draw(st.integers(low, first - 1))
    step = data.draw(st.integers(1, 9))
    words = ["*"] * 5
    words[place] = f"{first}-{last}" + (f"/{step}" if step > 1 else "")
    says = parse(advice(" ".join(words))[1])
    size = high - low + 1
    meant = {low + (number - low) % size for number in range(first, last + size + 1, step)}
    assert {*(says.minutes, says.hours, says.days, says.months, says.weekdays)[place]} == meant


@settings(derandomize=True, deadline=None, database=None, max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            [
                *"*05?LWH#8a/,-",
                "15W",
                "1-5",
                "5-1",
                "fri-mon/2",
                "mon#2",
                "6L",
                "MON",
                "0/5",
                "H/5",
                "@every",
                "@at",
                "5m",
                "90s",
                "2030-03-05",
                "L-3",
                "friL",
                "2026",
            ]
        ),
        max_size=8,
    )
)
def test_every_suggestion_can_be_written(words):
    refusal = refusal_of(" ".join(words))
    assert refusal is None or str(refusal).isprintable()
    if refusal is not None and refusal.suggestion:
        read(refusal.suggestion)
        assert foreign.suspect(refusal.suggestion) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0 */5 * * * *", "*/5 * * * *"),
        ("0 0 * * * *", "0 * * * *"),
        ("00 0 3 * * *", "0 3 * * *"),
        ("0 3 * * * *", "3 * * * *"),
        ("0 0 3 * * *", "0 3 * * *"),
        ("0 0 12 1 * *", "0 12 1 * *"),
        ("30 * * * * *", "* * * * * 30"),
        ("*/10 * * * * *", "* * * * * */10"),
        ("0 0 3 * * 1-5", "0 3 * * 1-5"),
        ("0 15 10 * * 1", "15 10 * * 1"),
        ("0 */10 * * * 1-5", "*/10 * * * 1-5"),
        ("0 */10 * * * 1,3,5", "*/10 * * * 1,3,5"),
        ("15 10 9 * * 1-5", "10 9 * * 1-5 15"),
        ("15 10 9 * * 5", None),
        ("0 3 * * * 0,5", None),
        ("0 3 * * 1-5 *", "0 3 * * 1-5"),  # the last star is the years'
        ("0 3 31 * 1 *", "0 3 31 * 1"),  # there is no hour 31, so the last star was not a second's
        ("* * * * * *", None),
        ("* * * * * */5", None),
        ("* 9-17 * * mon-fri *", None),
        ("*/5 * * * * 0,30", None),
        ("0 3 * * * 30", None),
        ("0 3 * * * */20", None),
        ("0 3 * * * 0-59", None),
        ("0 3 1 * * 30", None),
        ("0 3 * * * 5", None),
        ("0 3 * * *", None),
        ("@daily", None),
        ("nonsense", None),
    ],
)
def test_a_sixth_field_that_is_not_the_second_is_suspected(text, meant):
    assert foreign.suspect(text) == meant
    if meant:
        parse(text)
        parse(meant)


def test_no_message_has_more_than_one_advice():
    for text in ("0 0 3 ? * 2-6 2026", "CRON_TZ=UTC 0 0 l * *", "0 0 * * fri-mon"):
        assert len(re.findall(r"\bwrite\b", advice(text)[0])) == 1
