"""A few cases in place of all: every slice, patients and sizes in turn, and more later are added to them."""

import pandas as pd
import pytest

from marbench.bench.plan import Stored, plan
from marbench.bench.spread import spread
from marbench.cases.info import CaseKey

ROWS = ["method", "method_hash", "case_id", "status", "attempt", "message"]
KEYS = [
    CaseKey(f"s{s}-m{m}", f"p{s // 2}", f"s{s}", f"m{m}", m // 2 + 1) for s in range(6) for m in range(4 if s else 3)
]


def test_every_slice_gives_a_case_before_any_gives_two() -> None:
    for count, most in ((6, 1), (12, 2)):
        slices = [KEYS[place].slice_id for place in spread(KEYS, count)]
        assert len(set(slices)) == 6 and max(map(slices.count, slices)) == most
    assert len({KEYS[place].patient_id for place in spread(KEYS, 3)}) == 3
    assert len({KEYS[place].metal_id for place in spread(KEYS, 4)}) >= 3


@pytest.mark.parametrize("count", range(1, 24))
def test_fewer_cases_are_among_more_and_none_is_twice(count) -> None:
    chosen = spread(KEYS, count)
    assert len(chosen) == count and list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(spread(KEYS, count + 1))
    assert spread(KEYS, 100) == tuple(range(len(KEYS))) and spread([], 3) == ()


def test_a_plan_keeps_the_positions_of_the_cases_in_the_suite() -> None:
    chosen = spread(KEYS, 5)
    units = plan([KEYS[at] for at in chosen], {"li": "1"}, Stored(pd.DataFrame(columns=ROWS)), positions=chosen)
    assert [(task.index, task.case) for unit in units for task in unit.tasks] == [(at, KEYS[at]) for at in chosen]
