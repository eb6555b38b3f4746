"""What of a text every column takes, and what is tried where one does not."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, DataError, OperationalError, connection, transaction
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cronkite.database import quirks, texts

STEADY = hypothesis_settings(max_examples=200)
ANY = st.text(st.characters(exclude_categories=[]))


@STEADY
@given(ANY)
def test_ascii_only_is_ascii_and_leaves_ascii_alone(text):
    assert texts.ascii_only(text).isascii()
    assert texts.ascii_only(texts.ascii_only(text)) == texts.ascii_only(text)
    if text.isascii():
        assert texts.ascii_only(text) == text


@STEADY
@given(ANY, st.sampled_from(texts.WAYS))
def test_what_is_storable_can_be_encoded_and_stays_as_it_is(text, way):
    with texts.spelled(way):
        kept = texts.storable(text)
        assert texts.storable(kept) == kept
    assert texts.is_storable(kept)
    assert "\0" not in kept
    assert kept.encode().decode() == kept


def test_it_is_said_in_fewer_characters_only_as_far_as_it_takes():
    text = "für 5 € \U0001f600"
    found = []
    for way in texts.WAYS:
        with texts.spelled(way):
            found.append(texts.storable(text))
    assert found == [text, "für 5 € \\U0001f600", "f\\xfcr 5 \\u20ac \\U0001f600"]
    assert texts.storable(text) == text


def lacking():
    """Return what the drivers raise where characters are lacking."""
    error = DataError("character has no equivalent")
    error.__cause__ = Exception()
    error.__cause__.sqlstate = "22P05"
    return [OperationalError(1366, "Incorrect string value"), error]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_refused_for_its_characters_is_said_again_with_escapes(number):
    said = []

    def say():
        said.append(texts.storable("€ \U0001f600"))
        if not said[-1].isascii():
            raise lacking()[number]
        return "done"

    assert quirks.anew("default", say) == "done"
    assert said == ["€ \U0001f600", "€ \\U0001f600", "\\u20ac \\U0001f600"]


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_for_another_reason_is_said_once():
    connection.ensure_connection()
    said = []

    def say():
        said.append(1)
        raise DatabaseError("no")

    with pytest.raises(DatabaseError):
        quirks.anew("default", say)
    assert said == [1]


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_of_the_callers_it_is_said_once():
    said = []

    def say():
        said.append(1)
        raise OperationalError(1366, "Incorrect string value")

    with pytest.raises(OperationalError), transaction.atomic():
        quirks.anew("default", say)
    assert said == [1]
