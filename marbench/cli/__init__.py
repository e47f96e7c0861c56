"""The command line: one file per verb, nothing but arguments and printing.

Exit codes: 0 all well, 1 some results failed, 2 wrong use, 130 interrupted (143 by SIGTERM).
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import click

from marbench.cli.terminal import lenient_streams
from marbench.errors import MarbenchError
from marbench.machine.interrupts import Interrupts
from marbench.machine.text import said_by
from marbench.version import __version__

__all__ = ["main"]

# Verb → what the list of verbs says of it. A verb lives in the module of its name, which is imported when it is used.
_VERBS = {
    "list": "Benchmarks and methods, and which of them can run here.",
    "show": "One benchmark or one method in full.",
    "new": "Write a method to begin with.",
    "check": "See whether a method keeps to the contract, and what is wrong where not.",
    "export": "Write the scans of a benchmark as files for other programs.",
    "simulate": "Write cases with their truth: export --truth.",
    "score": "Score images that were made elsewhere.",
    "run": "Run methods on a benchmark and publish the comparison.",
    "shift": "See how methods hold when one thing of a benchmark changes.",
    "apply": "Reduce artifacts in a scan of a patient, without truth.",
    "train": "Train a learned method on simulated cases.",
    "merge": "Put several runs of one benchmark together.",
    "pack": "Write a run as one file to be sent to others.",
    "verify": "Say whether a packed run is what it says.",
    "time": "Time methods on this machine.",
    "report": "Render the page of a results folder.",
    "figure": "Draw the pictures of one case for a paper.",
    "publish": "Add runs to a site with a leaderboard per benchmark.",
    "reproduce": "Put a published table beside the results of a run.",
    "doctor": "See whether this machine is ready, and what to do.",
}


class _WrongUse(click.ClickException):
    exit_code = 2


class _Refused(click.ClickException):
    """The system refused something that was asked of it."""

    exit_code = 1


class _Verbs(click.Group):
    """Loads verbs when they are used, and turns errors into exit codes."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*_VERBS]  # not list(…): once the verb of that name is loaded, it is what `list` means here

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"marbench.cli.{name}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*_VERBS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with lenient_streams():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        try:
            Path.cwd()
        except FileNotFoundError:
            raise _WrongUse("The working folder does not exist any more: change to one that does.") from None
        try:
            with Interrupts():  # what a verb has begun is taken away, whichever signal ends it
                return super().invoke(ctx)
        except MarbenchError as error:
            raise _WrongUse(str(error)) from error
        except OSError as error:
            what = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
            raise _Refused(f"{what}{said_by(error)}") from error
        except KeyboardInterrupt as interrupt:
            click.echo("\nInterrupted.", err=True)
            raise SystemExit(getattr(interrupt, "exit_code", 130)) from None


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="marbench")
def main() -> None:
    """Compare metal artifact reduction methods for X-ray CT."""
    # Threads of OpenMP that wait by spinning take the cores from the others. It must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
