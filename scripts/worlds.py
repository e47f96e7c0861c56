"""Tell what becomes of the same anatomy and metal in several worlds: ``python scripts/worlds.py --cases 2``.

Every world gets the patients of `mini` and two of the library's metals for any slice, in its own geometry, physics and
field of view, into which published worlds scale the slice, and the metal with it. Printed are means over the cases: the
longest path through metal, the share of the trace that fewer than ten photons came through, and what LI and NMAR score:
PSNR under the world's own first convention that has one, PSNR in the body in [−1000, 1000] HU, RMSE in HU. A world of
512² takes minutes a case.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

import marbench
from marbench.cases.case import Case
from marbench.cases.measurement import Measurement
from marbench.cases.suite import Suite
from marbench.ct.projection import project
from marbench.metrics.measure import measures_of
from marbench.spec import Spec, load_spec

WORLDS = ("mini", "dudonet2019", "adn2019", "syndeeplesion", "dudonetpp2020", "cnnmar2018", "aapm2024")
METALS = (0, 4)
"""Of the library's ten to test with, the largest first: a hip and a rod."""
STARVED = 10.0
METHODS = ("li", "nmar")


def with_the_same_anatomy(world: Spec, cases: int) -> Spec:
    """Return a world with the patients of `mini`, and the same metals for all of them."""
    content: dict[str, Any] = world.model_dump(by_alias=True)
    content["seed"] = load_spec("mini").seed
    content["metals"]["placement"] = "any"
    content["split"]["test"] = {"patients": cases, "slices": cases}
    return Spec.model_validate(content)


def longest_path(case: Case, spec: Spec) -> float:
    """Return the longest path through the metal mask, cm."""
    return float(project(case.scan.metal_mask.float(), spec.geometry, spec.grid).max())


def starved(case: Case, spec: Spec) -> float:
    """Return the share of the trace behind which fewer than `STARVED` photons were counted."""
    measurement = Measurement(spec, torch.device("cpu"))
    # Behind a bowtie the limit differs from column to column.
    limit = torch.log(measurement.air / (STARVED + spec.physics.scatter)).expand(spec.geometry.bins)
    above = case.scan.sinogram > measurement.corrected(limit)
    return float(above[case.scan.metal_trace].float().mean())


def row(name: str, cases: int) -> list[str]:
    """Return the cells of a world."""
    spec = with_the_same_anatomy(load_spec(name), cases)
    suite = Suite(spec)
    chosen = [suite[slice_ * len(suite.metals) + metal] for slice_ in range(cases) for metal in METALS]
    ranked = next(each.id for each in measures_of(spec.metrics.conventions) if each.id.startswith("psnr"))
    conventions = dict.fromkeys((*spec.metrics.conventions, "body"))
    scores: dict[str, list[dict[str, float]]] = {}
    for method in METHODS:
        loaded = marbench.load_method(method, spec).method
        scores[method] = [marbench.score(loaded.reduce(case.scan), case, conventions) for case in chosen]
    cells = [f"`{name}`", f"{np.mean([longest_path(case, spec) for case in chosen]):.1f}"]
    cells.append(f"{100 * np.mean([starved(case, spec) for case in chosen]):.1f} %")
    cells.append(ranked.removeprefix("psnr[").removesuffix("]"))
    for method in METHODS:
        mean = {key: np.mean([one[key] for one in scores[method]]) for key in (ranked, "psnr[body]", "rmse_hu")}
        cells.append(f"{mean[ranked]:.1f} / {mean['psnr[body]']:.1f} / {mean['rmse_hu']:.0f}")
    return cells


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--worlds", default=",".join(WORLDS), help="names, separated by commas")
    parser.add_argument("--cases", type=int, default=2, help="patients, with two metals each")
    asked = parser.parse_args()
    heads = ("world", "longest path, cm", "starved", "convention", "LI", "NMAR")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in asked.worlds.split(","):
        print(f"| {' | '.join(row(name, asked.cases))} |", flush=True)


if __name__ == "__main__":
    main()
