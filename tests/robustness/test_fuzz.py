"""A short seeded run of scripts/fuzz.py: of broken inputs nothing comes but a `MarbenchError`."""

import warnings

import pytest
from fuzz import KINDS, fuzz

COUNTS = {
    "spec": 300,
    "method": 40,
    "names": 700,
    "answers": 500,
    "rows": 8,
    "cards": 6,
    "pictures": 20,
    "weights": 40,
}


@pytest.mark.parametrize("kind", KINDS)
def test_broken_and_hostile_inputs_are_refused_by_name(kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tally = fuzz(kind, COUNTS[kind], 1, tmp_path)
    assert not tally.findings, "\n".join(f"{each.shown}\n{each.trace}" for each in tally.findings.values())
    assert tally.accepted + tally.refused == COUNTS[kind]
