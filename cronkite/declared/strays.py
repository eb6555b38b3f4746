"""Which declarations become no job, although nobody has said that they should not?

Those that python has seen and no module that is looked at has; ``crontab`` modules where Django has no app; and modules
of apps that declare jobs, and that nothing imports. Nothing here connects to a database, or imports what it doubts.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

from django.apps import apps
from django.conf import settings

from cronkite import schedules
from cronkite.code import declarations, trials
from cronkite.code.declarations import Declaration
from cronkite.declared import discovery
from cronkite.exceptions import ScheduleError

#: Where other people's code is, and what is no code of the running project.
OTHERS = frozenset({"site-packages", "dist-packages"})
LEFT_OUT = frozenset({"migrations", "tests", "node_modules", "__pycache__"})
#: The most files of the project's apps that are read.
MOST_FILES = 5000


@dataclass(frozen=True)
class Stray:
    """What becomes no job, why (a sentence), and what to do."""

    name: str
    problem: str
    hint: str


def find(known: Collection[str] = ()) -> list[Stray]:
    """Return all strays; ``known`` are the functions that are jobs already, whatever module declares them."""
    names = sorted({*discovery.crontabs(), *discovery.asked})
    trials.try_all(names, trials.BRIEF)
    modules: dict[str, ModuleType] = {}
    for name in names:
        # One that can't be imported is told of as such.
        with suppress(Exception):
            modules[name] = trials.load(name, trials.BRIEF)
    declared = {each.function: each for module in modules.values() for each in discovery.declarations_in(module)}
    jobs = {*declared, *known}
    broken = {*names} - {*modules}
    seen = _seen(jobs, broken, modules)
    return [*_nonsense(declared.values(), modules), *seen, *_beside_the_project(seen), *_unseen(seen, names)]


def _seen(jobs: set[str], broken: set[str], looked_at: Collection[str]) -> list[Stray]:
    """Return the declarations that python has seen, by module."""
    of_module: defaultdict[str, set[str]] = defaultdict(set)
    for declaration in declarations.all_by_cron():
        of_module[declaration.module].add(declaration.function)
    by_attribute = {each.function for each in _by_attribute()}
    for function in by_attribute:
        of_module[function.rpartition(".")[0]].add(function)
    found = []
    for module, functions in sorted(of_module.items()):
        left = sorted(functions - jobs)
        if left and module not in broken:
            hint = _hint_for_lost(module) if module in looked_at else _hint_for_module(module, left, by_attribute)
            found.append(Stray(module, f"{', '.join(map(_last, left))}: declared here, and no job.", hint))
    return found


def _by_attribute() -> Iterator[Declaration]:
    """Yield what an attribute declares of the functions in modules of apps, and in those that are looked at."""
    packages = tuple(f"{app.name}." for app in apps.get_app_configs())
    for name, module in list(sys.modules.items()):
        if not f"{name}.".startswith(packages) or not isinstance(module, ModuleType):
            continue
        # Plain functions only: some objects connect when they are looked into.
        for target in list(vars(module).values()):
            if type(target) is FunctionType and isinstance(target.__dict__.get("schedule"), str):
                declaration = declarations.of(target)
                if declaration is not None and _is_schedule(declaration.schedule):
                    yield declaration


def _hint_for_module(module: str, functions: list[str], by_attribute: set[str]) -> str:
    names = ", ".join(map(_last, functions))
    app = _app_of(module)
    if app is None:
        package = module.rpartition(".")[0] or module
        return (
            f"Its module is in no installed app: add {package!r} to INSTALLED_APPS, or move it into an app, into a "
            "module named crontab."
        )
    if by_attribute.issuperset(functions):
        how = f'Move it there, or declare it there with cronkite.cron("…")({_last(functions[0])})'
    else:
        how = f"Write there: from {module} import {names}"
    return (
        f"Only modules named crontab are looked at, as {app}.crontab. {how}. Or have this one looked at, too: "
        f'Job.auto_discover("{module}") in the app\'s admin.py. If a decorator has hidden it, have that use '
        "functools.wraps."
    )


def _hint_for_lost(module: str) -> str:
    return (
        f"In {module}, the name leads to something else now. Keep the function under its own name; if a decorator has "
        "hidden it, have that use functools.wraps, or declare it with @cronkite.cron beneath the decorator."
    )


def _nonsense(declared: Collection[Declaration], modules: dict[str, ModuleType]) -> Iterator[Stray]:
    """Yield what attributes say that make no schedule."""
    for declaration in declared:
        try:
            schedules.get(declaration.schedule, "UTC")
        except ScheduleError as error:
            yield Stray(declaration.function, f"Its schedule is none. {error}", "Write a crontab expression.")
    for name, module in modules.items():
        for target in vars(module).values():
            if type(target) is FunctionType and target.__module__ == name:
                schedule = target.__dict__.get("schedule", "")
                if not isinstance(schedule, str):
                    problem = f"Its schedule is no text, but {schedule!r}."
                    yield Stray(f"{name}.{target.__name__}", problem, "Write a crontab expression, as in '0 3 * * *'.")


def _beside_the_project(seen: list[Stray]) -> Iterator[Stray]:
    """Yield ``crontab`` modules beside the settings or ``manage.py``, where Django has no app."""
    of_apps = {_file_in(Path(app.path)) for app in apps.get_app_configs()}
    of_apps |= {Path(file) for name in discovery.asked if (file := getattr(sys.modules.get(name), "__file__", None))}
    told = {stray.name for stray in seen}
    for folder, package in _project_folders().items():
        file = _file_in(folder)
        if file is None or file in of_apps or _module_in(package) in told:
            continue
        with suppress(OSError, UnicodeDecodeError):
            if not re.search("cronkite|schedule", file.read_text()):
                continue  # it is about something else
        hint = "Move it into the package of an installed app, as in shop/crontab.py."
        if package:
            hint = f"Add {package!r} to INSTALLED_APPS, or move it into the package of an app that is there."
        yield Stray(
            str(file), "It is in no installed app, so nobody looks at it, and what it declares is no job.", hint
        )


def _project_folders() -> dict[Path, str]:
    """Return the folders that hold the settings or ``manage.py``, each with its package, if it is one."""
    found: dict[Path, str] = {}
    for name in filter(None, [settings.SETTINGS_MODULE, getattr(settings, "ROOT_URLCONF", None)]):
        parts = str(name).split(".")
        for depth in range(len(parts) - 1, 0, -1):
            package = ".".join(parts[:depth])
            for path in getattr(sys.modules.get(package), "__path__", []):
                found.setdefault(Path(path).resolve(), package)
        if len(parts) == 1 and (file := getattr(sys.modules.get(name), "__file__", None)):
            found.setdefault(Path(file).resolve().parent, "")
    if sys.argv and Path(sys.argv[0]).name == "manage.py":
        found.setdefault(Path(sys.argv[0]).resolve().parent, "")
    return found


def _unseen(seen: list[Stray], looked_at: Collection[str]) -> Iterator[Stray]:
    """Yield modules of the project's apps that declare jobs, by their text, and that nothing has imported."""
    told = {*looked_at, *(stray.name for stray in seen)}
    number = 0
    for app in apps.get_app_configs():
        folder = Path(app.path)
        if OTHERS.intersection(folder.parts) or app.name.partition(".")[0] in {"django", "cronkite"}:
            continue
        for file in _sources(folder):
            number += 1
            if number > MOST_FILES:
                return
            name = ".".join([app.name, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
            if name in told or name in sys.modules:
                continue
            told.add(name)
            with suppress(OSError, ValueError, SyntaxError, RecursionError, MemoryError):
                text = file.read_text()
                if "cronkite" in text and _declares(text):
                    hint = _hint_for_module(name, [f"{name}.…"], set()).replace("import …", "import the functions")
                    yield Stray(name, "It declares jobs, and nothing imports it, so they are none.", hint)


def _declares(text: str) -> bool:
    """Whether a module of that text calls ``cronkite.cron``, by whatever name it has there."""
    nodes = list(ast.walk(ast.parse(text)))
    packages, names = {"cronkite"}, set()
    # In the order of the text, nearly: a name is bound before it is used.
    for node in nodes:
        if isinstance(node, ast.Import):
            packages |= {each.asname for each in node.names if each.name == "cronkite" and each.asname}
        elif isinstance(node, ast.ImportFrom) and node.module in {"cronkite", "cronkite.code.declarations"}:
            names |= {each.asname or each.name for each in node.names if each.name == "cron"}

    def is_cron(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr == "cron" and isinstance(node.value, ast.Name) and node.value.id in packages
        return isinstance(node, ast.Name) and node.id in names

    for node in nodes:
        if isinstance(node, ast.Assign) and is_cron(node.value):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return any(isinstance(node, ast.Call) and is_cron(node.func) for node in nodes)


def _sources(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(
            each for each in folders if each not in LEFT_OUT and Path(path, each, "__init__.py").exists()
        )
        yield from (Path(path, each) for each in sorted(files) if each.endswith(".py") and not each.startswith("test"))


def _file_in(folder: Path) -> Path | None:
    candidates = [folder / "crontab.py", folder / "crontab" / "__init__.py"]
    return next((each.resolve() for each in candidates if each.exists()), None)


def _module_in(package: str) -> str:
    return f"{package}.crontab" if package else "crontab"


def _app_of(module: str) -> str | None:
    """Return the app whose package holds the module."""
    names = [app.name for app in apps.get_app_configs() if f"{module}.".startswith(f"{app.name}.")]
    return max(names, key=len, default=None)


def _last(dotted: str) -> str:
    return dotted.rpartition(".")[2]


def _is_schedule(text: str) -> bool:
    try:
        schedules.get(text, "UTC")
    except ScheduleError:
        return False
    return True
