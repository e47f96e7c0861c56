"""Whoever does the work, and whatever becomes of them on the way: the same rows. Real processes."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest
from processes import alive, descendants, forked_command, wait_until, workers
from running import run, table

from marbench.bench.executors import LocalWorkers, ThisProcess, default_workers
from marbench.bench.limits import Limits
from marbench.bench.plan import Shard, Task, Unit
from marbench.bench.work import Conditions, Result, Work
from marbench.cases.suite import Suite
from marbench.errors import MarbenchError
from marbench.method.request import parse_methods
from marbench.results.store import open_run
from marbench.spec import load_spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked, and found in /proc")

NOISE = "import random\nnoise = torch.rand(scan.image.shape) + float(np.random.rand()) + random.random()\n"
NOISE += "return scan.image + noise"


def results(executor, work):
    """Return the rows and the pictures that come of work, sorted."""
    rows, pictures = [], {}
    with executor:
        for event in executor.run(work):
            if isinstance(event, Result):
                rows.append(event.row)
                pictures |= event.files
    return table(pd.DataFrame([row.record() for row in rows])), pictures


def work_on(spec, methods, plugins=(), sizes=(2, 2), **conditions):
    """Return work on the first cases of a benchmark, in units of these sizes, that asks for all pictures."""
    fitted = tuple(request.for_spec(spec) for request in parse_methods(methods, plugins))
    keys = Suite(spec).case_keys
    asked = Conditions(spec, fitted, pictures=frozenset(key.case_id for key in keys), **conditions)
    units, start = [], 0
    for number, size in enumerate(sizes):
        tasks = [Task(i, keys[i], {each.label: 1 for each in fitted}) for i in range(start, start + size)]
        units.append(Work(asked, Unit(number, tuple(tasks))))
        start += size
    return units


@pytest.mark.parametrize(("threads", "count"), [(1, 4), (2, 2), (3, 1), (8, 1)])
def test_workers_with_several_threads_are_no_more_than_the_cores_have_room_for(tiny, monkeypatch, threads, count):
    monkeypatch.setattr("marbench.bench.executors.usable_cores", lambda: 4)
    monkeypatch.setattr("marbench.bench.executors.available_memory", lambda: 1e12)
    assert default_workers(Conditions(tiny, (), limits=Limits(threads=threads)), 100) == count


def test_rows_are_the_same_to_the_bit_for_any_number_of_workers(tiny, plugin):
    work = work_on(tiny, "none,li,nmar,noise", [plugin("noise", NOISE)], sizes=(1, 3, 2))
    rows, pictures = results(ThisProcess(), work)
    assert len(rows) == 4 * 6
    assert len(pictures) == 5 * 6
    assert set(rows["status"]) == {"ok"}
    # In another order: what a worker did before changes nothing either.
    other_rows, other_pictures = results(LocalWorkers(2), reversed(work))
    pd.testing.assert_frame_equal(other_rows, rows, check_exact=True)
    assert other_pictures == pictures


def test_any_sharding_gives_the_rows_of_one_command(tiny, tmp_path, plugin):
    plugins, methods = plugin("noise", NOISE), "none,li,noise"
    together = run(tiny, tmp_path / "together", methods, plugins, limit=12, workers=2)
    assert together.workers == 2
    for part in (2, 1):
        run(tiny, tmp_path / "shards", methods, plugins, limit=12, workers=part, shard=Shard(part, 2))
    pd.testing.assert_frame_equal(table(open_run(tmp_path / "shards").rows), table(together.rows), check_exact=True)


def test_networks_give_the_same_scores_and_pictures_in_two_workers():
    spec = load_spec("mini")
    work = work_on(spec, "cgan,rdn,cnnmar,dudonet", sizes=(1, 1))
    rows, pictures = results(ThisProcess(), work)
    assert set(rows["status"]) == {"ok"}
    other_rows, other_pictures = results(LocalWorkers(2), work)
    pd.testing.assert_frame_equal(other_rows, rows, check_exact=True)
    assert other_pictures == pictures
    assert len(pictures) == 2 * (4 + 1)


def test_workers_that_are_killed_lose_nothing(tiny, plugin):
    plugin("noise", NOISE)
    plugins = plugin("slow", "time.sleep(0.05)\nreturn scan.image")
    work = work_on(tiny, "noise,none,slow", [plugins], sizes=(3, 4, 3))
    undisturbed, pictures = results(ThisProcess(), work)
    rows, seen, killed = [], {}, set()
    with LocalWorkers(2) as executor:
        for event in executor.run(work):
            if isinstance(event, Result):
                rows.append(event.row)
                seen |= event.files
            # A unit is given up once workers have ended three times during it and did nothing between.
            if len(rows) in (0, 4) and len(killed) <= len(rows) // 4:
                wait_until(lambda: workers(os.getpid()) - killed)
                victim = max(workers(os.getpid()) - killed)
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)
    assert len(killed) == 2
    disturbed = table(pd.DataFrame([row.record() for row in rows]))
    pd.testing.assert_frame_equal(disturbed, undisturbed, check_exact=True)  # each row once
    assert seen == pictures
    assert not any(alive(each) for each in killed)


def test_what_methods_in_workers_write_for_a_while_goes_with_the_workers(tiny, plugin, tmp_path, monkeypatch):
    scratch, where = tmp_path / "scratch", tmp_path / "where"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    body = f"import tempfile\nopen({str(where)!r}, 'a').write(tempfile.mkdtemp() + '\\n')\nreturn scan.image"
    work = work_on(tiny, "writes", [plugin("writes", body)], sizes=(5, 5))
    with LocalWorkers(2) as executor:
        for event in executor.run(work):
            if isinstance(event, Result):
                break  # in the midst of both units
    places = [Path(line) for line in where.read_text().split()]
    assert places and all(place.is_relative_to(scratch) for place in places)
    assert not list(scratch.iterdir())


DEADLY = {
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "leaves": "os._exit(0)",
    "closes": "os.closerange(3, 4096)",
    "returns": "return scan.image",
}


def test_a_method_that_ends_the_worker_that_it_is_in_crashes_alone_and_nobody_else(tiny, tmp_path, plugin):
    for name, body in DEADLY.items():
        plugins = plugin(name, f"import os, signal\n{body}\nreturn scan.image")
    methods = f"none,{','.join(DEADLY)},li"
    finished = run(tiny, tmp_path / "out", methods, plugins, isolation="inline", workers=2, limit=3)
    statuses = finished.rows.groupby("method")["status"].agg(lambda each: sorted(set(each)))
    assert statuses.to_dict() == {
        "none": ["ok"],
        "segfault": ["crashed"],
        "leaves": ["crashed"],
        "closes": ["crashed"],
        "returns": ["ok"],
        "li": ["ok"],
    }
    assert finished.rows.groupby("method").size().eq(3).all()
    why = finished.rows.drop_duplicates("method").set_index("method")["message"]
    assert "SIGSEGV" in why["segfault"]
    assert "exit code 0" in why["leaves"]
    undisturbed = run(tiny, tmp_path / "undisturbed", "none,li", limit=3).rows
    others = finished.rows[finished.rows["method"].isin(["none", "li"])]
    pd.testing.assert_frame_equal(table(others), table(undisturbed), check_exact=True)


def test_workers_that_end_whatever_they_do_end_the_run(tiny):
    work = work_on(tiny, "none", sizes=(3,))
    executor = LocalWorkers(1)
    with executor, pytest.raises(MarbenchError, match="ended 3 times during the unit 0"):
        for _ in executor.run(work):
            for worker in workers(os.getpid()):
                os.kill(worker, signal.SIGKILL)


def test_a_device_that_is_not_there_is_told_once(tiny):
    work = work_on(tiny, "none", sizes=(1, 1), device="cuda:7")
    with pytest.raises(MarbenchError, match="Expected the device cuda:7"):
        results(LocalWorkers(2), work)


@pytest.fixture
def endless(tiny_file, tmp_path, plugin):
    """Return what to ask of marbench for a run whose calls take a minute, and what tells that one has begun."""
    plugins = plugin("slow", f"open({str(tmp_path / 'begun')!r}, 'w').close()\ntime.sleep(60)\nreturn scan.image")
    asked = ["run", "--spec", tiny_file, "--plugins", plugins, "--methods", "slow,none", "--workers", 2]
    return [str(word) for word in (*asked, "--out", tmp_path / "out")], (tmp_path / "begun").exists


def processes_of(pid, begun):
    """Return the processes of a run once all of its workers are at work."""
    wait_until(lambda: begun() and len(workers(pid)) == 2)
    time.sleep(0.2)
    all_of_it = descendants(pid)
    assert len(all_of_it) >= 1 + 2 + 2 + 1  # server, workers and their servers, a method at least
    return all_of_it


def test_no_process_is_left_of_a_run_that_is_killed(endless, tmp_path, marbench):
    asked, begun = endless
    process = marbench(tmp_path / "log", *asked)
    all_of_it = processes_of(process.pid, begun)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    wait_until(lambda: not any(map(alive, all_of_it)), seconds=20)


def test_no_process_is_left_of_a_run_that_is_interrupted(endless, tmp_path):
    asked, begun = endless
    process = forked_command(asked, tmp_path / "log")
    all_of_it = processes_of(process.pid, begun)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    wait_until(lambda: not any(map(alive, all_of_it)), seconds=20)
    log = (tmp_path / "log").read_text()
    assert "the same command goes on" in log
    assert "Traceback" not in log


def test_in_line_means_in_this_process_unless_workers_are_asked_for(tiny, tmp_path):
    assert run(tiny, tmp_path / "one", isolation="inline", workers=None).workers == 1
    assert run(tiny, tmp_path / "two", isolation="inline", workers=2, limit=1).workers == 2
