"""``marbench score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.method.card import MethodCard

__all__ = ["command"]


@click.command("score")
@click.argument("folder", type=options.UserPath(), metavar="DIR")
@click.option("--method", required=True, metavar="NAME", help="The method's name, in lower case.")
@click.option("--card", type=options.UserPath(), metavar="FILE", help="A method.toml: its title, paper, domain.")
@options.spec_option
@options.out_option
@click.option("--offset", type=options.FiniteRange(), metavar="HU", help="What to add to the values of 16-bit PNGs.")
@options.images_option
@options.threads_option
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    method: str,
    card: Path | None,
    spec: str,
    out: Path | None,
    offset: float | None,
    images: str,
) -> None:
    """Score images that were made elsewhere, from the scans that `marbench export` wrote.

    DIR holds an image for each case, in HU, with the case id in its name: .npy, .npz, .mat, .h5, .nii, .dcm, .raw
    (float32) or .png (16 bits). Images in another unit, orientation or field of view are refused by name. Some cases
    may be missing: tables say n of N.
    """
    from rich.console import Console

    from marbench.bench.image_folder import score_folder
    from marbench.cases.opening import open_cases
    from marbench.cli.progress import TerminalProgress
    from marbench.cli.summary import summary_table
    from marbench.results.store import Store

    source = open_cases(spec)
    described = _card(method, card)
    target = options.results_folder(out, source.spec.name)
    store = Store(target, source.spec)
    with TerminalProgress() as progress:
        rows = score_folder(
            folder,
            source,
            described,
            store,
            progress,
            offset,
            images,  # type: ignore[arg-type]  # click checks the choice
            options.command_line(ctx),
        )
    run = store.run()
    console = Console()
    console.print(summary_table(run.rows[run.rows["method"] == method], source.spec, run.cards, console.width))
    click.echo(
        f"{len(rows)} of {len(source)} cases scored into {options.shown(target)}. "
        f"Render the page with: marbench report {options.quoted(target)}"
    )


def _card(name: str, file: Path | None) -> MethodCard:
    """Return the card of the method, under the name that was asked for, which must be nobody else's."""
    from marbench.errors import MethodError
    from marbench.method.card import check_name, read_card
    from marbench.method.discovery import discover

    check_name(name)
    if name in discover().entries:
        raise MethodError(f"{name!r} is a method that marbench runs itself. Choose another --method for the images.")
    below = {"title": name, "summary": "Images made elsewhere.", "domain": "image"}
    return read_card(file, over={"name": name}, below=below)
