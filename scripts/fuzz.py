"""Feed marbench with broken, foreign and hostile files and texts: only `MarbenchError`s may come of them.

``python scripts/fuzz.py [--count N] [--seed S] [--only KIND]``

Inputs are made from valid ones by mutation: of bytes (flips, cuts, repeats, splices, extreme numbers, NULs), and of the
values in them (other types, extreme numbers, long and odd strings, nesting, keys that are gone, doubled, renamed). The
same seed gives the same inputs. What is raised beyond `MarbenchError`, takes more than some seconds of computing or
more than 3 GB is printed once per place with its input, made as small as a few tries allow; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import torch
from fuzz_results import CardsKind, PicturesKind, RowsKind, WeightsKind
from fuzz_texts import AnswersKind, Kind, MethodKind, NamesKind, SpecKind

from marbench.errors import MarbenchError

__all__ = ["KINDS", "Finding", "Kind", "fuzz"]

SECONDS = 10.0
"""Of computing that one input may take; rendering all pages of a small run takes two."""

GIGABYTES = 3.0

# Of 100,000 inputs so many are of a kind: what costs most comes least often.
SHARES = {"spec": 30, "method": 12, "names": 30, "answers": 15, "rows": 5, "cards": 3, "pictures": 2, "weights": 3}


class TooSlow(BaseException):
    """An input took too long; no `Exception`, so that nothing on the way takes it for its own."""


KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (SpecKind, MethodKind, NamesKind, AnswersKind, RowsKind, CardsKind, PicturesKind, WeightsKind)
}


@dataclasses.dataclass
class Finding:
    """What is wrong, where, and the smallest input that was found for it."""

    kind: str
    error: str
    place: str
    data: bytes
    trace: str
    shown: str
    count: int = 1


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` after so much computing, whatever else the machine does."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, expire)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


REFUSED = ("", "refused", "")


def attempt(kind: Kind, data: bytes) -> tuple[str, str, str] | None:
    """Feed an input; return None where it is accepted, else the error, its place and its trace, or `REFUSED`."""
    try:
        with _limited(SECONDS):
            kind.feed(data)
    except MarbenchError:
        return REFUSED
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if f"{os.sep}marbench{os.sep}" in frame.filename] or frames
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
        last = "".join(traceback.format_exception(error)[-4:])
        return type(error).__name__, place, last
    return None


def smaller(kind: Kind, data: bytes, like: tuple[str, str], tries: int = 150) -> bytes:
    """Return a smaller input that fails in the same way, by cutting out pieces."""
    size = len(data) // 2
    while size >= 1 and tries > 0:
        start = 0
        while start < len(data) and tries > 0:
            candidate, tries = data[:start] + data[start + size :], tries - 1
            found = attempt(kind, candidate) if candidate else None
            if found is not None and found[:2] == like:
                data = candidate
            else:
                start += size
        size //= 2
    return data


@dataclasses.dataclass
class Tally:
    """What came of the inputs of a kind; ``slowest`` in seconds of computing."""

    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    findings: dict[tuple[str, str], Finding] = dataclasses.field(default_factory=dict)


def fuzz(name: str, count: int, seed: int, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Tally:
    """Feed so many inputs of a kind, after the valid ones that they are made from."""
    kind, rng, tally = KINDS[name](folder / name), random.Random(f"{name}-{seed}"), Tally()
    for valid in kind.valid():
        if (failure := attempt(kind, valid)) is not None:
            raise AssertionError(f"a valid input of the kind {name} is not accepted: {kind.show(valid)} {failure}")
    for number in range(count):
        data, start = kind.make(rng), time.process_time()
        failure = attempt(kind, data)
        tally.slowest = max(tally.slowest, time.process_time() - start)
        if failure is None:
            tally.accepted += 1
        elif failure is REFUSED:
            tally.refused += 1
        elif failure[:2] in tally.findings:
            tally.findings[failure[:2]].count += 1
        else:
            error, place, trace = failure
            data = smaller(kind, data, (error, place)) if error != "TooSlow" else data
            tally.findings[error, place] = Finding(name, error, place, data, trace, kind.show(data))
            tell(f"{name} {number}: {error} at {place}")
    return tally


def limit_memory(gigabytes: float) -> None:
    """Let too much memory be a MemoryError here, and harm nobody else."""
    used = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmData:")
    )
    wanted = used + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Feed all kinds, print what was found, and return 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="Inputs of all kinds together.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    limit_memory(GIGABYTES)
    folder, findings, total = Path(tempfile.mkdtemp(prefix="fuzz-")), list[Finding](), 0
    print("| kind | inputs | accepted | refused | findings | slowest, s of computing | seconds |")
    print("|---|---|---|---|---|---|---|")
    try:
        for name in [asked.only] if asked.only else KINDS:
            count = asked.count if asked.only else math.ceil(asked.count * SHARES[name] / sum(SHARES.values()))
            start = time.monotonic()
            tally = fuzz(name, count, asked.seed, folder, partial(print, file=sys.stderr, flush=True))
            cells = (name, count, tally.accepted, tally.refused, len(tally.findings), f"{tally.slowest:.2f}")
            print("|", " | ".join(map(str, cells)), "|", f"{time.monotonic() - start:.0f} |", flush=True)
            findings += tally.findings.values()
            total += count
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for finding in findings:
        print(f"\n{finding.kind}: {finding.error} at {finding.place}, {finding.count} times", finding.shown, sep="\n")
        print(finding.trace)
    print(f"\n{total} inputs, {len(findings)} kinds of findings.")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
