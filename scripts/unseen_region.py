"""What it costs a network never to have seen a head: ``python scripts/unseen_region.py OUT``, hours on two cores.

CNNMAR and DuDoNet (preset ablation) are trained twice, by one rule and as long: on `mini` as it is, and on its patients
without heads and jaws. Both run on heads and jaws alone, and a page as that of ``marbench shift`` tells the difference.
Half of all training cases are random scenes, as for the weights that ship; ``--scenes 0`` leaves those out.

Run it again after an interruption: finished trainings and results are passed over, the others go on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

import marbench
from marbench.bench.shift import ShiftRun, Station
from marbench.bench.shift_axes import ShiftAxis, ShiftPoint
from marbench.method.weights import WEIGHTS_VARIABLE
from marbench.phantoms.patients import REGIONS
from marbench.report.shift_page import render_shift
from marbench.spec import Spec, load_spec
from marbench.spec_file import spec_toml

HEADS = ("head", "dental")
METHODS = ("cnnmar", "dudonet")
PRESET = "ablation"
"""Of DuDoNet: the smaller network that the rows of its ablation are trained with."""
SEEN, UNSEEN = ShiftPoint("seen", "heads seen"), ShiftPoint("unseen", "heads never seen")
AXIS = ShiftAxis(
    "training",
    "Region left out of training",
    "The same heads and jaws, corrected by networks trained on all regions, and by networks trained on none of these.",
    "",
    (SEEN, UNSEEN),
)


def mini_of(name: str, regions: tuple[str, ...], patients: int = 12, slices: int = 24) -> Spec:
    """Return `mini` with procedural patients of some regions alone."""
    content = load_spec("mini").model_dump(mode="json", by_alias=True, exclude_none=True)
    content |= {"name": name, "title": name, "summary": ""}
    content["anatomy"]["regions"] = list(regions)
    content["split"]["test"] = {"patients": patients, "slices": slices}
    return Spec.model_validate(content)


def train(method: str, spec: str, out: Path, more: list[str]) -> None:
    """Train a method on a benchmark, unless that is done."""
    if (out / "weights.toml").is_file():
        return
    preset = ["--preset", PRESET] if method == "dudonet" else []
    command = [sys.executable, "-m", "marbench", "train", method, "--spec", spec, *preset, *more]
    subprocess.run([*command, "--out", str(out), "--no-install"], check=True)


def station(heads: Spec, folder: Path, weights: list[Path]) -> Station:
    """Run the methods on heads, the learned ones with some weights."""
    os.environ[WEIGHTS_VARIABLE] = os.pathsep.join(map(str, weights))
    for methods, preset in ("none,li,nmar,cnnmar", None), ("dudonet", PRESET):
        marbench.run(methods, heads, folder, preset=preset, images="all", timing=False, report=False)
    return Station(heads, folder, marbench.read_run(folder), pd.DataFrame())


def main() -> None:
    """Train, run, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000, help="of eight cases")
    parser.add_argument("--pool", type=int, default=4096, help="cases held at a time")
    parser.add_argument("--scenes", type=float, default=0.5, help="share of random scenes")
    given = parser.parse_args()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    without = out / "mini-no-head.toml"
    others = mini_of("mini-no-head", tuple(name for name in REGIONS if name not in HEADS))
    without.write_text(spec_toml(others), encoding="utf-8")
    more = [f"--{name}={getattr(given, name)}" for name in ("steps", "pool", "scenes")]
    folders: dict[str, list[Path]] = {}
    for point, spec in ((SEEN, "mini"), (UNSEEN, str(without))):
        folders[point.name] = [out / "training" / f"{method}-{point.name}" for method in METHODS]
        for method, folder in zip(METHODS, folders[point.name], strict=True):
            train(method, spec, folder, more)
    heads = mini_of("mini-heads", HEADS)
    seen, unseen = (station(heads, out / point.name, folders[point.name]) for point in AXIS.points)
    shift = ShiftRun(seen, (AXIS,), {(AXIS.name, SEEN.name): seen, (AXIS.name, UNSEEN.name): unseen})
    print(f"Page: {render_shift(shift, out / 'page')}")


if __name__ == "__main__":
    main()
