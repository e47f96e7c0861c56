"""``marbench export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.anatomy.slices import Split

__all__ = ["command", "export"]


@click.command("export")
@options.spec_option
@click.option("--out", type=options.UserPath(), required=True, metavar="DIR", help="Where to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["npz", "h5", "raw", "mat", "dicom"]),
    default="npz",
    show_default=True,
    help="Of the arrays: numpy, HDF5, flat float32, MATLAB, DICOM.",
)
@click.option("--truth", is_flag=True, help="Also what a method must not see: the images and sinograms without metal.")
@options.limit_option
@click.option("--split", type=click.Choice(["test", "val", "train"]), default="test", show_default=True)
@options.threads_option
def command(spec: str, out: Path, form: str, truth: bool, limit: int | None, split: Split) -> None:
    """Write the scans of a benchmark as files for other programs, with a README that suffices to read them.

    Of each case: sinogram, metal trace, metal mask, uncorrected image. Images made of them come back by
    `marbench score`. Cases that the folder holds already are not simulated again. Exit status 1: some could not be
    made; the others are there.
    """
    export(spec, out, limit, split, form, truth)


def export(spec: str, out: Path, limit: int | None, split: Split, form: str, truth: bool) -> None:
    """Export with a bar, and say where the files are."""
    from marbench.cases.export import export_cases
    from marbench.cases.opening import open_cases
    from marbench.cli.progress import TerminalProgress

    suite = open_cases(spec, split)
    with TerminalProgress() as progress:
        for notice in suite.notices:
            progress.note(notice)
        wanted = len(suite.case_keys[:limit])
        progress.begin("Simulating", wanted)
        count = export_cases(suite, out, limit, progress.advance, progress.note, form, truth)
    click.echo(f"{count} cases in {options.shown(out)}; README.txt there says what the files hold.")
    if count < wanted:
        raise SystemExit(1)
