"""Rows of what is planned, each once."""

from __future__ import annotations

import pytest
from django.db import DataError, OperationalError

from cronkite.database import quirks
from cronkite.importing import deeds, turns
from cronkite.importing.planned import Planned, told
from cronkite.models import Group, Job

pytestmark = pytest.mark.django_db


def planned(name="bill", key="row 1", source="elsewhere", **columns):
    columns = {"function": "app.jobs.ok", "schedule": "0 3 * * *", **columns}
    return Planned(source, name, columns, told(columns), (), (), key)


def do(*plans, **options):
    return list(deeds.do(plans, **options))


def test_a_job_is_made_of_what_is_planned_and_is_disabled():
    (deed,) = do(planned(description="Bills."))
    job = Job.objects.get()
    assert (deed.state, deed.job.pk) == ("new", job.pk)
    assert (job.name, job.function, job.schedule, job.enabled) == ("bill", "app.jobs.ok", "0 3 * * *", False)
    assert job.next_run is None
    assert job.description == "Bills.\n\nImported from elsewhere: row 1"


def test_a_job_is_enabled_if_that_is_asked_for_and_it_was_so():
    do(planned("on", "row 1"), planned("off", "row 2", enabled=False), enable=True)
    assert dict(Job.objects.values_list("name", "enabled")) == {"on": True, "off": False}
    assert Job.objects.get(name="on").next_run is not None


def test_twice_imports_nothing_twice():
    do(planned(), planned("bill", "row 2"))
    again = do(planned(), planned("bill", "row 2"))
    assert [deed.state for deed in again] == ["here", "here"]
    assert Job.objects.count() == 2


def test_a_job_is_known_again_after_it_was_renamed_and_edited():
    do(planned())
    Job.objects.update(name="bills of the shop", schedule="0 4 * * *", enabled=True)
    (deed,) = do(planned())
    assert (deed.state, deed.job.name) == ("here", "bills of the shop")


def test_a_job_is_known_again_by_what_it_does_after_its_description_was_emptied():
    do(planned())
    Job.objects.update(description="")
    assert [deed.state for deed in do(planned())] == ["here"]


def test_a_job_of_the_same_name_that_does_something_else_is_another_one(make_job):
    make_job("app.jobs.fail", name="bill")
    (deed,) = do(planned())
    assert (deed.state, deed.job.name) == ("new", "bill 2")
    assert [deed.state for deed in do(planned())] == ["here"]


def test_names_that_collide_get_numbers_and_long_ones_are_cut():
    name = "x" * 300
    made = do(planned(name, "row 1"), planned(name, "row 2"), planned(name, "row 3"))
    assert [deed.job.name for deed in made] == ["x" * 255, "x" * 253 + " 2", "x" * 253 + " 3"]


def test_the_same_row_of_another_source_is_another_job():
    do(planned(source="beat"), planned(source="elsewhere"))
    assert sorted(Job.objects.values_list("name", flat=True)) == ["bill", "bill 2"]


def test_what_can_be_no_job_is_refused_with_the_reason_and_keeps_no_other_from_coming():
    bad = planned("bad", "row 1", schedule="0 25 * * *")
    foreign = planned("foreign", "row 2", function="os.system")
    done = do(bad, foreign, planned("good", "row 3"))
    assert [deed.state for deed in done] == ["refused", "refused", "new"]
    assert "hour" in done[0].planned.problems[0].lower()
    assert "'os.system' is refused" in done[1].planned.problems[0]
    assert Job.objects.get().name == "good"


def test_what_was_refused_before_stays_refused_with_its_own_reason():
    (deed,) = do(Planned("elsewhere", "sunrise", None, "", ("There is no sun here.",)))
    assert (deed.state, deed.planned.problems) == ("refused", ("There is no sun here.",))
    (deed,) = do(Planned("elsewhere", "line 1", None, "It names who gets mail."))
    assert deed.state == "nothing"


def test_without_writing_it_says_the_same_and_there_is_no_row():
    done = do(planned(), planned("bill", "row 2"), planned("bad", "row 3", schedule="x"), write=False)
    assert [deed.state for deed in done] == ["new", "new", "refused"]
    assert [deed.job.name for deed in done if deed.job] == ["bill", "bill 2"]
    assert not Job.objects.exists()


def test_many_are_looked_up_once(django_assert_max_num_queries):
    do(*(planned(f"job {number}", f"row {number}") for number in range(600)), write=False)
    with django_assert_max_num_queries(1):
        done = do(*(planned(f"job {number}", f"row {number}") for number in range(600)), write=False)
    assert len(done) == 600


def test_what_another_import_adds_meanwhile_is_not_added_again(monkeypatch):
    take, others = turns.take, []

    def after_another(action):
        if not others:
            others.append(True)
            do(planned("bill", "row 1"), planned("else", "row 9"))
        return take(action)

    monkeypatch.setattr(turns, "take", after_another)
    done = do(planned("bill", "row 1"), planned("else", "row 2"))
    assert [(deed.state, deed.job.name) for deed in done] == [("here", "bill"), ("new", "else 2")]
    assert Job.objects.count() == 3


def test_a_turn_that_lost_to_something_else_is_taken_again_and_adds_nothing_twice(monkeypatch):
    take, mark, lost = turns.take, turns.mark, []

    def lose_once():
        # The second time that it is asked for in a turn, all is written.
        lost.append(True)
        if len(lost) == 2:
            raise OperationalError("database is locked")
        return mark()

    def retried(action):
        # Within a test's transaction, nobody may take it again.
        monkeypatch.setattr(quirks, "is_borrowed", lambda connection: len(lost) > 2)
        monkeypatch.setattr(quirks, "read_latest", lambda connection: None)
        return take(action)

    monkeypatch.setattr(turns, "mark", lose_once)
    monkeypatch.setattr(turns, "take", retried)
    monkeypatch.setattr(quirks, "is_conflict", lambda error: "is locked" in str(error))
    assert [deed.state for deed in do(planned(), planned("other", "row 2"))] == ["new", "new"]
    assert len(lost) == 4
    assert sorted(Job.objects.values_list("name", flat=True)) == ["bill", "other"]


def test_what_the_database_refuses_keeps_no_other_from_coming(monkeypatch):
    insert = deeds.insert

    def refuse(job):
        if job.name == "bad":
            raise DataError("It does not fit.")
        insert(job)

    monkeypatch.setattr(deeds, "insert", refuse)
    done = do(planned("good", "row 1"), planned("bad", "row 2"), planned("last", "row 3"))
    assert [deed.state for deed in done] == ["new", "refused", "new"]
    assert done[1].planned.problems == ("It does not fit.",)
    assert sorted(Job.objects.values_list("name", flat=True)) == ["good", "last"]


def test_a_turn_leaves_no_group_behind():
    do(planned())
    assert not Group.objects.exists()


def test_few_statements_are_said_for_each_of_many(django_assert_max_num_queries):
    # Of each job, the database's now and the row; of each turn, what keeps others from taking it.
    turn_count, own = 4, 8
    with django_assert_max_num_queries(1 + turn_count * (2 * turns.BATCH + own)):
        do(*(planned("bill", f"row {number}") for number in range(turn_count * turns.BATCH)))
