"""``marbench new``."""

from __future__ import annotations

from pathlib import Path

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("new")
@click.argument("name")
@click.option(
    "--template",
    default="sinogram",
    show_default=True,
    metavar="image|sinogram|dual|learned|folder",
    help="What the method works on; learned has a network that marbench train trains, folder a program of any language "
    "that reads scans from a folder and writes images.",
)
@click.option("--out", type=options.UserPath(), default=".", metavar="DIR", help="Where to put the folder NAME.")
def command(name: str, template: str, out: Path) -> None:
    """Write a method NAME to begin with: a card, the code to edit, and a test."""
    from marbench.method.starter import write_plugin

    plugin = write_plugin(name, template, out)
    plugins, card = options.quoted(out), options.shown(plugin)
    program = "; program.py, to be replaced by yours" if template == "folder" else ""
    does = f"method.py, what it does{program}; test_{name}.py, for pytest"
    click.echo(f"{card} holds method.toml, what it is; {does}. Then:")
    click.echo(f"  marbench check {name} --plugins {plugins}")
    if template == "learned":
        click.echo(f"  marbench train {name} --plugins {plugins} --hours 0.5")
    click.echo(f"  marbench run --methods {name},li --plugins {plugins}")
