"""``marbench verify``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("verify")
@click.argument("archive", type=options.UserPath(), metavar="ARCHIVE")
@click.option(
    "--cases", type=click.IntRange(min=0), default=3, show_default=True, metavar="K", help="How many to run again."
)
@click.option("--out", type=options.UserPath(), metavar="DIR", help="Where the run goes if nothing is wrong with it.")
@options.threads_option
@click.pass_context
def command(ctx: click.Context, archive: Path, cases: int, out: Path | None) -> None:
    """Say whether a packed run is what it says.

    Files, rows, coverage and plausibility are looked at, scores recomputed from the pictures, K cases simulated again,
    and methods that are at hand run on them. Nothing in the archive is executed. Exit code: 0 nothing is wrong,
    1 something is, 2 wrong use.
    """
    options.start_forking()

    from marbench.cli.progress import TerminalProgress
    from marbench.report.verification import verify

    with TerminalProgress() as progress:
        verdict = verify(archive, progress, cases, out)
    for check in verdict.checks:
        click.echo(f"{check.state:<12} {check.what:<13} {check.words}")
    click.echo(verdict.words)
    if not verdict.good:
        ctx.exit(1)
    if out is not None:
        click.echo(f"The run is in {options.shown(out)}.")
