"""What is a URL to ping, and who sees how much of it."""

from __future__ import annotations

import pytest

from cronkite.code import pings

pytestmark = pytest.mark.once

SECRET = "5f0f2a50-b2ce"


@pytest.mark.parametrize(
    "url",
    [
        f"https://hc-ping.com/{SECRET}",
        "http://10.0.0.7:8000/ping/x/nightly?create=1",
        "https://[::1]:8000/ping/%C3%BC",
        f" https://hc-ping.com/{SECRET}\n",
        "",
    ],
)
def test_what_is_a_url_is_kept_without_the_blanks_around_it(url):
    assert pings.canonical(url) == url.strip()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"ftp://hc-ping.com/{SECRET}", "has to begin with"),
        (f"file:///etc/{SECRET}", "has to begin with"),
        (f"hc-ping.com/{SECRET}", "has to begin with"),
        (f"https:///{SECRET}", "a host"),
        (f"https://host:x/{SECRET}", "its host or its port"),
        (f"https://host:0/{SECRET}", "a host"),
        (f"https://[::1/{SECRET}", "its host or its port"),
        (f"https://host:99999/{SECRET}", "its host or its port"),
        (f"https://me:word@host/{SECRET}", "a user's name"),
        (f"https://host/{SECRET} x", "characters that stand in no URL"),
        (f"https://host/{SECRET}\r\nX: y", "characters that stand in no URL"),
        (f"https://hösts/{SECRET}", "characters that stand in no URL"),
        (f"https://bücher.example/{SECRET}", "in a host as in xn--bcher-kva"),
        (f"https://host/{SECRET}#x", "a #"),
        (f"https://host/{SECRET}" + "x" * 255, "more than 255 characters"),
        (None, "not a NoneType"),
        (7, "not a int"),
    ],
)
def test_what_is_none_is_refused_in_words_that_do_not_tell_it(url, said):
    with pytest.raises(ValueError, match="URL") as caught:
        pings.canonical(url)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_of_a_url_anybody_may_see_the_host():
    assert pings.masked(f"https://hc-ping.com:8000/{SECRET}?x={SECRET}") == "https://hc-ping.com:8000/…"
    assert pings.shown("ping", f"https://h/{SECRET}") == "https://h/…"
    assert pings.shown("name", f"https://h/{SECRET}") == f"https://h/{SECRET}"
