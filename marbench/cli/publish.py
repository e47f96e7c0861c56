"""``marbench publish``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("publish")
@click.argument("runs", nargs=-1, required=True, type=options.UserPath(), metavar="RUN…")
@click.option("--site", required=True, type=options.UserPath(), metavar="DIR", help="The site's folder.")
@click.option("--url", default="", metavar="URL", help="Where the site will be served, for the links of its feed.")
def command(runs: tuple[Path, ...], site: Path, url: str) -> None:
    """Add runs to a site with a leaderboard per benchmark.

    Of every method the best proven valid entry is shown, of equals the
    newest; every run keeps a page of its own. The site is plain files.
    """
    from marbench.report.site import publish

    index = publish(runs, site, url=url, note=lambda text: click.echo(text, err=True))
    click.echo(f"Site: {options.shown(index)}")
