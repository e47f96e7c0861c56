"""``marbench figure``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


def _pair(_ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        first, second = map(float, text.split(","))
    except ValueError:
        raise click.BadParameter(f"expected two numbers, {option.metavar or ''}. Got {text!r}.") from None
    return first, second


def _labels(_ctx: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...]:
    from marbench.method.request import split_list

    names = split_list(text or "")
    return () if "all" in names else tuple(names)


@click.command("figure")
@click.argument("run", type=options.UserPath(), metavar="RUN")
@click.option("--case", "case_id", metavar="ID", help="A case whose images the run kept.")
@click.option("--years", is_flag=True, help="Mean scores over the years of the papers, instead of a case.")
@click.option("--methods", metavar="LIST", callback=_labels, help="Labels or titles; commas between.  [default: all]")
@click.option("--window", metavar="LOW,HIGH", callback=_pair, help="Display window in HU.  [default: the case's own]")
@click.option("--inset", metavar="ROW,COLUMN", callback=_pair, help="What to magnify.  [default: the worst artifact]")
@click.option("--convention", metavar="NAME", help="Of the scores.  [default: the benchmark's first]")
@click.option(
    "--width", type=click.Choice(["double", "single"]), default="double", help="Columns of a page.", show_default=True
)
@click.option("--field", type=click.Choice(["body", "whole"]), default="body", help="What is shown.", show_default=True)
@click.option("--errors", is_flag=True, help="Draw the errors below the images.")
@click.option("--out", required=True, type=options.UserPath(), metavar="FILE", help="A .png, .pdf or .svg.")
def command(
    run: Path,
    case_id: str | None,
    years: bool,
    methods: tuple[str, ...],
    window: tuple[float, float] | None,
    inset: tuple[float, float] | None,
    convention: str | None,
    width: str,
    field: str,
    errors: bool,
    out: Path,
) -> None:
    """Write a figure for a paper: the panels of one case, or performance over the years."""
    from marbench.report.figure import write_figure
    from marbench.report.year_figure import write_year_figure

    if years:
        if case_id is not None or methods or window or inset or errors or field != "body":
            raise click.UsageError("--years shows all methods and no case: use it with --convention, --width, --out.")
        figure = write_year_figure(run, out, convention, width)
    elif case_id is None:
        raise click.UsageError("What is to be shown? Name a case with --case ID, or ask for --years.")
    else:
        figure = write_figure(run, case_id, out, methods, window, convention, inset, width, field, errors)
    click.echo(f"Figure: {options.shown(figure)}")
