"""The package holds what it should, and works where nothing else is installed.

It is built as a release is: the sdist from the checkout, the wheel from the sdist. Then the wheel goes into a bare
virtual environment, with what it depends on, and the example runs there. ``tox -e package`` calls this.
"""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPENDENCIES = {"django", "croniter"}
#: What pytest loads, apart from the app.
PLUGIN = "pytest_cronkite.py"
ALSO_IN_THE_SDIST = ("LICENSE", "README.rst", "pyproject.toml", "tox.ini", PLUGIN)
FOLDERS_OF_THE_SDIST = ("cronkite", "docker", "docs", "example-project", "tests")


def files_below(folder: str) -> set[str]:
    """The checkout's files in a folder, without what running them leaves behind."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if "__pycache__" not in path.parts and ".hypothesis" not in path.parts and ".sqlite3" not in path.name
    }


def check_sdist(sdist: Path) -> None:
    """Everything that a distribution's packager needs to build and to test is in it."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = set(ALSO_IN_THE_SDIST).union(*map(files_below, FOLDERS_OF_THE_SDIST))
    missing = sorted(wanted - names)
    if missing:
        sys.exit(f"{sdist.name} lacks {', '.join(missing)}")
    print(f"{sdist.name}: {len(names)} names, complete")


def check_wheel(wheel: Path) -> None:
    """The app is in it with all its files, and nothing else; it asks for Django and croniter alone."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.partition("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    app = {name for name in names if not name.startswith(f"{info}/")}
    here = files_below("cronkite") | {PLUGIN}
    if app != here:
        sys.exit(f"{wheel.name} and the checkout differ in {sorted(app ^ here)}")
    catalogue = "cronkite/locale/zh_Hans/LC_MESSAGES/django"
    wanted = ["cronkite/py.typed", "cronkite/migrations/__init__.py", f"{catalogue}.po", f"{catalogue}.mo"]
    for name in [*wanted, f"{info}/licenses/LICENSE"]:
        if name not in names:
            sys.exit(f"{wheel.name} lacks {name}")
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    dependencies = {re.split(r"[^\w-]", text)[0].lower() for text in required}
    if dependencies != DEPENDENCIES:
        sys.exit(f"{wheel.name} depends on {', '.join(sorted(dependencies))}")
    print(f"{wheel.name}: {len(app)} files of the app, version {metadata['Version']}, needs {'; '.join(required)}")


def run(*command: object, folder: Path) -> None:
    """Run a command in a folder; end with its exit code if that is not 0."""
    print("$", *command, flush=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DATABASE_URL")}
    code = subprocess.run([str(part) for part in command], cwd=folder, env=environment).returncode
    if code:
        sys.exit(code)


def main() -> None:
    """Build, look inside, install, run."""
    with tempfile.TemporaryDirectory(prefix="cronkite-package-") as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, folder=folder)
        (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
        check_sdist(sdist)
        check_wheel(wheel)
        run(sys.executable, "-m", "venv", folder / "bare", folder=folder)
        python = folder / "bare" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", wheel, folder=folder)
        run(python, "-m", "pip", "check", folder=folder)
        # A copy, away from the checkout: the package that the example imports can only be the installed one.
        shutil.copytree(
            ROOT / "example-project", folder / "example-project", ignore=shutil.ignore_patterns("*.sqlite3*")
        )
        run(python, folder / "example-project" / "run.py", folder=folder)
        run(python, folder / "example-project" / "manage.py", "test", "shop", folder=folder)


if __name__ == "__main__":
    main()
