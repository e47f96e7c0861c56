import time

import pandas as pd
import pytest
from running import Notes, run
from torch import nn

from marbench.bench.options import RunOptions
from marbench.bench.parameters import believable_count, parameter_count
from marbench.bench.run import time_benchmark
from marbench.bench.timing import REPEATS, timing_cases
from marbench.machine.interrupts import Interrupts
from marbench.machine.threads import threads
from marbench.method.contract import Method
from marbench.method.learned import LearnedMethod
from marbench.method.request import parse_methods
from marbench.results.store import open_run


def test_a_run_times_methods_once_per_machine_and_only_those_that_work(tmp_path, tiny, plugin):
    folder = plugin("sleeps", "time.sleep(0.02)\nreturn scan.image")
    plugin("fails", "raise ValueError")
    methods = "sleeps,fails,none"
    start = time.perf_counter()
    run(tiny, tmp_path / "out", methods, folder, limit=4, timing=True)
    passed = time.perf_counter() - start
    timings = open_run(tmp_path / "out").timings
    assert set(timings["method"]) == {"sleeps", "none"}
    seconds = timings.groupby("method")["seconds"]
    assert (seconds.count() == 3 * REPEATS).all()
    assert seconds.min()["sleeps"] >= 0.02 and seconds.min()["none"] > 0
    assert timings["seconds"].sum() < passed
    notes = Notes()
    run(tiny, tmp_path / "out", methods, folder, notes, limit=4, timing=True)
    assert "Timing" not in notes.stretches
    assert len(open_run(tmp_path / "out").timings) == len(timings)


def test_what_is_measured_anew_takes_the_place_of_what_was_measured_before(tmp_path, tiny, plugin):
    out, notes = tmp_path / "out", Notes()
    folder = plugin("changes", "return scan.image + 1")
    run(tiny, out, "changes", folder, limit=1)

    def timed():
        return time_benchmark(tiny, parse_methods("changes", [folder]), out, RunOptions(limit=1), notes, Interrupts())

    timed()
    again = timed()
    pd.testing.assert_frame_equal(open_run(out).timings, again)
    # Of another version there are no rows yet; it is what was measured all the same.
    plugin("changes")
    newer = timed()
    assert len(newer) == REPEATS
    assert set(newer["method_hash"]).isdisjoint(again["method_hash"])


def test_a_method_that_fails_while_it_is_timed_is_told_and_costs_no_other(tmp_path, tiny, plugin):
    notes = Notes()
    folder = plugin("fails", "raise ValueError('cold')")
    requests = parse_methods("fails,none", [folder])
    time_benchmark(tiny, requests, tmp_path / "out", RunOptions(limit=1), notes, Interrupts())
    assert any("fails could not be timed" in note and "cold" in note for note in notes.notes)
    assert set(open_run(tmp_path / "out").timings["method"]) == {"none"}


def test_methods_are_timed_with_no_more_threads_than_cores_that_may_be_used(tmp_path, tiny, monkeypatch):
    # torch counts the cores of the host, of which a container may have few.
    monkeypatch.setattr("marbench.bench.run.usable_cores", lambda: 1)
    requests, asked = parse_methods("none"), RunOptions(limit=1)
    with threads(2):
        timed = time_benchmark(tiny, requests, tmp_path, asked, Notes(), Interrupts())
    assert set(timed["threads"]) == {1}


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
