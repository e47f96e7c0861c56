"""Which of several results of a method counts: of a case one row, and of several versions of the method one."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from marbench.results.rows import PROOFS

__all__ = ["best_rows", "leading_versions"]


def best_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep of each method and case a successful attempt, then the best proven, then the newest. Order: method, case.

    Parameters
    ----------
    rows : DataFrame
        Of one version of each method, oldest first.
    """
    # One that went well is not undone by a later attempt that did not: what failed then may have been the machine.
    # Nor is one that was run here undone by what somebody says.
    ranked = rows.assign(_ok=rows["status"] == "ok", _proof=rows["evidence"].map(PROOFS.index))
    # A stable sort: equals stay in the order in which they were written. Attempts are counted in each folder anew.
    ranked = ranked.sort_values(["method", "case_id", "_ok", "_proof"], kind="stable")
    ranked = ranked.drop_duplicates(["method", "case_id"], keep="last")
    return ranked.drop(columns=["_ok", "_proof"]).reset_index(drop=True)


def leading_versions(rows: pd.DataFrame, runs: Iterable[int]) -> dict[str, str]:
    """Return label → hash of the version that counts of each method.

    Before all, one that went well on every case of all rows, wherever its own lie; then one that did on any. Of those
    the best proven counts, by its weakest case that went well; of equals the one with most such cases; of equals that
    of the run named last. So a version of which nothing ran, as without its weights, displaces none that has results.

    Parameters
    ----------
    rows : DataFrame
    runs : iterable of int
        Which run each of the rows is of, in the order in which runs are named.
    """
    cases = rows["case_id"].nunique()
    told = rows.assign(_proof=rows["evidence"].map(PROOFS.index), _run=list(runs))
    standings: dict[str, dict[str, tuple[bool, bool, int, int, int]]] = {}
    for (label, version), own in told.groupby(["method", "method_hash"], observed=True):
        good = own[own["status"] == "ok"]
        # Of a case that a version has several rows of, the best one counts.
        proof = good.groupby("case_id", observed=True)["_proof"].max().tolist()
        last = int((good if proof else own)["_run"].max())
        standing = (len(proof) == cases, len(proof) > 0, min(proof, default=0), len(proof), last)
        standings.setdefault(str(label), {})[str(version)] = standing
    # Hashes decide where nothing else does: whoever is asked gives the same answer.
    return {
        label: max(versions, key=lambda version: (versions[version], version)) for label, versions in standings.items()
    }
