"""Which cases the gallery shows: a rule, so that nobody picks them by their looks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from marbench.cases.info import CaseKey
from marbench.report.explorer_cases import CaseTable
from marbench.results.images import gallery_cases
from marbench.results.representative import REASONS, Difficulty, telling_cases

__all__ = ["choose_cases"]

_NAMED = "named by the benchmark"
_REASONS = (*REASONS, _NAMED)


def choose_cases(
    table: CaseTable,
    judged: Difficulty | None,
    stored: Collection[str],
    slices: Sequence[int],
    spare: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """Return the chosen cases and the reasons, by size group and case.

    Of every metal-size group those of `telling_cases`; where images of one of them are not stored (a run keeps those
    that tell most of its own methods), those among the cases with stored images. Besides, of every slice that the spec
    names, the first metal of every group.

    Parameters
    ----------
    table : CaseTable
    judged : Difficulty or None
        None where nothing is scored.
    stored : collection of str
        The cases whose images are stored.
    slices : sequence of int
        The slices that the spec names, by position.
    spare : collection of str
        More cases, which are shown for no reason but that there is room.
    """
    reasons: dict[str, list[str]] = {}
    ids = np.array(table.ids, dtype=object)
    groups = table.facts["size_group"].to_numpy(np.float64)
    held = np.isin(ids, list(stored))
    if judged is not None:
        telling = list(telling_cases(groups, judged))
        if not all(held[at] for at, _ in telling):
            telling = list(telling_cases(np.where(held, groups, np.nan), judged))
        for at, reason in telling:
            reasons.setdefault(ids[at], []).append(reason)
    for case in sorted(gallery_cases(_keys(table), slices) & set(stored)):
        reasons.setdefault(case, []).append(_NAMED)
    position = {case: index for index, case in enumerate(table.ids)}
    for case in spare:
        if case in position and not np.isnan(groups[position[case]]):
            reasons.setdefault(case, [])

    def place(case: str) -> tuple[float, int, int]:
        rank = _REASONS.index(reasons[case][0]) if reasons[case] else len(_REASONS)
        return groups[position[case]], rank, position[case]

    return {case: tuple(reasons[case]) for case in sorted(reasons, key=place)}


def _keys(table: CaseTable) -> list[CaseKey]:
    """Return the cases in the order of the suite: the benchmark names slices by their place in it.

    Ids need not follow that order, as where the instance numbers of a DICOM series descend.
    """
    facts = table.facts.dropna(subset=["slice_id", "size_group"]).sort_values("case_index", kind="stable")
    columns = [facts.index, facts["patient_id"], facts["slice_id"], facts["metal_id"], facts["size_group"].astype(int)]
    return [CaseKey(*values) for values in zip(*columns, strict=True)]
