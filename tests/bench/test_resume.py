"""Real processes, killed and interrupted: the same command ends with the table of an undisturbed run."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pandas as pd
import pytest
from processes import forked_command
from running import run, table

from marbench.results.store import open_run
from marbench.spec import Spec


def slow(folder: Path) -> str:
    """Return a method that takes its time, and counts its calls in a file."""
    count = f"with open({str(folder / 'calls')!r}, 'a') as file:\n    file.write('.')\n"
    return f"time.sleep(0.03)\n{count}return scan.image + 1"


@pytest.fixture
def start(tiny_file: Path, plugin: Callable[..., Path], tmp_path: Path) -> Callable[..., ForkServerProcess]:
    plugins = plugin("slow", slow(tmp_path))

    def begin(*more: str, largest_file: int | None = None) -> ForkServerProcess:
        arguments = ["run", "--spec", str(tiny_file), "--methods", "slow,none", "--plugins", str(plugins)]
        arguments += ["--out", str(tmp_path / "out"), "--no-timing", "--no-report", "--images", "none"]
        return forked_command([*arguments, "--limit", "8", *more], tmp_path / "log", largest_file)

    return begin


@pytest.fixture
def undisturbed(tiny: Spec, plugin: Callable[..., Path], tmp_path: Path) -> pd.DataFrame:
    return table(run(tiny, tmp_path / "undisturbed", "slow,none", plugin("slow", slow(tmp_path)), limit=8).rows)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for a minute"
        time.sleep(0.005)


def wait_for_parts(folder: Path, more_than: int, process: ForkServerProcess) -> int:
    """Wait until there are more parts than that, or the process has ended; return how many."""

    def parts() -> int:
        return len(list((folder / "results").glob("*.parquet")))

    wait_until(lambda: parts() > more_than or not process.is_alive())
    return parts()


def ended(process: ForkServerProcess) -> int | None:
    process.join(60)
    return process.exitcode


def test_a_run_that_is_killed_again_and_again_ends_like_one_that_was_not(start, tmp_path, undisturbed):
    out, parts = tmp_path / "out", 0
    # Once before the first part, once after it.
    for delay, isolation in ((None, "inline"), (0.1, "process")):
        process = start("--workers", "1", "--isolation", isolation)
        if delay is None:
            time.sleep(0.3)
        else:
            parts = wait_for_parts(out, parts, process)
            time.sleep(delay)
        if not process.is_alive():
            break
        process.kill()
        if ended(process) == 0:  # it came to its end before the signal came to it
            break
        assert ended(process) == -signal.SIGKILL
    assert ended(start("--workers", "1")) == 0, (tmp_path / "log").read_text()
    read = open_run(out)
    assert read.problems == []
    pd.testing.assert_frame_equal(table(read.rows), undisturbed)

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert ended(start()) == 0
    assert "0 new results" in (tmp_path / "log").read_text()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_keeps_what_is_finished_and_says_how_to_go_on(start, tmp_path, number, code):
    # Once with a method in this process, once with a process of its own.
    how = ["--isolation", "inline", "--force", "slow"] if number == signal.SIGINT else ["--isolation", "process"]
    process = start("--workers", "1", *how)
    calls = tmp_path / "calls"
    wait_until(lambda: (calls.exists() and calls.stat().st_size >= 5) or not process.is_alive())
    os.kill(process.pid, number)
    assert ended(process) == code
    log = (tmp_path / "log").read_text()
    assert "the same command goes on" in log
    assert ("begins anew with what --force names" in log) == ("--force" in how)
    assert "Traceback" not in log
    rows = open_run(tmp_path / "out").rows
    assert set(rows["status"]) == {"ok"}
    # The signal may have come between the end of a call and its row.
    assert calls.stat().st_size - 1 <= (rows["method"] == "slow").sum() <= calls.stat().st_size


def test_two_processes_in_one_folder_lose_nothing(start, tmp_path, undisturbed):
    processes = [start("--shard", "1/2", "--workers", "1"), start("--workers", "2")]
    assert [ended(process) for process in processes] == [0, 0]
    read = open_run(tmp_path / "out")
    assert read.problems == []
    pd.testing.assert_frame_equal(table(read.rows), undisturbed)


def test_a_disk_that_takes_no_more_ends_a_run_with_code_1_and_what_to_do(start, tmp_path, tiny, plugin):
    kept = table(run(tiny, tmp_path / "out", "slow,none", plugin("slow", slow(tmp_path)), limit=5).rows)
    # Smaller than any part, larger than what else a run writes.
    assert ended(start("--isolation", "inline", "--workers", "1", largest_file=6000)) == 1
    log = (tmp_path / "log").read_text()
    assert "cannot be written: File too large" in log
    assert "Free space" in log
    read = open_run(tmp_path / "out")
    assert read.problems == []
    pd.testing.assert_frame_equal(table(read.rows), kept)
