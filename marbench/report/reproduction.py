"""Published results beside ours: the tables of the DuDoNet paper number by number, and the order that papers report."""

from __future__ import annotations

import itertools
import math
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.errors import StoreError, nearest
from marbench.machine.files import write_atomically
from marbench.machine.text import counted
from marbench.metrics.measure import Measure, measures_of
from marbench.report.benchmark import Benchmark, case_seconds
from marbench.report.formats import MISSING, byte_size, count
from marbench.report.spreadsheet import csv_text
from marbench.report.stats import LEVEL, bootstrap_means, can_differ, holm, interval, paired_test
from marbench.report.templates import render_template
from marbench.report.training import budget, unequal_training
from marbench.results.store import Run
from marbench.spec import is_builtin, load_spec

__all__ = [
    "Claim",
    "Comparison",
    "PaperNumber",
    "Reproduction",
    "comparable_tables",
    "published_tables",
    "reproduce",
    "write_reproduction",
]

_FILE = Path(__file__).with_name("published.toml")
_GROUPS = 5
_COLUMNS = ("1 (large)", "2", "3", "4", "5 (small)", "average")


@dataclass(frozen=True)
class PaperNumber:
    """One published number and ours; NaN where we have none."""

    paper: float
    ours: float

    @property
    def difference(self) -> float:
        """Ours minus the paper's."""
        return self.ours - self.paper


@dataclass(frozen=True)
class Comparison:
    """One measure of a table.

    Attributes
    ----------
    measure : str
        Id of the `Measure`, or ``seconds``.
    digits : int
        With which it is shown.
    columns : tuple of str
    rows : tuple of (name, label, entries)
        One row per method, in the paper's order.
    agreement : tuple of (agreeing, compared)
        For every column, of how many pairs of methods the order is the paper's. Ties of the paper are not compared.
    """

    measure: str
    digits: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[PaperNumber, ...]], ...]
    agreement: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Claim:
    """What a paper says of two methods, tested on ours.

    Attributes
    ----------
    text, better, worse : str
        The claim, and the labels of the two methods.
    where : str
        Which metal size groups it is about.
    paper : float or str
        Better minus worse, of the measure that ranks; turned round where lower is better. Words where it is another
        measure than ours, whose differences cannot be compared.
    ours : float
        The same of ours.
    patients : int
        Whose cases ours are.
    interval : tuple of float, or None
        95 % of ours: bootstrap over patients; None where they are too few for one.
    p : float or None
        Sign-flip test of ours with the patient as the unit, two-sided, Holm-adjusted over the claims of the table;
        None of a draw, and where the patients are too few for any of the claims.
    draw : bool
        Whether the paper calls the two level: then nothing is tested.
    """

    text: str
    better: str
    worse: str
    where: str
    paper: float | str
    ours: float
    patients: int
    interval: tuple[float, float] | None = None
    p: float | None = None
    draw: bool = False

    @property
    def verdict(self) -> str:
        """Whether our results support the claim, contradict it, or leave it open; a dash where nothing is tested."""
        if self.p is None or self.interval is None:
            return MISSING
        low, high = self.interval
        if self.p >= 1 - LEVEL or low <= 0 <= high:
            return "open"
        return "supported" if self.ours > 0 else "contradicted"


@dataclass(frozen=True)
class Reproduction:
    """A table of the paper, or what several papers say, beside ours.

    Attributes
    ----------
    table, title, cite : str
    spec : str
        The benchmark on which ours were measured.
    criterion : Measure or None
        What the claims are about; None where there are none to test.
    claims : tuple of Claim
        Those of which both methods were run.
    notes : tuple of str
        What a reader has to know: how many cases, which methods are missing, on which machine.
    training : dict
        Label → how long our method was trained; methods whose cards do not tell are absent.
    """

    table: str
    title: str
    cite: str
    spec: str
    comparisons: tuple[Comparison, ...]
    criterion: Measure | None
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    training: dict[str, str]


def published_tables() -> tuple[str, ...]:
    """Return the tables that can be reproduced."""
    return tuple(sorted(name for name, value in _published().items() if isinstance(value, dict)))


def comparable_tables(benchmark: Benchmark) -> tuple[str, ...]:
    """Return the tables of which a benchmark has two methods or more, so that their order can be compared."""
    published, found = _published(), []
    for table in published_tables():
        content = published[table]
        if _is_of_times(content):
            known = set(map(str, benchmark.timings["method"].unique()))
        else:
            known = set(benchmark.methods) if published["convention"] in benchmark.conventions else set()
        # Of claims alone two methods are comparable only if one of the claims is about them.
        sets = [set(_labels(content))] if "rows" in content else [set(_pair(claim)) for claim in content["claims"]]
        if any(len(known & labels) > 1 for labels in sets):
            found.append(table)
    return tuple(found)


def reproduce(run: Run, table: str) -> Reproduction:
    """Compare a run with a published table.

    Raises
    ------
    StoreError
        There is no such table, or the run holds none of its methods.
    """
    published = _published()
    if table not in published_tables():
        raise StoreError(f"There is no table {table!r}; {nearest(table, published_tables())}")
    content = published[table]
    labels = _labels(content)
    notes = [content["notes"]] if "notes" in content else []
    if "rows" in content and run.spec.hash != load_spec(published["spec"]).hash:
        notes.append(
            f"The paper's scans are those of the benchmark {published['spec']}; {run.spec.name} (hash "
            f"{run.spec.hash[:12]}) is another one, on which the order of the methods can be compared, not their "
            "numbers."
        )
    criterion, claims = None, tuple[Claim, ...]()
    if _is_of_times(content):
        comparisons: tuple[Comparison, ...] = (_compare_times(run, content, notes),)
    else:
        convention = published["convention"]
        # The paper's table tells by their names which measures it has; the first one ranks.
        rows = content.get("rows", [])
        known = measures_of(convention)
        measures = [measure for measure in known if measure.name in rows[0]] if rows else list(known[:1])
        if not {measure.id for measure in measures} <= set(run.rows.columns):
            raise StoreError(f"The run in {run.folder} has no scores of {convention!r}, the paper's convention.")
        scores = _common_cases(run, content, measures, notes)
        if (count := run.spec.metals.size_groups) != _GROUPS:
            scores = scores.assign(size_group=0)
            notes.append(
                f"Of its {count} groups of metal none is one of the paper's {_GROUPS}: averages alone compare."
            )
        elif rows:
            notes += _unequal_groups(scores)
        comparisons = tuple(_compare_scores(scores, rows, measure) for measure in measures if rows)
        criterion = measures[0]
        claims = _test_claims(scores, content, criterion)
        notes += _too_few(claims)
    trained = {label: told for label in labels if (told := budget(run.cards.get(label, {})))}
    differences = unequal_training({label: run.cards.get(label, {}) for label in labels})
    notes += [f"Compare with care: in training, {difference}." for difference in differences]
    title, cite = content["title"], content.get("cite", published["cite"])
    return Reproduction(table, title, cite, run.spec.name, comparisons, criterion, claims, tuple(notes), trained)


def write_reproduction(result: Reproduction, folder: Path) -> list[Path]:
    """Write a comparison as ``TABLE.html`` and ``TABLE.csv``, its claims as ``TABLE-claims.csv``; return the paths."""
    files = {f"{result.table}.html": render_template("reproduction.html", result=result)}
    if result.comparisons:
        files[f"{result.table}.csv"] = _as_csv(_records(result))
    if result.claims:
        files[f"{result.table}-claims.csv"] = _as_csv(
            {
                "claim": claim.text,
                "better": claim.better,
                "worse": claim.worse,
                "where": claim.where,
                "paper": claim.paper,
                "ours": claim.ours,
                "patients": claim.patients,
                "low": low,
                "high": high,
                "p": claim.p,
                "verdict": claim.verdict,
            }
            for claim in result.claims
            for low, high in [claim.interval or (None, None)]
        )
    for name, content in files.items():
        write_atomically(folder / name, content.encode())
    return [folder / name for name in files]


def _published() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _is_of_times(content: Mapping[str, Any]) -> bool:
    return "seconds" in content.get("rows", [{}])[0]


def _labels(content: Mapping[str, Any]) -> list[str]:
    """Return the methods of a table, each once, in its order."""
    if "rows" in content:
        return [row["label"] for row in content["rows"]]
    return list(dict.fromkeys(label for claim in content["claims"] for label in _pair(claim)))


def _pair(claim: Mapping[str, Any]) -> tuple[str, str]:
    return claim["better"], claim["worse"]


def _common_cases(run: Run, content: Mapping[str, Any], measures: Sequence[Measure], notes: list[str]) -> pd.DataFrame:
    """Return the results of those cases of which every method of the table that was run has all numbers."""
    rows, labels = run.rows, _labels(content)
    scored = rows[[measure.id for measure in measures]].notna().all(axis=1)
    good = rows[(rows["status"] == "ok") & scored & rows["method"].isin(labels)]
    present = [label for label in labels if (good["method"] == label).any()]
    if not present:
        spec = run.spec.name if is_builtin(run.spec.name, run.spec.hash) else "FILE"
        words = ["marbench", "run", "--spec", spec, "--out", str(run.folder), "--methods", ",".join(labels)]
        words += ["--preset", content["preset"]] if "preset" in content else []
        raise StoreError(f"The run holds no results of {', '.join(labels)}. Run them: {shlex.join(words)}")
    missing = [label for label in labels if label not in present]
    solved = good.groupby("case_id")["method"].nunique()
    common = good[good["case_id"].isin(solved.index[solved == len(present)])]
    notes.append(f"Ours are means over {common['case_id'].nunique()} cases that all of these methods solved.")
    if missing:
        notes.append(f"Not in this run: {', '.join(missing)}.")
    return common


def _unequal_groups(scores: pd.DataFrame) -> list[str]:
    """Return what the paper's averages, of groups equally filled, and ours then do not share; nothing if they are."""
    sizes = scores.groupby("size_group")["case_id"].nunique().reindex(range(1, _GROUPS + 1), fill_value=0)
    if sizes.nunique() == 1:
        return []
    cases = ", ".join(map(str, sizes))
    return [f"The groups hold {cases} cases: our averages are of all cases, the paper's of groups of equal size."]


def _compare_scores(scores: pd.DataFrame, rows: Sequence[dict[str, Any]], measure: Measure) -> Comparison:
    table = []
    for row in rows:
        own = scores[scores["method"] == row["label"]]
        groups = own.groupby("size_group")[measure.id].mean()
        ours = [_of(groups, group) for group in range(1, _GROUPS + 1)]
        ours.append(float(own[measure.id].mean()))
        table.append((row["name"], row["label"], tuple(map(PaperNumber, row[measure.name], ours))))
    return _comparison(measure.id, measure.digits, _COLUMNS, table)


def _test_claims(scores: pd.DataFrame, content: dict[str, Any], measure: Measure) -> tuple[Claim, ...]:
    """Test on our results what is said of pairs of methods."""
    paper = {row["label"]: row[measure.name] for row in content.get("rows", [])}
    found, tests = [], []
    for claim in content["claims"]:
        labels, groups = list(_pair(claim)), claim.get("groups")
        own = scores if groups is None else scores[scores["size_group"].isin(groups)]
        table = own.pivot(index=["patient_id", "case_id"], columns="method", values=measure.id)
        if own.empty or not set(labels) <= set(table.columns):
            continue
        values = measure.sign * table[labels].to_numpy(dtype=np.float64).T
        patients = pd.factorize(table.index.get_level_values("patient_id"))[0]
        draw = claim.get("draw", False)
        tests.append(math.nan if draw else float(paired_test(values, patients, best=1)[0]))
        published = claim.get("paper")
        if published is None:
            columns = range(_GROUPS) if groups is None else [group - 1 for group in groups]
            better_paper, worse_paper = (np.mean([paper[label][column] for column in columns]) for label in labels)
            published = measure.sign * float(better_paper - worse_paper)
        found.append(
            Claim(
                text=claim["text"],
                better=labels[0],
                worse=labels[1],
                where="all groups" if groups is None else f"groups {', '.join(map(str, groups))}",
                paper=published,
                ours=float(values[0].mean() - values[1].mean()),
                patients=int(patients.max()) + 1,
                interval=_interval(values, patients),
                draw=draw,
            )
        )
    p = np.array(tests)
    tested = ~np.isnan(p)
    p[tested] = holm(p[tested])
    return tuple(
        replace(claim, p=float(own)) if is_tested and can_differ(claim.patients, int(tested.sum())) else claim
        for claim, own, is_tested in zip(found, p, tested, strict=True)
    )


def _interval(values: NDArray[np.float64], patients: NDArray[np.integer]) -> tuple[float, float] | None:
    """Return the 95 % interval of the first row's mean minus the second's; None where the patients are too few."""
    if not can_differ(int(patients.max()) + 1, 1):
        return None
    better, worse = bootstrap_means(values, patients).T
    low, high = interval(better - worse)
    return float(low), float(high)


def _too_few(claims: Sequence[Claim]) -> list[str]:
    """Return of how many patients nothing can be said of claims; nothing where they suffice."""
    few = sorted({claim.patients for claim in claims if claim.interval is None or (claim.p is None and not claim.draw)})
    return [
        f"{counted(each, 'patient')} {'is' if each == 1 else 'are'} too few to tell whether a claim holds."
        for each in few
    ]


def _compare_times(run: Run, content: Mapping[str, Any], notes: list[str]) -> Comparison:
    rows, timings = content["rows"], run.timings
    if timings.empty:
        where = shlex.quote(str(run.folder))
        raise StoreError(f"The run in {run.folder} holds no timings. Take them: marbench time --out {where}")
    own = _on_one_machine(timings, _labels(content))
    machine = own.iloc[-1]
    median = case_seconds(own, ["method"]).median()
    notes.append(f"Ours are medians on {machine['device_name']} ({machine['device']}), {machine['threads']} threads.")
    paper = {row["label"]: row["seconds"][0] for row in rows}
    table = [
        (row["name"], row["label"], (PaperNumber(paper[row["label"]], _of(median, row["label"])),)) for row in rows
    ]
    names = {row["label"]: row["name"] for row in rows}
    for pair in content.get("ratios", []):
        fast, slow = pair["fast"], pair["slow"]
        if {fast, slow} <= set(median.index):
            ours, theirs = median[slow] / median[fast], paper[slow] / paper[fast]
            notes.append(
                f"{names[fast]} is {ours:.2f} times as fast as {names[slow]}; in the paper {theirs:.2f} times."
            )
    for label, calls in own[own["method"].isin(paper)].groupby("method"):
        size = count(calls["parameters"].max())
        notes.append(f"{label}: {size} parameters, {byte_size(calls['peak_mb'].max())} at its peak.")
    return _comparison("seconds", 4, ("seconds",), table)


def _on_one_machine(timings: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return the calls on the machine where most of the methods were timed; of several the newest timings.

    Times of several machines, devices or numbers of threads do not mix.
    """
    machine = timings.groupby(["host_id", "device", "threads"], dropna=False).ngroup()
    wanted = timings["method"].where(timings["method"].isin(labels))
    # The newest come last, and of equals idxmax takes the first.
    methods = wanted[::-1].groupby(machine, sort=False).nunique()
    return timings[machine == methods.idxmax()]


def _of(values: pd.Series[Any], key: str | int) -> float:
    return float(values[key]) if key in values.index else math.nan


def _comparison(
    measure: str, digits: int, columns: Sequence[str], rows: Sequence[tuple[str, str, tuple[PaperNumber, ...]]]
) -> Comparison:
    agreement = tuple(_agreement([entries[k] for _, _, entries in rows]) for k in range(len(columns)))
    return Comparison(measure, digits, tuple(columns), tuple(rows), agreement)


def _agreement(entries: Sequence[PaperNumber]) -> tuple[int, int]:
    """Return how many pairs have the paper's order, and how many can be compared; a tie of ours has no order."""
    known = [entry for entry in entries if not math.isnan(entry.ours)]
    pairs = [(a, b) for a, b in itertools.combinations(known, 2) if a.paper != b.paper]
    return sum((a.paper - b.paper) * (a.ours - b.ours) > 0 for a, b in pairs), len(pairs)


def _records(result: Reproduction) -> list[dict[str, Any]]:
    return [
        {
            "table": result.table,
            "spec": result.spec,
            "measure": comparison.measure,
            "method": label,
            "name": name,
            "column": column,
            "paper": entry.paper,
            "ours": entry.ours,
            "difference": entry.difference,
            "order_agrees": agreeing,
            "order_compared": compared,
            "training": result.training.get(label, ""),
        }
        for comparison in result.comparisons
        for name, label, entries in comparison.rows
        for column, entry, (agreeing, compared) in zip(comparison.columns, entries, comparison.agreement, strict=True)
    ]


def _as_csv(records: Iterable[Mapping[str, Any]]) -> str:
    rows = list(records)
    return csv_text(list(rows[0]), [list(row.values()) for row in rows])
