"""Expressions that can be read, and may mean another thing than they seem to: what is said of them."""

import pytest

from cronkite.schedules import cautions

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            "*/45 * * * *",
            "*/45 begins anew in each hour, so its last step takes 15 minutes. Even steps are 2, 3, 4, 5,",
        ),
        ("*/90 * * * *", "*/90 is minute 0 alone, once in each hour"),
        (
            "0 */5 * * *",
            "*/5 begins anew on each day, so its last step takes 4 hours. Even steps are 2, 3, 4, 6, 8, 12.",
        ),
        ("0 0-23/5 * * *", "0-23/5 begins anew on each day"),
        ("0 1-23/5 * * *", "its last step takes 4 hours"),
        ("0 */36 * * *", "*/36 is hour 0 alone, once on each day"),
        ("*/7 * * * *", "its last step takes 4 minutes"),
        ("*/59 9-17 * * *", "its last step takes 1 minute."),
        ("0 0 */7 * *", "*/7 begins anew in each month, so its last step depends on the month. No step is even."),
        ("0 0 */2 * *", "*/2 begins anew in each month"),
        ("0 0 */31 * *", "*/31 is day 1 alone, once in each month"),
        ("0 0 1 */5 *", "*/5 begins anew in each year, so its last step takes 2 months. Even steps are 2, 3, 4, 6."),
        ("0 0 1 */18 *", "*/18 is month 1 alone, once in each year"),
        ("0 0 * * */2", "*/2 begins anew in each week, so its last step takes 1 day. No step is even."),
        ("0 0 * * 1-7/2", "its last step takes 1 day."),
        ("0 0 * * */10", "*/10 is weekday 0 alone, once in each week"),
        ("* * * * * */7", "*/7 begins anew in each minute, so its last step takes 4 seconds."),
        ("* * * * * */90", "*/90 is second 0 alone, once in each minute"),
        ("0,*/45 * * * *", "*/45 begins anew in each hour"),
        ("0 */5 * * * *", "write */5 * * * *."),
        ("*/45 3-5 L * *", "*/45 begins anew in each hour"),
        ("@every 90s", "It falls between the minutes."),
        ("@every 1d", "For times of the day on that zone's clock, write 0 0 * * *."),
    ],
)
def test_what_may_not_be_meant_so_is_said(expression, words):
    assert any(words in each for each in cautions.of(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "@every 45m",
        "@every 1h",
        "@at 2026-12-24T18:00",
        "0 0 L,*/7 * *",
        "*/15 * * * *",
        "*/60 * * * *",
        "*/1 * * * *",
        "7-59/15 * * * *",
        "10-40/7 * * * *",  # begins and ends where somebody wants it to
        "0,45 * * * *",
        "*/45,7 * * * *",
        "*/45 3 * * *",  # in one hour alone, nothing begins anew
        "*/45 */2 * * *",
        "0 */24 * * *",
        "0 */5 * * mon",
        "0 8-18/4 * * *",
        "0 0 */2 2 *",
        "0 3 */100,1-7 * mon",
        "0 0 * * */7",
        "0 0 * * mon-sat/2",
        "0 0 1 */6 *",
        "0 3 * * * */7",
        "@weekly",
        "* * * * * */5",
        "0 3 * * * 30",
    ],
)
def test_nothing_is_said_of_what_is_plain(expression):
    assert cautions.of(expression) == []
