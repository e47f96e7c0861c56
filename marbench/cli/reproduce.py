"""``marbench reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marbench.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from marbench.report.reproduction import Comparison, Reproduction

__all__ = ["command"]


@click.command("reproduce")
@click.argument("table", metavar="table1|table2|table3|literature")
@click.option("--run", type=options.UserPath(), required=True, metavar="DIR", help="A results folder of marbench run.")
@click.option("--out", type=options.UserPath(), metavar="DIR", help="[default: <run>/reproduce]")
def command(table: str, run: Path, out: Path | None) -> None:
    """Put what was published beside the results of a run: a table of the DuDoNet paper, or the order of methods.

    1 is the ablation, 2 the comparison of methods, 3 the running times; literature is what papers say of pairs of
    methods. Writes HTML and CSV.
    """
    from rich.console import Console

    from marbench.report.reproduction import reproduce, write_reproduction
    from marbench.results.store import open_run

    result = reproduce(open_run(run), table)
    console = Console()
    console.print(f"{result.title} · {result.spec}", style="bold", markup=False)
    for comparison in result.comparisons:
        console.print(_as_table(comparison))
    if result.claims:
        console.print(_claims(result))
    for label, told in result.training.items():
        console.print(f"{label} was trained with {told}.", markup=False, highlight=False)
    for note in (*result.notes, f"Paper: {result.cite}"):
        console.print(note, markup=False, highlight=False)
    for path in write_reproduction(result, out or run / "reproduce"):
        console.print(options.shown(path), markup=False, highlight=False, soft_wrap=True)


def _claims(result: Reproduction) -> Table:
    from rich.table import Table

    from marbench.report.formats import MISSING, p_value, signed

    what = result.criterion.caption if result.criterion else ""
    table = Table(title=f"published claims: difference of the mean {what}", title_justify="left")
    for column in ("claim", "where", "paper", "ours", "95 % interval", "p", "verdict"):
        table.add_column(column, justify="left" if column in ("claim", "where") else "right", overflow="fold")
    for claim in result.claims:
        span = " … ".join(map(signed, claim.interval)) if claim.interval else MISSING
        p = MISSING if claim.p is None else p_value(claim.p)
        paper = claim.paper if isinstance(claim.paper, str) else signed(claim.paper)
        table.add_row(claim.text, claim.where, paper, signed(claim.ours), span, p, claim.verdict)
    return table


def _as_table(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from marbench.report.formats import number, signed

    digits = comparison.digits
    table = Table(title=escape(f"{comparison.measure}: paper → ours (difference)"), title_justify="left")
    table.add_column("method")
    for column in comparison.columns:
        table.add_column(column, justify="right", overflow="fold")  # a number on two lines, and not a part of it
    for name, _, entries in comparison.rows:
        numbers = [(number(e.paper, digits), number(e.ours, digits), signed(e.difference, digits)) for e in entries]
        table.add_row(name, *(f"{paper} → {ours}\n({difference})" for paper, ours, difference in numbers))
    table.add_section()
    table.add_row("pairs in order", *(f"{agreeing} of {compared}" for agreeing, compared in comparison.agreement))
    return table
