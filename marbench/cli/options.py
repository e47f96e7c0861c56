"""Options that several verbs share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "chosen_threads",
    "command_line",
    "device_option",
    "limit_option",
    "memory_option",
    "methods_option",
    "out_option",
    "plugins_option",
    "preset_option",
    "spec_option",
    "threads_option",
    "timeout_option",
]

F = TypeVar("F", bound=Callable[..., Any])

spec_option = click.option(
    "--spec", default="mini", show_default=True, help="A benchmark: the name of a built-in one, or a TOML file."
)
methods_option = click.option(
    "--methods",
    default="all",
    show_default=True,
    metavar="LIST",
    help="Methods, separated by commas: NAME, NAME[parameter=value,…], path.py:Class, or all.",
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Results folder.  [default: runs/<spec>]"
)
plugins_option = click.option(
    "--plugins",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="A folder with more methods. May be given several times.",
)
preset_option = click.option("--preset", metavar="NAME", help="A preset of the methods that have it.")
device_option = click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where to compute.")
limit_option = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N cases.")
timeout_option = click.option(
    "--timeout", type=float, metavar="SECONDS", help="Limit of one call of a method, and of loading it."
)
memory_option = click.option("--memory", type=float, metavar="GB", help="Memory that a method may use.")


def _set_threads(_ctx: click.Context, _option: click.Parameter, threads: int | None) -> int | None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return threads


threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    callback=_set_threads,
    expose_value=False,
    help="Threads of torch.",
)


def chosen_threads(ctx: click.Context) -> int | None:
    """Return the number of threads that a user asked for; None where none was."""
    if ctx.get_parameter_source("threads") is not click.core.ParameterSource.COMMANDLINE:
        return None
    import torch

    return torch.get_num_threads()


def command_line(ctx: click.Context) -> str:
    """Return the command line that repeats what a user asked for. Of folders only the names are kept."""
    words = ["marbench", str(ctx.info_name)]
    for option in ctx.command.params:
        name = str(option.name)
        if name == "out" or ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = ctx.params.get(name)
        if value is True:
            words.append(option.opts[0])
            continue
        for item in value if isinstance(value, tuple) else [value]:
            words += [option.opts[0], _without_folder(str(item))]
    return shlex.join(words)


def _without_folder(text: str) -> str:
    return Path(text).name if Path(text).is_absolute() else text
