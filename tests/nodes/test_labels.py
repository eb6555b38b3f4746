"""A job that names labels is run by nodes alone that have all of them."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from nodes import cron

from cronkite import conf, health
from cronkite import cron as declare
from cronkite.code import labels
from cronkite.models import Job, Log, Node
from cronkite.nodes import agenda

pytestmark = pytest.mark.django_db(transaction=True)


def tick():
    call_command("cron", workers=0)


def ran():
    return set(Log.objects.values_list("job_name", flat=True))


def test_a_node_runs_what_it_has_all_labels_of(make_job, settings):
    settings.CRONKITE_NODE_LABELS = ["gpu", "eu"]
    for name, kept in {"any": "", "gpu": "gpu", "both": "eu,gpu", "us": "us", "mixed": "gpu,us"}.items():
        make_job(name=name, due=0, labels=kept)
    tick()
    assert ran() == {"any", "gpu", "both"}
    assert Node.objects.get().labels == "eu,gpu"


def test_a_label_that_differs_in_case_hides_no_job(make_job, settings):
    """Where the database tells no cases apart, it would be left out with the other."""
    settings.CRONKITE_NODE_LABELS = ["gpu"]
    make_job(name="other", due=10, labels="GPU")
    mine = make_job(name="mine", due=0, labels="gpu")
    looking = agenda.Agenda(stays=True)
    for _ in range(2):
        looking.look(set())
        assert looking.take() == mine
    tick()
    assert ran() == {"mine"}


def test_a_node_without_labels_leaves_jobs_with_labels_alone(make_job):
    make_job(name="gpu", due=0, labels="gpu")
    tick()
    assert ran() == set()


def test_the_command_line_says_which_labels_a_node_has(make_job):
    make_job(name="gpu", due=0, labels="gpu")
    cron("--labels", "gpu,eu")
    assert ran() == {"gpu"}


def test_jobs_of_other_nodes_do_not_hide_those_of_this_one(make_job, monkeypatch):
    monkeypatch.setattr(agenda, "PAGE", 2)
    for number in range(9):
        make_job(name=f"gpu {number}", due=0, labels="gpu")
    make_job(name="mine", due=0)
    tick()
    assert ran() == {"mine"}


def test_health_tells_of_a_job_whose_labels_no_node_has(make_job, settings):
    make_job(name="learn", labels="gpu,eu")
    make_job(name="off", labels="nowhere", enabled=False)
    tick()
    (finding,) = [each for each in health.report().findings if each.kind == "unserved"]
    assert finding.text == "1 job names labels that no node has: learn (eu,gpu)."
    settings.CRONKITE_NODE_LABELS = ["gpu", "eu", "us"]
    tick()
    assert not [each for each in health.report().findings if each.kind == "unserved"]


@pytest.mark.parametrize("given", ["gpu, eu", ["eu", "gpu"], ("gpu", "eu", "gpu"), "eu gpu"])
def test_labels_are_kept_in_one_way(given):
    job = Job(name="a", function="app.jobs.ok", schedule="@daily", labels=given)
    job.save()
    assert (job.labels, Job.objects.get().labels) == ("eu,gpu", "eu,gpu")
    assert labels.parts(job.labels) == {"eu", "gpu"}


@pytest.mark.parametrize("given", ["gpü", ["two words"], "a/b", "x" * 64, 7, [""]])
def test_what_is_no_label_is_refused(given, settings):
    with pytest.raises(ValueError, match=r"label|Labels"):
        declare("@daily", labels=given)
    with pytest.raises(ValueError, match=r"label|Labels"):
        Job(name="a", function="app.jobs.ok", schedule="@daily", labels=given).save()
    with pytest.raises(ValidationError):
        Job(name="a", function="app.jobs.ok", schedule="@daily", labels=given).full_clean()
    settings.CRONKITE_NODE_LABELS = given if isinstance(given, list) else [given]
    with pytest.raises(ImproperlyConfigured, match="CRONKITE_NODE_LABELS must be a list of labels"):
        conf.get()
