"""``marbench simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options
from marbench.cli.export import export

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
    """Write the cases of a benchmark with their truth, as .npz: `marbench export --truth`.

    score, export and simulate read such a folder again in place of a benchmark, run as recorded cases.
    """
    export(spec, out, limit, split, form="npz", truth=True)
