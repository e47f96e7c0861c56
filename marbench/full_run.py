"""A run as one call: methods on a benchmark, their rows in a folder, and the page that compares them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from marbench.bench.evaluate import warn_of_failures
from marbench.bench.limits import Limits
from marbench.bench.options import Progress, RunOptions
from marbench.bench.producers import Isolation
from marbench.bench.run import run_benchmark
from marbench.errors import MethodError
from marbench.machine.files import user_path
from marbench.machine.interrupts import Interrupts
from marbench.method.discovery import discover
from marbench.method.request import parse_methods
from marbench.report.pages import render
from marbench.results.images import ImageChoice
from marbench.results.rows import Row
from marbench.spec import Spec, load_spec

__all__ = ["run"]


class _Quiet:
    """A progress that tells of nothing but what is worth a warning."""

    def begin(self, what: str, total: int) -> None:
        pass

    def advance(self, row: Row | None = None) -> None:
        pass

    def note(self, text: str) -> None:
        warnings.warn(text, stacklevel=2)


def run(
    methods: str | Sequence[str] = "all",
    spec: str | Path | Spec = "mini",
    out: str | Path | None = None,
    limit: int | None = None,
    device: str = "cpu",
    *,
    plugins: str | Path | Iterable[str | Path] = (),
    preset: str | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    workers: int | None = None,
    isolation: Isolation = "auto",
    images: ImageChoice = "gallery",
    retry_failed: bool = False,
    timing: bool = True,
    report: bool = True,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Run methods on a benchmark, keep the results in a folder and publish the comparison, as ``marbench run`` does.

    What the folder holds already is not computed again: after an interrupt the same call goes on.

    Parameters
    ----------
    methods : str or list of str
        Names as on the command line, e.g. ``"li,nmar[prior=raw]"``, ``"mine.py:reduce"``, or ``"all"``.
    spec : str, Path or Spec
    out : str or Path, optional
        Results folder; by default ``runs/<spec>``.
    limit : int, optional
        Only the first cases.
    device : str
    plugins : path or iterable of paths
        Folders with more methods.
    preset : str, optional
        A preset of the methods that have it.
    timeout, memory : float, optional
        Limits of one call: seconds, and 10⁹ bytes.
    workers : int, optional
        Processes that share the work; by default as many as pay.
    isolation : {"auto", "process", "inline"}
        Where methods run.
    images : {"gallery", "all", "none"}
        Which images to keep for the page.
    retry_failed : bool
        Try everything again that is not ok.
    timing : bool
        Whether to time the methods at the end.
    report : bool
        Whether to write ``<out>/report/index.html``.
    progress : Progress, optional
        Is told how far the run is, see `marbench.bench.options.Progress`.

    Returns
    -------
    DataFrame
        The rows that were asked for, as of `marbench.read_run`. Failures are rows, too. A warning tells of them, and of
        cases that could not be made, which have none.

    Raises
    ------
    MarbenchError
        A method, the benchmark, the device or a limit cannot be used, or the folder holds another benchmark.

    Examples
    --------
    >>> rows = marbench.run(["li", "nmar"], out="runs/two", limit=20)  # doctest: +SKIP
    >>> rows.boxplot("rmse_hu", by="method")  # doctest: +SKIP
    """
    resolved = load_spec(spec)
    named = [methods] if isinstance(methods, str) else list(methods)
    if odd := [each for each in named if not isinstance(each, str)]:
        raise MethodError(
            f"A run takes methods by name, which it can find again: 'mine.py:reduce' is one. Got {odd[0]!r}; "
            "marbench.evaluate takes functions and classes."
        )
    requests = parse_methods(",".join(named), discover(plugins), preset)
    folder = (Path("runs") / resolved.name if out is None else user_path(str(out))).absolute()
    options = RunOptions(
        device=device,
        limit=limit,
        images=images,
        limits=Limits(timeout, memory),
        isolation=isolation,
        retry_failed=retry_failed,
        workers=workers,
        timing=timing,
    )
    with Interrupts() as interrupts:
        finished = run_benchmark(resolved, requests, folder, options, progress or _Quiet(), interrupts)
    if report:
        render(folder)
    warn_of_failures(finished.rows)
    if len(finished.faults):
        warn_of_failures(finished.faults)
    return finished.rows
