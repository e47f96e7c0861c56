"""``marbench show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.method.card import MethodCard
    from marbench.spec import Spec

__all__ = ["command"]


@click.command("show")
@click.argument("name")
@options.plugins_option
def command(name: str, plugins: tuple[Path, ...]) -> None:
    """Show NAME in full: a benchmark (its name or TOML file) or a method."""
    from marbench.errors import MarbenchError, nearest
    from marbench.method.discovery import methods
    from marbench.spec import builtin_specs, load_spec

    if name in builtin_specs() or name.endswith(".toml"):
        _print(name, dict(_benchmark(load_spec(name))))
        return
    cards = methods(plugins)
    if name not in cards:
        known = [*builtin_specs(), *cards]
        raise MarbenchError(f"There is neither a benchmark nor a method {name!r}; {nearest(name, known)}")
    _print(name, dict(_method(cards[name])))


def _benchmark(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield what defines a benchmark, key by key."""
    from marbench.cases.suite import Suite
    from marbench.errors import DataError
    from marbench.spec import PROTOCOL

    cases = "unknown: where its data lie is not named here"
    if spec.anatomy.source == "procedural" or spec.anatomy.path is not None:
        try:
            suite = Suite(spec)
            spec, cases = suite.spec, str(len(suite))
        except DataError as error:
            cases = f"unknown: {error}"
    whole = spec.anatomy.source == "procedural" or spec.anatomy.data is not None
    yield "title", spec.title
    yield "summary", spec.summary
    yield "hash", spec.hash if whole else "unknown without its data"
    yield "protocol", str(PROTOCOL)
    yield "test cases", cases
    fan, grid = spec.geometry, spec.grid
    yield "field of view", f"{grid.field_of_view[0]:.2f} × {grid.field_of_view[1]:.2f} cm"
    yield "circle seen by every view", f"{2 * fan.field_radius:.2f} cm across"
    content = spec.model_dump(mode="json", by_alias=True, exclude={"title", "summary"}, exclude_none=True)
    yield from _flat("", content)


def _method(card: MethodCard) -> Iterator[tuple[str, str]]:
    """Yield a method's card, key by key."""
    content = card.model_dump(mode="json", exclude={"name", "parameters", "presets"}, exclude_none=True)
    yield from ((key, text) for key, text in _flat("", content) if text)
    for name, parameter in card.parameters.items():
        choices = f" (one of {', '.join(map(str, parameter.choices))})" if parameter.choices else ""
        yield f"parameter {name}", f"default {parameter.default}{choices}. {parameter.help}".strip()
    for name, values in card.presets.items():
        yield f"preset {name}", ", ".join(f"{key} = {value}" for key, value in values.items())


def _flat(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print(title: str, content: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in content.items():
        table.add_row(escape(key), escape(value))
    Console().print(table)
