"""Methods in a notebook: rows for a method or a function, without a results folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from marbench.bench.limits import Limits
from marbench.bench.outcome import InvalidImage, check_image, check_unit
from marbench.bench.plan import Task, Unit
from marbench.bench.producers import InlineProducer
from marbench.bench.work import Conditions, Result, Session, Work, do
from marbench.cases.case import Case, Scan
from marbench.cases.scanner import operators_of
from marbench.cases.suite import Suite
from marbench.errors import MethodError
from marbench.machine.devices import device_of
from marbench.method.card import MethodCard
from marbench.method.contract import Context, FunctionMethod, Method
from marbench.method.discovery import MethodEntry
from marbench.method.request import FittedMethod, LoadedMethod, MethodRequest, load_method
from marbench.method.weights import NO_WEIGHTS
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.measure import measures_of
from marbench.metrics.scoring import score_image
from marbench.results.rows import metric_names
from marbench.spec import Spec

__all__ = ["evaluate", "score"]

Reducer = Callable[[Scan], Any]


def evaluate(
    method: str | Method | type[Method] | LoadedMethod | Reducer,
    spec: str | Path | Spec = "mini",
    limit: int | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """Run one method on a benchmark and return its rows.

    Parameters
    ----------
    method : str, Method, subclass of Method, LoadedMethod or callable
        A name as on the command line, e.g. ``"nmar[prior=raw]"``; a method or its class, which is loaded here; or a
        function that takes a `Scan` and returns images in HU, ``(batch, rows, columns)``.
    spec : str, Path or Spec
    limit : int, optional
        Only the first cases.
    device : str

    Returns
    -------
    DataFrame
        One row per case, with the columns of `marbench.results.rows.Row` and one per metric. A case on which the method
        failed has another status than ``ok``, and says why.

    Raises
    ------
    MethodError
        ``method`` is none of these, is unknown, or cannot be loaded.

    Examples
    --------
    >>> rows = evaluate(lambda scan: scan.image, limit=2)
    >>> rows["status"].tolist()
    ['ok', 'ok']
    """
    where = device_of(device)
    suite = Suite(spec, device=where)
    loaded = _loaded(method, suite.spec, where)
    # As many threads as the caller's process uses: in a notebook nobody shares the cores.
    limits = Limits(threads=torch.get_num_threads())
    conditions = Conditions(suite.spec, (loaded.fitted,), str(where), limits, "inline")
    # In this process: a function of a notebook cannot be sent to another one, and its author may want a debugger.
    producer = InlineProducer(loaded.fitted, suite.spec, where, loaded)
    session = Session(conditions, producers={(loaded.label, False): producer})
    tasks = tuple(Task(index, key, {loaded.label: 1}) for index, key in enumerate(suite.case_keys[:limit]))
    events = do(Work(conditions, Unit(0, tasks)), session)
    table = pd.DataFrame([event.row.record() for event in events if isinstance(event, Result)])
    failed = table[table["status"] != "ok"]
    if len(failed):
        first = failed.iloc[0]
        warnings.warn(
            f"{len(failed)} of {len(table)} cases have no image. "
            f"{first['case_id']}: {first['status']}: {first['message']}",
            stacklevel=2,
        )
    metrics = metric_names(suite.spec.metrics.conventions)
    return table.reindex(columns=list(dict.fromkeys([*table.columns, *metrics])))


def score(
    image_hu: torch.Tensor | np.ndarray[Any, Any], case: Case, conventions: str | Iterable[str] = tuple(CONVENTIONS)
) -> dict[str, float]:
    """Return the scores of an image of a case.

    Parameters
    ----------
    image_hu : floating Tensor or array ``(rows, columns)`` or ``(1, rows, columns)``
        HU.
    case : Case
    conventions : str or iterable of str
        Ids out of `marbench.metrics.conventions.CONVENTIONS`; all by default.

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
    is_single = isinstance(image_hu, torch.Tensor | np.ndarray) and tuple(image_hu.shape) == shape[1:]
    try:
        image = check_unit(check_image(image_hu[None] if is_single else image_hu, shape)[0])
    except InvalidImage as error:
        raise InvalidImage(f"case {case.id}: {error}") from None
    return score_image(image, case, measures)


def _loaded(method: object, spec: Spec, device: torch.device) -> LoadedMethod:
    """Return whatever a user may call a method, loaded."""
    if isinstance(method, str):
        method = load_method(method, spec, device)
    if isinstance(method, LoadedMethod):
        return method
    if isinstance(method, type) and issubclass(method, Method):
        method = method()
    if not isinstance(method, Method) and callable(method) and not isinstance(method, type):
        method = FunctionMethod(method)
    if not isinstance(method, Method):
        raise MethodError(
            "evaluate takes a method's name, a marbench.Method, a subclass of it, or a function of a Scan. "
            f"Got {method!r}."
        )
    named = method.function if isinstance(method, FunctionMethod) else type(method)
    name = getattr(named, "__name__", type(named).__name__)
    method.load(Context(spec, device, operators_of(spec)))
    card = MethodCard.model_construct(name=name, title=name, summary="", domain="dual")
    return LoadedMethod(FittedMethod(MethodRequest(MethodEntry(card, Path())), NO_WEIGHTS), method)
