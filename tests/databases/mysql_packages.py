"""MySQL for machines whose distribution has only MariaDB: Debian's own packages of it, unpacked into a cache folder.

Debian carries MySQL in its unstable release alone. Its packages are fetched with apt from the mirror that this
machine's apt uses, through lists and folders of our own: nothing is installed and apt's state is not touched, so this
needs no root. The server's C library is newer than the machine's; it is started through the loader that came with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from databases.processes import NoServer

ADVICE = "Install MySQL's server (mysqld) yourself, start Docker, or give a server's URL in CRONKITE_MYSQL_URL."
KEYRINGS = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
# The package manager's own tools and interpreters, which MySQL's dependencies drag in and its server never loads.
UNUSED = re.compile(r"(?!lib(?!perl|gdbm)|mysql-server-core)")
# The sandbox's user: root's apt would otherwise download as a user who cannot write into this folder.
APT_CONF = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"""


def unpacked() -> Path:
    """The folder that MySQL is unpacked in; it is fetched if it is not there yet. Raises NoServer if it can't be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "django-cronkite"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / "mysql"
    with _locked(cache / "mysql.lock"):
        if not target.exists():
            # Renamed only when complete: an interrupted call leaves nothing that looks like a server.
            with tempfile.TemporaryDirectory(dir=cache, prefix="mysql-") as folder:
                _fetch(Path(folder))
                (Path(folder) / "root").rename(target)
    return target


def command(root: Path) -> list[str]:
    """The beginning of a command line that starts the MySQL unpacked in this folder."""
    daemon = root / "usr/sbin/mysqld"
    loaders = [*root.glob("usr/lib/*/ld-linux*.so.*"), *root.glob("usr/lib*/ld-linux*.so.*")]
    if not daemon.exists() or not loaders:
        raise NoServer(f"{root} holds no MySQL; remove it to have it fetched again")
    libraries = next(root.glob("usr/lib/*/libc.so.6")).parent
    share = root / "usr/share/mysql"
    return [
        str(loaders[0]),
        "--library-path",
        str(libraries),
        str(daemon),
        "--no-defaults",
        f"--basedir={root}/usr",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share}/charsets",
        f"--plugin-dir={root}/usr/lib/mysql/plugin",
    ]


def _fetch(folder: Path) -> None:
    """Download MySQL's server and the libraries that it loads, and unpack them into ``folder``/root."""
    if not all(shutil.which(tool) for tool in ("apt-get", "dpkg", "dpkg-deb")):
        raise NoServer(f"This machine has no apt to fetch MySQL with. {ADVICE}")
    for name in ("state/lists/partial", "cache/archives/partial", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    keyring = next((path for name in KEYRINGS if (path := Path("/usr/share/keyrings", name)).exists()), None)
    signed = f"[signed-by={keyring}] " if keyring else ""
    (folder / "sources.list").write_text(f"deb {signed}{_mirror()} unstable main\n")
    architecture = _output(["dpkg", "--print-architecture"]).strip()
    (folder / "apt.conf").write_text(APT_CONF.format(folder=folder, architecture=architecture))
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
    _output(["apt-get", "-qq", "update"], environment)
    _output(["apt-get", "-qq", "-y", "--download-only", "install", "mysql-server-core"], environment)
    for package in sorted((folder / "cache/archives").glob("*.deb")):
        if not UNUSED.match(package.name):
            _output(["dpkg-deb", "--extract", str(package), str(folder / "root")])
    for name in ("usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(folder / "root" / name, ignore_errors=True)


def _mirror() -> str:
    """The address of the Debian archive that this machine's apt is configured with. Raises NoServer without one."""
    listing = "$(REPO_URI)|$(LABEL)|$(ORIGIN)"
    targets = _output(["apt-get", "indextargets", "--format", listing, "Created-By: Packages"]).splitlines()
    for target in targets:
        address, label, origin = target.split("|")
        if (label, origin) == ("Debian", "Debian"):
            return address
    # Without lists (a fresh container) apt knows no labels yet; the sources themselves say where they lead.
    sources = Path("/etc/apt")
    files = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in files if path.suffix in (".list", ".sources") and path.exists())
    found = re.search(r"^(?:URIs:|deb\s+(?:\[.*?\]\s+)?)\s*(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise NoServer(f"This machine's apt is not configured with a Debian archive to fetch MySQL from. {ADVICE}")
    return found[1]


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise NoServer(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}\n{ADVICE}")
    return done.stdout


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the block: several environments may want MySQL at the same moment."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
