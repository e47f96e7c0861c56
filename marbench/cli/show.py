"""``marbench show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marbench.cli import options

if TYPE_CHECKING:
    from marbench.method.discovery import MethodEntry
    from marbench.method.weights import WeightsFile
    from marbench.spec import Spec

__all__ = ["command"]


@click.command("show")
@click.argument("name")
@options.plugins_option
def command(name: str, plugins: tuple[Path, ...]) -> None:
    """Show NAME in full: a benchmark (its name or TOML file) or a method (its name or title)."""
    from marbench.errors import DataError, MarbenchError, nearest
    from marbench.method.discovery import discover, how_to_name
    from marbench.spec import builtin_specs, load_spec

    if name in builtin_specs() or name.endswith(".toml"):
        from marbench.cases.opening import open_cases  # brings torch, which cards of methods do without

        spec = load_spec(name)
        try:
            suite = open_cases(spec) if _names_its_data(spec) else None
        except DataError as error:
            _print(name, dict(_benchmark(spec, "unknown: its data cannot be used")))
            raise error
        if suite is None:
            _print(name, dict(_benchmark(spec, "unknown: where its data lie is not named here")))
        else:
            _print(name, dict(_benchmark(suite.spec, str(len(suite)), suite.notices)))
        return
    found = discover(plugins)
    entry = found.named(name)
    if entry is None:
        hint = how_to_name(name) or nearest(name, [*builtin_specs(), *found.entries])
        raise MarbenchError("\n".join([f"There is neither a benchmark nor a method {name!r}; {hint}", *found.problems]))
    _print(name, dict(_method(entry)))


def _benchmark(spec: Spec, cases: str, notices: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield what defines a benchmark, key by key, and what of its files is not used."""
    from marbench.spec import PROTOCOL

    yield "title", spec.title
    yield "summary", spec.summary
    yield "hash", spec.hash if spec.is_bound else "unknown without its data"
    yield "protocol", str(PROTOCOL)
    yield "test cases", cases
    if notices:
        yield "files", "\n".join(notices)
    fan, grid = spec.geometry, spec.grid
    yield "field of view", f"{grid.field_of_view[0]:.2f} × {grid.field_of_view[1]:.2f} cm"
    yield "circle that is measured", f"{2 * fan.field_radius:.2f} cm across"
    content = spec.model_dump(mode="json", by_alias=True, exclude={"title", "summary", "provenance"}, exclude_none=True)
    # In words: tables and masks are long.
    content["physics"]["spectrum"] = spec.physics.spectrum_title
    content["metals"]["own"] = [f"{metal.id} ({', '.join(metal.masks)})" for metal in spec.metals.own]
    yield from _flat(content)
    for known in spec.provenance:
        yield f"known: {known.what}", f"{known.source}\nVerified: {known.verified or 'not at all'}."


def _names_its_data(spec: Spec) -> bool:
    if spec.recorded is not None:
        return spec.recorded.path is not None
    return spec.anatomy.source == "procedural" or spec.anatomy.path is not None


def _method(entry: MethodEntry) -> Iterator[tuple[str, str]]:
    """Yield a method's card, key by key, and what is known of its weights."""
    from marbench.method.weights import declared_files

    card = entry.card
    content = card.model_dump(mode="json", exclude={"name", "parameters", "presets", "weights"}, exclude_none=True)
    yield from ((key, text) for key, text in _flat(content) if text)
    for name, parameter in card.parameters.items():
        yield f"parameter {name}", f"default {parameter.default}{parameter.allowed}. {parameter.help}".strip()
    for name, values in card.presets.items():
        yield f"preset {name}", ", ".join(f"{key} = {value}" for key, value in values.items()) or "the defaults"
    problems: list[str] = []
    for file in declared_files(entry.home, card.weights, problems):
        # The same method and preset may come with weights for several benchmarks.
        named = ("weights", file.card.label, file.card.preset, file.card.spec)
        yield " ".join(filter(None, named)), _weights(file)
    for problem in problems:
        yield "weights", problem


def _weights(file: WeightsFile) -> str:
    """Return what weights are for, how large they are, and what they scored in validation."""
    from marbench.machine.text import said_by
    from marbench.report.formats import byte_size, compact
    from marbench.report.training import budget

    try:
        size = byte_size(file.path.stat().st_size / 1e6)
    except OSError as error:
        size = f"the file cannot be read ({said_by(error)})"
    card = file.card
    scores, cases = card.validation.get("scores"), card.validation.get("cases")
    numbers = [(str(name), value) for name, value in scores.items()] if isinstance(scores, dict) else []
    shown = [f"{name} {value:.4g}" for name, value in numbers[:3] if isinstance(value, int | float)]
    told = budget({"trained": card.model_dump(include={"samples", "hours", "recipe", "validation"})})
    parts = [
        f"for {card.spec}",
        size,
        f"{compact(sum(card.networks.values()))} parameters" if card.networks else "",
        f"trained with {told}" if told else "",
        f"validation: {', '.join(shown)} over {cases} cases" if shown else "",
    ]
    return "; ".join(filter(None, parts))


def _flat(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from marbench.machine.toml import dotted

    for key, value in dotted(content):
        yield key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
