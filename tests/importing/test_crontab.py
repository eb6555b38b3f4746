"""What the lines of a crontab become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronkite.importing import commands, crontab
from cronkite.importing.planned import Given, NothingToRead

pytestmark = pytest.mark.once


def read(text, **options):
    return list(crontab.read_lines(text, **options))


def one(text, **options):
    (planned,) = read(text, **options)
    return planned


def call(command):
    planned = one(f"0 3 * * * {command}")
    return planned.columns["args"] if planned.columns else planned.problems


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("cd /srv/shop && venv/bin/python manage.py bill", ["bill"]),
        ("cd /srv/shop; ./manage.py bill --all 7", ["bill", "--all", "7"]),
        ("/srv/venv/bin/python3.13 -u -W ignore /srv/shop/manage.py bill", ["bill"]),
        ("$HOME/venv/bin/python $HOME/shop/manage.py bill", ["bill"]),
        ("$PYTHON manage.py bill", ["bill"]),
        ("python -m django bill --settings settings --pythonpath=/srv", ["bill"]),
        ("cd ~/shop && . venv/bin/activate && python manage.py bill", ["bill"]),
        ("source /srv/venv/bin/activate && exec django-admin bill --settings=settings", ["bill"]),
        ("DJANGO_SETTINGS_MODULE=settings /usr/bin/env python manage.py bill", ["bill"]),
        ("flock -n /run/bill.lock /srv/venv/bin/python manage.py bill", ["bill"]),
        ("/bin/flock -w 10 /run/x -c 'cd /srv && python manage.py bill --mail \"a b\"'", ["bill", "--mail", "a b"]),
        ("nice -n 19 ionice -c3 timeout -k 5 600 python manage.py bill", ["bill"]),
        ("bash -lc 'cd /srv && python manage.py bill'", ["bill"]),
        ("su - www-data -c 'python manage.py bill'", ["bill"]),
        ("sudo -u www-data /srv/venv/bin/python manage.py bill", ["bill"]),
        ("cd /srv && uv run --frozen python manage.py bill", ["bill"]),
        ("cd /srv && poetry run ./manage.py bill", ["bill"]),
        ("python manage.py bill >> /var/log/bill.log 2>&1", ["bill"]),
        ("python manage.py bill >/dev/null 2>&1 || true", ["bill"]),
        ("python manage.py bill &> /tmp/x && curl -fsS https://example.com/ping", ["bill"]),
        ("python manage.py bill 2>&1 | logger -t bill", ["bill"]),
        ("sleep $((RANDOM \\% 60)); python manage.py bill", ["bill"]),
        ("./manage.py bill --day='2026-01' --name=\"O'Neil\" a\\ b", ["bill", "--day=2026-01", "--name=O'Neil", "a b"]),
        ("python manage.py report --format \\%Y", ["report", "--format", "%Y"]),
        ("cd /srv && uv --directory /srv run --env-file .env manage.py bill", ["bill"]),
        ("poetry -C /srv run python manage.py bill", ["bill"]),
        ("conda run -n shop python manage.py bill", ["bill"]),
        ("dotenv -f /srv/.env run -- python manage.py bill", ["bill"]),
        ("run-one python manage.py bill", ["bill"]),
        ("gosu django python manage.py bill", ["bill"]),
        ("(cd /srv && python manage.py bill)", ["It can't be read: it has commands within brackets."]),
    ],
)  # fmt: skip
def test_a_line_becomes_a_call_of_its_command(command, args):
    assert list(call(command)) == args


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("pg_dump shop", "no manage.py"),
        ("/srv/venv/bin/python /srv/clean.py", "no manage.py"),
        ("python manage.py a && python manage.py b", "2 times"),
        ("test -f /run/x && python manage.py bill", "something else first: 'test -f /run/x'"),
        ("python manage.py bill && rm -rf /tmp/bill", "something else next: 'rm -rf /tmp/bill'"),
        ("cat x | python manage.py load", "input"),
        ("python manage.py load < x.json", "input"),
        ("python manage.py load%a%b", "behind %"),
        ("python manage.py bill --day $(date +\\%F)", "in the place of '$(date +%F)'"),
        ("python manage.py bill *.csv", "in the place of '*.csv'"),
        ("python manage.py bill --settings=other", "other settings"),
        ("python manage.py", "without a command"),
        ("python manage.py 'bill", "quotes do not end"),
        ("python manage.py runcrons", "cron import django-cron`"),
        ("python manage.py crontab run 0123 # django-cronjobs for shop", "cron import django-crontab`"),
        ("docker compose exec -T web python manage.py bill", "run by docker"),
        ("false || python manage.py bill", "something else first"),
        ("", "no line of a crontab"),
        ("xvfb-run -a python manage.py bill", "by way of 'xvfb-run'"),
        ("/srv/bin/with-env python manage.py bill", "by way of 'with-env'"),
        ("if test -e x; then python manage.py bill; fi", "a program of the shell's, with 'if'"),
        ("{ cd /srv; python manage.py bill; }", "a program of the shell's, with '{'"),
        ("! python manage.py bill", "a program of the shell's, with '!'"),
        ("docker exec web python manage.py bill", "take out what stands before manage.py"),
        ("* python manage.py bill", "more than five fields"),
        ("www-data cd /srv && python manage.py bill", "say --system"),
    ],
)
def test_a_line_that_can_be_no_job_says_why(command, problem):
    planned = one(f"0 3 * * * {command}")
    assert planned.columns is None
    assert problem in " ".join(planned.problems)
    assert planned.name.startswith("line 1, 0 3 * * *")


def test_schedule_zone_timeout_and_remark_come_along():
    text = """
# Bills of the day before.
CRON_TZ="Europe/Berlin"
15 4 * * mon-fri  cd /srv && timeout 10m python manage.py bill
# Each day.
@daily python manage.py tidy
"""
    zone, bill, tidy = read(text)
    assert (zone.columns, zone.problems, zone.becomes) == (None, (), "It is the time zone of the jobs below.")
    assert bill.columns == {
        "function": "cronkite.commands.call",
        "args": ["bill"],
        "schedule": "15 4 * * mon-fri",
        "timezone": "Europe/Berlin",
        "timeout": 600,
        "description": "",
    }
    assert (tidy.columns["schedule"], tidy.columns["description"]) == ("@daily", "Each day.")
    assert tidy.name == "tidy"


def test_a_zone_that_is_said_holds_until_the_crontab_says_another():
    first, _, second = read("0 1 * * * ./manage.py a\nCRON_TZ=UTC\n0 1 * * * ./manage.py b", timezone="Asia/Tokyo")
    assert (first.columns["timezone"], second.columns["timezone"]) == ("Asia/Tokyo", "UTC")


def test_variables_are_named_and_those_of_the_commands_noted_without_their_values():
    *variables, job = read("MAILTO=ops@example.com\nTZ=Asia/Tokyo\nTOKEN = 'secret'\n0 3 * * * A=1 ./manage.py bill")
    assert all(planned.columns is None and not planned.problems for planned in variables)
    assert [planned.name for planned in variables] == [
        "line 1, MAILTO=ops@example.com", "line 2, TZ=Asia/Tokyo", "line 3, TOKEN=…"
    ]  # fmt: skip
    assert "who gets mail" in variables[0].becomes
    assert "not that of the schedule" in variables[1].becomes
    assert any("TOKEN in its environment" in note for note in job.notes)
    assert any("A in its environment" in note for note in job.notes)
    assert not any("secret" in text for text in (job.key, *job.notes, *(each.becomes for each in variables)))
    assert job.columns["timezone"] == ""


def test_what_the_environment_had_is_told_once():
    _, first, second = read("TOKEN=x\n0 3 * * * ./manage.py a\n0 3 * * * ./manage.py b")
    assert any("TOKEN in its environment" in note for note in first.notes)
    assert second.notes == ()


def test_a_word_that_is_no_user_is_not_taken_for_one():
    assert not any("--system" in problem for problem in one("0 3 * * * php /srv/clean.php").problems)
    assert not any("--system" in problem for problem in one("0 3 * * * cd /srv && make all").problems)


def test_a_zone_that_is_empty_is_that_of_the_machine():
    *_, job = read("CRON_TZ=UTC\nCRON_TZ=\n0 1 * * * ./manage.py b", timezone="Asia/Tokyo")
    assert job.columns["timezone"] == "Asia/Tokyo"


def test_an_interval_as_some_other_programs_take_it_is_one():
    planned = one("@every 5m ./manage.py bill")
    assert (planned.columns["schedule"], planned.columns["args"]) == ("@every 5m", ["bill"])


def test_a_mark_of_the_encoding_and_ends_of_lines_of_other_systems_are_no_part_of_it(tmp_path):
    path = tmp_path / "crontab"
    path.write_bytes("# Jeden Tag: Größe.\r\n0 3 * * * ./manage.py bill\r\n".encode("utf-8-sig"))
    (planned,) = crontab.read(Given(str(path)))
    assert (planned.columns["args"], planned.columns["description"]) == (["bill"], "Jeden Tag: Größe.")


def test_a_line_in_another_encoding_says_so_and_keeps_no_other_from_coming(tmp_path):
    path = tmp_path / "crontab"
    path.write_bytes(
        "# Müller\n0 3 * * * ./manage.py bill Müller\n# Müller\n0 4 * * * ./manage.py bill\n".encode("latin-1")
    )
    bad, good = crontab.read(Given(str(path)))
    assert "iconv -f LATIN1 -t UTF-8" in bad.problems[0]
    assert bad.name.encode()
    assert (good.columns["args"], good.columns["description"]) == (["bill"], "M\ufffdller")


def test_settings_that_a_line_above_names_have_to_be_the_projects():
    assert read("DJANGO_SETTINGS_MODULE=settings\n0 3 * * * ./manage.py bill")[1].columns
    assert "other settings" in read("DJANGO_SETTINGS_MODULE=other\n0 3 * * * ./manage.py bill")[1].problems[0]


def test_reboot_is_named_and_stays():
    assert "start of one machine" in one("@reboot cd /srv && ./manage.py warm").problems[0]


def test_the_line_of_a_node_stays_and_is_no_problem():
    planned = one("* * * * * cd /srv && venv/bin/python manage.py cron")
    assert (planned.columns, planned.problems) == (None, ())


def test_a_column_of_users_is_read_where_it_is_said():
    planned = one("0 3 * * *\twww-data\tcd /srv && ./manage.py bill", is_system=True)
    assert planned.columns["args"] == ["bill"]
    assert "It ran as www-data" in planned.notes[0]
    assert "say --system" in one("0 3 * * * root ./manage.py bill").problems[0]


@pytest.mark.parametrize("folder", ["cron.d/shop", "etc/crontab"])
def test_files_that_have_a_column_of_users_are_known(tmp_path, folder):
    file = tmp_path / folder
    file.parent.mkdir()
    file.write_text("0 3 * * * www-data ./manage.py bill\n")
    (planned,) = crontab.read(Given(str(file)))
    assert planned.columns["args"] == ["bill"]


def test_the_same_line_twice_is_one_job_and_the_same_command_at_other_times_another():
    first, same, other = read("0 3 * * * ./manage.py a\n0  3 * * *  cd /srv; ./manage.py a\n0 4 * * * ./manage.py a")
    assert same.columns is None
    assert same.becomes == "It is the same as line 1, and one job."
    assert first.key != other.key


def test_a_lock_that_two_lines_share_is_told():
    _, second = read("0 3 * * * flock /run/x ./manage.py a\n0 3 * * * flock /run/x ./manage.py b")
    assert any("Line 1 takes the lock /run/x, too" in note for note in second.notes)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(NothingToRead, match="no file"):
        list(crontab.read(Given(str(tmp_path / "none"))))


def test_the_program_crontab_is_asked_where_no_file_is_named(tmp_path, monkeypatch):
    program = tmp_path / "crontab"
    program.write_text("#!/bin/sh\necho '0 3 * * * ./manage.py bill'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (planned,) = crontab.read(Given())
    assert planned.columns["args"] == ["bill"]
    program.write_text("#!/bin/sh\necho no crontab for me >&2; exit 1\n")
    with pytest.raises(NothingToRead, match="no crontab for me"):
        list(crontab.read(Given()))


@given(st.text(alphabet=" \t\n\\'\"%$`(){}[]<>|&;#@*0159abm=-~.", max_size=80))
def test_whatever_stands_in_it_is_read_or_told(text):
    for planned in read(text):
        assert planned.columns is not None or planned.problems or planned.becomes
    call = commands.read(f"python manage.py bill {text}")
    assert call.words or call.problems
