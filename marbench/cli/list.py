"""``marbench list``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from marbench.cli import options

__all__ = ["command"]


@click.command("list")
@options.plugins_option
@click.option("--spec", default="mini", show_default=True, help="The benchmark on which methods are to run.")
@options.device_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(plugins: tuple[Path, ...], spec: str, device: str, as_json: bool) -> None:
    """List benchmarks and methods, and which methods can run here."""
    benchmarks, methods = _benchmarks(), _methods(plugins, spec, device)
    if as_json:
        click.echo(json.dumps({"benchmarks": benchmarks, "methods": methods}, indent=1, ensure_ascii=False))
    else:
        _print(benchmarks, methods)


def _benchmarks() -> list[dict[str, Any]]:
    from marbench.spec import builtin_specs, load_spec

    specs = [load_spec(name) for name in builtin_specs()]
    return [{"name": spec.name, "summary": spec.summary, "hash": spec.hash} for spec in specs]


def _methods(plugins: tuple[Path, ...], spec: str, device: str) -> list[dict[str, Any]]:
    from marbench.bench.producers import InlineProducer
    from marbench.machine.devices import device_of
    from marbench.method.request import parse_methods
    from marbench.spec import load_spec

    resolved, found = load_spec(spec), []
    for request in parse_methods("all", plugins):
        producer = InlineProducer(request.for_spec(resolved), resolved, device_of(device))
        producer.open()
        failure, card = producer.failure, request.entry.card
        about = {"name": request.label, "title": card.title, "summary": card.summary}
        found.append({**about, "available": failure is None, "why_not": failure.message if failure else ""})
    return found


def _print(benchmarks: list[dict[str, Any]], methods: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("benchmark", "summary", title="Benchmarks", title_justify="left")
    for benchmark in benchmarks:
        table.add_row(escape(benchmark["name"]), escape(benchmark["summary"]))
    console = Console()
    console.print(table)
    table = Table("method", "summary", "can run here", title="Methods", title_justify="left")
    for method in methods:
        available = "yes" if method["available"] else f"no: {method['why_not']}"
        table.add_row(escape(method["name"]), escape(method["summary"]), escape(available))
    console.print(table)
