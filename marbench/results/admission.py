"""Which rows may stand side by side: those whose cases were the same data, and are not only said to exist.

A case is known by its id, which says what it is called, and by its digest, which says what it was. Rows of one case
whose digests differ were computed on other slices, other implants or another simulation: their scores do not compare.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from marbench.cases.digest import digests_agree
from marbench.machine.text import counted, few
from marbench.results.rows import KEY_COLUMNS, PROOFS, PROPERTY_COLUMNS

__all__ = ["admit", "agree", "of_proven_cases", "patients_apart"]

_SHOWN = 3


def admit(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of which all rows of a case agree on its data, and a line for each method that has others.

    Of every case the digest counts with which most of its best proven rows agree; of equally many, the one that was
    stored first. Rows without a digest, of cases that were not simulated, are kept.
    """
    known = rows.loc[rows["case_digest"] != "", ["case_id", "case_digest", "evidence"]]
    kinds = known.groupby("case_id", sort=False, observed=True)["case_digest"].nunique()
    # Equal texts are the rule, and need no comparison digit by digit: of a million rows few cases remain.
    doubtful = known[known["case_id"].isin(kinds.index[kinds > 1])]
    refused: list[int] = []
    for _, part in doubtful.groupby("case_id", sort=False, observed=True):
        digests, proof = part["case_digest"].astype(str), part["evidence"].astype(str).map(PROOFS.index)
        # However many rows somebody sends, they decide nothing about what was run here.
        others = _others(digests, Counter(digests[proof == proof.max()]))
        refused += digests.index[digests.isin(others)].tolist()
    if not refused:
        return rows, []
    bad = rows.loc[refused]
    problems = []
    for method, part in bad.groupby("method", observed=True):
        cases = part["case_id"].unique().tolist()
        problems.append(
            f"{len(part)} rows of {method} are refused: they were computed on other data than most of the best proven "
            f"rows of these cases ({few(cases, _SHOWN)}). Run {method} again on this benchmark's data."
        )
    return rows.drop(index=bad.index), problems


def agree(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with what the best proven row of each case says of it; of equally proven ones the first.

    Properties of rows whose case was not simulated stay unknown. Patients who share a case are one, under one name.
    """
    told = rows[["case_id", "evidence", *KEY_COLUMNS, *PROPERTY_COLUMNS]]
    told = told.assign(_proof=rows["evidence"].map(PROOFS.index))
    told = told.sort_values("_proof", ascending=False, kind="stable")
    agreed: dict[str, pd.Series[Any]] = {}
    for columns, known in ((KEY_COLUMNS, told["case_id"].notna()), (PROPERTY_COLUMNS, told["metal_area_px"].notna())):
        best = told[known].drop_duplicates("case_id").set_index("case_id")
        agreed |= {name: rows[name].where(~known, rows["case_id"].map(best[name])) for name in columns}
    if common := _common_names(told):
        # Not replace(), which goes through all rows once for each name.
        agreed["patient_id"] = agreed["patient_id"].map(lambda name: common.get(name, name))
    return rows.assign(**agreed)


def patients_apart(rows: pd.DataFrame) -> pd.DataFrame:
    """Return case and patient of the rows whose case has several names of its patient, as different salts make them.

    What is only reported is not heard: whoever sends rows in could make one patient of two.
    """
    known = rows[rows["evidence"] != "reported"].drop_duplicates(["case_id", "patient_id"])
    return known[known.duplicated("case_id", keep=False)]


def of_proven_cases(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of cases that more is known of than what somebody says, and a note on the others.

    A single reported row of one more case, which may not exist, would leave every method that ran here incomplete.
    Where nothing ran here, or on a part of the cases only, there is nothing to protect, and all cases count.
    """
    ran = rows["case_id"].isin(rows.loc[rows["evidence"] == "run here", "case_id"])
    known = rows["case_id"].isin(rows.loc[rows["evidence"] != "reported", "case_id"])
    if rows.loc[ran, "case_id"].nunique() <= rows.loc[~known, "case_id"].nunique():
        return rows, []
    notes = [
        f"{counted(len(part), 'row')} of {method}, only reported, left out: of cases that nothing was run on or scored "
        f"on here ({few(part['case_id'].tolist(), 1)}). Run a method on these cases, or report "
        "that run alone."
        for method, part in rows[~known].groupby("method", observed=True)
    ]
    return rows[known], notes


def _common_names(rows: pd.DataFrame) -> dict[str, str]:
    """Return name → the name that counts of the same patient; of those of one case the first."""
    common: dict[str, str] = {}

    def counting(name: str) -> str:
        while name in common:
            name = common[name]
        return name

    for _, names in patients_apart(rows).groupby("case_id", sort=False, observed=True)["patient_id"]:
        first, *others = dict.fromkeys(map(counting, names))
        common |= dict.fromkeys(others, first)
    return {name: counting(name) for name in common}


def _others(digests: pd.Series[str], heard: Counter[str]) -> list[str]:
    """Return the digests that are not of the case that most of those heard are of. Rounding may tell cases apart."""
    votes = {
        one: sum(count for other, count in heard.items() if digests_agree(one, other))
        for one in heard  # in the order in which they were stored
    }
    elected = max(votes, key=lambda digest: votes[digest])
    return [digest for digest in digests.unique() if not digests_agree(elected, digest)]
