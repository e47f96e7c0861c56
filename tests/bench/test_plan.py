import pandas as pd
import pytest

from marbench.bench.plan import Known, Shard, Stored, cases_of, plan
from marbench.cases.info import CaseKey
from marbench.errors import MarbenchError
from marbench.results.rows import Key

CASES = [CaseKey(f"c{index}", "p", f"s{index // 10}", f"m{index % 10}", index % 10 // 2 + 1) for index in range(47)]
METHODS = {"a": "1", "b": "2"}


def stored(*rows):
    """Return what is stored by rows of (method, method_hash, case_id, status, attempt, message)."""
    columns = ["method", "method_hash", "case_id", "status", "attempt", "message"]
    return Stored(pd.DataFrame([(*row, "")[:6] for row in rows], columns=columns))


def keys(units):
    return [(label, task.case.case_id) for unit in units for task in unit.tasks for label in task.attempts]


def test_an_empty_store_needs_every_method_on_every_case_once_and_groups_methods_by_case():
    units = list(plan(CASES, METHODS, stored()))
    assert sorted(keys(units)) == sorted((label, case.case_id) for label in METHODS for case in CASES)
    assert [task.index for unit in units for task in unit.tasks] == list(range(47))


def test_a_full_store_needs_nothing():
    every = [(label, version, case.case_id, "ok", 1) for label, version in METHODS.items() for case in CASES]
    assert list(plan(CASES, METHODS, stored(*every))) == []
    assert {label for label, _ in keys(plan(CASES, METHODS, stored(*every), force=["b"]))} == {"b"}


@pytest.mark.parametrize(
    ("status", "again", "with_retry"),
    [
        ("ok", False, False),
        ("error", False, True),
        ("timeout", False, True),
        ("oom", False, True),
        ("crashed", False, True),
        ("invalid", False, True),
        ("unavailable", True, True),
    ],
)
def test_what_is_tried_again(status, again, with_retry):
    known = stored(("a", "1", "c0", status, 3))
    for retry_failed, expected in ((False, again), (True, with_retry)):
        units = plan(CASES[:1], {"a": "1"}, known, retry_failed=retry_failed)
        attempts = [task.attempts for unit in units for task in unit.tasks]
        assert attempts == ([{"a": 4}] if expected else [])


def test_results_of_another_version_of_a_method_do_not_count():
    other = stored(*(("a", "0", case.case_id, "ok", 1) for case in CASES))
    assert len(keys(plan(CASES, {"a": "1"}, other))) == len(CASES)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_shards_are_disjoint_complete_and_do_not_depend_on_what_is_stored(count):
    some = stored(*(("a", "1", f"c{index}", "ok", 1) for index in range(5, 25)))
    for known in (stored(), some):
        shards = [keys(plan(CASES, METHODS, known, shard=Shard(number, count))) for number in range(1, count + 1)]
        together = [key for shard in shards for key in shard]
        assert sorted(together) == sorted(keys(plan(CASES, METHODS, known)))
        for number, shard in enumerate(shards, 1):
            own = {case.case_id for case in cases_of(CASES, Shard(number, count))}
            assert {case for _, case in shard} <= own


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_a_bad_shard_is_refused(text):
    with pytest.raises(MarbenchError, match="i/n"):
        Shard.parse(text)


def test_a_missing_image_brings_an_ok_result_back_but_not_a_failed_one():
    known = stored(("a", "1", "c0", "ok", 1), ("a", "1", "c1", "error", 1))
    missing = frozenset({Key("a", "1", "c0"), Key("a", "1", "c1")})
    assert keys(plan(CASES[:2], {"a": "1"}, known, without_image=missing)) == [("a", "c0")]


def test_once_ok_always_ok_and_attempts_are_counted():
    rows = [("a", "1", "c", "error", 1, "x"), ("a", "1", "c", "ok", 2, ""), ("a", "1", "c", "timeout", 3, "y")]
    known = stored(*rows, ("b", "1", "d", "unavailable", 1, "no weights"))
    assert known.get(Key("a", "1", "c")) == Known("ok", 3)
    assert known.get(Key("b", "1", "d")) == Known("unavailable", 1, "no weights")
    assert known.get(Key("b", "1", "c")) is None
    assert list(known.good()) == [Key("a", "1", "c")]
