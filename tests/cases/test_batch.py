import dataclasses

import pytest
import torch
from torch.utils.data import DataLoader

import marbench
from marbench.cases.batch import CaseBatch, collate
from marbench.cases.suite import Suite
from marbench.errors import DataError
from marbench.spec import Spec


@pytest.mark.parametrize("workers", [0, 1])
def test_a_suite_can_be_loaded_in_batches(tiny: Spec, workers: int) -> None:
    suite = Suite(tiny)
    batches = list(DataLoader(suite, batch_size=8, num_workers=workers, collate_fn=marbench.collate))
    assert [len(batch) for batch in batches] == [8, 8, 4]
    assert [info.key for batch in batches for info in batch.infos] == list(suite.case_keys)
    batch: CaseBatch = batches[1]
    assert batch.truth is not None
    one = suite[10]
    for whole, parts in ((batch.scan, one.scan), (batch.truth, one.truth)):
        for field in dataclasses.fields(whole):
            assert torch.equal(getattr(whole, field.name)[2:3], getattr(parts, field.name))


def test_cases_that_are_no_batch_are_refused(tiny: Spec) -> None:
    first, second = Suite(tiny)[:2]
    unknown = dataclasses.replace(first, truth=None)
    assert collate([unknown, unknown]).truth is None
    with pytest.raises(DataError, match="truth of only 1 of 2"):
        collate([unknown, second])
    with pytest.raises(DataError, match="different geometries"):
        collate([first, Suite("mini")[0]])
    with pytest.raises(DataError, match="at least one"):
        collate([])
