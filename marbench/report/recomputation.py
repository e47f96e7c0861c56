"""Somebody else's results made again: cases simulated, pictures scored, methods run.

What is stored of a picture is rounded to 1 HU. How much that moves a score is seen from what the same rounding does to
it a few times more, so no bound has to be known of any measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from marbench.bench.options import Progress
from marbench.bench.outcome import describe
from marbench.bench.plan import Task, Unit
from marbench.bench.work import Conditions, Result, Session, Work, do
from marbench.cases.case import Case, CaseSource
from marbench.cases.digest import case_digest, digests_agree
from marbench.errors import MarbenchError, StoreError
from marbench.machine.files import find_files
from marbench.machine.text import clean, clean_line, counted
from marbench.method.discovery import discover
from marbench.method.request import FittedMethod, parse_methods
from marbench.metrics.fidelity import Mask
from marbench.metrics.measure import Measure, measure, measures_of
from marbench.metrics.scoring import Scorer
from marbench.report.verdict import Check, found
from marbench.results.images import stored_case
from marbench.results.pictures import CASE_FILE, StoredCase, image_file, load_case, load_image
from marbench.results.rows import properties
from marbench.results.store import Run

__all__ = ["ALIKE", "WORDS", "recomputed"]

ALIKE = 1e-3
"""By what part of itself a property of a case may differ that another machine summed up."""

WORDS = 400
"""How many characters of an error are told."""

# By how many steps of the printed digits a score may differ from another machine's, and by how many times what further
# roundings move it. Of measures that count pixels above a threshold a single one may happen to move nothing.
_STEPS, _ROUNDINGS, _TRIES, _SINGLE = 2, 6, 4, 1e-6
# Rounded HU and thousandths of two machines may fall on either side of a step.
_APART = 2
# What part of a region's pixels, or of a trace's rays, may be others there: thresholds cut its edge.
_EDGE = 0.02
_PICTURES = ("truth", "uncorrected", "sinogram", "truth_sinogram")
# A call that ends so may go well elsewhere: it is a matter of time, memory, packages or hardware.
_OF_THE_MACHINE = ("timeout", "oom", "crashed", "unavailable")

Row = Mapping[Any, Any]


def recomputed(
    run: Run, suite: CaseSource, cases: int, progress: Progress, proved: set[tuple[str, str]]
) -> Iterator[Check]:
    """Check the cases of which there are pictures and ``cases`` others, and run on those what is at hand.

    Parameters
    ----------
    run : Run
    suite : CaseSource
        The benchmark's cases; those of the rows are among them.
    cases : int
    progress : Progress
    proved : set
        To it (method, case id) of the results are added that were scored from their pictures.

    Raises
    ------
    MarbenchError
        There is not enough memory for a case.
    """
    rows: dict[str, list[Row]] = {}
    for row in run.rows.to_dict("records"):
        rows.setdefault(row["case_id"], []).append(row)
    known = [position for position, key in enumerate(suite.case_keys) if key.case_id in rows]
    told = [
        position for position in known if any(row["status"] == "ok" for row in rows[suite.case_keys[position].case_id])
    ]
    # Others each time: who sends an archive must not know which rows have to be true.
    again = sorted(np.random.default_rng().choice(told, min(cases, len(told)), replace=False).tolist())
    pictured = {path.parent.name for path in find_files(run.folder, f"images/*/{CASE_FILE}").files}
    chosen = sorted({*again, *(position for position in known if suite.case_keys[position].case_id in pictured)})
    others: list[str] = []
    scored: list[str] = []
    progress.begin("Simulating again", len(chosen))
    for position in chosen:
        case_id = suite.case_keys[position].case_id
        try:
            case = suite[position]
            scorer = Scorer(case, measures_of(run.spec.metrics.conventions), run.spec)
        except Exception as error:
            failure = describe(error)
            # Neither this machine's memory nor its disk says anything of the rows.
            if failure.status == "oom" or isinstance(error, OSError) or isinstance(error.__cause__, OSError):
                raise MarbenchError(f"{case_id} cannot be made on this machine: {failure.message}") from error
            others.append(clean_line(f"{case_id} cannot be made: {failure.message}", WORDS))
        else:
            good = [row for row in rows[case_id] if row["status"] == "ok"]
            others += _other_case(case, good)
            if case_id in pictured:
                scored += _other_pictures(run, case, scorer, good, proved)
        progress.advance()
    yield found("cases", others, f"{len(chosen)} of {len(known)} simulated again", bool(chosen))
    total = int((run.rows["status"] == "ok").sum())
    wrong = [words for words in scored if words]
    yield found("images", wrong, f"{len(proved)} of {total} results scored again", bool(proved))
    yield from _run_again(run, suite, again, progress)


def _other_case(case: Case, rows: Sequence[Row]) -> Iterator[str]:
    digest, known = case_digest(case), properties(case.info)
    for row in rows:
        if not digests_agree(row["case_digest"], digest):
            yield f"{case.id}: {row['method']} was given other data (digest {row['case_digest'] or 'missing'})"
        for name, value in known.items():
            told = row[name]
            # Texts are read without what must not be shown.
            if told != clean(value) if isinstance(value, str) else not math.isclose(told, value, rel_tol=ALIKE):
                yield f"{case.id}: {row['method']} says {name} = {told}, and it is {value}"


def _other_pictures(
    run: Run, case: Case, scorer: Scorer, rows: Sequence[Row], proved: set[tuple[str, str]]
) -> Iterator[str]:
    """Yield for each picture what is wrong with it or with its scores; an empty text where nothing is."""
    folder = run.folder / "images" / case.id
    try:
        stored = load_case(folder / CASE_FILE)
        if not _same_case(stored, case):
            yield f"{case.id}: its picture is of another case"
        else:
            yield from _other_regions(stored.regions, scorer.regions, case.id)
    except StoreError as error:
        yield str(error)
    for row in rows:
        path = folder / image_file(row["method"])
        if path.exists():
            try:
                image, version = load_image(path)
            except StoreError as error:
                yield str(error)
                continue
            if version != row["method_hash"] or image.shape != case.scan.image.shape[1:]:
                yield f"{case.id}: the picture of {row['method']} is of another version, or another shape"
            elif not _is_cut(image, case):
                proved.add((row["method"], case.id))
                yield _other_scores(image.astype(np.float32), row, scorer)


def _is_cut(image: np.ndarray[Any, Any], case: Case) -> bool:
    """Tell whether an image went beyond what a picture holds: its scores cannot be told from the picture."""
    limits = np.iinfo(image.dtype)
    scored = image[~case.known_truth.metal[0].cpu().numpy()]
    return bool(((scored == limits.min) | (scored == limits.max)).any())


def _same_case(stored: StoredCase, case: Case) -> bool:
    made = stored_case(case)
    pairs = [(getattr(stored, name), getattr(made, name)) for name in _PICTURES]
    if any(one.shape != other.shape for one, other in pairs) or stored.window != made.window:
        return False
    near = all(np.abs(one.astype(np.int32) - other).max() <= _APART for one, other in pairs)
    return bool(near and _alike(stored.metal_trace, made.metal_trace) and (stored.metal == made.metal).all())


def _alike(one: Mask, other: Mask) -> bool:
    return bool((one ^ other).sum() <= _EDGE * other.sum())


def _other_regions(stored: Mapping[str, Mask], made: Mapping[str, Mask], case_id: str) -> Iterator[str]:
    """Yield the regions that are drawn where no measure looked."""
    for name, mask in stored.items():
        if not _alike(mask, made.get(name, np.zeros_like(mask))):
            yield f"{case_id}: its region {name!r} is not where the measures look"


def _other_scores(image: np.ndarray[Any, Any], row: Row, scorer: Scorer) -> str:
    random = np.random.default_rng(0)
    # What counts pixels above a threshold moves most where all were rounded one way.
    roundings = [np.full(image.shape, one_way, np.float32) for one_way in (-0.5, 0.5)]
    roundings += [random.uniform(-0.5, 0.5, image.shape).astype(np.float32) for _ in range(_TRIES)]
    scores, again = scorer.score(image), [scorer.score(image + rounding) for rounding in roundings]
    moved = {name: max(abs(other[name] - score) for other in again) for name, score in scores.items()}
    apart = (_apart(measure(name), row[name], scores[name], moved[name]) for name in scores)
    return next((f"{row['method']} on {row['case_id']}: {words}" for words in apart if words), "")


def _apart(kind: Measure, told: float, value: float, moved: float) -> str:
    """Return what is wrong with a number that is said to be so much; ``moved`` is how far rounding moves it."""
    # The last digits of huge numbers, as of a method that diverged, are those of float32.
    room = _STEPS * 10.0**-kind.digits + _ROUNDINGS * moved + _SINGLE * abs(value)
    if abs(told - value) <= room or (math.isnan(told) and math.isnan(value)):
        return ""
    return f"{kind.id} is said to be {told:.{kind.digits}f}, and is {value:.{kind.digits}f}"


def _run_again(run: Run, suite: CaseSource, positions: Sequence[int], progress: Progress) -> Iterator[Check]:
    """Run the methods that are at hand, in the same version, on some cases."""
    fitted = _at_hand(run, suite)
    if elsewhere := sorted(set(run.rows["method"].unique()) - {each.label for each in fitted}):
        yield Check("methods", "not checked", f"not at hand in this version: {', '.join(elsewhere)}")
    if not fitted or not positions:
        return
    session = Session(Conditions(suite.spec, tuple(fitted)))
    attempts = {each.label: 1 for each in fitted}
    tasks = tuple(Task(position, suite.case_keys[position], attempts) for position in positions)
    told = {(row["method"], row["case_id"]): row for row in run.rows.to_dict("records")}
    results: list[str | None] = []
    progress.begin("Running again", len(tasks) * len(fitted))
    try:
        for event in do(Work(session.conditions, Unit(0, tasks)), session):
            if isinstance(event, Result) and (event.row.method, event.row.case_id) in told:
                results.append(_other_result(event, told[event.row.method, event.row.case_id]))
                progress.advance()
    finally:
        session.close()
    if left := results.count(None):
        words = f"{counted(left, 'result')} came out otherwise, for which the machine may be the reason"
        yield Check("methods", "not checked", words)
    alike = [each for each in results if each is not None]
    if alike or not left:
        words = f"{len(alike)} results came out the same, of {', '.join(attempts)}"
        yield found("methods", [each for each in alike if each], words, bool(alike))


def _at_hand(run: Run, suite: CaseSource) -> list[FittedMethod]:
    """Return the methods of a run that this machine has, in the version of the rows."""
    discovery, fitted = discover(), []
    for row in run.rows.drop_duplicates("method").to_dict("records"):
        # A label from a file must not name a file of this machine, as my.py:Method on the command line does.
        if row["method"].partition("[")[0] not in discovery.entries:
            continue
        try:
            (request,) = parse_methods(row["method"], discovery, row["preset"] or None)
            method = request.for_spec(suite.spec)
        except (MarbenchError, ValueError):
            continue  # parameters that it does not have here
        if method.label == row["method"] and method.hash == row["method_hash"]:
            fitted.append(method)
    return fitted


def _other_result(event: Result, told: Row) -> str | None:
    """Return what is wrong with a result, an empty text where nothing is; None where that cannot be told here."""
    row = event.row
    what = f"{row.method} on {row.case_id}"
    if row.status != told["status"]:
        # Who tells of a failure may have had less memory or time; who tells of a score must have had an image.
        if told["status"] != "ok" or row.status in _OF_THE_MACHINE:
            return None
        return f"{what} is said to be ok, and is {row.status}"
    apart = (_apart(measure(name), told[name], value, 0.0) for name, value in row.scores.items())
    return next((f"{what}: {words}" for words in apart if words), "")
