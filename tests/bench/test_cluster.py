"""A Dask cluster of real processes: a scheduler and workers, as ``dask scheduler`` and ``dask worker`` start them."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pytest
from processes import alive, descendants, kill_group, servers, wait_until
from running import run, table
from test_executors import NOISE, results, work_on

from marbench.bench.cluster import DaskCluster
from marbench.bench.executors import ThisProcess
from marbench.bench.work import Result
from marbench.errors import MarbenchError
from marbench.results.parts import read_parts
from marbench.results.store import open_run

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
    # Of distributed itself, in the process of the tests.
    pytest.mark.filterwarnings("default::ResourceWarning", "default::pytest.PytestUnraisableExceptionWarning"),
]


class Cluster:
    """A scheduler, and workers of one thread each."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes = []

    def start(self, workers=2):
        self.processes = [
            # Both end by themselves, should the tests be killed.
            self._dask("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--idle-timeout", "5m"),
            self._dask("worker", self.address, "--nworkers", str(workers), "--nthreads", "1", "--death-timeout", "1m"),
        ]
        with distributed.Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)
        return self

    def stop(self):
        for process in self.processes:
            kill_group(process)

    def _dask(self, *arguments):
        # One repetition by Dask itself.
        settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        with (self.folder / f"{arguments[0]}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                env={**os.environ, **settings},
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def workers(self):
        """Return the Dask workers: children of their nannies that have started a server of marbench."""
        return {pid for pid in descendants(self.processes[1].pid) if servers(pid)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture
def slow(plugin, tmp_path):
    """The folder of a plugin that takes its time, and counts its calls in a file."""
    calls = str(tmp_path / "calls")
    return plugin(
        "slow", f"with open({calls!r}, 'a') as file:\n    file.write('.')\ntime.sleep(0.2)\nreturn scan.image"
    )


@pytest.fixture
def command(tiny_file, tmp_path, slow, marbench, monkeypatch):
    """Return a function that starts a run of the slow method on a cluster, whose workers stand in another folder."""
    monkeypatch.chdir(tmp_path)

    def begin(address, log="log"):
        asked = ["run", "--spec", tiny_file, "--plugins", slow.name, "--methods", "slow,none", "--limit", 20]
        asked += ["--out", "out", "--images", "none", "--no-report", "--dask", address]
        return marbench(tmp_path / log, *asked)

    return begin


@pytest.fixture
def calls(tmp_path):
    path = tmp_path / "calls"
    return lambda: path.stat().st_size if path.exists() else 0


def on(cluster, notes=None):
    return DaskCluster(cluster.address, [].append if notes is None else notes.append)


def test_rows_and_pictures_of_a_cluster_are_those_of_this_process(cluster, tiny, plugin):
    work = work_on(tiny, "none,li,nmar,noise", [plugin("noise", NOISE)], sizes=(1, 3, 2, 1))
    rows, pictures = results(ThisProcess(), work)
    notes = []
    other_rows, other_pictures = results(on(cluster, notes), work)
    pd.testing.assert_frame_equal(other_rows, rows, check_exact=True)
    assert other_pictures == pictures
    assert notes == ["The Dask cluster does 2 units at once."]


def test_two_commands_fill_a_folder_at_once_and_say_nothing_of_dask(cluster, tiny, tmp_path, command, slow):
    both = [command(cluster.address, f"log{number}") for number in range(2)]
    assert [process.wait(300) for process in both] == [0, 0], (tmp_path / "log0").read_text()
    read = open_run(tmp_path / "out")
    assert read.problems == []
    pd.testing.assert_frame_equal(table(read.rows), table(run(tiny, tmp_path / "alone", "slow,none", slow).rows))
    for number in range(2):
        log = (tmp_path / f"log{number}").read_text()
        assert "40 new results" in log
        assert not any(word in log for word in ("distributed", "Warning", "WARN", "ERROR", "Traceback", "tornado")), log


def test_a_worker_of_the_cluster_that_is_killed_loses_nothing_and_leaves_no_process(cluster, tiny, slow, calls):
    work, killed = work_on(tiny, "slow,none", [slow], sizes=(4, 4)), set()

    def kill():
        # One with its server, a worker process, the server of that, and the method.
        wait_until(lambda: calls() >= 3 and max(len(descendants(each)) for each in cluster.workers()) >= 4)
        worker = max(cluster.workers(), key=lambda each: len(descendants(each)))
        killed.update({worker} | descendants(worker))
        os.kill(worker, signal.SIGKILL)

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        rows, pictures = results(on(cluster), work)
        killing.result()
    assert len(killed) >= 5
    undisturbed, same_pictures = results(ThisProcess(), work)
    pd.testing.assert_frame_equal(rows, undisturbed, check_exact=True)
    assert pictures == same_pictures
    wait_until(lambda: not any(map(alive, killed)), seconds=20)


def test_a_method_that_ends_the_process_that_it_is_in_crashes_alone(cluster, tiny, plugin):
    plugins = plugin("segfault", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    rows, _ = results(on(cluster), work_on(tiny, "none,segfault,li", [plugins], isolation="inline"))
    assert rows.groupby("method")["status"].agg(list).to_dict() == {
        "none": ["ok"] * 4,
        "segfault": ["crashed"] * 4,
        "li": ["ok"] * 4,
    }
    # The Dask workers noticed nothing.
    assert len(cluster.workers()) == 2


def test_a_method_that_ends_the_dask_workers_ends_in_an_error_after_everything_else_is_done(cluster, tiny, plugin):
    # It climbs to the child of the nanny, past its own process, the worker process and their servers.
    climb = "import os\npid = os.getpid()\nparent = lambda pid: int(open(f'/proc/{pid}/stat').read().split()[-49])\n"
    climb += "while 'spawn_main' not in open(f'/proc/{pid}/cmdline').read():\n    pid = parent(pid)\n"
    plugins = plugin("deadly", f"{climb}os.kill(pid, 9)\ntime.sleep(60)")
    deadly, harmless = work_on(tiny, "deadly", [plugins], sizes=(1,)), work_on(tiny, "none", sizes=(1, 1, 1, 1))
    several = [
        *deadly,
        *(replace(one, unit=replace(one.unit, number=number)) for number, one in enumerate(harmless, 1)),
    ]
    rows = []
    with on(cluster) as executor, pytest.raises(MarbenchError, match="ended again and again during 1 units of the run"):
        rows.extend(event.row for event in executor.run(several) if isinstance(event, Result))
    assert len(rows) == 4
    with distributed.Client(cluster.address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_is_interrupted_or_killed_leaves_nothing_to_do_on_the_cluster(
    cluster, command, calls, tmp_path, number
):
    process = command(cluster.address)
    wait_until(lambda: calls() >= 2)
    process.send_signal(number)
    assert process.wait(60) == (130 if number == signal.SIGINT else -number)
    with distributed.Client(cluster.address, timeout=60, set_as_default=False) as client:
        wait_until(lambda: not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))
    # What was running stops as well, though its thread cannot be told to.
    wait_until(lambda: not any(descendants(each) for worker in cluster.workers() for each in servers(worker)))
    count = calls()
    assert 2 <= count < 20
    time.sleep(0.5)
    assert calls() == count
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    if number == signal.SIGINT:
        assert "the same command goes on" in log


def test_a_scheduler_that_is_lost_is_told_of_and_the_same_command_goes_on_with_the_next_one(
    command, calls, tmp_path, tiny, slow
):
    lost = Cluster(tmp_path)
    try:
        process = command(lost.start(workers=1).address)
        wait_until(lambda: calls() >= 12)  # one of the two units is done
        lost.stop()
        assert process.wait(120) == 1
        log = (tmp_path / "log").read_text()
        assert f"The Dask scheduler at {lost.address} is lost. Everything that was finished is stored" in log
        assert not any(word in log for word in ("Traceback", "distributed", "Warning"))

        process = command(lost.start(workers=1).address)
        assert process.wait(300) == 0, (tmp_path / "log").read_text()
    finally:
        lost.stop()
    read, undisturbed = open_run(tmp_path / "out"), run(tiny, tmp_path / "alone", "slow,none", slow)
    pd.testing.assert_frame_equal(table(read.rows), table(undisturbed.rows), check_exact=True)
    assert len(read_parts(tmp_path / "out" / "results", "results", read.spec.hash).table) == 40


def test_a_worker_with_other_files_than_the_command_is_refused(cluster, tiny, plugin):
    work = work_on(tiny, "mine", [plugin("mine")])
    assert work[0].conditions.methods[0].hash
    plugin("mine", "return scan.image + 1")  # as on a worker that sees another folder under the same path
    with pytest.raises(MarbenchError, match="A Dask worker has other files of the method mine"):
        results(on(cluster), work)
    with on(cluster) as executor, pytest.raises(MarbenchError, match="Expected the device cuda:7"):
        list(executor.run(work_on(tiny, "none", device="cuda:7")))


def test_an_address_without_a_scheduler_is_told_with_what_was_expected(tiny, tmp_path):
    for address in ("tcp://127.0.0.1:9", "nonsense://x", "somewhere"):
        with pytest.raises(
            MarbenchError, match=r"There is no Dask scheduler at .* expected an address like tcp://host"
        ):
            results(DaskCluster(address, print), work_on(tiny, "none"))
    with pytest.raises(MarbenchError, match=r"The scheduler file .*absent\.json does not exist"):
        results(DaskCluster(str(tmp_path / "absent.json"), print), work_on(tiny, "none"))
    with pytest.raises(MarbenchError, match="Give one of them"):
        run(tiny, tmp_path, workers=2, dask="tcp://127.0.0.1:9")


def test_a_run_that_has_nothing_to_do_needs_no_cluster(tiny, tmp_path):
    run(tiny, tmp_path, limit=2)
    assert run(tiny, tmp_path, limit=2, workers=None, dask="tcp://127.0.0.1:9").new == 0
