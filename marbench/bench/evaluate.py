"""Methods in a notebook: rows for methods and functions, without a results folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from marbench.anatomy.slices import Split
from marbench.bench.calls import own_state, seed_of
from marbench.bench.limits import Limits
from marbench.bench.options import RunOptions
from marbench.bench.outcome import describe
from marbench.bench.plan import Task, Unit
from marbench.bench.producers import InlineProducer, Isolation, Producer
from marbench.bench.work import Conditions, Result, Session, Work, do
from marbench.cases.case import Case, Scan
from marbench.cases.opening import open_cases
from marbench.cases.scanner import operators_of
from marbench.cases.sources import check_cases
from marbench.errors import MethodError
from marbench.machine.defaults import standard_process
from marbench.machine.devices import device_of
from marbench.machine.interrupts import Interrupts
from marbench.method.card import MethodCard
from marbench.method.contract import Context, FunctionMethod, Method
from marbench.method.discovery import MethodEntry, discover
from marbench.method.images import InvalidImage, check_image, check_unit
from marbench.method.request import FittedMethod, LoadedMethod, MethodRequest, parse_methods
from marbench.method.weights import NO_WEIGHTS, scan_of
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.measure import measures_of
from marbench.metrics.scoring import score_image
from marbench.results.part_file import table_of
from marbench.results.rows import metric_names
from marbench.spec import Spec, load_spec

__all__ = ["evaluate", "score", "warn_of_failures"]

Reducer = Callable[[Scan], Any]
Candidate = str | Method | type[Method] | LoadedMethod | Reducer


def evaluate(
    methods: Candidate | Sequence[Candidate],
    spec: str | Path | Spec = "mini",
    limit: int | None = None,
    device: str = "cpu",
    *,
    split: Split = "test",
    plugins: str | Path | Iterable[str | Path] = (),
    preset: str | None = None,
    timeout: float | None = None,
    isolation: Isolation = "auto",
) -> pd.DataFrame:
    """Run methods on a benchmark and return their rows: those that `marbench.run` would store, to the bit.

    Parameters
    ----------
    methods : str, Method, subclass of Method, LoadedMethod, callable, or a list of these
        Names as on the command line, e.g. ``"li,nmar[prior=raw]"`` or ``"all"``; a method or its class, which is loaded
        here; or a function that takes a `Scan` and returns images in HU, ``(batch, rows, columns)``.
    spec : str, Path or Spec
    limit : int, optional
        Only the first cases.
    device : str
    split : {"test", "val", "train"}
        Whoever makes a method looks at the patients to validate with.
    plugins : path or iterable of paths
        Folders with more methods.
    preset : str, optional
        A preset of the methods that have it.
    timeout : float, optional
        Limit of a call in seconds, and, of methods by name, of loading them.
    isolation : {"auto", "process", "inline"}
        Where methods by name run: ``inline`` helps debugging. What is handed in stays in this process.

    Returns
    -------
    DataFrame
        One row per method and case, as of `marbench.read_run`. A case on which a method failed has another status than
        ``ok``, and says why; so does a warning.

    Raises
    ------
    DataError
        The benchmark has no cases of the split.
    MethodError
        One of the methods is none of these, is unknown, or is handed in and cannot be loaded, or was loaded for other
        scans or another device; or two have one name.
    KeyboardInterrupt
        The user or the system asked to stop.

    Examples
    --------
    >>> rows = evaluate(["li", lambda scan: scan.image], limit=2)
    >>> rows.groupby("method")["rmse_hu"].mean().round().tolist()
    [125.0, 48.0]
    """
    RunOptions(limit=limit, isolation=isolation)  # refuses what it cannot be
    where = device_of(device)
    suite = open_cases(spec, split, where)
    check_cases(suite)
    # Of one thread, as in a run: sums in another order differ in the last bits.
    limits = Limits(timeout)
    given = list(_given(methods, suite.spec, where, plugins, preset))
    fitted = tuple(each.fitted if isinstance(each, LoadedMethod) else each for each in given)
    _refuse_twins([each.label for each in fitted])
    # In this process: a function of a notebook cannot be sent to another one, and its author may want a debugger.
    here: dict[tuple[str, bool], Producer] = {
        (each.label, False): InlineProducer(each.fitted, suite.spec, where, each, timeout)
        for each in given
        if isinstance(each, LoadedMethod)
    }
    conditions = Conditions(suite.spec, fitted, str(where), limits, isolation, split=split)
    session = Session(conditions, producers=here, suite=suite)
    attempts = {each.label: 1 for each in fitted}
    tasks = tuple(Task(index, key, attempts) for index, key in enumerate(suite.case_keys[:limit]))
    records = []
    try:
        # Else Ctrl-C during a call would be taken for a failure of the method.
        with Interrupts() as interrupts:
            for event in do(Work(session.conditions, Unit(0, tasks)), session):
                interrupts.check()
                if isinstance(event, Result):
                    records.append(event.row.record())
    finally:
        session.close()
    rows: pd.DataFrame = table_of("results", records).to_pandas()
    warn_of_failures(rows)
    metrics = metric_names(suite.spec.metrics.conventions)
    # Where every method failed no row has scores; the columns stand there all the same.
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *metrics])))
    return rows.sort_values(["method", "case_id"], kind="stable", ignore_index=True)


def warn_of_failures(rows: pd.DataFrame) -> None:
    """Warn of each method that has no image of some cases, with what its first failure says."""
    for label, own in rows.groupby("method", sort=False):
        failed = own[own["status"] != "ok"]
        if len(failed):
            first = failed.iloc[0]
            warnings.warn(
                f"{str(label) or 'the benchmark'}: {len(failed)} of {len(own)} cases have no image. "
                f"{first['case_id']}: {first['status']}: {first['message']}",
                stacklevel=3,
            )


def score(
    image_hu: torch.Tensor | np.ndarray[Any, Any],
    case: Case,
    conventions: str | Iterable[str] = tuple(CONVENTIONS),
    spec: str | Path | Spec | None = None,
) -> dict[str, float]:
    """Return the scores of an image of a case.

    Parameters
    ----------
    image_hu : floating Tensor or array ``(rows, columns)`` or ``(1, rows, columns)``
        HU.
    case : Case
    conventions : str or iterable of str
        Ids out of `marbench.metrics.conventions.CONVENTIONS`; all by default.
    spec : str, Path or Spec, optional
        The benchmark of the case; measures that ask about the scan need its geometry, and are NaN without.

    Returns
    -------
    dict
        Id of the measure → number, see `marbench.metrics.measure.measures_of`.

    Raises
    ------
    MarbenchError
        The image does not fit the case, is not floating, or is not finite; a convention is unknown.
    """
    measures = measures_of(conventions)
    shape = tuple(case.scan.image.shape)
    # An image or a batch of one: cases hold batches, notebooks images.
    is_single = isinstance(image_hu, torch.Tensor | np.ndarray) and tuple(image_hu.shape) == shape[1:]
    try:
        image = check_unit(check_image(image_hu[None] if is_single else image_hu, shape)[0])
    except InvalidImage as error:
        raise InvalidImage(f"case {case.id}: {error}") from None
    return score_image(image, case, measures, None if spec is None else load_spec(spec))


def _given(
    methods: object, spec: Spec, device: torch.device, plugins: str | Path | Iterable[str | Path], preset: str | None
) -> Iterator[FittedMethod | LoadedMethod]:
    """Yield the methods that a user means: those by name fitted to the benchmark, all others loaded."""
    listed = methods if isinstance(methods, list | tuple) else [methods]
    # All names at once: one of them at least must have the preset.
    if named := [each for each in listed if isinstance(each, str)]:
        yield from (request.for_spec(spec) for request in parse_methods(",".join(named), discover(plugins), preset))
    yield from (_loaded(each, spec, device) for each in listed if not isinstance(each, str))


def _refuse_twins(labels: Sequence[str]) -> None:
    twins = sorted({label for label in labels if labels.count(label) > 1})
    if twins:
        raise MethodError(f"Several methods are called {twins[0]!r}: give functions and classes names of their own.")


def _loaded(method: Any, spec: Spec, device: torch.device) -> LoadedMethod:
    """Return a method that is handed in, loaded."""
    if isinstance(method, LoadedMethod):
        _refuse_other_scans(method, spec, device)
        return method
    kind = method if isinstance(method, type) else type(method)
    if not issubclass(kind, Method) and (isinstance(method, type) or not callable(method)):
        raise MethodError(
            "evaluate takes a method's name, a marbench.Method, a subclass of it, a function of a Scan, or a list of "
            f"these. Got {method!r}."
        )
    # A function is called as it is named itself, not as the class that wraps it.
    named = kind if issubclass(kind, Method) and kind is not FunctionMethod else getattr(method, "function", method)
    name = getattr(named, "__name__", type(named).__name__)
    try:
        with own_state(seed_of(name, "")), standard_process():
            if isinstance(method, type):
                method = method()
            elif not isinstance(method, Method):
                method = FunctionMethod(method)
            assert isinstance(method, Method)  # seen above
            method.load(Context(spec, device, operators_of(spec)))
    except Exception as error:
        raise MethodError(f"{name} cannot be loaded: {describe(error).message}") from error
    # Not validated: a lambda is called "<lambda>", which no plugin may be.
    card = MethodCard.model_construct(name=name, title=name, summary="", domain="dual")
    return LoadedMethod(FittedMethod(MethodRequest(MethodEntry(card, Path())), NO_WEIGHTS), method, spec, device)


def _refuse_other_scans(loaded: LoadedMethod, spec: Spec, device: torch.device) -> None:
    """Raise MethodError where a method was loaded for other scans, on which it would reconstruct something else."""
    there, here = loaded.spec.name, spec.name
    if scan_of(loaded.spec) != scan_of(spec):
        there = there if there != here else f"another benchmark called {here}"
    elif (loaded.device.type, loaded.device.index or 0) != (device.type, device.index or 0):
        there, here = str(loaded.device), str(device)
    else:
        return
    raise MethodError(f"{loaded.label} was loaded for {there}: load it for {here}, or give its name.")
