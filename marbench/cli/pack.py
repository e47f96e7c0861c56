"""``marbench pack``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("pack")
@click.argument("run", type=options.UserPath())
@click.option("--out", type=options.UserPath(), metavar="FILE", help="Where to.  [default: RUN.zip]")
@click.option("--images", is_flag=True, help="Pack the stored pictures, too, so that scores can be recomputed.")
def command(run: Path, out: Path | None, images: bool) -> None:
    """Write a run as one file to be sent to others: rows, cards, settings, digests.

    It tells no more of persons, machines and folders than is published. marbench verify says whether it is what it
    says.
    """
    from marbench.report.archive import pack

    target = out or run.with_name(f"{run.name}.zip")
    manifest = pack(run, target, images, note=lambda text: click.echo(text, err=True))
    left = f"; of {len(manifest.images)} pictures the digests, --images packs them" if manifest.images else ""
    check = f"marbench verify {options.quoted(target)}"
    click.echo(f"{options.shown(target)}: {len(manifest.files)} files{left}. Check it with: {check}")
