"""What may share a table: the results of one spec hash and one protocol version, gathered from one run or several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.machine.text import counted
from marbench.metrics.measure import Measure, stored_measures
from marbench.results.admission import admit, agree, of_proven_cases
from marbench.results.rows import PROOFS, TIMING_SCHEMA
from marbench.results.store import Run
from marbench.results.versions import best_rows, leading_versions
from marbench.spec import PROTOCOL, Spec

__all__ = ["DEVICE", "Benchmark", "case_seconds", "gather", "natural_key"]

DEVICE = ["device_name", "device", "threads"]
"""The columns by which the pages tell machines apart."""


@dataclass(frozen=True, eq=False)
class Benchmark:
    """All that the pages of one benchmark show.

    Attributes
    ----------
    spec : Spec
        The description that lay beside the results.
    spec_hash : str
    protocol : int
        Rows of another hash or protocol are another `Benchmark`.
    rows : DataFrame
        One row per (method, case), of one method hash per method, sorted by method and case.
    timings : DataFrame
        One row per timed repeat, of each method and machine (`DEVICE`) as it was measured last.
    hosts, cards : mapping
        Host id → description; method label → card.
    folders : tuple of Path
        The runs, the worst proven first, of equals the oldest.
    problems : tuple of str
        What a reader must know: skipped files, foreign specs.
    replaced : tuple of str
        Entries that gave way to newer or more complete ones.
    commands : tuple of str
        What filled the folders.
    notices : tuple of str
        What of the files and slices is not used, and why.
    created : int array
        When each of ``rows`` was written, in ns since 1970, 0 where that is not known; empty where nothing is.
    """

    spec: Spec
    spec_hash: str
    protocol: int
    rows: pd.DataFrame
    timings: pd.DataFrame
    hosts: Mapping[str, Mapping[str, Any]]
    cards: Mapping[str, Mapping[str, Any]]
    folders: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    created: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of_rows(cls, spec: Spec, rows: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]) -> Benchmark:
        """Return rows of one benchmark, one per (method, case), with label → card, as what can be ranked."""
        proven, refused = of_proven_cases(_apart(rows)[0])
        order = proven.sort_values(["method", "case_id"], kind="stable").reset_index(drop=True)
        untimed = TIMING_SCHEMA.empty_table().to_pandas()
        order = _without_strays(order)
        return cls(spec, spec.hash, PROTOCOL, order, untimed, {}, cards, folders=(), problems=tuple(refused))

    @property
    def slug(self) -> str:
        """A folder name that tells benchmarks apart."""
        safe = re.sub(r"[^A-Za-z0-9]", "_", self.spec_hash[:8])
        return f"{self.spec.name}-{safe}-p{self.protocol}"

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The labels of all methods, in natural order."""
        return tuple(sorted(map(str, self.rows["method"].unique()), key=natural_key))

    @cached_property
    def versions(self) -> dict[str, str]:
        """Method → the hash of the version that the rows are of."""
        rows = self.rows.drop_duplicates("method")
        return dict(zip(rows["method"].astype(str), rows["method_hash"].astype(str), strict=True))

    @cached_property
    def uncorrected(self) -> frozenset[str]:
        """The methods that hand back the image that every method starts from: no correction."""
        return frozenset(label for label in self.methods if self.cards.get(label, {}).get("role") == "uncorrected")

    def days(self, column: str) -> dict[str, tuple[str, str]]:
        """Return, for every method or case, the days (UTC) on which its first and its last row was written.

        Parameters
        ----------
        column : {"method", "case_id"}

        Returns
        -------
        dict
            Empty where it is not known when rows were written, as of runs that were sent in.
        """
        if not self.created.any():
            return {}
        written = pd.DataFrame({"of": self.rows[column].astype(str), "at": pd.to_datetime(self.created)})
        ends = written[self.created > 0].groupby("of")["at"].agg(["min", "max"])
        return {str(of): (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}") for of, first, last in ends.itertuples()}

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The measures of the stored scores; those of the conventions that the spec names come first, in its order."""
        return stored_measures(map(str, self.rows.columns), first=self.spec.metrics.conventions)

    @cached_property
    def conventions(self) -> tuple[str, ...]:
        """The conventions of the stored scores, in the order of the measures."""
        return tuple(dict.fromkeys(measure.convention for measure in self.measures if measure.convention))

    def measures_under(self, convention: str) -> tuple[Measure, ...]:
        """Return the measures of a convention, and those that need none: what may stand in one table."""
        return tuple(measure for measure in self.measures if measure.convention in (convention, ""))

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """The metal-size groups: 1 holds the largest metals. Groups without a case are listed too."""
        stored = self.rows.loc[self.rows["case_id"] != "", "size_group"].dropna().astype(int)
        return tuple(range(1, max(self.spec.metals.size_groups, int(stored.max()) if len(stored) else 0) + 1))

    @cached_property
    def patients(self) -> int:
        """How many different patients these cases are of."""
        return int(self.rows.loc[self.rows["case_id"] != "", "patient_id"].nunique())

    @cached_property
    def cases(self) -> int:
        """How many different cases any method was given."""
        return int(self.rows.loc[self.rows["case_id"] != "", "case_id"].nunique())


def natural_key(text: str) -> tuple[tuple[bool, int, str, str], ...]:
    """Return a sort key that puts ``m2`` before ``m10``."""
    # Numbers by length and digits: of 5000 digits, as a foreign text may have, Python makes no integer.
    parts = [(part, part.lstrip("0") if part.isdecimal() else "") for part in re.split(r"(\d+)", text)]
    return tuple((part.isdecimal(), len(digits), digits, part) for part, digits in parts)


def case_seconds(timings: pd.DataFrame, by: Sequence[str]) -> pd.api.typing.SeriesGroupBy[Any, Any]:
    """Return the median seconds of every timed case, grouped by columns: of a slow case there are fewer calls."""
    return timings.groupby([*by, "case_id"])["seconds"].median().groupby(level=list(by))


def gather(runs: Sequence[Run]) -> list[Benchmark]:
    """Sort the rows of runs into benchmarks; where a method was run in several versions, one counts.

    An entry is all rows of one version, wherever they lie. Which one counts, `leading_versions` says, and entries are
    never mixed: the runs are shown as the one that `marbench merge` makes of them.

    What is only reported decides nothing about what was run here: not which data a case has, nor which cases there are.
    """
    keys = {
        (str(spec_hash), int(protocol)): None
        for run in runs
        for spec_hash, protocol in run.rows[["spec_hash", "protocol"]].drop_duplicates().itertuples(index=False)
    }
    for run in runs:
        if run.rows.empty:
            keys.setdefault((run.spec.hash, PROTOCOL), None)
    return [_benchmark(runs, spec_hash, protocol) for spec_hash, protocol in keys]


def _benchmark(runs: Sequence[Run], spec_hash: str, protocol: int) -> Benchmark:
    # What comes later counts: no card, machine or picture of an archive takes the place of what was run here.
    ordered = sorted(runs, key=lambda run: run.proof)
    parts = [(run, _of(run.rows.assign(_created=run.created), spec_hash, protocol)) for run in ordered]
    parts = [(run, rows) for run, rows in parts if len(rows) or (run.rows.empty and run.spec.hash == spec_hash)]
    own = [run for run, _ in parts]
    rows = pd.concat([part.assign(_run=index) for index, (_, part) in enumerate(parts)], ignore_index=True)
    # The oldest first, as in a folder into which these runs are merged.
    rows = rows.sort_values("_created", kind="stable", ignore_index=True)
    rows, unmade = _apart(rows)
    rows, refused = admit(rows)
    rows, unproven = of_proven_cases(agree(rows))
    rows, replaced = _leading_entries(rows)
    rows = _without_strays(rows)
    created = rows.pop("_created").to_numpy(np.int64)
    shown = rows[["method", "method_hash"]].drop_duplicates()
    told = [_of(run.timings, spec_hash, protocol).assign(_run=index) for index, run in enumerate(own)]
    timings = _measured_last(pd.concat(told, ignore_index=True).merge(shown))
    return Benchmark(
        spec=own[-1].spec,
        spec_hash=spec_hash,
        protocol=protocol,
        rows=rows,
        created=created,
        timings=timings,
        hosts=_merged(run.hosts for run in own),
        # Another version's title and links are not theirs.
        cards=_merged(run.cards_of(dict(shown.itertuples(index=False))) for run in own),
        folders=tuple(run.folder for run in own),
        problems=tuple(dict.fromkeys([*unmade, *(text for run in own for text in run.problems), *refused, *unproven])),
        replaced=tuple(replaced),
        commands=tuple(dict.fromkeys(text for run in own for text in run.commands)),
        notices=tuple(dict.fromkeys(text for run in own for text in run.notices)),
    )


def _of(frame: pd.DataFrame, spec_hash: str, protocol: int) -> pd.DataFrame:
    return frame[(frame["spec_hash"] == spec_hash) & (frame["protocol"] == protocol)]


def _measured_last(timings: pd.DataFrame) -> pd.DataFrame:
    """Keep the last measurement of every method on every machine, to which a new kernel gives another host id."""
    measured = ["_run", "host_id"]
    last = timings.groupby(["method", *DEVICE])[measured].transform("last")
    return timings[(timings[measured] == last).all(axis=1)].drop(columns="_run").reset_index(drop=True)


def _apart(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of methods, and a note on the cases that could not be made: those are no method's fault."""
    failed = rows["method"] == ""
    if not failed.any():
        return rows, []
    rows, unmade = rows[~failed], rows[failed]
    unmade = unmade[~unmade["case_id"].isin(rows["case_id"])].drop_duplicates("case_id")
    if unmade.empty:
        return rows, []
    first = unmade.iloc[0]
    said = ": ".join(filter(None, map(str, (first["error_kind"], first["message"]))))
    return rows, [
        f"{counted(len(unmade), 'case')} could not be made: no method has a result. First {first['case_id']}: {said}"
    ]


def _leading_entries(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of one version of each method, one per case, and a note on every other version."""
    counts = rows["method_hash"] == rows["method"].map(leading_versions(rows, rows["_run"]))
    others = rows.loc[~counts, ["method", "method_hash"]].drop_duplicates().sort_values(["method", "method_hash"])
    notes = [
        f"An older or less complete entry of {method} (method hash {method_hash}) is not shown."
        for method, method_hash in others.itertuples(index=False)
    ]
    return best_rows(rows[counts]).drop(columns="_run"), notes


def _without_strays(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without numbers that at most half of the methods have of a case.

    Whether a slice has a place for a region is a matter of the case: one method alone must not decide it, nor what is
    less well proven than others.
    """
    proof = rows["evidence"].map(PROOFS.index).where(rows["status"] == "ok")
    heard = proof == proof.groupby(rows["case_id"]).transform("max")
    good = heard.groupby(rows["case_id"]).transform("sum")
    for measure in stored_measures(rows.columns):
        if "region" in measure.needs:
            told = (rows[measure.id].notna() & heard).groupby(rows["case_id"]).transform("sum")
            rows[measure.id] = rows[measure.id].where(2 * told > good)
    return rows


def _merged(parts: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    merged: dict[str, Mapping[str, Any]] = {}
    for part in parts:
        merged.update(part)
    return dict(sorted(merged.items()))
