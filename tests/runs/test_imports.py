"""What a module does to its process when it is imported reaches the runs of its own functions, and no other's."""

import pytest
from nodes import cron

from cronkite.models import Log

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


def results(make_job, *functions):
    """Have one node run these, each after the one before, and return what they returned; no log, no result."""
    for number, function in enumerate(functions):
        make_job(f"app.{function}", name=str(number), due=1000 * (len(functions) - number))
    printed = cron("--workers", "1")
    assert not Log.objects.exclude(status__in=[Status.SUCCEEDED, Status.MISSED]).exists(), printed
    logs = {log.job_name: log.result for log in Log.objects.filter(status=Status.SUCCEEDED)}
    return [logs.get(str(number)) for number in range(len(functions))]


def without_pid(result):
    return {**result, "pid": 0}


@pytest.mark.parametrize("module", ["closing", "halfway"])
def test_a_module_that_cannot_be_imported_harms_no_other_module_s_run(make_job, module):
    first, refused, last = results(make_job, "edges.describe", f"{module}.run", "edges.describe")
    assert refused is None
    assert without_pid(last) == without_pid(first)


def test_what_a_module_sets_at_import_holds_in_each_run_of_its_functions_and_no_other_s(make_job):
    found = results(
        make_job,
        *("edges.describe", "arranging.tell", "arranging.tell_again", "edges.describe", "arranging.tell"),
    )
    before, first, second, other, third = map(without_pid, found)
    assert first == second == third
    assert first["environment"] == ["CRONKITE_TEST_SET_ARRANGED"]
    assert (first["timeout"], first["precision"], first["recursion"]) == (77, 50, 4321)
    assert other == before
