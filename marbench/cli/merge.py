"""``marbench merge``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("merge")
@click.argument("runs", nargs=-1, required=True, type=options.UserPath(), metavar="RUN…")
@click.option("--out", type=options.UserPath(), required=True, metavar="DIR", help="Where to; a new folder.")
def command(runs: tuple[Path, ...], out: Path) -> None:
    """Write the union of several runs of one benchmark into a new folder, oldest first.

    Of every method and case a successful attempt counts before all, then one that was run here, then the newest. Runs
    of another benchmark, protocol or data are refused, and names of patients by another salt.
    """
    from marbench.results.merge import merge_runs
    from marbench.results.store import open_run

    for note in merge_runs(runs, out):
        click.echo(note, err=True)
    rows = open_run(out).rows
    count = f"{len(rows)} results of {rows['method'].nunique()} methods on {rows['case_id'].nunique()} cases"
    click.echo(f"{count} in {options.shown(out)}. Render the page with: marbench report {options.quoted(out)}")
