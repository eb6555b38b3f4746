"""Which month or weekday is meant by a name that crontab does not have, such as ``MONDAY``, ``Sept`` or ``Mittwoch``?

In English, German, French, Spanish, Italian, Portuguese, Dutch and (weekdays alone) Chinese, whole or abbreviated, if
it can mean one only.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from cronkite.schedules.grammar import MONTH, WEEKDAY, Field

#: Fewer letters are no abbreviation of these, but those that are listed.
LEAST = 3

_NAMES = {
    WEEKDAY: (
        "sunday monday tuesday wednesday thursday friday saturday",
        "su mo tu we th fr sa",
        "sonntag montag dienstag mittwoch donnerstag freitag samstag",
        "so mo di mi do fr sa",
        "dimanche lundi mardi mercredi jeudi vendredi samedi",
        "domingo lunes martes miercoles jueves viernes sabado",
        "domenica lunedi martedi mercoledi giovedi venerdi sabato",
        "domingo segunda terca quarta quinta sexta sabado",
        "zondag maandag dinsdag woensdag donderdag vrijdag zaterdag",
        "星期日 星期一 星期二 星期三 星期四 星期五 星期六",
        "周日 周一 周二 周三 周四 周五 周六",
    ),
    MONTH: (
        "january february march april may june july august september october november december",
        "januar februar marz april mai juni juli august september oktober november dezember",
        "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro",
        "januari februari maart april mei juni juli augustus september oktober november december",
        "jan feb mrz apr mai jun jul aug sep okt nov dez",
    ),
}
#: Words for several days of the week.
_SEVERAL = {"weekday": "mon-fri", "workday": "mon-fri", "weekend": "sat,sun", "sonnabend": "sat"}


@lru_cache(maxsize=64)
def short(word: str, field: Field) -> str | None:
    """Return crontab's own name; ``None`` if none is meant, or if it may be one of several.

    >>> short("MONDAYS", WEEKDAY), short("Mär", MONTH), short("jui", MONTH)
    ('mon', 'mar', None)
    """
    letters = unicodedata.normalize("NFKD", word.casefold().rstrip("."))
    plain = "".join(letter for letter in letters if letter.isalpha())
    for each in (plain, plain.removesuffix("s")):
        if field is WEEKDAY and each in _SEVERAL:
            return _SEVERAL[each]
        meant = {
            number
            for language in _NAMES[field]
            for number, name in enumerate(language.split())
            if name == each or (len(each) >= LEAST and name.startswith(each))
        }
        if len(meant) == 1:
            return field.names[meant.pop()]
    return None
