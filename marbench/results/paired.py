"""Results of the same cases in two benchmarks, of which one thing differs."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from marbench.metrics.measure import Measure
from marbench.results.rows import KEY_COLUMNS, PROPERTY_COLUMNS

__all__ = ["differences", "other_cases", "worst_cases"]

# The display window is none of the data.
_FACTS = tuple(name for name in (*KEY_COLUMNS, *PROPERTY_COLUMNS) if not name.startswith("window_"))


def differences(base: pd.DataFrame, rows: pd.DataFrame, method: str, measure: Measure) -> pd.Series[float]:
    """Return score here minus score in the base of every case that a method did well in both, by case id."""
    here, there = (_scores(frame, method, measure) for frame in (rows, base))
    here, there = here.align(there, join="inner")
    with np.errstate(invalid="ignore"):
        # Infinite scores that are alike differ by nothing.
        return (here - there).mask(here == there, 0.0).sort_index()


def _scores(rows: pd.DataFrame, method: str, measure: Measure) -> pd.Series[float]:
    good = rows[(rows["method"] == method) & (rows["status"] == "ok")]
    return good.set_index("case_id")[measure.id].dropna()


def worst_cases(base: pd.DataFrame, rows: pd.DataFrame, measure: Measure) -> dict[str, str]:
    """Return method → the case on which it lost most; of equals the first."""
    found = {}
    for method in rows["method"].unique():
        gained = measure.sign * differences(base, rows, method, measure)
        if len(gained):
            found[str(method)] = str(gained.idxmin())
    return found


def other_cases(base: pd.DataFrame, rows: pd.DataFrame, changed: Collection[str] = ()) -> tuple[str, ...]:
    """Return the ids of cases that are not the same in both: missing in one, or of another patient or implant.

    Parameters
    ----------
    base, rows : DataFrame
        Cases that could not be simulated in one of them are compared by their ids alone.
    changed : collection of str
        Facts that may differ, such as ``materials``.
    """
    facts = [name for name in _FACTS if name not in changed]
    here, there = (_known(frame, facts) for frame in (rows, base))
    absent = set(rows["case_id"]) ^ set(base["case_id"])
    here, there = here.align(there, join="inner")
    differs = ((here != there) & ~(here.isna() & there.isna())).any(axis=1)
    return tuple(sorted(absent | set(map(str, differs.index[differs]))))


def _known(rows: pd.DataFrame, facts: list[str]) -> pd.DataFrame:
    simulated = rows[rows["metal_area_px"].notna()].drop_duplicates("case_id").set_index("case_id")
    return simulated[facts].astype(object).sort_index()
