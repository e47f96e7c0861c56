"""The cases of a benchmark as a table: what each case is, and the scores of all methods on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.report.benchmark import Benchmark, natural_key

__all__ = ["CaseTable", "case_table"]

_FACTS = [
    "patient_id",
    "slice_id",
    "metal_id",
    "size_group",
    "case_index",
    "metal_area_px",
    "metal_area_mm2",
    "region",
    "materials",
]


@dataclass(frozen=True, eq=False)
class CaseTable:
    """Cases and the outcome of every method on each.

    Attributes
    ----------
    facts : DataFrame
        Index ``case_id`` in natural order; columns as in the rows, empty texts or NaN where no row tells.
        ``case_index`` is the place of the case in the suite.
    methods : tuple of str
    status : str array ``(methods, cases)``
        As stored; ``not run`` without a row.
    rows : DataFrame
        The rows of the cases, with their ``method_at`` and ``case_at`` in the arrays.
    """

    facts: pd.DataFrame
    methods: tuple[str, ...]
    status: NDArray[np.object_]
    rows: pd.DataFrame

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the cases."""
        return [str(case) for case in self.facts.index]

    def scores(self, column: str) -> NDArray[np.float64]:
        """Return a column of scores, ``(methods, cases)``; NaN where a method has none."""
        values = np.full(self.status.shape, np.nan)
        good = self.rows["status"].to_numpy() == "ok"
        places = (self.rows["method_at"].to_numpy()[good], self.rows["case_at"].to_numpy()[good])
        values[places] = self.rows[column].to_numpy(np.float64)[good]
        return values


def case_table(benchmark: Benchmark) -> CaseTable:
    """Return all cases of a benchmark that any method was given."""
    rows = benchmark.rows[benchmark.rows["case_id"] != ""]
    ids = sorted(map(str, rows["case_id"].unique()), key=natural_key)
    # A row of a failure may lack what another method's row tells: first() takes the first value that is there.
    known = rows.assign(case_index=rows["case_index"].where(rows["case_index"] >= 0))
    facts = known.replace({"region": "", "materials": ""}, None).groupby("case_id")[_FACTS].first().reindex(ids)
    facts[["region", "materials"]] = facts[["region", "materials"]].fillna("")
    methods = benchmark.methods
    rows = rows.assign(
        method_at=pd.Index(methods).get_indexer(pd.Index(rows["method"])),
        case_at=pd.Index(ids).get_indexer(pd.Index(rows["case_id"])),
    )
    status = np.full((len(methods), len(ids)), "not run", dtype=object)
    status[rows["method_at"], rows["case_at"]] = rows["status"].astype(str)
    return CaseTable(facts, methods, status, rows)
