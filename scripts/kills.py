"""Kill runs and publications at random moments, go on with the same commands, and see that nothing is lost.

``python scripts/kills.py [--kills 100] [--seed 0]``

A round is a small run of shipped and foreign methods, timing and pages included, and the publication of it: killed with
SIGKILL again and again, started again after each kill, at last left alone. Half of the kills come at a random moment of
the time that is left, the others just after the next file has appeared: then something is being written. Then must
hold: no row that was stored is lost or stored twice, no file is damaged, the scores are those of an undisturbed run bit
for bit, all pages are there and no link of them leads nowhere, no process is left behind. Exits with 1 where anything
differs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from marbench.bench.work import PRELOAD
from marbench.errors import MarbenchError
from marbench.machine.forkserver import shared_server
from marbench.results.store import Store, open_run
from marbench.spec import load_spec

__all__ = ["Round", "Scene", "play"]

MARKER = "MARBENCH_KILLS"
# What two runs of the same may differ in.
VOLATILE = ["seconds", "peak_mb", "attempt", "host_id"]

SPEC = """
extends = "mini"
name = "tiny"
title = "tiny"
geometry = { views = 64, bins = 48, pitch_deg = 0.68 }
grid = { size = 32, pixel_cm = 1.28 }
split = { test = { patients = 2, slices = 4 } }
metals = { placement = "any" }
"""

METHOD = """
import time
import torch
from marbench import Method

class Plugin(Method):
    def reduce(self, scan):
        time.sleep({seconds})
        return scan.image + torch.rand(scan.image.shape)
"""


@dataclass(frozen=True)
class Scene:
    """The benchmark, the plugins and the methods of all rounds, and processes that have imported everything already."""

    folder: Path
    forks: ForkServerContext
    methods: tuple[str, ...]

    @classmethod
    def build(cls, folder: Path, methods: tuple[str, ...] = ("none", "li", "nmar", "quick", "slow")) -> Scene:
        """Write benchmark and plugins, of which there are two: quick and slow."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.toml").write_text(SPEC, encoding="utf-8")
        for name, seconds in (("quick", 0.0), ("slow", 0.02)):
            plugin = folder / "plugins" / name
            plugin.mkdir(parents=True, exist_ok=True)
            card = f'name = "{name}"\ntitle = "{name}"\nsummary = "a test"\ndomain = "image"\n'
            (plugin / "method.toml").write_text(card, encoding="utf-8")
            (plugin / "method.py").write_text(METHOD.format(seconds=seconds), encoding="utf-8")
        os.environ[MARKER] = str(folder)  # whatever comes of the processes that follow is known by it
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(["marbench.bench.run", "marbench.cli.run", "marbench.cli.publish"])
        return cls(folder, forks, methods)

    def run(self, out: Path, workers: int, limit: int) -> ForkServerProcess:
        """Start ``marbench run``."""
        words = ["run", "--spec", str(self.folder / "tiny.toml"), "--out", str(out)]
        words += ["--methods", ",".join(self.methods), "--plugins", str(self.folder / "plugins")]
        words += ["--workers", str(workers), "--limit", str(limit)]
        return self._start(words, out)

    def publish(self, out: Path, site: Path) -> ForkServerProcess:
        """Start ``marbench publish``."""
        return self._start(["publish", str(out), "--site", str(site)], out)

    def _start(self, words: list[str], out: Path) -> ForkServerProcess:
        process = self.forks.Process(target=_command, args=(words, str(out) + ".log"))
        process.start()
        return process


def _command(words: list[str], log: str) -> None:
    """Be ``marbench`` with these words; what it says goes to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from marbench.cli import main

    # As fresh as a command that begins, for this process has imported everything and done nothing.
    shared_server(PRELOAD).start_forked()
    main(words)


@dataclass
class Round:
    """What came of a run and its publication.

    Attributes
    ----------
    kills : Counter
        By what was going on: start, cases, timing, pages, publication.
    lost, double : int
        Rows that were stored before a kill and are not now; that are stored more than once.
    faults : list of str
        Everything else that is not as it must be.
    """

    number: int
    workers: int
    kills: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    lost: int = 0
    double: int = 0
    temporary: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the round as a line in Markdown."""
        counts = " | ".join(str(self.kills[what]) for what in ("start", "cases", "timing", "pages", "publication"))
        verdict = "held" if not self.faults and not self.lost + self.double else "; ".join(self.faults) or "FAULT"
        return (
            f"| {self.number} | {self.workers} | {counts} | {self.rows} | {self.lost} | {self.double} | "
            f"{self.temporary} | {self.seconds:.0f} | {verdict} |"
        )


HEADING = (
    "| round | workers | start | cases | timing | pages | publication | rows | lost | double | temporary files left | "
    "seconds | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def play(
    scene: Scene, number: int, kills: int, undisturbed: pd.DataFrame, seconds: float, limit: int, rng: random.Random
) -> Round:
    """Play a round with so many kills at most.

    Parameters
    ----------
    undisturbed : DataFrame
        What must come out.
    seconds : float
        What it took.
    """
    this, start = Round(number, 1 + number % 2), time.monotonic()
    out, site = scene.folder / f"out-{number}", scene.folder / f"site-{number}"
    stored = pd.DataFrame(columns=["method", "method_hash", "case_id"])
    # A third of the kills is kept for the publication.
    for command, most in (("run", kills - kills // 3), ("publication", kills)):
        code = None
        while code is None:
            publishes = command == "publication"
            process = scene.publish(out, site) if publishes else scene.run(out, this.workers, limit)
            if this.kills.total() < most:
                _wait(process, [site if publishes else out], seconds / (4 if publishes else 1), rng)
                process.kill()
            process.join()
            if process.exitcode == -signal.SIGKILL:
                this.kills["publication" if publishes else _phase(out, len(undisturbed), len(scene.methods))] += 1
                now = _stored(out, scene)
                this.lost += len(_keys(stored) - _keys(now))
                stored = now
            else:
                code = process.exitcode
        if code:
            log = Path(f"{out}.log").read_text(errors="replace").strip()[-300:]
            this.faults.append(f"the {command} ended with code {code}: {log!r}")
    _judge(this, scene, out, site, undisturbed)
    this.seconds = time.monotonic() - start
    return this


def _wait(process: ForkServerProcess, folders: list[Path], seconds: float, rng: random.Random) -> None:
    """Wait for the moment of a kill: any in so many seconds, or just after the next file has appeared."""
    deadline = time.monotonic() + rng.uniform(0.0, seconds)
    if rng.random() < 0.5:
        process.join(max(0.0, deadline - time.monotonic()))
        return
    before = _names(folders)
    while process.is_alive() and _names(folders) <= before:
        time.sleep(0.001)
    process.join(rng.choice([0.0, 0.001, 0.003, 0.01, 0.03, 0.1]))


def _names(folders: list[Path]) -> set[str]:
    names: set[str] = set()
    for folder in folders:
        for _, within, files in os.walk(folder):
            names.update(within, files)
    return names


def _phase(out: Path, total: int, methods: int) -> str:
    """Return how far a run has come."""
    done = len(list((out / "results").glob("*.parquet")))
    if not done:
        return "start"
    with suppress(MarbenchError):
        if len(open_run(out).rows) < total:
            return "cases"
    timed = len(list((out / "timing").glob("*.parquet")))
    return "pages" if timed >= methods else "timing"


def _stored(out: Path, scene: Scene) -> pd.DataFrame:
    """Return all rows of a folder."""
    try:
        return Store(out, load_spec(scene.folder / "tiny.toml")).stored()[0]
    except MarbenchError:
        return pd.DataFrame(columns=["method", "method_hash", "case_id"])


def _keys(rows: pd.DataFrame) -> set[tuple[str, ...]]:
    return set(rows[["method", "method_hash", "case_id"]].itertuples(index=False, name=None))


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows without what differs between any two runs."""
    return rows.drop(columns=VOLATILE).sort_values(["method", "case_id"]).reset_index(drop=True)


def _judge(this: Round, scene: Scene, out: Path, site: Path, undisturbed: pd.DataFrame) -> None:
    """Look at all that a round has left."""
    stored = _stored(out, scene)
    this.double = int(stored.duplicated(["method", "method_hash", "case_id"]).sum())
    try:
        run = open_run(out)
    except MarbenchError as error:
        this.faults.append(str(error))
        return
    this.rows = len(run.rows)
    if not comparable(run.rows).equals(undisturbed):
        bad = run.rows[run.rows["status"] != "ok"]
        this.faults.append(f"rows differ{': ' + str(bad['message'].iloc[0]) if len(bad) else ''}")
    this.faults += run.problems
    for folder in (out, site):
        this.temporary += sum(path.name.endswith(".tmp") for path in folder.rglob("*"))
        this.faults += [f"{path.relative_to(scene.folder)}: {why}" for path, why in damaged(folder)]
    for pages in (out / "report", site):
        this.faults += [] if (pages / "index.html").is_file() else [f"{pages.name} has no index.html"]
        this.faults += [f"{pages.name}: {link} leads nowhere" for link in dead_links(pages)]
    runs = json.loads((site / "index.json").read_text(encoding="utf-8"))["runs"] if site.is_dir() else []
    if len(runs) != 1 or len(list((site / "runs").iterdir())) != 1:
        this.faults.append(f"the site has {len(runs)} runs in its index")
    if left := _left(scene):
        this.faults.append(f"{len(left)} processes left behind")


def damaged(folder: Path) -> list[tuple[Path, str]]:
    """Return the files of a folder that are not whole, and why."""
    readers: dict[str, Callable[[Path], object]] = {
        ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
        ".parquet": lambda path: pq.ParquetFile(path).read(),
        ".npz": _arrays,
        ".toml": load_spec,
        ".html": _whole_page,
    }
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in readers:
            try:
                readers[path.suffix](path)
            except (OSError, ValueError, EOFError, BadZipFile, MarbenchError, pa.ArrowException) as error:
                found.append((path, f"{type(error).__name__}: {error}"))
    return found


def _arrays(path: Path) -> None:
    with path.open("rb") as stream, np.load(stream) as file:
        for name in file.files:
            file[name]


def _whole_page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("the page ends too early")


def dead_links(folder: Path) -> list[str]:
    """Return the relative links of a folder's pages that lead to no file."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        links = re.findall(r'(?:href|src)="([^"#?:]+)["#?]', page.read_text(encoding="utf-8"))
        found += [f"{page.relative_to(folder)} → {link}" for link in links if not (page.parent / link).exists()]
    return found


def _left(scene: Scene) -> list[int]:
    """Return the processes of a scene that still run, but for those that start others."""
    mark, deadline = f"{MARKER}={scene.folder}".encode(), time.monotonic() + 3
    while True:
        left = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                own = mark in (path / "environ").read_bytes() and int(path.name) != os.getpid()
                if own and b"multiprocessing" not in (path / "cmdline").read_bytes():
                    left.append(int(path.name))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def undisturbed_run(scene: Scene, limit: int) -> tuple[pd.DataFrame, float]:
    """Return the rows of a run that nobody kills, and its seconds."""
    start = time.monotonic()
    out = scene.folder / "undisturbed"
    process = scene.run(out, 1, limit)
    process.join()
    if process.exitcode:
        raise SystemExit(f"The undisturbed run failed:\n{Path(f'{out}.log').read_text()}")
    return comparable(open_run(out).rows), time.monotonic() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds until there were enough kills, print the table, and return 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, metavar="N")
    parser.add_argument("--each", type=int, default=10, metavar="N", help="Kills in a round.")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="Cases of a run.")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    folder, rng, rounds = Path(tempfile.mkdtemp(prefix="kills-")), random.Random(asked.seed), list[Round]()
    try:
        scene = Scene.build(folder)
        undisturbed, seconds = undisturbed_run(scene, asked.limit)
        print(f"Undisturbed: {len(undisturbed)} rows in {seconds:.1f} s.\n\n{HEADING}", flush=True)
        killed = 0
        while killed < asked.kills:
            most = min(asked.each, asked.kills - killed)
            rounds.append(play(scene, len(rounds) + 1, most, undisturbed, seconds, asked.limit, rng))
            killed += rounds[-1].kills.total()
            print(rounds[-1].line(), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bad = [this for this in rounds if this.faults or this.lost or this.double]
    lost, double = sum(this.lost for this in rounds), sum(this.double for this in rounds)
    print(f"\n{killed} kills, {lost} rows lost, {double} double.")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
