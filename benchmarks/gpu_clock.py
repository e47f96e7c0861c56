"""Timing on a GPU: CUDA events, CUDA graphs, peak memory, and what the device could do at most."""

from __future__ import annotations

import argparse
import datetime
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from marbench.machine.host import device_name

RESULTS = Path(__file__).resolve().parent / "results"
WARM_UP = 3


def parser_of(documentation: str, quick: str) -> argparse.ArgumentParser:
    """Return what all of these scripts take: --quick, --device and --out."""
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, help="where to write the table  [default: benchmarks/results/]")
    return parser


def device_of(name: str, trial_on_cpu: bool = True) -> torch.device:
    """Return the device, or leave with a message; say so where a script about GPUs is only tried on a CPU."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(
            f"This benchmark needs a CUDA device, and torch {torch.__version__} sees none "
            f"(built for {torch.version.cuda or 'the CPU'}). To see that the script itself works: --device cpu"
        )
    if device.type == "cpu" and trial_on_cpu:
        print("On the CPU, and tiny: this tries the script, and its figures mean nothing.\n", file=sys.stderr)
    return device


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return the median time of a call, back to back with others as in a training: host overhead shows if it limits."""
    if device.type != "cuda":
        return _timed(call, 1, device)
    for _ in range(WARM_UP):
        call()
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    once = max(time.perf_counter() - start, 1e-5)
    calls = max(1, min(50, int(0.01 / once)))  # so many that the events' resolution does not count
    rounds = max(3, min(100, int(seconds / (once * calls))))
    return statistics.median(_timed(call, calls, device) for _ in range(rounds))


def _timed(call: Callable[[], object], calls: int, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return 1e3 * (time.perf_counter() - start) / calls
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    for _ in range(calls):
        call()
    after.record()
    after.synchronize()
    return before.elapsed_time(after) / calls


def captured(call: Callable[[], object], device: torch.device) -> Callable[[], object] | None:
    """Return the replay of a call as a CUDA graph; None where there are none."""
    if device.type != "cuda":
        return None
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def cold_milliseconds(replay: Callable[[], object], device: torch.device, rounds: int = 30) -> float:
    """Return the median time of a call that finds nothing in the cache."""
    eraser = torch.empty(256 * 2**20, dtype=torch.uint8, device=device)
    times = []
    for _ in range(rounds):
        eraser.zero_()
        times.append(_timed(replay, 1, device))
    return statistics.median(times)


def peak_megabytes(call: Callable[[], object], device: torch.device, held: int) -> float:
    """Return the most memory in use during a call, beyond ``held`` bytes."""
    if device.type != "cuda":
        return float("nan")
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - held) / 1e6


@dataclass(frozen=True)
class Ceilings:
    """What the device does at most, per second."""

    bytes: float
    loads: float
    fused_multiply_adds: float
    how: str

    @classmethod
    def of(cls, device: torch.device) -> Ceilings:
        """Measure the memory, count the rest: 32 loads and 128 fused multiply-adds a clock and multiprocessor."""
        if device.type != "cuda":
            return cls(1e10, 1e9, 1e9, "no device: invented ceilings")
        source = torch.empty(2**30, dtype=torch.uint8, device=device).random_()
        target = torch.empty_like(source)
        bandwidth = 2 * source.nbytes / (1e-3 * milliseconds(lambda: target.copy_(source), device, 0.5))
        multiprocessors, clock = torch.cuda.get_device_properties(device).multi_processor_count, _clock(device)
        how = f"{bandwidth / 1e12:.2f} TB/s copied, {multiprocessors} multiprocessors at {clock / 1e9:.2f} GHz"
        return cls(bandwidth, 32 * multiprocessors * clock, 128 * multiprocessors * clock, how)

    def milliseconds(self, bytes_: float, loads: float = 0.0, fused_multiply_adds: float = 0.0) -> float:
        """Return the time below which nothing can go."""
        limits = bytes_ / self.bytes, loads / self.loads, fused_multiply_adds / self.fused_multiply_adds
        return 1e3 * max(limits)


def _clock(device: torch.device) -> float:
    query = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    query.append(f"--id={torch.cuda.get_device_properties(device).uuid}")
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    try:
        return float(done.stdout.split()[0]) * 1e6
    except (IndexError, ValueError):
        sys.exit(f"nvidia-smi does not tell the clock of the device: {done.stdout}{done.stderr}")


def heading(title: str, device: torch.device, remarks: Iterable[str] = ()) -> list[str]:
    """Return what a reader must know to judge the figures."""
    name = device_name(device)
    packages = [f"{package} {_version(package)}" for package in ("marbench", "torch", "triton")]
    about = [f"Device: {name}", f"{', '.join(packages)}, CUDA {torch.version.cuda}", f"{datetime.date.today()}"]
    return [f"# {title}", "", *(f"- {line}" for line in (*about, *remarks)), ""]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent" if package != "marbench" else "checkout"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a Markdown table; numbers are aligned to the right."""

    def cell(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = [[cell(value) for value in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (columns, ["--:" for _ in columns], *lines)]


def publish(name: str, lines: list[str], device: torch.device, out: Path | None) -> None:
    """Print the page, and write it where results are kept."""
    page = "\n".join(lines) + "\n"
    print(page)
    if device.type == "cuda" or out is not None:
        path = out or RESULTS / f"{name}-{torch.cuda.get_device_name(device).lower().replace(' ', '-')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        print(f"written to {path}", file=sys.stderr)
