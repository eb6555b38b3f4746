"""The test project's database during a benchmark: tables made anew, and rows by the million."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from importlib import metadata

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Max, Min, Model

from benchmarks.processes import Failed
from cronkite.database import clock
from cronkite.models import Job, Log

#: How far from now (hours) slots are that are to stay out of the way.
FAR = timedelta(hours=1)
#: The function of jobs that are to do nothing.
NOTHING = "app.benched.nothing"
#: So many rows are added by one statement at most.
STATEMENT = 1_000_000
#: ``slot`` and so many minutes.
LATER = {
    "postgresql": "slot + make_interval(mins => %s)",
    "mysql": "slot + INTERVAL %s MINUTE",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%S', slot, '+' || %s || ' minutes')",
}


def set_up() -> None:
    """Make all tables, if they are not there."""
    call_command("migrate", verbosity=0, interactive=False)
    assert ContentType.objects.exists()


def fresh() -> None:
    """Make cronkite's tables anew: empty, and never analysed."""
    call_command("migrate", "cronkite", "zero", verbosity=0, interactive=False)
    call_command("migrate", "cronkite", verbosity=0, interactive=False)


def empty(model: type[Model]) -> None:
    """Leave nothing in the table of a model, whose migrations may not be reversible."""
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), [model._meta.db_table]))


def version() -> str:
    """Return the name and the version of the database, and those of the driver, on which much depends."""
    driver = connection.Database
    if connection.vendor == "sqlite":
        return f"SQLite {driver.sqlite_version} ({driver.__name__.partition('.')[0]})"
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        said = str(cursor.fetchone()[0])
    if connection.vendor == "postgresql":
        said = " ".join(said.split()[:2])
    else:
        said = f"MariaDB {said.partition('-')[0]}" if "MariaDB" in said else f"MySQL {said}"
    # MySQLdb does not say its version.
    number = getattr(driver, "__version__", "").split() or [metadata.version("mysqlclient")]
    return f"{said} ({driver.__name__} {number[0]})"


def add_jobs(number: int, schedule: str, next_run: datetime, function: str = NOTHING, **columns: object) -> None:
    """Add so many jobs that are alike, by statements that double their number."""
    if not number:
        return
    job = Job(name="job", function=function, schedule=schedule, next_run=next_run, **columns)
    first = Job.objects.order_by("-id").values_list("id", flat=True).first() or 0
    Job.objects.bulk_create([job])
    ours = (field for field in Job._meta.concrete_fields if not field.primary_key and not field.generated)
    names = ", ".join(connection.ops.quote_name(field.column) for field in ours)
    have = 1
    while have < number:
        more = min(have, number - have, STATEMENT)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO cronkite_job ({names}) SELECT {names} FROM cronkite_job "
                "WHERE id > %s ORDER BY id LIMIT %s",
                [first, more],
            )
        have += more


def add_idle_jobs(number: int) -> None:
    """Add so many jobs whose slot is at least an hour away."""
    now = clock.now("default")
    hour = (now + 12 * FAR).hour
    slot = (now + 12 * FAR).replace(minute=30, second=0, microsecond=0)
    add_jobs(number, f"30 {hour} * * *", slot)


def add_due_jobs(number: int, function: str = NOTHING, **columns: object) -> None:
    """Add so many jobs that are all due in one slot, an hour ago; their next one is a day later."""
    slot = (clock.now("default") - FAR).replace(minute=0, second=0, microsecond=0)
    add_jobs(number, f"0 {slot.hour} * * *", slot, function, **columns)


def settle() -> None:
    """Have the database know its tables as it would after a while, so that it does not see to that in the middle."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE cronkite_job")
            cursor.execute("VACUUM ANALYZE cronkite_log")
            cursor.execute("CHECKPOINT")
        elif connection.vendor == "mysql":
            cursor.execute("ANALYZE TABLE cronkite_job, cronkite_log")
            cursor.fetchall()
        else:
            cursor.execute("ANALYZE")


def finished() -> int:
    """Return how many runs have ended."""
    return Log.objects.filter(finished_at__isnull=False).count()


def pace(number: int) -> tuple[float, datetime]:
    """Return the jobs per second between the first claim and the last end, and that end, by the database's clock.

    Raises :class:`Failed` unless exactly so many jobs ran, and all well.
    """
    logs = Log.objects.all()
    good = logs.filter(status=Log.Status.SUCCEEDED).count()
    if good != number or logs.count() != number:
        raise Failed(f"of {number} jobs, {good} ran well, with {logs.count()} logs")
    ends = logs.aggregate(first=Min("created"), last=Max("finished_at"))
    return number / (ends["last"] - ends["first"]).total_seconds(), ends["last"]


def add_logs(jobs: list[int], each: int) -> None:
    """Have so many rows of the log for each of the jobs, a minute apart."""
    start = datetime(2000, 1, 1, tzinfo=timezone.utc)
    columns = {"job_name": "job", "function": "app.benched.nothing", "node": "node", "status": "succeeded", "fence": 1}
    Log.objects.bulk_create(
        [Log(job_id=job, slot=start, created=start, started_at=start, finished_at=start, **columns) for job in jobs],
        batch_size=1000,
    )
    names = [field.column for field in Log._meta.concrete_fields if not field.primary_key]
    quoted = [connection.ops.quote_name(name) for name in names]
    others = {"slot": LATER[connection.vendor], "fence": "fence + %s"}
    chosen = [others.get(name, column) for name, column in zip(names, quoted, strict=True)]
    have = 1
    while have < each:
        more = min(have, each - have, max(1, STATEMENT // len(jobs)))
        # The order of the parameters is that of the columns.
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO cronkite_log ({', '.join(quoted)}) SELECT {', '.join(chosen)} FROM cronkite_log "
                "WHERE fence <= %s",
                [have, have, more],
            )
        have += more
