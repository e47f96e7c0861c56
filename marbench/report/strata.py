"""Sums over cases of one region, material and size group: what a page needs to filter cases without having them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from marbench.report.benchmark import Benchmark

__all__ = ["strata"]

_LIMIT = 500


def strata(benchmark: Benchmark, columns: Sequence[str]) -> dict[str, Any] | None:
    """Return counts and sums of scores for every method and stratum; None where there are too many strata.

    Parameters
    ----------
    benchmark : Benchmark
    columns : sequence of str
        Score columns.

    Returns
    -------
    dict
        ``strata``: list of [region, materials, size group]; ``cases``: how many each has, whether or not a method
        managed them; ``good``: method → how many of these; ``counts``: column → method → how many have a number;
        ``sums``: the same of sums.
    """
    keys = ["region", "materials", "size_group"]
    rows = benchmark.rows
    # A case that could not be made has no region.
    rows = rows[rows["region"].notna() & rows["materials"].notna() & (rows["region"] != "")]
    sizes = rows.groupby(keys, observed=True)["case_id"].nunique()
    if len(sizes) > _LIMIT:
        return None
    grouped = rows[rows["status"] == "ok"].groupby(["method", *keys], observed=True)
    sums, counts = (each.reset_index() for each in (grouped[list(columns)].sum(), grouped[list(columns)].count()))
    cells = [tuple(cell) for cell in sizes.index]
    position = {cell: index for index, cell in enumerate(cells)}
    places = [position[tuple(cell)] for cell in sums[keys].to_numpy().tolist()]
    result: dict[str, Any] = {"strata": [list(cell) for cell in cells], "counts": {}, "sums": {}}
    result["cases"] = [int(size) for size in sizes]
    result["good"] = _spread(grouped.size().rename("good").reset_index(), places, "good", len(cells))
    for column in columns:
        result["counts"][column] = _spread(counts, places, column, len(cells))
        result["sums"][column] = _spread(sums, places, column, len(cells))
    return result


def _spread(frame: Any, places: Sequence[int], column: str, size: int) -> dict[str, list[float]]:
    """Return method → one value per stratum."""
    spread: dict[str, list[float]] = {}
    for method, place, value in zip(frame["method"], places, frame[column].to_numpy(np.float64), strict=True):
        # Ten digits: far beyond what is printed.
        spread.setdefault(str(method), [0.0] * size)[place] = float(f"{value:.10g}")
    return spread
