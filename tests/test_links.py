"""The links between the pages of a site are looked at, and a broken one is found."""

import links
import pytest

pytestmark = pytest.mark.single

SITE = {
    "index.html": '<h1 id="top">x</h1><a href="guides/a.html#here">a</a> <a href="#top">top</a> <img src="p.png">',
    "guides/a.html": '<p id="here">a</p> <a href="../index.html">back</a> <a href="https://elsewhere/">elsewhere</a>',
    "p.png": "",
}


@pytest.fixture
def site(tmp_path):
    for name, text in SITE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_links_that_lead_somewhere_are_left_alone(site):
    assert links.broken(site) == []


@pytest.mark.parametrize("address", ["gone.html", "guides/a.html#gone", "#gone", "../outside.png"])
def test_a_link_that_leads_nowhere_is_found(site, address):
    (site / "index.html").write_text(f'<a href="{address}">x</a>')
    assert links.broken(site) == [f"index.html: {address}"]
