"""What it costs to give a method a process of its own: ``python benchmarks/isolation.py``.

Prints a Markdown table at the size of ``mini``: the median time of a case with the method in this process and in one of
its own, taken in turn so that a busy machine slows both alike; the time from asking for the process to a method that is
loaded; and, once, how long the server takes from which those processes are forked. The goals are 5 ms a case and 0.3 s
a method.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads are ruinous on shared cores

import torch

from marbench.bench.limits import Limits
from marbench.bench.producers import InlineProducer, ProcessProducer, producer_of
from marbench.bench.work import PRELOAD
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.machine.forkserver import ForkServer
from marbench.machine.host import describe_host
from marbench.method.request import FittedMethod, parse_methods
from marbench.spec import Spec, load_spec

CASE_GOAL, METHOD_GOAL = 5.0, 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="none,li,nmar,cnnmar")
    parser.add_argument("--spec", default="mini")
    parser.add_argument("--calls", type=int, default=60, help="of every method, in either way  [60]")
    parser.add_argument("--opens", type=int, default=7, help="of every method  [7]")
    asked = parser.parse_args()

    torch.set_num_threads(1)
    spec = load_spec(asked.spec)
    suite = Suite(spec)
    cases = [suite[index] for index in range(0, 20, 4)]
    server = ForkServer(PRELOAD)
    server_seconds = timed(lambda: server.fork("marbench.bench.child:serve").kill())
    host = describe_host()
    print(f"{host['cpu']}, {host['usable_cores']} cores; torch {torch.__version__}; load {os.getloadavg()[0]:.1f}\n")
    print(f"The server starts in {server_seconds:.2f} s, once a run.\n")
    print("| method | here, ms | own process, ms | isolation, ms a case | fork and load, s | first here, s |")
    print("|---|--:|--:|--:|--:|--:|")
    for request in parse_methods(asked.methods):
        print(row(request.for_spec(spec), spec, cases, server, asked.calls, asked.opens), flush=True)
    server.close()
    print(f"\nGoals: {CASE_GOAL:g} ms a case, {METHOD_GOAL:g} s a method.")


def row(fitted: FittedMethod, spec: Spec, cases: list[Case], server: ForkServer, calls: int, opens: int) -> str:
    device = torch.device("cpu")
    here = InlineProducer(fitted, spec, device)
    apart = producer_of(fitted, spec, device, Limits(), "process", server)
    assert isinstance(apart, ProcessProducer)
    loading = timed(here.open)
    starts = []
    for _ in range(opens):
        apart.close()
        starts.append(timed(apart.open))
    assert here.failure is None and apart.failure is None, (here.failure, apart.failure)
    seconds: dict[str, list[float]] = {"here": [], "apart": []}
    for call in range(calls + 1):
        case = cases[call % len(cases)]
        for name, producer in (("here", here), ("apart", apart)):
            seconds[name].append(timed(lambda producer=producer, case=case: producer.produce(case)))  # type: ignore[misc]
    apart.close()
    # The first calls warm up. Of pairs: what slows one slows the other.
    inside, outside = (1e3 * statistics.median(seconds[name][1:]) for name in ("here", "apart"))
    pairs = zip(seconds["here"][1:], seconds["apart"][1:], strict=True)
    cost = 1e3 * statistics.median(other - one for one, other in pairs)
    start = statistics.median(starts)
    return f"| {fitted.label} | {inside:.2f} | {outside:.2f} | {cost:.2f} | {start:.3f} | {loading:.3f} |"


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
