"""Which rows may stand side by side: those whose cases were the same data.

A case is known by its id, which says what it is called, and by its digest, which says what it was. Rows of one case
whose digests differ were computed on other slices, other implants or another simulation: their scores do not compare.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd

from marbench.cases.digest import digests_agree

__all__ = ["admit"]

_SHOWN = 3


def admit(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of which all rows of a case agree on its data, and a line for each method that has others.

    Of every case the digest counts with which most of its rows agree; of equally many, the one that was stored first.
    Rows without a digest, of cases that were not simulated, are kept.
    """
    known = rows.loc[rows["case_digest"] != "", ["case_id", "case_digest"]]
    kinds = known.groupby("case_id", sort=False, observed=True)["case_digest"].nunique()
    # Equal texts are the rule, and need no comparison digit by digit: of a million rows few cases remain.
    doubtful = known[known["case_id"].isin(kinds.index[kinds > 1])]
    refused: list[int] = []
    for _, digests in doubtful.groupby("case_id", sort=False, observed=True)["case_digest"]:
        others = _others(Counter(map(str, digests)))
        refused += digests.index[digests.isin(others)].tolist()
    if not refused:
        return rows, []
    bad = rows.loc[refused]
    problems = []
    for method, part in bad.groupby("method", observed=True):
        cases = part["case_id"].unique().tolist()
        few = f"{', '.join(map(str, cases[:_SHOWN]))}{' …' if len(cases) > _SHOWN else ''}"
        problems.append(
            f"{len(part)} rows of {method} are refused: they were computed on other data than most rows of these cases "
            f"({few}). Run {method} again on this benchmark's data."
        )
    return rows.drop(index=bad.index), problems


def _others(digests: Counter[str]) -> list[str]:
    """Return the digests that are not of the case that most of them are of. Rounding may tell equal cases apart."""
    votes = {
        one: sum(count for other, count in digests.items() if digests_agree(one, other))
        for one in digests  # in the order in which they were stored
    }
    elected = max(votes, key=lambda digest: votes[digest])
    return [digest for digest in digests if not digests_agree(elected, digest)]
