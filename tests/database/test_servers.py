"""Which database the tests run on: the one that was asked for, configured as django-cronkite recommends."""

import os
import signal
import sys
from pathlib import Path

import pytest
from django.db import connection, connections, transaction

import cronkite
from databases import __main__ as runner
from databases import containers, mysql_packages, parse_url
from databases.levels import isolation_level
from databases.processes import NoServer

ASKED_FOR = os.environ.get("CRONKITE_TEST_DB", "sqlite")


@pytest.fixture(autouse=True)
def signals_are_put_back():
    """What the runner sets, it sets for good, as it ends with the command. Here it is only called."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def no_engine(monkeypatch):
    """No container engine answers, whatever this machine has."""
    monkeypatch.setattr(containers, "engine_answers", lambda: False)


def ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_the_package_under_test_is_the_installed_one():
    environment = os.environ.get("CRONKITE_TEST_INSTALLED")
    if not environment:
        pytest.skip("only tox installs the wheel; here the checkout itself is tested")
    assert Path(cronkite.__file__).is_relative_to(environment)
    assert Path(sys.prefix).is_relative_to(environment)


def test_the_engine_is_the_one_asked_for():
    assert connection.vendor == {"sqlite": "sqlite", "pg": "postgresql"}.get(ASKED_FOR, "mysql")


@pytest.mark.skipif(ASKED_FOR != "mysql", reason="MySQL was not asked for")
@pytest.mark.django_db
def test_mysql_is_genuine_mysql():
    comment, version = ask("SELECT @@version_comment, @@version")
    assert "mariadb" not in f"{comment} {version}".lower()
    # Only MySQL has this one; MariaDB, under whatever name, would refuse the question.
    assert ask("SELECT @@server_uuid")[0]


@pytest.mark.skipif(ASKED_FOR != "mariadb", reason="MariaDB was not asked for")
@pytest.mark.django_db
def test_mariadb_is_mariadb():
    assert "mariadb" in ask("SELECT @@version")[0].lower()
    assert connection.mysql_is_mariadb


@pytest.mark.skipif(ASKED_FOR != "sqlite", reason="SQLite was not asked for")
@pytest.mark.django_db
def test_sqlite_is_a_file_with_a_write_ahead_log():
    assert Path(connection.settings_dict["NAME"]).exists()
    assert ask("PRAGMA journal_mode") == ("wal",)
    assert ask("PRAGMA synchronous") == (1,)


@pytest.mark.skipif(ASKED_FOR == "sqlite", reason="SQLite has no server and no zone")
@pytest.mark.django_db
def test_a_url_can_ask_for_a_servers_time_zone():
    url = os.environ["DATABASE_URL"]
    entry = parse_url(f"{url}{'&' if '?' in url else '?'}time_zone=%2B05:00")
    wrapper = connection.copy()
    wrapper.settings_dict["OPTIONS"] = entry["OPTIONS"]
    try:
        with wrapper.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("RESET TimeZone")  # what the server gave the session, before Django set its own zone
                cursor.execute("SELECT EXTRACT(timezone FROM now())")
            else:
                cursor.execute("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())")
            assert cursor.fetchone()[0] == 5 * 3600
    finally:
        wrapper.close()


def test_sqlite_urls_name_a_file():
    assert parse_url("sqlite:////srv/jobs.sqlite3")["NAME"] == "/srv/jobs.sqlite3"
    assert parse_url("sqlite:///jobs.sqlite3")["NAME"] == "jobs.sqlite3"


def test_sqlite_gets_the_options_that_several_processes_need():
    options = parse_url("sqlite:////srv/jobs.sqlite3?timeout=5")["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]


def test_sqlite_tests_use_a_file_and_never_memory():
    for url in ("sqlite:///", "sqlite:////srv/jobs.sqlite3"):
        entry = parse_url(url)
        assert entry["TEST"]["NAME"].startswith("/")
        assert entry["TEST"]["NAME"] != entry["NAME"]


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
def test_server_urls_are_taken_apart(scheme):
    entry = parse_url(f"{scheme}://us%40er:p%2Fw@db.test:1234/jobs")
    found = {key: entry[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")}
    assert found == {"USER": "us@er", "PASSWORD": "p/w", "HOST": "db.test", "PORT": "1234", "NAME": "jobs"}


def test_mysql_and_mariadb_store_every_character():
    assert parse_url("mysql://u@h/n")["OPTIONS"] == {"charset": "utf8mb4"}
    assert parse_url("mariadb://u@h/n")["OPTIONS"] == {"charset": "utf8mb4"}
    assert parse_url("mariadb://u@h/n")["TEST"]["CHARSET"] == "utf8mb4"


@pytest.mark.skipif(ASKED_FOR == "sqlite", reason="SQLite has one isolation level")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("words", ["read uncommitted", "read committed", "repeatable read", "serializable"])
def test_a_url_says_the_isolation_level_that_the_server_then_has(words, monkeypatch):
    options = parse_url(f"{os.environ['DATABASE_URL']}?isolation_level={words}")["OPTIONS"]
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    try:
        with transaction.atomic():
            assert isolation_level() == words
    finally:
        connection.close()


def test_a_refused_url_does_not_show_its_password():
    with pytest.raises(ValueError, match="'oracle' is not one of sqlite") as refusal:
        parse_url("oracle://scott:tiger@h/n")
    assert "tiger" not in str(refusal.value)


def test_a_url_of_its_own_comes_first():
    given = {"DATABASE_URL": "mysql://u@one/n", "CRONKITE_MYSQL_URL": "mysql://u@two/n"}
    assert runner.url_given("mysql", given) == "mysql://u@two/n"
    assert runner.url_given("mysql", {"DATABASE_URL": "mysql://u@one/n"}) == "mysql://u@one/n"


def test_a_url_of_another_database_is_not_taken():
    assert runner.url_given("mariadb", {"DATABASE_URL": "mysql://u@one/n"}) is None
    assert runner.url_given("pg", {"DATABASE_URL": "sqlite:///", "CRONKITE_MYSQL_URL": "mysql://u@two/n"}) is None


@pytest.mark.parametrize("name", ["pg", "mysql", "mariadb"])
def test_without_a_server_the_run_fails_and_says_how_to_get_one(name, no_engine, monkeypatch, capsys):
    def none_here(durable, clock):
        raise NoServer("it is not installed")

    monkeypatch.setitem(runner.BINARIES, name, none_here)
    for variable in ("DATABASE_URL", f"CRONKITE_{name.upper()}_URL"):
        monkeypatch.delenv(variable, raising=False)
    assert runner.main([name, "--", "true"]) == runner.NO_SERVER
    message = capsys.readouterr().err
    assert "it is not installed" in message
    assert f"CRONKITE_{name.upper()}_URL" in message
    assert "Docker" in message


@pytest.mark.parametrize("name", ["pg", "mysql", "mariadb"])
def test_a_server_that_is_to_be_broken_is_never_one_that_a_url_names(name, monkeypatch, capsys):
    def none_here(durable, clock):
        raise NoServer(f"durable: {durable}, clock: {clock}")

    monkeypatch.setitem(runner.BINARIES, name, none_here)
    monkeypatch.setattr(containers, "engine_answers", lambda: pytest.fail("Docker was asked"))
    monkeypatch.setenv(f"CRONKITE_{name.upper()}_URL", f"{runner.SCHEMES[name]}://u@somebody.test/n")
    assert runner.main([name, "--own", "--clock", "--", "true"]) == runner.NO_SERVER
    assert "durable: False, clock: True" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["", "pg", "pg --", "oracle -- true", "pg --odd -- true", "pg true"])
def test_a_command_line_that_is_not_understood_is_explained(arguments, capsys):
    assert runner.main(arguments.split()) == 2
    assert "python -m databases NAME" in capsys.readouterr().err


def test_a_command_without_a_server_of_its_own_is_not_told_of_another(monkeypatch, tmp_path):
    monkeypatch.setenv("CRONKITE_TEST_SERVER", str(tmp_path))
    tell = "import os; raise SystemExit('CRONKITE_TEST_SERVER' in os.environ)"
    assert runner.main(["sqlite", "--own", "--restart", "--", sys.executable, "-c", tell]) == 0


def test_mysql_is_never_replaced_by_mariadb(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(mysql_packages.shutil, "which", lambda *_, **__: None)
    with pytest.raises(NoServer, match="CRONKITE_MYSQL_URL"):
        runner.mysql.find_command()
    assert not (tmp_path / "django-cronkite" / "mysql").exists()


def test_the_runner_passes_the_commands_exit_code_on():
    assert runner.run([sys.executable, "-c", "raise SystemExit(7)"], os.environ) == 7
    assert runner.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], os.environ) == 128 + 9


@pytest.mark.skipif(ASKED_FOR != "pg", reason="PostgreSQL was not asked for")
@pytest.mark.django_db
def test_the_driver_and_its_pool_are_those_asked_for():
    """Whoever asks for the pool does not get connections of another kind."""
    is_pooled = os.environ.get("CRONKITE_TEST_POOL") == "1"
    assert ("pool" in connection.settings_dict["OPTIONS"]) is is_pooled
    if is_pooled:
        assert connection.Database.__name__ == "psycopg"
        assert connection.pool is not None


def test_all_connections_are_of_the_database_asked_for():
    # The replica, for whoever asks for a router, is none.
    assert {*connections} - {"replica"} == {"default"}
