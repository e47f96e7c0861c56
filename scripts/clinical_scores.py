"""Score a run from 0, perfect, to 4, terrible, as the AAPM challenge does: ``python scripts/clinical_scores.py RUN``.

The benchmark must have the convention ``aapm2024``. The axes of every case come from what NMAR reaches on it, which is
about 2 by construction, see `marbench.metrics.axes`; the noise of the truth is taken from the case, made anew.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import marbench
from marbench.errors import MetricError
from marbench.metrics.axes import Axis, axis_of, overall, score
from marbench.metrics.measure import measures_of
from marbench.results.store import open_run

CONVENTION = "aapm2024"
MEASURES = {each.name: each.id for each in measures_of(CONVENTION) if each.convention}


def axes_of(values: Mapping[str, float], truth_noise: float) -> dict[str, Axis]:
    """Return the axes of a case by what NMAR reaches on it; none of measures that NMAR is perfect in, or has not."""
    axes = {}
    for name, value in values.items():
        if not np.isnan(value):
            try:
                axes[name] = axis_of(name, value, truth_noise)
            except MetricError:
                continue
    return axes


def truth_noise(suite: marbench.Suite, index: int) -> float:
    """Return what the truth of a case has of noise."""
    case = suite[index]
    return marbench.score(case.known_truth.image, case, CONVENTION)[MEASURES["noise"]]


def scores(rows: pd.DataFrame, suite: marbench.Suite, nmar: str) -> pd.DataFrame:
    """Return one row per method and case: the score of each measure, and of the case."""
    found = []
    for index, own in rows[rows["status"] == "ok"].groupby("case_index"):
        values = {row["method"]: {name: row[id] for name, id in MEASURES.items()} for row in own.to_dict("records")}
        if nmar not in values:
            continue
        axes = axes_of(values[nmar], truth_noise(suite, int(index)))
        for method, reached in values.items():
            known = {name: score(reached[name], axis) for name, axis in axes.items() if not np.isnan(reached[name])}
            found.append({"method": method, **known, "score": overall(reached, axes)})
    return pd.DataFrame(found)


def ranked(found: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the mean scores of the methods that have all cases, the best first, and a line for each of the others.

    Means over other cases, say without those on which a method failed, do not compare.
    """
    means, cases = found.groupby("method").mean().sort_values("score"), found["method"].value_counts()
    total = int(cases.max())  # that of NMAR, without which a case has no axes
    partial = [method for method in means.index if cases[method] < total]
    lines = [f"{each}: {cases[each]} of {total} cases, score {means['score'][each]:.2f}" for each in partial]
    return means.drop(index=partial), lines


def main() -> None:
    """Print the mean scores of the methods of a run, the best first, and apart from them those that lack cases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="a folder of results")
    parser.add_argument("--nmar", default="nmar", help="the method that the axes are calibrated on")
    options = parser.parse_args()
    run = open_run(options.run)
    if CONVENTION not in run.spec.metrics.conventions:
        raise SystemExit(f"{options.run}: its benchmark lacks the convention {CONVENTION} in [metrics] conventions.")
    found = scores(run.rows, marbench.Suite(run.spec), options.nmar)
    if found.empty:
        raise SystemExit(f"{options.run} holds no case of {options.nmar}, which the axes are calibrated on.")
    table, lines = ranked(found)
    print(table[["score", *(name for name in MEASURES if name in table)]].round(2).T.to_string())
    if lines:
        print("Not ranked, for their means are over other cases:", *lines, sep="\n")


if __name__ == "__main__":
    main()
