"""``marbench report``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN…")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to.  [default: RUN/report]")
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Render the pages of one or more results folders."""
    from marbench.report.pages import render

    click.echo(f"Page: {render(runs, out)}")
