"""``marbench publish``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("publish")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN…")
@click.option("--site", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The site's folder.")
@click.option("--url", default="", metavar="URL", help="Where the site will be served, for the links of its feed.")
def command(runs: tuple[Path, ...], site: Path, url: str) -> None:
    """Add runs to a site with a leaderboard per benchmark.

    Of every method the newest valid entry is shown; every run keeps a page of its own. The site is plain files.
    """
    from marbench.report.site import publish

    click.echo(f"Site: {publish(runs, site, url=url)}")
