"""Each language says all that there is to say, with the right placeholders and plurals, and schedules read well."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path

import django
import polib
import pytest
from admin_pages import JOBS, LOGS, TIMELINE, act, change, lock, make_log
from django.conf import locale as django_locale
from django.core.management import call_command
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils import translation

import cronkite
from cronkite.models import Log
from cronkite.schedules.words import describe

ROOT = Path(cronkite.__file__).parent
#: The name of each language as a folder, and as Django has it.
LANGUAGES = {"de": "de", "es": "es", "fr": "fr", "zh_Hans": "zh-hans"}

#: The functions that mark a string, and what their first arguments are.
MARKS = {
    "gettext": ["id"],
    "gettext_lazy": ["id"],
    "gettext_noop": ["id"],
    "ngettext": ["id", "plural"],
    "ngettext_lazy": ["id", "plural"],
    "pgettext": ["context", "id"],
    "pgettext_lazy": ["context", "id"],
    "npgettext": ["context", "id", "plural"],
    "npgettext_lazy": ["context", "id", "plural"],
}


def message(**parts):
    return parts.get("context") or "", parts["id"], parts.get("plural") or ""


def marked_in_module(source):
    """Return the strings that a module marks: context, string, and plural."""
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name: MARKS[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.name in MARKS
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                parts = names.get(function.id)
            else:
                is_ours = isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "translation"
                parts = MARKS.get(function.attr) if is_ours else None
            if parts:
                # What is no plain string can't be extracted; literal_eval says so.
                values = [ast.literal_eval(argument) for argument in node.args[: len(parts)]]
                found.add(message(**dict(zip(parts, values, strict=True))))
    return found


def marked_in_template(name):
    """Return the strings that a template marks."""
    nodes = get_template(name).template.nodelist
    found = set()
    for node in nodes.get_nodes_by_type(TranslateNode):
        context = node.message_context.var if node.message_context else ""
        found.add(message(context=context, id=node.filter_expression.var.literal))
    for node in nodes.get_nodes_by_type(BlockTranslateNode):
        context = node.message_context.var if node.message_context else ""
        plural = node.render_token_list(node.plural)[0] if node.plural else ""
        found.add(message(context=context, id=node.render_token_list(node.singular)[0], plural=plural))
    return found


def marked():
    found = set()
    for path in ROOT.rglob("*.py"):
        found |= marked_in_module(path.read_text(encoding="utf-8"))
    for path in (ROOT / "templates").rglob("*.html"):
        found |= marked_in_template(path.relative_to(ROOT / "templates").as_posix())
    return found


def catalogue(language, kind="po"):
    path = ROOT / "locale" / language / "LC_MESSAGES" / f"django.{kind}"
    return polib.pofile(str(path)) if kind == "po" else polib.mofile(str(path))


def translations(entries):
    return {
        (entry.msgctxt or "", entry.msgid, entry.msgid_plural or ""): entry.msgstr_plural or entry.msgstr
        for entry in entries
    }


def texts(entry):
    return [*entry.msgstr_plural.values()] if entry.msgid_plural else [entry.msgstr]


def placeholders(text):
    return sorted(re.findall(r"%\(\w+\)[a-z]|\{\w*\}", text))


# The catalogues.


def test_there_is_a_catalogue_for_each_language_and_for_no_other():
    assert {path.name for path in (ROOT / "locale").iterdir()} == LANGUAGES.keys()


@pytest.mark.once
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_djangos_is_another_one_because_of_ours(language):
    """A word without a context has one translation for all of a project: ours would stand on buttons of the admin."""
    home = Path(django.__file__).parent
    known = {
        entry.msgid
        for path in home.rglob("locale/en/LC_MESSAGES/django.po")
        for entry in polib.pofile(str(path))
        if not entry.msgctxt
    }
    theirs = {}
    for path in home.rglob(f"locale/{language}/LC_MESSAGES/django.po"):
        for entry in polib.pofile(str(path)).translated_entries():
            if not entry.msgctxt:
                theirs.setdefault(entry.msgid, []).append(texts(entry))
    for entry in catalogue(language):
        if not entry.msgctxt and entry.msgid in known:
            assert texts(entry) in theirs.get(entry.msgid, []), f"{entry.msgid!r}: give it a context"


def test_what_is_marked_is_found_in_code_and_templates():
    source = """
from django.utils.translation import gettext, npgettext, gettext_lazy as _
from django.utils import translation
a = _("one " "two"), gettext("three"), npgettext("c", "four", "fours", 4), translation.gettext("five"), str("six")
"""
    assert marked_in_module(source) == {
        ("", "one two", ""),
        ("", "three", ""),
        ("c", "four", "fours"),
        ("", "five", ""),
    }
    with pytest.raises(ValueError, match="malformed"):
        marked_in_module("from django.utils.translation import gettext\ngettext(unknown)")
    assert marked_in_template("admin/cronkite/health.html") == {
        ("", "Health of the cluster", ""),
    }
    assert ("", "Legend", "") in marked_in_template("admin/cronkite/job/timeline.html")


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_is_marked_is_translated_and_nothing_else_is(language):
    found = translations(catalogue(language)).keys()
    advice = "bring the catalogues up to date, as CONTRIBUTING.rst says"
    assert found - marked() == set(), advice
    assert marked() - found == set(), advice


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_empty_fuzzy_or_obsolete(language):
    po = catalogue(language)
    assert not po.metadata_is_fuzzy
    assert [entry.msgid for entry in po if entry.fuzzy or entry.obsolete or not all(texts(entry))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_those_of_the_english(language):
    for entry in catalogue(language):
        last = texts(entry)[-1]
        assert placeholders(last) == placeholders(entry.msgid_plural or entry.msgid), entry.msgid
        # A form for one may do without the number, or be the only form that there is.
        known = {*placeholders(entry.msgid), *placeholders(entry.msgid_plural)}
        assert all({*placeholders(text)} <= known for text in texts(entry)), entry.msgid


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_begin_and_end_as_the_english_does(language):
    marks = tuple(".。"), tuple("?？"), tuple(":：")
    for entry in catalogue(language):
        for text in texts(entry):
            assert text == text.strip() or entry.msgctxt, text
            ends = [text.rstrip().endswith(mark) for mark in marks]
            assert ends == [entry.msgid.rstrip().endswith(mark) for mark in marks], text


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_forms_are_those_of_django(language):
    metadata = catalogue(language).metadata
    folder = Path(django_locale.__file__).parent
    with (folder / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        django = gettext.GNUTranslations(file).info()["plural-forms"]
    assert "".join(metadata["Plural-Forms"].split()) == "".join(django.split())
    forms = int(re.match(r"nplurals=(\d)", metadata["Plural-Forms"]).group(1))
    assert {len(entry.msgstr_plural) for entry in catalogue(language) if entry.msgid_plural} == {forms}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_what_the_text_says(language):
    assert translations(catalogue(language, "mo")) == translations(catalogue(language))


def test_french_punctuation_is_not_torn_off():
    for entry in catalogue("fr"):
        for text in texts(entry):
            # A double punctuation mark has a space before it at which no line ends; but not within JSON, or a time.
            assert re.findall(r"(?<!\xa0)[:;?!](?!\d)", text.replace('"a":', "")) == [], text
            assert "'" not in text


@pytest.mark.parametrize(
    ("language", "one", "more"),
    [
        ("de", "1 Job war nicht gesperrt.", "2 Jobs waren nicht gesperrt."),
        ("es", "1 tarea no estaba bloqueada.", "2 tareas no estaban bloqueadas."),
        ("fr", "1 tâche n’était pas verrouillée.", "2 tâches n’étaient pas verrouillées."),
        ("zh_Hans", "1 个任务未被锁定。", "2 个任务未被锁定。"),
    ],
)
def test_numbers_have_their_plural(language, one, more):
    with translation.override(LANGUAGES[language]):
        told = [
            translation.ngettext("%(count)d job was not locked.", "%(count)d jobs were not locked.", count)
            % {"count": count}
            for count in (1, 2)
        ]
    assert told == [one, more]


# Schedules.

WORDS = {
    "de": {
        "* * * * *": "Jede Minute",
        "5-59/10 * * * *": "Alle 10 Minuten, ab Minute 5 jeder Stunde",
        "@hourly": "Zu jeder vollen Stunde",
        "*/7 * * * *": "Zu den Minuten 0, 7, 14, …, 56 jeder Stunde",
        "30 6,18 * * *": "Um 06:30 und 18:30 Uhr, jeden Tag",
        "*/15 8-17 * * mon-fri": "Alle 15 Minuten von 08:00 bis 17:45 Uhr, von Montag bis Freitag",
        "* 9-11,14-16 * * *": "Jede Minute von 09:00 bis 11:59 Uhr und von 14:00 bis 16:59 Uhr, jeden Tag",
        "1,17,40 1-9/2 * * *": "Zu den Minuten 1, 17 und 40, in den Stunden 1, 3, 5, 7 und 9, jeden Tag",
        "0 0 * * sat,sun": "Um 00:00 Uhr, jeden Samstag und Sonntag",
        "0 0 13 * fri": "Um 00:00 Uhr, am 13. des Monats und außerdem jeden Freitag",
        "0 0 */2 * mon": "Um 00:00 Uhr, jeden Montag, aber nur an den Tagen 1, 3, 5, …, 31 des Monats",
        "@yearly": "Um 00:00 Uhr, jedes Jahr am 1. Januar",
        "0 0 29 2 *": "Um 00:00 Uhr, am 29. des Monats, im Februar",
        "0 12 * 4-8 *": "Um 12:00 Uhr, jeden Tag, von April bis August",
        "5 * * * * 0,20,45": "Zu den Sekunden 0, 20 und 45, in Minute 5, in jeder Stunde",
    },
    "es": {
        "* * * * *": "Cada minuto",
        "5-59/10 * * * *": "Cada 10 minutos, desde el minuto 5 de cada hora",
        "@hourly": "Cada hora en punto",
        "*/7 * * * *": "En los minutos 0, 7, 14, …, 56 de cada hora",
        "30 6,18 * * *": "A las 06:30 y 18:30 h, todos los días",
        "*/15 8-17 * * mon-fri": "Cada 15 minutos de 08:00 a 17:45 h, de lunes a viernes",
        "* 9-11,14-16 * * *": "Cada minuto de 09:00 a 11:59 h y de 14:00 a 16:59 h, todos los días",
        "1,17,40 1-9/2 * * *": "En los minutos 1, 17 y 40, en las horas 1, 3, 5, 7 y 9, todos los días",
        "0 0 * * sat,sun": "A las 00:00 h, cada sábado y domingo",
        "0 0 13 * fri": "A las 00:00 h, el día 13 del mes y también cada viernes",
        "0 0 */2 * mon": "A las 00:00 h, cada lunes, pero solo los días 1, 3, 5, …, 31 del mes",
        "@yearly": "A las 00:00 h, cada año el 1 de enero",
        "0 0 29 2 *": "A las 00:00 h, el día 29 del mes, en febrero",
        "0 12 * 4-8 *": "A las 12:00 h, todos los días, de abril a agosto",
        "5 * * * * 0,20,45": "En los segundos 0, 20 y 45, en el minuto 5, en cada hora",
    },
    "fr": {
        "* * * * *": "Chaque minute",
        "5-59/10 * * * *": "Toutes les 10 minutes, à partir de la minute 5 de chaque heure",
        "@hourly": "À chaque heure pile",
        "*/7 * * * *": "Aux minutes 0, 7, 14, …, 56 de chaque heure",
        "30 6,18 * * *": "À 06:30 et 18:30, tous les jours",
        "*/15 8-17 * * mon-fri": "Toutes les 15 minutes de 08:00 à 17:45, du lundi au vendredi",
        "* 9-11,14-16 * * *": "Chaque minute de 09:00 à 11:59 et de 14:00 à 16:59, tous les jours",
        "1,17,40 1-9/2 * * *": "Aux minutes 1, 17 et 40, pendant les heures 1, 3, 5, 7 et 9, tous les jours",
        "0 0 * * sat,sun": "À 00:00, les samedi et dimanche",
        "0 0 13 * fri": "À 00:00, le jour 13 du mois et aussi le vendredi",
        "0 0 */2 * mon": "À 00:00, le lundi, mais seulement les jours 1, 3, 5, …, 31 du mois",
        "0 0 15 8 *": "À 00:00, chaque année le 15 août",
        "0 0 29 2 *": "À 00:00, le jour 29 du mois, en février",
        "0 12 * 4-8 *": "À 12:00, tous les jours, entre avril et août inclus",
        "5 * * * * 0,20,45": "Aux secondes 0, 20 et 45, pendant la minute 5, pendant chaque heure",
    },
    "zh_Hans": {
        "* * * * *": "每分钟",
        "5-59/10 * * * *": "每小时从第 5 分起，每 10 分钟",
        "@hourly": "每小时整点",
        "*/7 * * * *": "每小时第 0、7、14、…、56 分",
        "30 6,18 * * *": "每天 06:30、18:30",
        "*/15 8-17 * * mon-fri": "星期一至星期五 08:00 至 17:45，每 15 分钟",
        "* 9-11,14-16 * * *": "每天 09:00 至 11:59、14:00 至 16:59，每分钟",
        "1,17,40 1-9/2 * * *": "每天 1、3、5、7、9 时 第 1、17、40 分",
        "0 0 * * sat,sun": "每星期六、星期日 00:00",
        "0 0 13 * fri": "每月 13 日以及每星期五 00:00",
        "0 0 */2 * mon": "每星期一，但仅限每月 1、3、5、…、31 日 00:00",
        "@yearly": "每年1月1日 00:00",
        "0 0 29 2 *": "二月 29 日 00:00",
        "0 12 * 4-8 *": "四月至八月 每天 12:00",
        "5 * * * * 0,20,45": "每小时 第 5 分 第 0、20、45 秒",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_schedules_read_as_people_say_them(language):
    with translation.override(LANGUAGES[language]):
        assert {expression: describe(expression) for expression in WORDS[language]} == WORDS[language]


def test_a_language_without_a_catalogue_gets_the_english():
    with translation.override("is"):
        assert describe("@hourly") == "Every hour, on the hour"


# Pages.

PAGES = {
    "de": {
        "jobs": ["Ausgewählte Jobs jetzt ausführen", "Etwas stimmt nicht", "nächster Lauf", "fehlgeschlagen: 1"],
        "add": ["Was läuft", "Zeitplan", "Nachfrist"],
        "job": ["Entsperren", "Die nächsten Läufe", "Um 00:00 Uhr, jedes Jahr am 1. Januar"],
        "timeline": ["Zeitachse", "Legende", "nach Knoten"],
        "logs": ["Verspätung", "von Hand", "fehlgeschlagen"],
        "log": ["Rückgabewert", "Fencing-Token"],
        "confirm": ["Vergewissern Sie sich", "Ja, fortfahren"],
        "done": ["1 Job wurde entsperrt: Report."],
    },
    "es": {
        "jobs": ["Ejecutar ahora las tareas seleccionadas", "Algo va mal", "próxima ejecución", "fallida: 1"],
        "add": ["Qué ejecutar", "Planificación", "Plazo de gracia"],
        "job": ["Desbloquear", "Las próximas ejecuciones", "A las 00:00 h, cada año el 1 de enero"],
        "timeline": ["Cronología", "Leyenda", "por nodo"],
        "logs": ["retraso", "a mano", "fallida"],
        "log": ["Valor devuelto", "Token de fencing"],
        "confirm": ["Asegúrese primero", "Sí, continuar"],
        "done": ["1 tarea desbloqueada: Report."],
    },
    "fr": {
        "jobs": ["Exécuter maintenant les tâches", "Quelque chose ne va pas", "prochaine exécution", "échouée\xa0: 1"],
        "add": ["Quoi exécuter", "Planification", "Délai de grâce"],
        "job": ["Déverrouiller", "Les prochaines exécutions", "À 00:00, chaque année le"],
        "timeline": ["Chronologie", "Légende", "par nœud"],
        "logs": ["retard", "à la main", "échouée"],
        "log": ["Valeur renvoyée", "Jeton de fencing"],
        "confirm": ["Assurez-vous d’abord", "Oui, continuer"],
        "done": ["1 tâche a été déverrouillée\xa0: Report."],
    },
    "zh_Hans": {
        "jobs": ["立即运行所选的任务", "出现问题", "下次运行", "失败 1 次"],
        "add": ["运行内容", "调度规则", "宽限期"],
        "job": ["解锁", "接下来的运行", "每年1月1日 00:00"],
        "timeline": ["时间线", "图例", "按节点"],
        "logs": ["延迟", "手动", "失败"],
        "log": ["返回值", "防护令牌"],
        "confirm": ["请先确认", "是的，继续"],
        "done": ["已解锁 1 个任务：Report。"],
    },
}


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_the_admin_speak_the_language(admin_client, make_job, language):
    job = make_job(name="Report", schedule="0 0 1 1 *")
    lock(job, age=10**6)
    failed = make_log(job, status=Log.Status.FAILED, result="half of it")
    with translation.override(LANGUAGES[language]):
        responses = {
            "jobs": admin_client.get(JOBS),
            "add": admin_client.get(f"{JOBS}add/"),
            "job": admin_client.get(change(job)),
            "timeline": admin_client.get(TIMELINE),
            "logs": admin_client.get(LOGS),
            "log": admin_client.get(f"{LOGS}{failed.pk}/change/"),
            "confirm": act(admin_client, "unlock", job, confirmed=""),
            "done": act(admin_client, "unlock", job),
        }
        pages = {name: response.content.decode() for name, response in responses.items()}
    assert {name: response.status_code for name, response in responses.items()} == dict.fromkeys(responses, 200)
    lacking = {
        name: [text for text in wanted if text.lower() not in pages[name].lower()]
        for name, wanted in PAGES[language].items()
    }
    assert lacking == {name: [] for name in pages}


@pytest.mark.django_db
def test_log_lines_stay_english(make_job, caplog):
    job = make_job("app.jobs.fail", args=["no"])
    with translation.override("de"):
        with pytest.raises(ValueError, match="no"):
            job.run()
        assert str(job.logs.get()) == "fail, von Hand: fehlgeschlagen"
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("cronkite")]
    assert "failed. ValueError: no" in line


@pytest.mark.django_db
def test_monitoring_stays_english(capsys):
    with translation.override("de"), pytest.raises(SystemExit):
        call_command("cron", "health")
    assert "No node has ever ticked." in capsys.readouterr().out
