"""Draw which parts ``cronkite`` has, and which may import which: from the import contract, and from their first lines.

    python docs/wings.py

writes ``docs/wings.svg``. ``tests/test_house.py`` fails if that is not what is drawn now.
"""

from __future__ import annotations

import ast
import html
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "wings.svg"
#: Sizes, in pixels.
WIDTH, MARGIN, STEP, GAP, LINE = 960, 16, 14, 8, 20
NAMES, LETTER = 130, 7.1
STYLE = """
  text { font: 14px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
  .name { font-weight: 600; font-family: ui-monospace, monospace }
  .question { fill: #57606a }
  .wing { fill: #eaf2fb; stroke: #7ba7d4 }
  .module { fill: #f6f8fa; stroke: #c4ccd4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .question { fill: #9da7b1 }
    .wing { fill: #14283d; stroke: #3d6fa3 } .module { fill: #161b22; stroke: #3d444d }
  }"""


def layers() -> list[list[str]]:
    """Return the parts of the package, each layer from left to right; each imports from those below it alone."""
    _, _, contract = (ROOT / "pyproject.toml").read_text().partition('id = "wings"')
    listed = re.search(r"^layers = (\[.*?^\])", contract, re.MULTILINE | re.DOTALL)
    assert listed, "pyproject.toml has no contract of the wings"
    return [[name.strip(" ()") for name in layer.split("|")] for layer in ast.literal_eval(listed[1])]


def question(name: str) -> str:
    """Return the first line of a part: which question it answers."""
    path = ROOT / "cronkite" / name
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text())) or "").partition("\n")[0].replace("``", "")


def is_wing(name: str) -> bool:
    """Whether the part is a package of modules in layers of their own."""
    return f'containers = ["cronkite.{name}"]' in (ROOT / "pyproject.toml").read_text()


def draw() -> str:
    """Return the picture."""
    shapes, y = [], MARGIN
    rows = layers()
    for number, names in enumerate(rows):
        left = MARGIN + number * STEP
        for name in names:
            width = WIDTH - MARGIN - left
            lines = textwrap.wrap(question(name), int((width - NAMES) / LETTER))
            height = LINE * len(lines) + 14
            kind = "wing" if is_wing(name) else "module"
            shapes.append(f'<rect class="{kind}" x="{left}" y="{y}" width="{width}" height="{height}" rx="6"/>')
            shapes.append(f'<text class="name" x="{left + 12}" y="{y + LINE + 2}">{name}</text>')
            for row, line in enumerate(lines):
                place = f'x="{left + NAMES}" y="{y + LINE * (row + 1) + 2}"'
                shapes.append(f'<text class="question" {place}>{html.escape(line)}</text>')
            y += height + (GAP if name == names[-1] else 2)
    listed = "; ".join(", ".join(names) for names in rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN - GAP}" role="img">',
            "<title>The wings of cronkite: each imports only from those below it</title>",
            f"<desc>From the top to the bottom: {listed}.</desc>",
            f"<style>{STYLE}\n</style>",
            *shapes,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
    print(f"{PICTURE} is drawn.")
