"""Options that several verbs share."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from marbench.errors import MarbenchError
from marbench.machine.files import user_path
from marbench.machine.text import clean_line

if TYPE_CHECKING:
    from marbench.method.discovery import Discovery
    from marbench.method.request import MethodRequest

__all__ = [
    "FiniteRange",
    "UserPath",
    "chosen_threads",
    "command_line",
    "device_option",
    "discovered",
    "images_option",
    "limit_option",
    "memory_option",
    "methods_option",
    "out_option",
    "plugins_option",
    "preset_option",
    "quoted",
    "requested",
    "results_folder",
    "shown",
    "spec_option",
    "start_forking",
    "threads_option",
    "timeout_option",
    "with_spec",
]

MOST_THREADS = 1024


class UserPath(click.Path):
    """A path, made absolute when the command begins: a plugin may change the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, with ``~`` resolved."""
        try:
            return user_path(str(value)).absolute()
        except MarbenchError as error:
            self.fail(str(error), param, ctx)


class FiniteRange(click.FloatRange):
    """A range of numbers, to which NaN does not belong."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number

    def _describe_range(self) -> str:
        """Return nothing where there are no bounds, of which click would say x<=None."""
        return "" if self.min is None and self.max is None else super()._describe_range()


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
out_option = click.option("--out", type=UserPath(), metavar="DIR", help="Results folder.  [default: runs/<spec>]")
plugins_option = click.option(
    "--plugins",
    type=UserPath(),
    multiple=True,
    metavar="DIR",
    help="A folder with more methods. May be given several times.",
)
preset_option = click.option("--preset", metavar="NAME", help="A preset of the methods that have it.")
device_option = click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where to compute.")
images_option = click.option(
    "--images",
    type=click.Choice(["gallery", "all", "none"]),
    default="gallery",
    show_default=True,
    help="Which images to keep for the page.",
)
limit_option = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N cases.")
timeout_option = click.option(
    "--timeout", type=float, metavar="SECONDS", help="Limit of one call of a method, and of loading it."
)
memory_option = click.option("--memory", type=float, metavar="GB", help="Memory that a method may use (Linux).")


def _set_threads(_ctx: click.Context, _option: click.Parameter, threads: int | None) -> int | None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return threads


threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1, max=MOST_THREADS),
    metavar="N",
    callback=_set_threads,
    expose_value=False,
    help="Threads of torch; of a run at most 16 for each core.",
)


def discovered(plugins: tuple[Path, ...]) -> Discovery:
    """Return the methods there are, and say which plugins cannot be read."""
    from marbench.method.discovery import discover

    found = discover(plugins)
    for problem in found.problems:
        click.echo(problem, err=True)
    return found


def requested(methods: str, plugins: tuple[Path, ...], preset: str | None) -> list[MethodRequest]:
    """Return the methods that a user asks for; says which plugins cannot be read."""
    from marbench.method.request import parse_methods

    return parse_methods(methods, discovered(plugins), preset)


def chosen_threads(ctx: click.Context) -> int | None:
    """Return the number of threads that a user asked for; None where none was."""
    if ctx.get_parameter_source("threads") is not click.core.ParameterSource.COMMANDLINE:
        return None
    import torch

    return torch.get_num_threads()


def results_folder(out: Path | None, spec: str) -> Path:
    """Return the results folder: the one that was named, or that of the benchmark below ``runs``; absolute."""
    return out or (Path("runs") / spec).absolute()


def shown(path: Path) -> str:
    """Return a path as a user would write it: relative where it lies below the working folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)


def quoted(path: Path) -> str:
    """Return a path as it is `shown`, to stand in a command line that somebody may paste into a shell."""
    return shlex.quote(shown(path))


def with_spec(text: str) -> str:
    """Return a message with the benchmark of this command in the commands that it gives, which know no file of it."""
    ctx = click.get_current_context(silent=True)
    spec = ctx.params.get("spec") if ctx is not None else None
    return text.replace("--spec FILE", f"--spec {shlex.quote(str(spec))}") if spec else text


def command_line(ctx: click.Context) -> str:
    """Return the command line that repeats what a user asked for.

    Of paths only the last part is kept, and of folders of images, of which patients may be named, and machines nothing.
    """
    words = ["marbench", str(ctx.info_name)]
    for option in ctx.command.params:
        name = str(option.name)
        if name in ("out", "dask") or ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        # The number of threads is set as it is read, and is no argument of a verb.
        value = chosen_threads(ctx) if name == "threads" else ctx.params.get(name)
        if value is True:
            words.append(option.opts[0])
            continue
        for item in value if isinstance(value, tuple) else [value]:
            if isinstance(option, click.Argument):
                words.append(option.human_readable_name)
            else:
                words += [option.opts[0], _without_folders(option, str(item))]
    return clean_line(shlex.join(words))


def _without_folders(option: click.Parameter, text: str) -> str:
    if isinstance(option.type, UserPath) or option.name == "spec":
        return _last_part(text)
    if option.name != "methods":
        return text
    from marbench.method.request import split_list

    return ",".join(map(_method_without_folders, split_list(text)))


def _method_without_folders(text: str) -> str:
    # Paths may be the values of its parameters, too.
    name, bracket, parameters = text.partition("[")
    settings = (setting.partition("=") for setting in parameters.removesuffix("]").split(","))
    kept = ",".join(f"{key}{equals}{_last_part(value)}" for key, equals, value in settings)
    return f"{_last_part(name)}[{kept}]" if bracket else _last_part(name)


def _last_part(path: str) -> str:
    return next((part for part in reversed(re.split(r"[/\\]", path)) if part), path)


def start_forking() -> None:
    """Start the server that workers and methods of others are forked from, as a copy of this process.

    It must be one that has computed nothing: where torch is there already, this is somebody's program, not the command
    line alone, and a server starts from nothing once it is needed.
    """
    if "torch" not in sys.modules:
        from marbench.bench.work import PRELOAD
        from marbench.machine.forkserver import shared_server

        shared_server(PRELOAD).start_forked()
