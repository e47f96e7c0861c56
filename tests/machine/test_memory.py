"""The memory that is left: to the machine, to a job and to a container, on systems that are written for the test."""

import pytest

from marbench.machine.memory import available_memory

JOB = {"job/memory.max": "8000", "job/memory.current": "3000", "job/memory.stat": "anon 1\ninactive_file 500\n"}
STEP = {"job/step/memory.max": "max", "job/step/memory.current": "20"}
LIMIT, USAGE = "memory.limit_in_bytes", "memory.usage_in_bytes"
V1 = {f"memory/{LIMIT}": "9223372036854771712", f"memory/{USAGE}": "5", f"memory/a/{LIMIT}": "900"}


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
    told = {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 1000000 kB\n", "proc/self/cgroup": groups}
    for name, text in {**told, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == left


def test_where_the_system_does_not_tell_memory_is_no_limit(tmp_path):
    assert available_memory(tmp_path) == float("inf")
