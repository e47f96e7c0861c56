"""How a run scales with its workers: ``python benchmarks/executors.py``.

Runs ``marbench run`` on the first cases of a benchmark with every number of workers, in processes of their own, one
method at a time and then all of them together, and prints a Markdown table of the seconds that the work took, on the
run's own clock without timing and pages, and of the speed-up. The rows must be the same, bit for bit: it is checked.

Seconds of one method are those of all cases, simulation and scoring included, which workers share as well. Run it with
nothing else running.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from marbench.machine.host import describe_host
from marbench.method.discovery import discover
from marbench.results.store import open_run

VOLATILE = ["seconds", "peak_mb", "host_id"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="", help="names, separated by commas  [all shipped ones]")
    parser.add_argument("--spec", default="mini")
    parser.add_argument("--limit", type=int, default=40, help="cases  [40]")
    parser.add_argument("--workers", default="1,2,4")
    asked = parser.parse_args()

    names = asked.methods.split(",") if asked.methods else list(discover().entries)
    counts = [int(count) for count in asked.workers.split(",")]
    host = describe_host()
    machine = f"{host['cpu']}, {host['usable_cores']} cores"
    print(f"{machine}; {asked.spec}, {asked.limit} cases; load {os.getloadavg()[0]:.1f}\n")
    print(f"| methods | {' | '.join(f'{count}, s' for count in counts)} | {' | '.join(f'× {c}' for c in counts[1:])} |")
    print(f"|---|{'--:|' * (2 * len(counts) - 1)}")
    for methods in [*names, ",".join(names)]:
        runs = [run(methods, count, asked.spec, asked.limit) for count in counts]
        for rows, _ in runs[1:]:
            pd.testing.assert_frame_equal(rows, runs[0][0], check_exact=True)
        seconds = [own for _, own in runs]
        label = "all of them" if "," in methods else methods
        told = [f"{own:.1f}" for own in seconds] + [f"{seconds[0] / own:.2f}" for own in seconds[1:]]
        print(f"| {label} | {' | '.join(told)} |", flush=True)
    print("\nThe rows of every line are equal, bit for bit.")


def run(methods: str, workers: int, spec: str, limit: int) -> tuple[pd.DataFrame, float]:
    """Return the rows of a run without what differs between any two, and its seconds on its own clock."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["--spec", spec, "--methods", methods, "--limit", str(limit), "--workers", str(workers)]
        asked += ["--out", folder, "--images", "none", "--no-timing", "--no-report"]
        said = subprocess.run(
            [sys.executable, "-c", "from marbench.cli import main; main()", "run", *asked],
            capture_output=True,
            text=True,
            check=False,
        )
        match = re.search(r"new results in ([0-9.]+) s", said.stdout)
        if match is None:
            sys.exit(f"{methods} with {workers} workers failed:\n{said.stdout}{said.stderr}")
        rows = open_run(Path(folder)).rows.drop(columns=VOLATILE)
        return rows.sort_values(["method", "case_id"]).reset_index(drop=True), float(match[1])


if __name__ == "__main__":
    main()
