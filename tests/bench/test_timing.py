import sys

import numpy as np
import pandas as pd
import pytest
import torch
from running import Notes, run
from torch import nn

from marbench.bench.options import RunOptions
from marbench.bench.parameters import believable_count, parameter_count
from marbench.bench.run import time_benchmark
from marbench.bench.timing import REPEATS, timing_cases
from marbench.machine.host import describe_host, host_id
from marbench.machine.interrupts import Interrupts
from marbench.machine.memory import PeakMemory
from marbench.method.contract import Method
from marbench.method.learned import LearnedMethod
from marbench.method.request import parse_methods
from marbench.results.store import open_run


def test_a_run_times_methods_once_per_machine_and_only_those_that_work(tmp_path, tiny, plugin):
    folder = plugin("sleeps", "time.sleep(0.02)\nreturn scan.image")
    plugin("fails", "raise ValueError")
    methods = "sleeps,fails,none"
    run(tiny, tmp_path / "out", methods, folder, limit=4, timing=True)
    timings = open_run(tmp_path / "out").timings
    assert set(timings["method"]) == {"sleeps", "none"}
    seconds = timings.groupby("method")["seconds"]
    assert (seconds.count() == 3 * REPEATS).all()
    assert 0.02 <= seconds.median()["sleeps"] < 0.2
    assert seconds.median()["none"] < 0.005
    notes = Notes()
    run(tiny, tmp_path / "out", methods, folder, notes, limit=4, timing=True)
    assert "Timing" not in notes.stretches
    assert len(open_run(tmp_path / "out").timings) == len(timings)


def test_what_is_measured_anew_takes_the_place_of_what_was_measured_before(tmp_path, tiny, plugin):
    out, notes = tmp_path / "out", Notes()
    folder = plugin("changes", "time.sleep(0.2)\nreturn scan.image")
    run(tiny, out, "changes", folder, limit=1)

    def timed():
        return time_benchmark(tiny, parse_methods("changes", [folder]), out, RunOptions(limit=1), notes, Interrupts())

    timed()
    again = timed()
    pd.testing.assert_frame_equal(open_run(out).timings, again)
    # Of another version there are no rows yet; it is what was measured all the same.
    plugin("changes")
    newer = timed()
    assert len(newer) == REPEATS and newer["seconds"].median() < again["seconds"].median() / 2
    assert set(newer["method_hash"]).isdisjoint(again["method_hash"])


def test_a_method_that_fails_while_it_is_timed_is_told_and_costs_no_other(tmp_path, tiny, plugin):
    notes = Notes()
    folder = plugin("fails", "raise ValueError('cold')")
    requests = parse_methods("fails,none", [folder])
    time_benchmark(tiny, requests, tmp_path / "out", RunOptions(limit=1), notes, Interrupts())
    assert any("fails could not be timed" in note and "cold" in note for note in notes.notes)
    assert set(open_run(tmp_path / "out").timings["method"]) == {"none"}


def test_while_a_method_is_timed_no_other_one_has_a_process(tmp_path, tiny, plugin):
    note = tmp_path / "pid"
    folder = plugin("first", f"import os\nopen({str(note)!r}, 'w').write(str(os.getpid()))\nreturn scan.image")
    gone = f"os.kill(int(open({str(note)!r}).read()), 0)\nexcept ProcessLookupError:\n    return scan.image"
    plugin("second", f"import os\ntry:\n    {gone}")
    requests, notes = parse_methods("first,second", [folder]), Notes()
    timed = time_benchmark(tiny, requests, tmp_path / "out", RunOptions(limit=1), notes, Interrupts())
    assert set(timed["method"]) == {"first", "second"}, notes.notes


def test_a_method_that_worked_before_and_cannot_be_loaded_now_is_not_timed(tmp_path, tiny, plugin, monkeypatch):
    source = "import os\nif 'GONE' in os.environ: raise OSError('gone')\n"
    source += "from marbench import Method\nclass P(Method):\n    def reduce(self, scan): return scan.image\n"
    folder = plugin("leaves", source=source)
    run(tiny, tmp_path / "out", "leaves", folder, limit=1)
    monkeypatch.setenv("GONE", "1")
    notes = Notes()
    assert run(tiny, tmp_path / "out", "leaves", folder, notes, limit=1, timing=True).new == 0
    assert any("leaves could not be timed" in note and "gone" in note for note in notes.notes)
    assert open_run(tmp_path / "out").timings.empty


@pytest.mark.parametrize(("count", "indices"), [(1, (0,)), (2, (0, 1)), (3, (0, 1, 2)), (10, (0, 5, 9))])
def test_timed_cases_are_spread_and_distinct(count, indices):
    assert timing_cases(count) == indices


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory can be reset on Linux only")
def test_peak_memory_is_that_of_the_call(tmp_path):
    memory = PeakMemory(torch.device("cpu"))
    if np.isnan(memory.megabytes()):
        pytest.skip("this kernel does not let a process reset its peak memory")
    large = np.ones(25_000_000)
    large_sum = large.sum()
    del large
    assert large_sum == 25_000_000
    assert 180 < memory.megabytes() < 260
    assert PeakMemory(torch.device("cpu")).megabytes() < 20


def test_parameters_are_counted_once_and_only_of_networks():
    method = Method()
    assert parameter_count(method) is None
    shared = nn.Linear(3, 4)
    method.network = shared
    method.stages = [shared, nn.Linear(2, 2)]
    assert parameter_count(method) == 3 * 4 + 4 + 2 * 2 + 2


@pytest.mark.parametrize(
    ("told", "kept"),
    [(0, 0), (2**53, 2**53), (2**53 + 1, None), (-1, None), (True, None), (3.0, None), ("3", None), (None, None)],
)
def test_a_number_of_parameters_is_one_that_tables_can_hold(told, kept):
    assert believable_count(told) == kept


def test_networks_that_only_help_in_training_are_not_counted():
    class Adversarial(LearnedMethod):
        def networks(self):
            return {"generator": self.generator}

    method = Adversarial()
    method.generator, method.discriminator = nn.Linear(3, 4), nn.Linear(5, 6)
    assert parameter_count(method) == 3 * 4 + 4


def test_the_description_of_a_host_is_stable_and_names_no_one(monkeypatch):
    monkeypatch.setenv("USER", "jane-doe")
    host = describe_host()
    assert host_id(host) == host_id(describe_host())
    text = str(host)
    assert "jane-doe" not in text
    assert __import__("socket").gethostname() not in text or len(__import__("socket").gethostname()) < 4
    assert host["packages"]["torch"] == torch.__version__
