"""What is left to this process, on systems that are written for the test: the machine, a job, a container."""

import os
from pathlib import Path

import pytest

from marbench.machine.cores import usable_cores
from marbench.machine.memory import available_memory, most_memory

JOB = {"job/memory.max": "8000", "job/memory.current": "3000", "job/memory.stat": "anon 1\ninactive_file 500\n"}
STEP = {"job/step/memory.max": "max", "job/step/memory.current": "20"}
LIMIT, USAGE = "memory.limit_in_bytes", "memory.usage_in_bytes"
V1 = {f"memory/{LIMIT}": "9223372036854771712", f"memory/{USAGE}": "5", f"memory/a/{LIMIT}": "900"}


def write_system(root: Path, groups: str, files: dict[str, str]) -> None:
    told = {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 1000000 kB\n", "proc/self/cgroup": groups}
    for name, text in {**told, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "left"),
    [
        ("", {}, 1024e6),
        ("0::/", {}, 1024e6),
        ("0::/job/step", {**JOB, **STEP}, 5500),
        ("0::/job/step", {**JOB, "job/step/memory.max": "30", "job/step/memory.current": "20"}, 10),
        ("5:cpu:/b\n4:memory:/a/b\n0::/job", {**V1, f"memory/a/{USAGE}": "400"}, 500),
        ("4:memory:/of/the/host", {f"memory/{LIMIT}": "900", f"memory/{USAGE}": "300"}, 600),
    ],
)
def test_the_memory_that_is_left_is_that_of_the_job_where_it_has_a_limit(tmp_path, groups, files, left):
    write_system(tmp_path, groups, files)
    assert available_memory(tmp_path) == left


def test_a_group_whose_name_is_no_text_is_held_to_the_limits_of_those_above(tmp_path):
    write_system(tmp_path, "", JOB)
    (tmp_path / "proc/self/cgroup").write_bytes(b"0::/job/caf\xe9\n")
    assert available_memory(tmp_path) == 5500


@pytest.mark.parametrize(
    ("groups", "files", "most"),
    [
        ("0::/", {"memory.max": "max"}, 9000000 * 1024),
        ("0::/job/step", {**JOB, **STEP}, 8000),
        ("4:memory:/a/b", V1, 900),
    ],
)
def test_the_memory_that_a_process_may_have_is_that_of_the_job_where_it_has_a_limit(tmp_path, groups, files, most):
    write_system(tmp_path, groups, files)
    assert most_memory(tmp_path) == most


def test_where_the_system_does_not_tell_memory_is_no_limit(tmp_path):
    assert available_memory(tmp_path) == most_memory(tmp_path) == float("inf")


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/", {"cpu.max": "max 100000"}, 64),
        ("0::/", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/job/step", {"job/cpu.max": "250000 100000", "job/step/cpu.max": "max 100000"}, 3),
        ("0::/", {"cpu.max": "5000 100000"}, 1),
        ("0::/", {"cpu.max": "9900000 100000"}, 64),
        ("4:cpu,cpuacct:/a\n3:cpuset:/", {"cpu/a/cpu.cfs_quota_us": "400000", "cpu/a/cpu.cfs_period_us": "100000"}, 4),
        ("4:cpuacct,cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 64),
        ("", {"cpu.max": "200000 100000"}, 64),
    ],
)
def test_a_container_uses_the_cores_that_it_may_take_not_those_of_its_host(tmp_path, monkeypatch, groups, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    write_system(tmp_path, groups, files)
    assert usable_cores(tmp_path) == cores
