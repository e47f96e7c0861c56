"""Which tensors are made where code names no dtype and no device, whatever somebody has switched to before."""

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Barrier, Thread

import pytest
import torch

from marbench.machine.defaults import standard_process

STANDARD = torch.float32, torch.device("cpu")


def made() -> tuple[torch.dtype, torch.device]:
    empty = torch.empty(0)
    return empty.dtype, empty.device


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("around", [[], ["meta"], ["cpu"], ["meta", "cpu"]])
@pytest.mark.parametrize("for_good", [[], ["meta"], ["cpu"], ["meta", None]])
def test_tensors_are_of_the_standard_and_afterwards_as_before(for_good, around, dtype):
    for device in for_good:
        torch.set_default_device(device)
    torch.set_default_dtype(dtype)
    with ExitStack() as stack:
        for device in around:
            stack.enter_context(torch.device(device))
        before = made()
        with standard_process():
            assert made() == STANDARD
            with standard_process():
                assert made() == STANDARD
            assert made() == STANDARD
        assert made() == before
        with pytest.raises(ZeroDivisionError), standard_process():
            raise ZeroDivisionError
        assert made() == before


def test_what_code_within_switches_stays_where_nothing_was_switched():
    with standard_process():
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        with standard_process():
            assert made() == STANDARD
    assert made() == (torch.float64, torch.device("meta"))


def test_threads_do_not_switch_each_other():
    """The one that came first goes first, and the other goes on."""
    both_within, first_is_out = Barrier(2, timeout=30), Barrier(2, timeout=30)
    seen = []

    def first():
        with standard_process():
            both_within.wait()
        first_is_out.wait()

    def second():
        with standard_process():
            both_within.wait()
            first_is_out.wait()
            seen.append(made())

    torch.set_default_dtype(torch.float64)
    threads = [Thread(target=each) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert seen == [STANDARD]
    assert torch.get_default_dtype() == torch.float64
