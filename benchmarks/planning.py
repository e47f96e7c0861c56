"""How long a run needs to see what is still to do: ``python benchmarks/planning.py``.

Writes a results folder of 100,000 cases × 10 methods with 99 of 100 results stored, then does in a fresh process what
``marbench run`` does before it begins, and prints a Markdown table of seconds and of the peak of memory. The goals are
30 s and 1 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from marbench.bench.campaign import pending, prepare
from marbench.bench.options import RunOptions
from marbench.bench.plan import Stored
from marbench.machine.host import describe_host
from marbench.method.request import parse_methods
from marbench.results.part_file import SCHEMAS, encode
from marbench.results.rows import metric_names
from marbench.spec import PROTOCOL, load_spec

SECONDS_GOAL, GIGABYTE_GOAL = 30.0, 1.0
METHODS = "none,li,nmar,nmar[prior=raw],cgan,rdn,cnnmar,dudonet,dudonet[variant=A],dudonet[variant=B]"
SPEC = """
extends = "mini"
name = "large"
[split]
test = {{ patients = {patients}, slices = {slices} }}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=10_000, help="of ten cases each  [10000]")
    parser.add_argument("--part-rows", type=int, default=50_000, help="rows of a file of results  [50000]")
    parser.add_argument("--folder", type=Path, help="plan on this folder, which was written here before")
    asked = parser.parse_args()
    if asked.folder:
        measure(asked.folder)
        return
    print(f"{describe_host()['cpu']}; 10 methods × {10 * asked.slices:,} cases, 99 of 100 stored\n")
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), asked.slices, asked.part_rows)
        parts = list((Path(name) / "out" / "results").iterdir())
        size = sum(path.stat().st_size for path in parts) / 1e6
        print(f"{len(parts)} parts, {size:.0f} MB\n", flush=True)
        subprocess.run([sys.executable, __file__, "--folder", name], check=True)
    print(f"\nGoals: {SECONDS_GOAL:g} s, {GIGABYTE_GOAL:g} GB.")


def write(folder: Path, slices: int, part_rows: int) -> None:
    """Write a benchmark and its results: all but every hundredth, and a failure now and then."""
    text = SPEC.format(patients=max(1, slices // 2), slices=slices)
    (folder / "large.toml").write_text(text, encoding="utf-8")
    campaign = campaign_of(folder)
    campaign.store.prepare()
    cases = pa.array([case.case_id for case in campaign.keys])
    patients = pa.array([case.patient_id for case in campaign.keys])
    labels, versions = (pa.array(list(each)) for each in (campaign.hashes, campaign.hashes.values()))
    random = np.random.default_rng(0)
    digests = pa.array([random.bytes(24).hex() for _ in campaign.keys])
    number = np.arange(len(campaign.keys) * len(labels))
    number = number[number % 100 != 0]  # case by case, as runs go
    for start in range(0, len(number), part_rows):
        some = number[start : start + part_rows]
        case, method, failed = some // len(labels), some % len(labels), some % 1000 == 1
        columns: dict[str, Any] = {
            "spec_hash": campaign.suite.spec.hash,
            "protocol": PROTOCOL,
            "method": labels.take(method),
            "method_hash": versions.take(method),
            "case_id": cases.take(case),
            "patient_id": patients.take(case),
            "case_digest": digests.take(case),
            "case_index": case,
            "status": np.where(failed, "error", "ok"),
            "message": np.where(failed, "ValueError: too thin [method.py, line 9, in reduce]", ""),
            "seconds": random.random(len(some)),
            "evidence": "run here",
            "host_id": "0123456789ab",
        }
        constant = {pa.string(): "some text", pa.int64(): 1, pa.float64(): 1.0}
        whole = {name: columns.get(name, constant[kind]) for name, kind in zip(*_schema(), strict=True)}
        whole |= {name: np.where(failed, np.nan, random.random(len(some))) for name in metric_names()}
        created = time.time_ns()
        content = encode("results", campaign.suite.spec.hash, created, _table(whole, len(some)))
        (folder / "out" / "results" / f"{created}-{start:08x}.parquet").write_bytes(content)


def _schema() -> tuple[list[str], list[pa.DataType]]:
    return SCHEMAS["results"].names, SCHEMAS["results"].types


def _table(columns: dict[str, Any], rows: int) -> pa.Table:
    """Return columns as a table; a single value is that of all rows."""
    types = dict(zip(*_schema(), strict=True))
    arrays = [
        pa.repeat(pa.scalar(values, types.get(name)), rows)
        if isinstance(values, str | int | float)
        else pa.array(values, types.get(name, pa.float64()))
        for name, values in columns.items()
    ]
    return pa.table(arrays, list(columns))


def campaign_of(folder: Path) -> Any:
    options = RunOptions(images="none")
    return prepare(load_spec(folder / "large.toml"), parse_methods(METHODS), folder / "out", options)


def measure(folder: Path) -> None:
    """Plan, and print a row for every step: seconds, and the peak of memory until then."""
    print("| step | s | peak so far, GB |\n|---|--:|--:|")
    print(f"| imports | | {peak_gigabytes():.2f} |")
    start = time.perf_counter()
    campaign = step("benchmark and methods", lambda: campaign_of(folder))
    table, problems = step("read the rows", campaign.store.stored)
    assert not problems, problems
    stored = step("what is stored of each key", lambda: Stored(table))
    units = step("what is still to do", lambda: pending(campaign, stored))
    print(f"| all | {time.perf_counter() - start:.1f} | {peak_gigabytes():.2f} |")
    found, expected = sum(unit.results for unit in units), len(campaign.keys) * len(campaign.hashes) // 100
    assert found == expected, (found, expected)


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
