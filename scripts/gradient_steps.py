"""How much of a perfect sinogram a few gradient steps bring into the image: ``python scripts/gradient_steps.py``.

Networks of the InDuDoNet family correct the image by X ← X − τ Pᵀ(P X − S), once a stage. Were S the projection of the
truth, the error E of the image would become E − τ Pᵀ P E: what n steps leave of that of the LI image bounds what the
sinogram's half of such a network can give. Prints it, as the mean RMSE over validation cases, for lengths of τ.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

import marbench
from marbench.ct import back_project, project, projection_norm
from marbench.toolbox.interpolation import linear_interpolation

STEPS = (0, 1, 3, 6, 10, 30)
LENGTHS = (0.37, 1.0, 1.8)
"""In 1/‖P‖²: of the public code of InDuDoNet on its own scan, of a plain descent, and nearly the longest there is:
from 2 on the steps diverge."""


def errors_of(case: marbench.Case, suite: marbench.Suite, norm: float) -> Iterator[tuple[float, int, float]]:
    """Yield length, steps and the RMSE of the image outside metal, in HU; ``norm`` is ‖P‖."""
    spec, tissue = suite.spec, ~case.known_truth.metal
    completed = linear_interpolation(case.scan.sinogram, case.scan.metal_trace)
    start = suite.simulator.operators.reconstruct(completed) - case.known_truth.image
    for length in LENGTHS:
        error, step = start, length / norm**2
        for done in range(max(STEPS) + 1):
            if done in STEPS:
                yield length, done, float(error[tissue.expand_as(error)].square().mean().sqrt())
            sinogram = project(error, spec.geometry, spec.grid)
            error = error - step * back_project(sinogram, spec.geometry, spec.grid)


def main() -> None:
    """Print a row for each length and a column for each number of steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--spec", default="mini")
    parser.add_argument("--cases", type=int, default=12, help="of the validation split, drawn at random")
    given = parser.parse_args()
    suite = marbench.Suite(given.spec, "val")
    norm = projection_norm(suite.spec.geometry, suite.spec.grid)
    drawn = np.random.default_rng(0).permutation(len(suite))[: given.cases]
    rows = [row for k in drawn for row in errors_of(suite[int(k)], suite, norm)]
    errors = pd.DataFrame(rows, columns=["τ · ‖P‖²", "steps", "RMSE, HU"])
    print(errors.pivot_table(index="τ · ‖P‖²", columns="steps", values="RMSE, HU").round(1).to_string())


if __name__ == "__main__":
    main()
