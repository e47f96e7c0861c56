"""``marbench report``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=options.UserPath(), metavar="RUN…")
@click.option("--out", type=options.UserPath(), metavar="DIR", help="Where to.  [default: RUN/report]")
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Render the pages of one or more results folders."""
    from marbench.report.pages import render

    page = render(runs, out, note=lambda text: click.echo(text, err=True))
    click.echo(f"Page: {options.shown(page)}")
