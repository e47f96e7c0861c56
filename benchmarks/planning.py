"""How long a run needs to see what is still to do: ``python benchmarks/planning.py``.

Writes a results folder of 100,000 cases × 10 methods with 99 of 100 results stored, then plans in a fresh process, as
``marbench run`` does before it begins, and prints a Markdown table of seconds and of the peak of memory, both also
without the imports. The goals are 30 s and 1 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from marbench.bench.plan import Stored, plan
from marbench.cases.case import CaseKey
from marbench.machine.host import describe_host
from marbench.results.parts import write_part
from marbench.results.rows import Row, metric_names
from marbench.results.store import Store
from marbench.spec import PROTOCOL, Spec, load_spec

SECONDS_GOAL, GIGABYTE_GOAL = 30.0, 1.0
ROWS_OF_A_PART = 50_000  # as in parts that were merged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, help="[100000]")
    parser.add_argument("--methods", type=int, default=10, help="[10]")
    parser.add_argument("--folder", type=Path, help="plan on this folder, as written here before")
    asked = parser.parse_args()
    if asked.folder:
        measure(asked.folder, asked.cases, asked.methods)
        return
    print(f"{describe_host()['cpu']}; {asked.methods} methods × {asked.cases:,} cases, 99 of 100 stored\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, load_spec("mini"), asked.cases, asked.methods)
        size = sum(path.stat().st_size for path in (folder / "results").iterdir()) / 1e6
        print(f"{len(list((folder / 'results').iterdir()))} parts, {size:.0f} MB\n", flush=True)
        again = ["--folder", name, "--cases", str(asked.cases), "--methods", str(asked.methods)]
        subprocess.run([sys.executable, __file__, *again], check=True)
    print(f"\nGoals: {SECONDS_GOAL:g} s, {GIGABYTE_GOAL:g} GB.")


def keys_of(count: int) -> list[CaseKey]:
    """Return the keys of a benchmark: slices of patients with ten metals each, as long as those of real ones."""
    keys = []
    for index in range(count):
        slice_id, metal = f"test-p{index // 100:05d}-s{index // 10 % 10}", f"test-{index % 10 + 1:02d}-hip"
        keys.append(CaseKey(f"{slice_id}_{metal}", slice_id.rpartition("-")[0], slice_id, metal, index % 10 // 2 + 1))
    return keys


def hashes_of(count: int) -> dict[str, str]:
    return {f"method-{number}": f"{number:016x}" for number in range(count)}


def write(folder: Path, spec: Spec, cases: int, methods: int) -> None:
    """Write the results of all but every hundredth key, and of that a failure now and then."""
    Store(folder, spec).prepare()
    records: list[dict[str, Any]] = []
    for record in rows(spec, keys_of(cases), hashes_of(methods)):
        records.append(record)
        if len(records) == ROWS_OF_A_PART:
            write_part(folder / "results", "results", spec.hash, records)
            records = []
    if records:
        write_part(folder / "results", "results", spec.hash, records)


def rows(spec: Spec, keys: list[CaseKey], hashes: dict[str, str]) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(0)
    names = metric_names(spec.metrics.conventions)
    for index, key in enumerate(keys):
        digest = random.bytes(24).hex()
        for number, (method, version) in enumerate(hashes.items()):
            if (index + number) % 100 == 0:
                continue
            failed = (index + number) % 1000 == 1
            yield Row(
                spec_hash=spec.hash,
                protocol=PROTOCOL,
                method=method,
                method_hash=version,
                preset="",
                case_id=key.case_id,
                patient_id=key.patient_id,
                slice_id=key.slice_id,
                metal_id=key.metal_id,
                size_group=key.size_group,
                case_index=index,
                case_digest=digest,
                metal_area_px=100,
                metal_area_mm2=1000.0,
                region="pelvis",
                materials="titanium",
                window_low=-160.0,
                window_high=240.0,
                seconds=float(random.random()),
                peak_mb=12.0,
                host_id="0123456789ab",
                status="error" if failed else "ok",
                message="ValueError: too thin [method.py, line 9]" if failed else "",
                scores={} if failed else dict(zip(names, random.random(len(names)).tolist(), strict=True)),
            ).record()


def measure(folder: Path, cases: int, methods: int) -> None:
    """Plan, and print a row for every step: seconds, and the peak of memory until then."""
    keys, hashes = keys_of(cases), hashes_of(methods)
    store = Store(folder, load_spec("mini"))
    print("| step | s | peak so far, GB |\n|---|--:|--:|")
    start = time.perf_counter()
    step("imports, and the keys of the benchmark", lambda: None)
    table, problems = step("read the rows", store.stored)
    assert not problems, problems
    stored = step("what is stored of each key", lambda: Stored(table))
    units = step("what is still to do", lambda: list(plan(keys, hashes, stored)))
    print(f"| all | {time.perf_counter() - start:.1f} | {peak_gigabytes():.2f} |")
    expected = sum((index + number) % 100 == 0 for index in range(cases) for number in range(methods))
    assert sum(unit.results for unit in units) == expected


def step(what: str, call: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = call()
    print(f"| {what} | {time.perf_counter() - start:.1f} | {peak_gigabytes():.2f} |", flush=True)
    return result


def peak_gigabytes() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(fields["VmHWM"].split()[0]) * 1024 / 1e9


if __name__ == "__main__":
    main()
