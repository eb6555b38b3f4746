"""What the README and the pages below ``docs/`` consist of: blocks of code, tables, pictures and words."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = "README.rst"
#: The text of each document, by its path from the root.
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / README, *sorted((ROOT / "docs").rglob("*.rst"))]
}
#: Where a line ends means nothing to a reader.
WORDS = " ".join(" ".join(TEXTS.values()).split())


@dataclass(frozen=True)
class Block:
    """A block of code, without its indentation."""

    page: str
    line: int
    language: str
    code: str

    @property
    def title(self) -> str:
        """What a comment on its first line says: mostly, the file that it belongs into."""
        first = self.code.partition("\n")[0]
        return first.removeprefix("# ") if first.startswith("# ") else ""

    @property
    def body(self) -> str:
        """The code without its title."""
        return self.code.partition("\n")[2] if self.title else self.code

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Table:
    """A list-table: its title, the headings of its columns, and its rows."""

    page: str
    title: str
    head: list[str]
    rows: list[list[str]]

    @property
    def by_first(self) -> dict[str, list[str]]:
        """The other cells of each row, by the first."""
        return {row[0].strip("`"): row[1:] for row in self.rows}


def _blocks(page: str, text: str) -> list[Block]:
    pattern = r"^( *)\.\. code-block:: *(\S*)\n((?:\1 +:.*\n)*)\n((?:\1 +.*\n|\n)+)"
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[2], inspect.cleandoc(match[4]) + "\n")
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]


def _tables(page: str, text: str) -> list[Table]:
    found = []
    for match in re.finditer(r"^\.\. list-table::(.*)\n((?: .*\n|\n)+)", text, re.MULTILINE):
        rows = [
            [" ".join(cell.split()) for cell in re.split(r"^     -", row, flags=re.MULTILINE)]
            for row in re.split(r"^   \* -", match[2], flags=re.MULTILINE)[1:]
        ]
        assert len({len(row) for row in rows}) == 1, f"a row of the table {rows[0]} in {page} has too few cells"
        found.append(Table(page, match[1].strip(), rows[0], rows[1:]))
    return found


BLOCKS = [block for page, text in TEXTS.items() for block in _blocks(page, text)]
TABLES = [table for page, text in TEXTS.items() for table in _tables(page, text)]


def blocks(language: str, page: str) -> list[Block]:
    """Return the blocks of a page in a language."""
    return [block for block in BLOCKS if (block.language, block.page) == (language, page)]


def table(first: str, title: str = "") -> dict[str, list[str]]:
    """Return the rows of the one table whose first column is headed ``first``: the other cells, by the first."""
    (only,) = [each for each in TABLES if (each.head[0], each.title) == (first, title)]
    return only.by_first
