"""Jobs that go through django-import-export: known by natural keys, saved as ever, and without what nodes keep."""

from __future__ import annotations

import json

import pytest
from django.db import transaction
from documents import BLOCKS
from import_export import fields, resources, widgets
from tablib import Dataset

from cronkite import requests
from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.models import Group, Job, Log

pytestmark = pytest.mark.django_db


def documented():
    """Return the resource that a page shows."""
    (block,) = [block for block in BLOCKS if block.title == "shop/resources.py"]
    space: dict[str, type[resources.ModelResource]] = {}
    exec(compile(block.body, str(block), "exec"), space)
    return space["JobResource"]


JobResource = documented()


class WholeResource(resources.ModelResource):
    """As people begin: with all columns."""

    class Meta:
        model = Job


class LogResource(resources.ModelResource):
    job = fields.Field("job", "job", widgets.ForeignKeyWidget(Job, use_natural_foreign_keys=True))

    class Meta:
        model = Log
        fields = ["id", "job", "status"]


def exported(resource=JobResource):
    """Return what a file has: texts, and nothing of Python's."""
    return Dataset().load(resource().export().csv, format="csv")


def load(data, resource=JobResource, **options):
    result = resource().import_data(data, raise_errors=True, **options)
    assert not result.has_validation_errors()
    return {kind: number for kind, number in result.totals.items() if number}


def decided():
    return list(Job.objects.order_by("name").values(*sorted(Job.DEFINITION)))


@pytest.fixture
def some_jobs(make_job):
    make_job(name="請求書", args=[{"ä": [1, None]}], kwargs={"b": 1}, timeout=60, labels="eu, gpu", enabled=False)
    make_job("app.jobs.fail", name="x" * 200, schedule="0 3 * * *", declared_as="app.jobs.fail", priority=-3)
    return decided()


def test_jobs_come_back_as_they_were_decided(make_job, some_jobs):
    data = exported()
    assert set(data.headers) == Job.DEFINITION
    Job.objects.all().delete()
    make_job("app.jobs.echo", name="another, so that keys differ")
    assert load(data) == {"new": 2}
    Job.objects.filter(name__startswith="another").delete()
    assert decided() == some_jobs
    declared = Job.objects.get(declared_as="app.jobs.fail")
    assert declared.next_run == declared.get_schedule().next_after(declared.planned_at)
    # Those that people entered are declared by nobody, and no two of them collide.
    assert Job.objects.filter(declared_as=None).count() == 1


def test_what_is_unchanged_is_skipped(some_jobs):
    revisions = set(Job.objects.values_list("pk", "revision"))
    assert load(exported()) == {"skip": 2}
    assert set(Job.objects.values_list("pk", "revision")) == revisions


def test_an_edit_comes_and_what_nodes_keep_stays(some_jobs):
    job = Job.objects.get(declared_as="app.jobs.fail")
    data = exported()
    Job.objects.filter(pk=job.pk).update(schedule="0 4 * * *", name="renamed here")
    claim = claiming.claim_by_hand(job := Job.objects.get(pk=job.pk), "web-1")
    assert load(data) == {"update": 1, "skip": 1}
    job.refresh_from_db()
    assert (job.name, job.schedule, job.lock, job.fence) == ("x" * 200, "0 3 * * *", claim.token, 1)
    assert job.next_run == job.get_schedule().next_after(job.planned_at)


def test_a_dry_run_leaves_no_trace(some_jobs):
    data = exported()
    Job.objects.filter(declared_as=None).delete()
    Job.objects.update(schedule="0 4 * * *")
    before, plans = decided(), set(Job.objects.values_list("revision", "next_run"))
    with transaction.atomic():
        assert load(data, dry_run=True, use_transactions=True) == {"new": 1, "update": 1}
    assert (decided(), set(Job.objects.values_list("revision", "next_run"))) == (before, plans)


def test_what_can_be_no_job_is_told_at_its_column(some_jobs):
    data = exported()
    rows = data.dict
    rows[0]["schedule"], rows[1]["function"] = "0 25 * * *", "os.system"
    data.dict = rows
    result = JobResource().import_data(data)
    assert [sorted(row.error_dict) for row in result.invalid_rows] == [["schedule"], ["function"]]
    assert decided() == some_jobs


def test_all_columns_may_be_exported_and_what_nodes_keep_is_not_believed(make_job):
    job = make_job(name="bill")
    claiming.claim_by_hand(job, "far away")
    requests.ask(job, "anna")
    Job.objects.filter(pk=job.pk).write(last_slot=clock.now("default"), fence=9)
    data = exported(WholeResource)
    Job.objects.all().delete()
    assert load(data, WholeResource) == {"new": 1}
    job = Job.objects.get()
    assert (job.lock, job.fence, job.last_slot, job.asked_at) == (None, 0, None, None)
    claim = claiming.claim_by_hand(job, "here")
    # The file knows nothing of this lock.
    assert load(data, WholeResource) == {"update": 1}
    job.refresh_from_db()
    assert (job.lock, job.fence) == (claim.token, 1)


def test_jobs_that_nobody_declares_do_not_collide_where_a_file_has_an_empty_text(make_job):
    make_job(name="bill")
    make_job("app.jobs.fail", name="refund")
    data = exported(WholeResource)
    Job.objects.all().delete()
    assert load(data, WholeResource) == {"new": 2}
    assert load(data, WholeResource) == {"update": 2}
    assert set(Job.objects.values_list("declared_as", flat=True)) == {None}


def test_other_models_name_a_job_by_its_natural_key(make_job):
    job = make_job(name="bill")
    job.run()
    data = exported(LogResource)
    assert json.loads(data.dict[0]["job"]) == ["", "bill"]
    row = data.dict[0]
    assert LogResource().fields["job"].clean(row) == job


def test_groups_come_too():
    Group.objects.create(name="reports", max_running=3)

    class GroupResource(resources.ModelResource):
        class Meta:
            model = Group
            fields = ["name", "max_running"]
            import_id_fields = ["name"]

    data = exported(GroupResource)
    Group.objects.update(max_running=1)
    assert load(data, GroupResource) == {"update": 1}
    assert Group.objects.get().max_running == 3
