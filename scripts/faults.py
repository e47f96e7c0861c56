"""Print the fault-injection table: what plugins and environments do wrong, and what a run makes of it.

``python scripts/faults.py [--only REGEX] [--jobs N] [--spec mini]``

Every fault of ``faults.toml`` is a real ``marbench run`` of none, x, y, li and nmar on a few cases: x misbehaves, and y
is an innocent plugin of somebody else. What must come of it is said there: the statuses of the rows of x, the exit
code, what is said. What must hold for all: the rows of every other method are bit-equal to those of an undisturbed run
and stored once, nothing that comes out names a folder or holds a control character, marbench has no traceback, no
process is left behind. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from marbench.errors import MarbenchError
from marbench.results.parts import read_parts
from marbench.results.store import open_run

__all__ = ["FAULTS", "Fault", "Outcome", "Stage", "undisturbed"]

ROOT = Path(__file__).resolve().parents[1]
MARKER = "MARBENCH_FAULT"
HUNG_SECONDS = 300.0
# What two runs of the same may differ in. Attempts do where a run is repeated.
VOLATILE = ["seconds", "peak_mb", "attempt"]

METHOD = """\
import ctypes, gc, os, pathlib, signal, subprocess, sys, threading, time, warnings
import numpy as np
import torch
from marbench import Method
{top}

class X(Method):
    def load(self, context):
        super().load(context)
        self.calls = 0
{load}
    def reduce(self, scan):
        self.calls += 1
{reduce}
"""

IDENTITY = "return scan.image"

# What is most easily disturbed: seeded generators, the operators, products in float32.
INNOCENT = """
image = self.context.operators.reconstruct(scan.sinogram)
image = image + torch.rand(image.shape) + float(np.random.rand())
return image + (image / 1000) @ (image / 1000)"""

# A child has one socket.
CHANNEL = """
import json, socket, stat, struct
def channel():
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode): return socket.socket(fileno=os.dup(number))
        except OSError: pass
def say(header, arrays=(), data=b''):
    text = json.dumps({'header': header, 'arrays': arrays}).encode()
    channel().sendall(struct.pack('!IQ', len(text), len(data)) + text + data)
"""

LONG = "n" * 5000


@dataclass(frozen=True)
class Fault:
    """One kind of misbehaviour, and what must come of it; the fields are explained in ``faults.toml``."""

    name: str
    what: str
    status: str = "ok"
    reduce: str = IDENTITY
    load: str = ""
    top: str = ""
    source: str = ""
    card: str = ""
    says: str = ""
    code: int | None = None
    options: Sequence[str] = field(default=(), hash=False)
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    wrap: str = ""
    shell: str = ""
    stage: str = ""
    methods: str = "none,x,y,li,nmar"
    x: str = "x"
    refused: bool = False
    damaged: bool = False
    limit: int = 2
    page: bool = False
    again: int = 0

    @property
    def exit_code(self) -> int:
        """What the command must end with."""
        return int(self.status not in ("ok", "")) if self.code is None else self.code

    def files(self) -> dict[str, str]:
        """Return the plugins, by their names below the working folder."""
        bodies = {"top": self.top.replace("@channel", CHANNEL)}
        for name in ("load", "reduce"):
            bodies[name] = textwrap.indent(getattr(self, name) or "pass", " " * 8)
        innocent = METHOD.format(top="", load="", reduce=textwrap.indent(INNOCENT, " " * 8))
        return {
            "plugins/x/method.toml": _card("x", self.card),
            "plugins/x/method.py": self.source.lstrip() or METHOD.format(**bodies),
            "plugins/y/method.toml": _card("y"),
            "plugins/y/method.py": innocent,
        }


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run left.

    Attributes
    ----------
    code : int or None
        Exit code, None where the run hung.
    output : str
        Standard output and error.
    seconds : float
    rows : DataFrame or None
        Of all methods; None where there are none.
    stored : DataFrame or None
        All rows of all parts.
    problems : list of str
        Files that cannot be read.
    left : list of int
        Processes that outlived the run.
    page : bool
        Whether there is a page.
    """

    code: int | None
    output: str
    seconds: float
    rows: pd.DataFrame | None
    stored: pd.DataFrame | None
    problems: list[str]
    left: list[int]
    page: bool


def _card(name: str, more: str = "") -> str:
    return f'name = "{name}"\ntitle = "{name}"\nsummary = "a fault"\ndomain = "image"\n{more}\n'


def _faults() -> tuple[Fault, ...]:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple(Fault(name, **content) for name, content in table.items())


FAULTS = _faults()


class Stage:
    """Where faults are played: a folder of its own for each.

    Parameters
    ----------
    folder : Path
    spec : str
        A built-in benchmark, or the path of a file.
    """

    def __init__(self, folder: Path, spec: str = "mini") -> None:
        self.folder, self.spec = folder, spec

    def play(self, fault: Fault) -> Outcome:
        """Run the command of a fault, and as often again as it says."""
        folder, token = self.folder / fault.name, uuid.uuid4().hex
        for name, content in fault.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        subprocess.run(["bash", "-ec", fault.stage], cwd=folder, check=True)
        start = time.monotonic()
        for _ in range(1 + fault.again):
            code = self._run(fault, folder, token)
        seconds = time.monotonic() - start
        left = _left_behind(token)
        output = (folder / "output").read_bytes().decode(errors="backslashreplace")
        rows, stored, problems = _results(folder / "out")
        return Outcome(
            code, output, seconds, rows, stored, problems, left, (folder / "out/report/index.html").is_file()
        )

    def _run(self, fault: Fault, folder: Path, token: str) -> int | None:
        environment = {**os.environ, MARKER: token, **fault.environment}
        path = [str(folder / fault.environment["PYTHONPATH"])] if "PYTHONPATH" in fault.environment else []
        environment = {name: value for name, value in environment.items() if value}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *path])
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-c", self._line(fault)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                return process.wait(HUNG_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return None

    def _line(self, fault: Fault) -> str:
        """Return the command as a line of the shell; its status is marbench's, whatever stands behind a pipe."""
        words = ["run", "--spec", self.spec, "--methods", fault.methods, "--plugins", "plugins", "--out", "out"]
        words += ["--limit", str(fault.limit), *fault.options]
        words += [] if fault.page else ["--no-timing", "--no-report"]
        # A lone surrogate stands for a byte that is no text; TOML has none.
        words = [word.replace("@long", LONG).replace("\uffff", "\udcff") for word in words]
        launch = ["-m", "marbench"]
        if fault.wrap:
            then = "os.execv(sys.executable, [sys.executable, '-m', 'marbench', *sys.argv[1:]])"
            launch = ["-c", f"import os, resource, signal, sys\n{fault.wrap}\n{then}"]
        return f"{shlex.join([sys.executable, *launch, *words])} {fault.shell}\nexit ${{PIPESTATUS[0]}}"


def _results(folder: Path) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[str]]:
    try:
        run = open_run(folder)
    except MarbenchError as error:
        return None, None, [str(error)]
    return run.rows, read_parts(folder / "results", "results", run.spec.hash).table, run.problems


def _left_behind(token: str) -> list[int]:
    """Return the processes that a run has left, after some time to end, and end them."""
    deadline = time.monotonic() + 3.0
    while (left := _of_run(token)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def _of_run(token: str) -> list[int]:
    """Return the processes that were started with the marker of a run in their environment."""
    found, mark = [], f"{MARKER}={token}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def undisturbed(fault: Fault) -> Fault:
    """Return the fault without what is wrong: what its run is compared with."""
    usual = Fault("", "")
    methods = usual.methods if fault.refused else ",".join(["x", *fault.methods.split(",")])
    names = [name for name in dict.fromkeys(methods.split(",")) if re.fullmatch("[a-z0-9]{2,}|[xy]", name)]
    # The machinery around a run costs time too: as many cases, timing and the page where they were asked for.
    name = f"undisturbed-{fault.limit}{'-page' * fault.page}-{'-'.join(names)}"
    return replace(usual, name=name, methods=",".join(names), limit=fault.limit, page=fault.page)


def differences(fault: Fault, outcome: Outcome, sound: Outcome, folder: Path) -> list[str]:
    """Return in what an outcome is not what it must be."""
    found = []
    if outcome.code != fault.exit_code:
        found.append(f"exit code {'none, it hung' if outcome.code is None else outcome.code}, not {fault.exit_code}")
    own = None if outcome.rows is None else outcome.rows[outcome.rows["method"] == fault.x]
    statuses = "" if own is None else ",".join(sorted(own["status"].unique()))
    if statuses != fault.status:
        found.append(f"status {statuses or 'none'}, not {fault.status or 'none'}")
    if fault.refused:
        found += [] if outcome.rows is None or outcome.rows.empty else ["it has rows"]
    elif not others_equal(fault, outcome, sound):
        found.append("rows of other methods differ")
    said = outcome.output + ("" if own is None else "\n".join(own["message"]))
    if fault.says and not re.search(fault.says, said):
        found.append(f"nobody says {fault.says!r}")
    if "Traceback (most recent call last)" in outcome.output:
        found.append("a traceback")
    if outcome.problems and not (fault.damaged or fault.refused):
        found.append(f"damaged files: {outcome.problems[0][:80]}")
    if outcome.left:
        found.append(f"{len(outcome.left)} processes left behind")
    if fault.page and not fault.refused and not outcome.page:
        found.append("no page")
    return found + _unclean(outcome, folder)


def _unclean(outcome: Outcome, folder: Path) -> list[str]:
    """Return what should not be seen: control characters anywhere, folders of this machine in what is stored."""
    found = []
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", outcome.output.replace("\r\n", "\n")):
        found.append("control characters in the output")
    if outcome.stored is not None:
        text = "\n".join(outcome.stored[["method", "message", "trace", "error_kind"]].to_numpy().ravel())
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text):
            found.append("control characters in rows")
        if str(folder) in text or "DOE_JANE" in text:
            found.append("folders in rows")
    return found


def others_equal(fault: Fault, outcome: Outcome, sound: Outcome) -> bool:
    """Tell whether all other methods have the rows of an undisturbed run, bit for bit, and each once."""
    if outcome.rows is None or outcome.stored is None or sound.rows is None:
        return False
    stored = outcome.stored[outcome.stored["method"] != fault.x]
    if stored.duplicated(["method", "method_hash", "case_id"]).any():
        return False
    return _comparable(outcome.rows, fault.x).equals(_comparable(sound.rows, "x"))


def _comparable(rows: pd.DataFrame, without: str) -> pd.DataFrame:
    # Where a row of x has no area of the metal, the column is one of floats.
    others = rows[rows["method"] != without].drop(columns=VOLATILE).astype({"metal_area_px": "float64"})
    return others.sort_values(["method", "case_id"]).reset_index(drop=True)


@dataclass(frozen=True)
class Verdict:
    """A line of the table."""

    fault: Fault
    outcome: Outcome
    differences: list[str]
    equal: bool
    lost: float

    def line(self) -> str:
        """Return the line in Markdown."""
        fault, rows = self.fault, self.outcome.rows
        own = None if rows is None else rows[rows["method"] == fault.x]
        counts = (
            "" if own is None else ", ".join(f"{name} {count}" for name, count in own["status"].value_counts().items())
        )
        others = "refused" if fault.refused else "yes" if self.equal else "NO"
        verdict = "held" if not self.differences else "FAULT: " + "; ".join(self.differences)
        what = f"{fault.what} (`{fault.name}`)".replace("|", "\\|")
        return f"| {what} | {self.outcome.code} | {counts or '–'} | {others} | {self.lost:+.1f} | {verdict} |"


def judge(fault: Fault, stage: Stage, sound: Outcome) -> Verdict:
    """Play a fault and hold it against an undisturbed run."""
    outcome = stage.play(fault)
    found = differences(fault, outcome, sound, stage.folder)
    return Verdict(fault, outcome, found, others_equal(fault, outcome, sound), outcome.seconds - sound.seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the faults, print the table, and return 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="REGEX", help="Only faults whose name matches.")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="Runs at once; the seconds lost suffer.")
    parser.add_argument("--spec", default="mini")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="Keep the folders of the runs here.")
    asked = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if re.search(asked.only, fault.name)]
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="faults-"))
    stage = Stage(folder, asked.spec)
    print(
        "| what | exit code | rows of x | others bit-equal | seconds lost | verdict |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    try:
        with ThreadPoolExecutor(asked.jobs) as pool:
            needed = list(dict.fromkeys(map(undisturbed, faults)))
            sound = dict(zip(needed, pool.map(stage.play, needed), strict=True))
            verdicts = []
            for verdict in pool.map(lambda fault: judge(fault, stage, sound[undisturbed(fault)]), faults):
                print(verdict.line(), flush=True)
                verdicts.append(verdict)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    bad = [verdict.fault.name for verdict in verdicts if verdict.differences]
    print(f"\n{len(verdicts) - len(bad)} of {len(verdicts)} held.{' Not: ' + ', '.join(bad) if bad else ''}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
