"""``python -m browser.themed`` uses the admin in each theme: ``tox -e themes``.

A site has one theme, so each has a run of pytest of its own. The last line counts the tests of all, as pytest's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

#: The themes' apps, one of them also with our pages on its base class.
THEMES = ("grappelli", "jazzmin", "unfold", "unfold+base")
#: pytest's last line.
SUMMARY = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$")


def run(theme: str, arguments: list[str]) -> tuple[int, Counter[str]]:
    """Run the tests in one theme; return pytest's exit code, and how many tests ended how."""
    pytest = ["pytest", str(Path(__file__).parent), "--ds", "browser.themed.settings", *arguments]
    command = [sys.executable, "-m", "databases", "sqlite", "--", sys.executable, "-m", *pytest]
    outcomes: Counter[str] = Counter()
    with subprocess.Popen(
        command, env={**os.environ, "CRONKITE_TEST_THEME": theme}, stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout or ():
            print(f"{theme:<11}  {line}", end="", flush=True)
            if found := SUMMARY.match(line):
                outcomes.update({word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", found[1])})
    return child.returncode, outcomes


def main(arguments: list[str]) -> int:
    """Run the tests in all themes; the exit code is 0 if none failed."""
    began = time.monotonic()
    found = [run(theme, arguments) for theme in THEMES]
    sums = sum((outcomes for _, outcomes in found), Counter[str]())
    print(
        f"{', '.join(f'{count} {word}' for word, count in sums.items())} in {time.monotonic() - began:.2f}s", flush=True
    )
    return max(code for code, _ in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
