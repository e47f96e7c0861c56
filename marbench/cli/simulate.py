"""``marbench simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.anatomy.slices import Split

__all__ = ["command"]


@click.command("simulate")
@options.spec_option
@click.option("--out", type=options.UserPath(), required=True, metavar="DIR", help="Where to write.")
@options.limit_option
@click.option("--split", type=click.Choice(["test", "val", "train"]), default="test", show_default=True)
@options.threads_option
def command(spec: str, out: Path, limit: int | None, split: Split) -> None:
    """Write the cases of a benchmark as files: .npz with units in the names, previews, a table and a README.

    Cases that the folder holds already are not simulated again.
    """
    from marbench.cases.export import export_cases
    from marbench.cases.suite import Suite
    from marbench.cli.progress import TerminalProgress

    suite = Suite(spec, split)
    with TerminalProgress() as progress:
        for notice in suite.notices:
            progress.note(notice)
        progress.begin("Simulating", len(suite.case_keys[:limit]))
        count = export_cases(suite, out, limit, progress.advance, progress.note)
    click.echo(f"{count} cases in {options.shown(out)}; README.txt there says what the files hold.")
