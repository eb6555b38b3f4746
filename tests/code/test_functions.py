"""Which function a name means, and which names are refused. No database."""

from __future__ import annotations

import sys

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import app
from app import targets
from cronkite.code import functions
from cronkite.exceptions import FunctionNotAllowed, FunctionNotFound

#: The same examples at each run, and no verdict by the clock: the machine may be busy with the other tests.
STEADY = hypothesis_settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def refusal(dotted):
    """Return the sentence with which the name is refused."""
    with pytest.raises(FunctionNotAllowed) as caught:
        functions.resolve(dotted)
    return str(caught.value)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module ``app.<name>`` of which nothing is left afterwards."""
    monkeypatch.setattr(app, "__path__", [*app.__path__, str(tmp_path)])

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, f"app.{name}", raising=False)

    yield write
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"app.{path.stem}", None)
        vars(app).pop(path.stem, None)


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "cached_add",
        "add_later",
        "decorated_add_later",
        "add_one",
        "report",
        "send_report",
        "build_report",
        "greet",
        "celery_task",
        "django_task",
        "async_django_task",
    ],
)
def test_what_an_installed_app_defines_may_run(name):
    assert functions.resolve(f"app.targets.{name}") is vars(targets)[name]


def test_what_raises_when_it_is_looked_at_is_refused():
    with pytest.raises(FunctionNotAllowed, match="to look at it raised LookupError: it can't be made"):
        functions.resolve("app.strange.unfathomable")


@pytest.mark.parametrize(
    ("dotted", "reason"),
    [
        ("os.system", "'os' is not in the package of an installed app"),
        ("subprocess.run", "'subprocess' is not in the package of an installed app"),
        ("builtins.eval", "'builtins' is not in the package of an installed app"),
        ("django.core.management.call_command", "is not in the package of an installed app"),
        ("app2.targets.add", "'app2.targets' is not in the package of an installed app"),
        ("ap.targets.add", "is not in the package of an installed app"),
        ("app.targets.system", "is defined as 'posix.system', which is not in the package of an installed app"),
        ("app.targets.call_command", "is defined as 'django.core.management.call_command'"),
        ("app.targets.run_anything", "is defined as 'subprocess.run'"),
        ("app.targets.celery_system", "is defined as 'posix.system'"),
        ("app.targets.append", "is defined as 'builtins.list.append'"),
        ("app.targets.shout", "is defined as 'builtins.str.upper'"),
        ("app.targets.subprocess", "it is a module, not a function"),
        ("app.targets", "it is a module, not a function"),
        ("app.targets.Report", "it is a class, not a function"),
        ("app.targets.make_report", "it leads to a class, 'Report'"),
        ("app.targets.FLAG", "it is no function but a value of the type 'int'"),
        ("app.targets.count_up", "it is a generator function"),
        ("app.targets.count_up_later", "it is a generator function"),
        ("app.targets.endless", "The wrappers around the function do not end."),
        ("app.targets.Report.build", "'Report' is no module of its own in 'app.targets'"),
        ("app.targets.subprocess.run", "'subprocess' is no module of its own in 'app.targets'"),
        ("app.targets.subprocess.os.system", "'subprocess' is no module of its own in 'app.targets'"),
        ("app.kit.os.system", "'os' is no module of its own in 'app.kit'"),
        ("app.targets.__loader__.load_module", "'__loader__' is private"),
        ("app.targets.add.__globals__", "'__globals__' is private"),
        ("app.__init__.system", "'__init__' is private"),
        ("app._targets.add", "'_targets' is private"),
        ("app.targets._add", "'_add' is private"),
        ("add", "it is no dotted name"),
        ("", "it is no dotted name"),
        (".", "it is no dotted name"),
        (".app.targets.add", "it is no dotted name"),
        ("app..targets.add", "it is no dotted name"),
        ("app.targets.add ", "it is no dotted name"),
        ("app.targets.add\n", "it is no dotted name"),
        ("app.targets.add()", "it is no dotted name"),
        ("app.targets:add", "it is no dotted name"),
        ("app/targets.add", "it is no dotted name"),
        ("app.targets.1", "it is no dotted name"),
        ("app.targets." + "a" * 244, "it has 256 characters, and at most 255 fit"),
    ],
)
def test_everything_else_is_refused_with_the_reason(dotted, reason):
    # Imported before, so that nothing but the rules stands between the name and the function.
    import app.kit  # noqa: F401

    sentence = refusal(dotted)
    assert reason in sentence
    assert " is refused" in sentence
    assert sentence.endswith((".", "'."))


@STEADY
@given(st.text(max_size=300) | st.from_regex(r"(app|os|sys)(\.[a-z_]{1,9}){1,4}", fullmatch=True))
def test_no_text_leads_out_of_the_installed_apps(text):
    try:
        function = functions.resolve(text)
    except (FunctionNotAllowed, FunctionNotFound) as error:
        sentence = str(error)
    else:
        sentence = "allowed"
        assert functions.definition(function).__module__.split(".")[0] == "app"
    assert sentence.isprintable()


def test_a_foreign_module_is_not_even_imported(tmp_path, monkeypatch):
    (tmp_path / "cronkite_test_trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "is not in the package of an installed app" in refusal("cronkite_test_trap.spring")
    with override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.*"]):
        assert "nothing in CRONKITE_ALLOWED_FUNCTIONS matches it" in refusal("cronkite_test_trap.spring")
    assert "cronkite_test_trap" not in sys.modules


@pytest.mark.parametrize(
    ("dotted", "reason"),
    [
        ("app.targets.missing", "on this node the module 'app.targets' has no 'missing'"),
        ("app.targets.moody", "on this node the module 'app.targets' has no 'moody'"),
        ("app.absent.add", "cannot be imported here: ModuleNotFoundError: No module named 'app.absent'"),
        ("app.absent.deeper.add", "cannot be imported here: ModuleNotFoundError: No module named 'app.absent'"),
        ("app.broken.never", "cannot be imported here: LookupError: the module is broken"),
        ("app.exiting.never", "cannot be imported here: it called sys.exit(3)"),
        (
            "app.needy.never",
            "cannot be imported here: ModuleNotFoundError: No module named 'a_package_that_is_not_installed'",
        ),
    ],
)
def test_what_this_node_lacks_is_not_found_but_not_refused_either(dotted, reason):
    with pytest.raises(FunctionNotFound) as caught:
        functions.resolve(dotted)
    assert str(caught.value).startswith(repr(dotted))
    assert reason in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_syntax_error_means_not_found(module):
    module("garbled", "def (:\n")
    with pytest.raises(FunctionNotFound, match=r"cannot be imported here: SyntaxError: .* \(garbled.py, line 1\)"):
        functions.resolve("app.garbled.never")


def test_an_error_at_import_that_cannot_be_shown_means_not_found_too(module):
    module("mute", "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\n\nraise Mute\n")
    with pytest.raises(FunctionNotFound, match=r"here: Mute: \(its message cannot be shown\)$"):
        functions.resolve("app.mute.never")


def test_a_long_error_at_import_is_cut(module):
    module("verbose", "raise ValueError('x' * 10**6)\n")
    with pytest.raises(FunctionNotFound) as caught:
        functions.resolve("app.verbose.never")
    assert len(str(caught.value)) < 600


def test_a_module_that_is_repaired_is_found_at_the_next_attempt(module):
    module("fixed", "raise ValueError\n")
    with pytest.raises(FunctionNotFound):
        functions.resolve("app.fixed.work")
    module("fixed", "def work():  # repaired\n    return 1\n")
    assert functions.resolve("app.fixed.work")() == 1


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.targets.add*"])
def test_patterns_narrow_what_may_run():
    assert functions.resolve("app.targets.add") is targets.add
    assert functions.resolve("app.targets.add_one") is targets.add_one
    assert refusal("app.targets.greet") == (
        "'app.targets.greet' is refused: nothing in CRONKITE_ALLOWED_FUNCTIONS matches it. "
        "Add the name there if it may be run. "
        'To allow what installed apps define beside it, add "INSTALLED_APPS".'
    )


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.*", "textwrap.*"])
def test_patterns_widen_what_may_run():
    import textwrap

    assert functions.resolve("textwrap.dedent") is textwrap.dedent
    assert functions.resolve("app.targets.add") is targets.add


@pytest.mark.parametrize("dotted", ["django.core.management.call_command", "app.targets.call_command", "os.system"])
def test_who_does_what_a_refusal_says_allows_that_function_and_loses_no_other(dotted):
    written = {}
    for before in (None, ["INSTALLED_APPS"], ["INSTALLED_APPS", "textwrap.*"]):
        with override_settings(CRONKITE_ALLOWED_FUNCTIONS=before):
            line = refusal(dotted).rpartition("too: ")[2].removesuffix(".")
        exec(line, written)
        with override_settings(**{name: value for name, value in written.items() if name.isupper()}):
            assert functions.resolve(dotted)
            assert functions.resolve("app.targets.add") is targets.add
            refusal("os.popen")
            assert bool(before and "textwrap.*" in before) is not bool(functions.refusal("textwrap.dedent"))


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["os.system"])
def test_who_has_replaced_the_rule_by_one_name_is_told_how_to_add_instead():
    assert 'To allow what installed apps define beside it, add "INSTALLED_APPS".' in refusal("app.targets.add")
    assert "INSTALLED_APPS" not in refusal("subprocess.run")


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.*"])
def test_a_pattern_does_not_cover_what_its_modules_have_imported():
    assert "is defined as 'posix.system', and CRONKITE_ALLOWED_FUNCTIONS does not have it" in refusal(
        "app.targets.system"
    )


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.targets.call_command", "app.targets.s?stem"])
def test_only_a_name_listed_exactly_may_lead_to_another_definition():
    assert functions.resolve("app.targets.call_command") is targets.call_command
    assert "is defined as 'posix.system'" in refusal("app.targets.system")


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.targets.Report", "app.targets.FLAG", "app.targets._add"])
def test_a_listed_name_must_be_a_public_function_all_the_same():
    assert "it is a class" in refusal("app.targets.Report")
    assert "it is no function" in refusal("app.targets.FLAG")
    assert "is private" in refusal("app.targets._add")


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=[])
def test_an_empty_list_refuses_everything():
    refusal("app.targets.add")


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["APP.targets.*"])
def test_patterns_heed_case():
    refusal("app.targets.add")


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["nowhere.*"])
def test_a_listed_package_that_is_not_installed_here_is_not_found():
    with pytest.raises(FunctionNotFound, match="No module named 'nowhere'"):
        functions.resolve("nowhere.deep.down.work")
