"""Every link of a built site leads somewhere: to a file of it, and to a place in that which exists.

``tox -e docs`` calls ``python tests/links.py FOLDER`` after Sphinx, which knows its own references, and neither
addresses that are written out nor what a theme adds.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Where a link, a picture or a script is named.
NAMED_BY = {"a": "href", "link": "href", "img": "src", "script": "src"}


class Page(HTMLParser):
    """What a page names, and the places that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.named: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.places.update(filter(None, (values.get("id"), values.get("name"))))
        if address := values.get(NAMED_BY.get(tag, "")):
            self.named.add(address)


def broken(folder: Path) -> list[str]:
    """Return the links within the site that lead nowhere, each with the page that has it."""
    pages = {path.resolve(): Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for address in sorted(page.named):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            has_place = not parts.fragment or (target in pages and unquote(parts.fragment) in pages[target].places)
            if not target.is_file() or not has_place:
                found.append(f"{path.relative_to(folder.resolve())}: {address}")
    return found


def main() -> int:
    """The command line; returns the exit code."""
    folder = Path(sys.argv[1])
    found = broken(folder)
    print(*(found or ["every link leads somewhere"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
