"""Time the methods of the DuDoNet paper's Table 3: ``python benchmarks/table3.py --quick``, on a CPU ``--device cpu``.

Seconds for one image of ``dudonet2019``, parameters and peak memory, as `marbench time` takes them, of every method of
the table with its ``paper`` preset. Networks have random weights: what they hold does not change how long they take, so
nothing has to be trained before. Prints a Markdown table and, of a GPU, writes it to ``benchmarks/results/``. On two
CPU cores ``--quick`` takes some minutes: RDN-CT computes trillions of products for an image.
"""

from __future__ import annotations

import statistics
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from gpu_clock import device_of, heading, parser_of, publish, table

import marbench.report
from marbench.bench.calls import call_method
from marbench.bench.outcome import Outcome
from marbench.bench.timing import CASE_SECONDS, REPEATS, timing_cases
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.errors import MarbenchError
from marbench.method.contract import Method
from marbench.method.learned import LearnedMethod
from marbench.method.request import MethodRequest, context_for, instantiate, parse_methods
from marbench.spec import Spec, load_spec

COLUMNS = ("method", "preset", "seconds", "fastest", "slowest", "× LI", "parameters", "MB", "paper, s", "paper, × LI")
PUBLISHED = Path(marbench.report.__path__[0]) / "published.toml"


def loaded(request: MethodRequest, spec: Spec, device: torch.device) -> Method:
    """Return a method that is ready but for what its networks have learned."""
    method = instantiate(request)
    context = context_for(request, spec, device)
    if isinstance(method, LearnedMethod):
        Method.load(method, context)
        method.build(context)
        for network in method.networks().values():
            network.to(device).eval()
    else:
        method.load(context)
    return method


def timed(method: Method, cases: Sequence[Case], device: torch.device) -> list[Outcome]:
    """Return the timed calls: of each case up to five, after one to warm up.

    Raises
    ------
    MarbenchError
        A call failed.
    """
    outcomes = []
    for case in cases:
        start = time.perf_counter()
        for call in range(1 + REPEATS):
            outcome = call_method(method, case.scan, device)
            if outcome.failure is not None:
                raise MarbenchError(f"{outcome.failure.status}: {outcome.failure.message}")
            if call:
                outcomes.append(outcome)
            if call and time.perf_counter() - start > CASE_SECONDS:
                break
    return outcomes


def rows(
    published: dict[str, float], preset: str, cases: Sequence[Case], spec: Spec, device: torch.device
) -> Iterator[list[object]]:
    baseline = float("nan")
    for request in parse_methods(",".join(published), preset=preset):
        print(f"{request.label} …", file=sys.stderr)
        paper = published[request.label]
        start, end = [request.label, request.preset or "–"], [paper, f"{paper / published['li']:.2f}"]
        try:
            method = loaded(request, spec, device)
            calls = timed(method, cases, device)
        except (MarbenchError, torch.OutOfMemoryError) as error:
            yield [*start, str(error).splitlines()[0][:80], *["–"] * 5, *end]
            continue
        seconds = [call.seconds for call in calls]
        median = statistics.median(seconds)
        baseline = median if request.label == "li" else baseline
        ratio = f"{median / baseline:.2f}"
        networks = method.networks().values() if isinstance(method, LearnedMethod) else ()
        size = sum(weight.numel() for network in networks for weight in network.parameters())
        peak = max(call.peak_mb for call in calls)
        yield [*start, median, min(seconds), max(seconds), ratio, f"{size:,}" if size else "–", peak, *end]


def main() -> None:
    parser = parser_of(__doc__, quick="one case instead of three")
    parser.add_argument("--spec", default="dudonet2019", help="[default: %(default)s]")
    parser.add_argument("--preset", default="paper", help="[default: %(default)s]")
    options = parser.parse_args()
    device = device_of(options.device, trial_on_cpu=False)
    spec = load_spec(options.spec)
    suite = Suite(spec)
    indices = timing_cases(len(suite))
    cases = [suite[index] for index in (indices[:1] if options.quick else indices)]
    published = {row["label"]: row["seconds"][0] for row in tomllib.loads(PUBLISHED.read_text())["table3"]["rows"]}
    found = list(rows(published, options.preset, cases, spec, device))
    medians = {row[0]: row[2] for row in found if isinstance(row[2], float)}
    remarks = [
        f"{spec.name}, cases {', '.join(case.id for case in cases)}; medians of up to five calls each, after warm-up",
        "Networks with random weights; MB beyond what is held between calls.",
        "The paper's times are of its own hardware: only order and ratios compare.",
    ]
    if {"rdn", "dudonet"} <= set(medians):
        ours, theirs = (times["rdn"] / times["dudonet"] for times in (medians, published))
        remarks.append(f"DuDoNet is {ours:.2f} times as fast as RDN-CT; in the paper {theirs:.2f} times.")
    lines = heading("Table 3 of the DuDoNet paper", device, remarks) + table(COLUMNS, found)
    publish("table3", lines, device, options.out)


if __name__ == "__main__":
    main()
