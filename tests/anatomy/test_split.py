"""Laws of dividing patients and choosing slices."""

import random

import pytest

from marbench.anatomy.split import choose_evenly, divide, divided_officially
from marbench.errors import DataError

PATIENTS = [f"p{index:03d}" for index in range(40)]
COUNTS = {"test": (12, 100), "val": (4, 20), "train": (None, None)}


def everything(_):
    return True


def test_the_splits_are_disjoint_and_complete():
    divided = divide(PATIENTS, COUNTS, seed=7)
    assert [len(divided[split]) for split in ("test", "val", "train")] == [12, 4, 24]
    assert sorted(sum(divided.values(), ())) == PATIENTS


def test_order_and_repetition_of_the_patients_do_not_matter():
    shuffled = random.Random(0).sample(PATIENTS, len(PATIENTS)) + PATIENTS[:5]
    assert divide(shuffled, COUNTS, seed=7) == divide(PATIENTS, COUNTS, seed=7)


def test_the_seed_decides_who_goes_where():
    assert divide(PATIENTS, COUNTS, seed=7) != divide(PATIENTS, COUNTS, seed=8)


def test_the_division_is_the_same_in_every_release():
    assert divide(PATIENTS, COUNTS, seed=7)["val"] == ("p007", "p003", "p023", "p018")


def test_a_new_patient_displaces_at_most_one_of_each_split():
    before = divide(PATIENTS, COUNTS, seed=7)
    for newcomer in ("x1", "x2", "x3", "x4", "x5"):
        after = divide([*PATIENTS, newcomer], COUNTS, seed=7)
        for split in ("test", "val", "train"):
            assert len(set(before[split]) - set(after[split])) <= 1


def test_a_single_patient_may_all_be_test():
    counts = {"test": (None, None), "val": (0, 0), "train": (0, 0)}
    assert divide(["only"], counts, seed=0) == {"test": ("only",), "val": (), "train": ()}


def test_a_split_that_is_not_mentioned_gets_nobody():
    assert divide(PATIENTS, {"test": (3, None)}, seed=0)["train"] == ()


def test_too_few_patients_say_how_many_there_are():
    with pytest.raises(DataError, match=r"val split asks for 4 patients; there are 13, of which test takes 12\."):
        divide(PATIENTS[:13], COUNTS, seed=7)


def test_an_official_split_is_kept():
    official = {patient: ("test" if index % 4 == 0 else "train") for index, patient in enumerate(PATIENTS)}
    divided = divided_officially(official, {"test": (5, None), "train": (None, None)}, seed=1)
    assert len(divided["test"]) == 5
    assert all(official[patient] == "test" for patient in divided["test"])
    assert sorted(divided["train"]) == [patient for patient in PATIENTS if official[patient] == "train"]
    with pytest.raises(DataError, match="test split asks for 11 patients; 10 of the 40 that were found"):
        divided_officially(official, {"test": (11, None)}, seed=1)


@pytest.mark.parametrize(("wanted", "sizes"), [(30, [10, 10, 10]), (31, [10, 10, 11]), (50, [10, 20, 20])])
def test_slices_are_spread_over_patients_as_evenly_as_they_allow(wanted, sizes):
    candidates = {"a": range(10), "b": range(30), "c": range(100)}
    chosen = choose_evenly(candidates, wanted, everything)
    assert sorted(map(len, chosen.values())) == sizes


def test_slices_are_evenly_spaced_and_in_order():
    assert choose_evenly({"a": range(100)}, 5, everything) == {"a": [9, 29, 49, 69, 89]}
    assert choose_evenly({"a": range(9)}, 1, everything) == {"a": [4]}
    assert choose_evenly({"a": range(9)}, None, everything) == {"a": list(range(9))}


def test_a_slice_that_is_refused_is_replaced_by_its_neighbour():
    (chosen,) = choose_evenly({"a": range(100)}, 5, lambda index: not 45 <= index <= 52).values()
    assert len(chosen) == 5
    assert chosen[2] in (44, 53)


def test_other_patients_make_up_for_slices_that_are_refused():
    candidates = {name: [(name, index) for index in range(10)] for name in "abc"}
    chosen = choose_evenly(candidates, 15, lambda item: item[0] != "a" or item[1] < 2)
    assert {name: len(items) for name, items in chosen.items()} == {"a": 2, "b": 6, "c": 7}


def test_a_patient_without_a_usable_slice_is_dropped():
    chosen = choose_evenly({"a": ["a0", "a1"], "b": ["b0"]}, None, lambda item: item[0] != "a")
    assert chosen == {"b": ["b0"]}


def test_no_more_slices_are_examined_than_needed():
    examined = set()
    choose_evenly({"a": range(1000), "b": range(1000)}, 20, lambda item: examined.add(item) or True)
    assert len(examined) <= 20
