"""How do declared jobs become rows?

Every node may do this at every start, at the same time: nothing is written where nothing changed, one node's INSERT
wins by the unique ``declared_as``, and a row that stays keeps its slots, its lock and its logs.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import ModuleType
from typing import TypeVar

from django.apps import apps
from django.db import DatabaseError, IntegrityError, connections
from django.db.models import Q
from django.utils.module_loading import module_has_submodule

from cronkite.claims import skips
from cronkite.code import declarations, modules, outcomes, taster, trials
from cronkite.code.declarations import Declaration
from cronkite.database import quirks, waits
from cronkite.declared.deeds import Deeds
from cronkite.exceptions import CronkiteError, HarmfulModule, OneOffIsOver
from cronkite.models import Group, Job, primary

T = TypeVar("T")

logger = logging.getLogger("cronkite")

#: How often to start anew when other nodes, doing the same, were in the way.
ATTEMPTS = 20
#: How long (seconds) the jobs of a module may be waited for whose rows others have locked, and how often to look.
PATIENCE = 2.0
PAUSE = 0.1

#: Asked for before the tables were there: (module, delete_first).
_waiting: list[tuple[str, bool]] = []
#: The modules that somebody had looked at, whatever their names.
asked: set[str] = set()


def auto_discover(module: str | ModuleType, delete_first: bool = False) -> Deeds:
    """See :meth:`Job.auto_discover`; return what was done.

    Raises what the module's import raises; :class:`HarmfulModule` if it would end or hold this process.

    While apps are still loading, as in an ``admin.py``, a module that can't be imported is only logged, and a database
    that is out of reach only warned of: neither must keep a node from starting, nor ``collectstatic`` from running
    where there is no database.
    """
    deeds = Deeds()
    name = module if isinstance(module, str) else module.__name__
    asked.add(name)
    if taster.is_taster():
        return deeds  # it tries one import after another, and writes nothing
    if apps.ready:
        _discover(name, declarations_in(trials.load(name, trials.LONG)), delete_first, deeds)
        return deeds
    try:
        declared = declarations_in(trials.load(name, trials.QUICK))
    except Exception as error:  # noqa: BLE001 - a module may raise anything
        _tell(name, error)
        return deeds
    try:
        with _at_start():
            _discover(name, declared, delete_first, deeds)
    except DatabaseError as error:
        logger.warning("The jobs of %s are not looked at until the next start: %s", name, error)
    return deeds


def discover_apps() -> Deeds:
    """Make jobs of what the ``crontab`` modules of installed apps declare, and of what waited for the tables.

    A job that exists is left as it is. A module that is broken, or a database that is away, is logged, and keeps
    neither the other jobs from being found nor a node from ticking (promise P4).
    """
    deeds = Deeds()
    wanted = [(module, False) for module in crontabs()] + _waiting
    _waiting.clear()
    trials.try_all([module for module, _ in wanted], trials.LONG)
    for module, delete_first in wanted:
        try:
            if done := auto_discover(module, delete_first):
                deeds.join(done)
        except Exception as error:  # noqa: BLE001
            _tell(module, error)
            deeds.broken.append(_broken(module, error))
    return deeds


def _broken(module: str, error: Exception) -> str:
    deed = error.deed if isinstance(error, HarmfulModule) else modules.deed(error)
    return f"{module}, which could not be looked at: {deed}"


def _tell(module: str, error: Exception) -> None:
    # Of what has ended its process, there is no traceback to show.
    is_harmful = isinstance(error, HarmfulModule)
    shown = None if is_harmful else outcomes.for_logger(error)
    why = error if is_harmful else modules.text(error)
    logger.error("The jobs that %s declares could not be looked at. %s.", module, why, exc_info=shown)


def is_waiting() -> bool:
    """Tell whether the tables are not there yet, as far as is known."""
    return bool(_waiting)


def declared_by_apps() -> list[Declaration]:
    """Return what the ``crontab`` modules of installed apps declare; one that can't be imported declares nothing."""
    return declared_in_all(crontabs())


def declared_in_all(names: list[str]) -> list[Declaration]:
    """Return what these modules declare; one that can't be imported declares nothing."""
    return _seen_in_all(names)[0]


def _seen_in_all(names: list[str]) -> tuple[list[Declaration], list[str]]:
    """Return what these modules declare, and which of them could not be looked at."""
    found: list[Declaration] = []
    broken: list[str] = []
    trials.try_all(names, trials.BRIEF)
    for module in names:
        try:
            found += declarations_in(trials.load(module, trials.BRIEF))
        except Exception:  # noqa: BLE001 - code of others may raise anything, and discover_apps logs it
            broken.append(module)
    return found, broken


def crontabs() -> list[str]:
    """Return the names of the ``crontab`` modules of installed apps."""
    return [f"{app.name}.crontab" for app in apps.get_app_configs() if module_has_submodule(app.module, "crontab")]


def declarations_in(module: ModuleType) -> list[Declaration]:
    """Return what ``module`` declares, in its order."""
    return declarations.in_module(module, _is_crontab)


def _is_crontab(module: str) -> bool:
    package, _, name = module.rpartition(".")
    return name == "crontab" and any(app.name == package for app in apps.get_app_configs())


def _module(dotted: str) -> str:
    return dotted.rpartition(".")[0]


@contextmanager
def _at_start() -> Iterator[None]:
    """Use the database while apps are loading, and leave no trace of that."""
    connection = connections[primary.alias()]
    was_open = connection.connection is not None
    try:
        with warnings.catch_warnings():
            # Django warns of queries at this time, and is right for most: the tables may be missing, which is seen to
            # here, and the tests' database is not chosen yet, so that it is the project's own which gets the jobs.
            warnings.filterwarnings("ignore", message="Accessing the database during app initialization")
            # One that was open is somebody's, who may have set it up.
            with nullcontext() if was_open else waits.impatient(connection.alias):
                yield
    finally:
        # A server that loads the project before it forks would share the connection between its processes.
        if not was_open:
            connection.close()


def _discover(module: str, declared: list[Declaration], delete_first: bool, deeds: Deeds) -> None:
    if not declared and not delete_first:
        return
    if not _has_tables():
        _waiting.append((module, delete_first))
        return
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _synchronise(module, declared, delete_first, deeds)
            return
        except DatabaseError as error:
            if not _is_rivalry(error) or attempt == ATTEMPTS or quirks.is_borrowed(connections[primary.alias()]):
                raise


def _is_rivalry(error: DatabaseError) -> bool:
    """Whether a node that does the same at the same time has inserted, changed or deleted a row under our hands."""
    # What is just a DatabaseError, of no narrower class, was raised by an edit that came too late.
    return type(error) is DatabaseError or isinstance(error, IntegrityError) or quirks.is_conflict(error)


def _has_tables() -> bool:
    """Whether the table of jobs is there, with all its columns: an upgrade's migration may be yet to come."""
    connection = connections[primary.alias()]
    meta = Job._meta  # noqa: SLF001 - public, whatever its name
    with connection.cursor() as cursor:
        if meta.db_table not in connection.introspection.table_names(cursor):
            return False
        present = {column.name for column in connection.introspection.get_table_description(cursor, meta.db_table)}
    return present >= {field.column for field in meta.concrete_fields}


def _synchronise(module: str, declared: list[Declaration], delete_first: bool, deeds: Deeds) -> None:
    using = primary.alias()
    until = time.monotonic() + PATIENCE
    inserts = _Inserts(until)
    prefix = f"{module}."
    # Of functions that the module only names.
    foreign = [declaration.function for declaration in declared if declaration.module != module]
    # Also a row that the module declared, and that somebody had call another function since.
    wanted = Q(function__startswith=prefix) | Q(declared_as__startswith=prefix)
    if foreign:
        wanted |= Q(function__in=foreign) | Q(declared_as__in=foreign)
    rows = Job.objects.using(using).filter(wanted)
    # A row that is rolled back after all would be left as it is, or missing until the next start.
    quirks.read_committed(connections[using])
    named = list(rows.order_by("id"))
    present = [
        job
        for job in named
        if module in {_module(job.function), _module(job.declared_as or "")}
        or {job.function, job.declared_as} & {*foreign}
    ]
    for declaration in declared:
        kept = _find(declaration, present)
        if kept is None:
            why = _add(declaration, inserts, deeds)
        else:
            why = _keep(kept, declaration, delete_first and not _is_held_back(kept, declaration, until), deeds)
            if delete_first:
                present.remove(kept)
        if why:
            deeds.refused.append(f"{declaration.function}, which can't be a job: {why}")
    _add_groups(groups_of(declared), inserts)
    inserts.tell(module)
    if delete_first and present:
        _delete_others(module, present, foreign, until, deeds)


def _delete_others(module: str, present: list[Job], foreign: list[str], until: float, deeds: Deeds) -> None:
    """Delete the jobs that ``module`` does not declare, unless another module does, or may do so."""
    using = primary.alias()
    declared, broken = _seen_in_all(crontabs())
    if broken:
        # A broken module harms no jobs but its own.
        said = "What %s does not declare any more is not deleted: %s could not be looked at."
        logger.warning(said, module, ", ".join(broken))
        return
    elsewhere = {declaration.function for declaration in declared}
    for job in present:
        # What another module declares, of a function that is defined here, or the other way round, is that one's.
        if job.declared_as in elsewhere or job.function in foreign or _is_held(job, until):
            continue
        # What another node inserted since we looked is not among these.
        if _is_deleted(job, using):
            logger.info("Job %r (%s) is deleted: %s does not declare it.", job.name, job.function, module)
            deeds.deleted.append(f"{job.name} ({job.function}): deleted, as {module} does not declare it")


class _Inserts:
    """What is inserted, unless another transaction is about to insert the same, and keeps everybody waiting.

    That can't be seen before. So each INSERT waits for a moment, and when that was in vain ``until`` then (monotonic
    seconds), no other is tried: most often that transaction does all that is done here. No start of a node waits for
    it for long (promise P4).
    """

    def __init__(self, until: float) -> None:
        self._until = until
        self._left: list[str] = []
        self._gave_up = False

    def do(self, name: str, insert: Callable[[], T]) -> T | None:
        """Return what ``insert`` returns, or ``None`` if ``name`` is left to the next start."""
        while not self._gave_up:
            try:
                return insert()
            except DatabaseError as error:
                if not _is_in_vain(error):
                    raise
                self._gave_up = time.monotonic() >= self._until
        self._left.append(name)
        return None

    def tell(self, module: str) -> None:
        """Say what is left."""
        if self._left:
            said = "What %s declares is left to the next start, as another transaction is about to insert it: %s."
            logger.warning(said, module, ", ".join(self._left))


def _add_groups(groups: dict[str, int], inserts: _Inserts) -> None:
    def ensure() -> None:
        with waits.limited(primary.alias(), reads_latest=True):
            Group.objects.using(primary.alias()).ensure(groups)

    if groups:
        inserts.do("their groups", ensure)


def groups_of(declared: Iterable[Declaration]) -> dict[str, int]:
    """Return how many jobs of a group may run at a time, by the groups' names, as far as these declarations say so.

    A group of which none says it gets its row when it is first needed: another module may be the one that says it.
    """
    return {each.group: each.max_running for each in declared if each.group and each.max_running is not None}


def _add(declaration: Declaration, inserts: _Inserts, deeds: Deeds) -> str:
    """Make a job of a declaration; return why it can't be one, or nothing, as also if it is left to the next start."""
    create = partial(_create, declaration, primary.alias())
    why = inserts.do(declaration.name, partial(write_one, declaration, create))
    if why == "":
        beginning = "" if declaration.enabled else ", disabled"
        deeds.added.append(f"{_shown(declaration)}: added, {declaration.spelled}{beginning}")
    return why or ""


def _keep(job: Job, declaration: Declaration, may_overwrite: bool, deeds: Deeds) -> str:
    """See to a job that exists; return why it can't be what the code declares, or nothing."""
    columns = list(declaration.differences(job)) if job.declared_as is not None or may_overwrite else []
    if not columns:
        return ""
    if not may_overwrite:
        deeds.kept.append(job.name)
        return ""
    if not (why := write_one(declaration, partial(overwrite, job, declaration))):
        deeds.changed.append(f"{_shown(declaration)}: changed, {', '.join(sorted(columns))}")
    return why


def _is_held_back(job: Job, declaration: Declaration, until: float) -> bool:
    return bool(declaration.differences(job)) and _is_held(job, until)


def _shown(declaration: Declaration) -> str:
    return f"{declaration.name} ({declaration.what})"


def _is_deleted(job: Job, using: str) -> bool:
    """Delete the job, unless another transaction has locked one of its logs, which are written then, too."""
    try:
        with waits.limited(using):
            job.delete()
    except DatabaseError as error:
        if not _is_in_vain(error):
            raise
        said = "Job %r is left as it is: its logs are locked by another transaction. The next start sees to it."
        logger.warning(said, job.name)
        return False
    return True


def _is_in_vain(error: DatabaseError) -> bool:
    """Whether another transaction is in the way, and has not ended; how long the caller's own waits is his."""
    return quirks.has_waited_in_vain(error) and not quirks.is_borrowed(connections[primary.alias()])


def _is_held(job: Job, until: float) -> bool:
    """Whether another transaction has locked the row, and keeps it ``until`` then (monotonic seconds).

    Most often it is a node that claims the job, which is over in a moment. But no start of a node waits for whoever
    has locked it for long (promise P4).
    """
    while skips.held({job.pk}):
        if time.monotonic() >= until:
            said = "Job %r is left as it is: its row is locked by another transaction. The next start sees to it."
            logger.warning(said, job.name)
            return True
        time.sleep(PAUSE)
    return False


def write_one(declaration: Declaration, write: Callable[[], object]) -> str:
    """Write a declaration's row by calling ``write``; tell of it, and return why, if there can't be such a row.

    So one that is refused stops no other. What is not about this one is raised: an outage, or another node's write.
    """
    try:
        write()
    except (CronkiteError, ValueError, DatabaseError) as error:
        why = _refusal(declaration, error)
        if why is None:
            raise
        logger.error("%s is declared as a job, but can't be one: %s", declaration.what, why)
        return why
    return ""


def _refusal(declaration: Declaration, error: Exception) -> str | None:
    """Say why this declaration was refused; ``None`` if the error is not about it."""
    connection = connections[primary.alias()]
    if isinstance(error, IntegrityError):
        rows = Job.objects.using(connection.alias)
        if connection.in_atomic_block:
            # An ordinary read may show what was there before the row that is in the way.
            rows = rows.select_for_update()
        named = rows.filter(declared_as=declaration.function).values_list("declared_as", flat=True).first()
        if named is None:
            return str(error)
        # Many collations of MySQL and MariaDB don't tell "Bill" from "bill", nor "menu" from "menü".
        is_own = named == declaration.function
        return None if is_own else f"the database takes its name for {named}, which is a job. Rename one of the two."
    if isinstance(error, DatabaseError) and (_is_rivalry(error) or not quirks.lives(connection)):
        return None
    return str(error)


def _find(declaration: Declaration, present: list[Job]) -> Job | None:
    """Return the job that is declared so; else one that was entered for the same function."""
    for job in present:
        if job.declared_as == declaration.function:
            return job
    return next((job for job in present if job.declared_as is None and job.function == declaration.function), None)


def _create(declaration: Declaration, using: str) -> None:
    job = Job(**declaration.columns(), enabled=declaration.enabled)
    with waits.limited(using):
        _save(job, using)
    logger.info(
        "Job %r (%s) is declared, with the schedule %s.", declaration.name, declaration.function, declaration.spelled
    )


def overwrite(job: Job, declaration: Declaration) -> list[str]:
    """Have the row say what the code says, and return the columns that changed. Raises what :meth:`Job.save` raises."""
    changed = declaration.differences(job)
    if changed:
        # Nobody has disabled a one-off that is done: it begins anew with another time.
        begins_anew = job.is_done and bool({"schedule", "timezone"} & {*changed})
        for column, (_, declared) in changed.items():
            setattr(job, column, declared)
        if begins_anew:
            job.enabled = declaration.enabled
        _save(job, primary.alias(), [*changed, "enabled"] if begins_anew else list(changed))
    return list(changed)


def _save(job: Job, using: str, columns: list[str] | None = None) -> None:
    """Save the job; a one-off whose time has been before its row says so is disabled, as one that is done."""
    try:
        job.save(using=using, update_fields=columns)
    except OneOffIsOver as error:
        job.enabled = False
        job.save(using=using, update_fields=None if columns is None else [*columns, "enabled"])
        logger.info("Job %r (%s) is disabled: %s.", job.name, job.function, error)
