"""``marbench apply``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.scans.applied import Applied

__all__ = ["command"]


@click.command("apply")
@click.argument("scan", type=options.UserPath(exists=True), required=False)
@click.option(
    "--sinogram",
    type=options.UserPath(exists=True, dir_okay=False),
    metavar="FILE",
    help="In place of SCAN: measured line integrals of one slice in the geometry of --spec, .npy or .npz.",
)
@options.methods_option
@click.option("--out", type=options.UserPath(), metavar="DIR", default="applied", show_default=True, help="Results.")
@click.option(
    "--spec", default="mini", show_default=True, help="The geometry and grid in which methods work: a benchmark."
)
@click.option(
    "--metal-threshold",
    type=options.FiniteRange(min=500),
    metavar="HU",
    show_default="2000",
    help="Above it lies metal.",
)
@click.option(
    "--metal-mask",
    type=options.UserPath(exists=True, dir_okay=False),
    metavar="FILE",
    help="Where metal is, as NIfTI of the scan's shape, instead of a threshold.",
)
@click.option("--slices", metavar="FIRST:LAST", default="", help="Correct these alone, counted from 1 at the feet.")
@click.option("--series", metavar="NUMBER", default="", help="Of a folder with several: SeriesNumber or UID.")
@options.plugins_option
@options.preset_option
@options.device_option
@options.timeout_option
@options.memory_option
@options.threads_option
@click.pass_context
def command(
    ctx: click.Context,
    scan: Path | None,
    sinogram: Path | None,
    methods: str,
    out: Path,
    spec: str,
    metal_threshold: float | None,
    metal_mask: Path | None,
    slices: str,
    series: str,
    plugins: tuple[Path, ...],
    preset: str | None,
    device: str,
    timeout: float | None,
    memory: float | None,
) -> None:
    """Reduce metal artifacts in a scan of a patient, for research only.

    SCAN is a folder with one series of CT slices in DICOM, or a NIfTI file. Every method's result becomes a derived
    DICOM series, or a NIfTI file, in DIR, beside a page with pictures and what can be measured without truth. SCAN
    stays as it is. Exit code: 0 all methods ran, 1 some failed, 2 wrong use, 130 interrupted.
    """
    options.start_forking()

    from marbench.bench.limits import Limits
    from marbench.cli.progress import TerminalProgress
    from marbench.errors import is_absence
    from marbench.scans.apply import ApplyOptions, apply_methods
    from marbench.scans.metal import MetalChoice
    from marbench.scans.open import open_scan, read_masks
    from marbench.spec import load_spec

    resolved = load_spec(spec)
    requests = options.requested(methods, plugins, preset)
    opened = open_scan(scan, sinogram, resolved, series, out)
    asked = ApplyOptions(
        MetalChoice(metal_threshold, None if metal_mask is None else read_masks(metal_mask, opened)),
        *_slices(slices),
        device,
        Limits(timeout, memory, options.chosen_threads(ctx) or 1),
    )
    with TerminalProgress() as progress:
        applied = apply_methods(opened, resolved, requests, out, asked, progress)
    _print(applied)
    click.echo(f"Page: {options.shown(out / 'index.html')}")
    by_all = {request.label for request in requests if request.by_all}
    failed = {
        label: failure
        for label, failure in applied.failures.items()
        if not (label in by_all and is_absence(failure.error_kind))
    }
    if failed:
        ctx.exit(1)


def _slices(text: str) -> tuple[int, int | None]:
    """Return the slices that a user means: ``27:28`` are two.

    >>> _slices("27:28"), _slices("5:"), _slices("")
    ((27, 28), (5, None), (1, None))
    """
    match = re.fullmatch(r"(\d{0,6}):(\d{0,6})", text or ":")
    first, last = (int(number) if number else None for number in match.groups()) if match else (0, 0)
    if first == 0 or last == 0 or (first and last and first > last):
        raise click.BadParameter(f"expected FIRST:LAST, as 27:30, counted from 1. Got {text!r}.", param_hint="--slices")
    return first or 1, last


def _print(applied: Applied) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from marbench.report.formats import duration, number

    table = Table(title=f"{len(applied.original)} slices with metal: for research only", title_justify="left")
    table.add_column("method")
    for title in ("artifact index, HU", "residual, %", "clean change, HU", "time a slice"):
        table.add_column(title, justify="right")
    for label in ("", *applied.measures):
        mean = applied.mean(label)
        figures = number(mean.artifact_index, 1), number(100 * mean.residual), number(mean.clean_change, 1)
        table.add_row(escape(label) or "original", *figures, duration(mean.seconds) if label else "")
    Console().print(table)
    for text in applied.notices:
        click.echo(text)
    for label, failure in applied.failures.items():
        click.echo(options.with_spec(f"Not run: {label}: {failure.message}"))
