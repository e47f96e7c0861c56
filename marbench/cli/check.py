"""``marbench check``."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("check")
@click.argument("method")
@options.plugins_option
@options.spec_option
@options.device_option
@click.option(
    "--timeout",
    type=options.FiniteRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Limit of one call of the method, and of loading it.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def command(
    ctx: click.Context, method: str, plugins: tuple[Path, ...], spec: str, device: str, timeout: float, as_json: bool
) -> None:
    """See whether METHOD (a name, a plugin's folder or file.py:NAME) keeps to the contract.

    It is tried on a few cases, in a process of its own. Exit code: 0 it conforms, 1 a check failed, 2 wrong use.
    """
    options.start_forking()

    from marbench.conformance.check import check

    with redirect_stdout(sys.stderr):  # a method may print
        verdict = check(method, spec, plugins, device, timeout)
    click.echo(json.dumps(verdict.record(), indent=1, ensure_ascii=False) if as_json else str(verdict))
    ctx.exit(1 if verdict.failed else 0)
