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
    """Return all methods and whether they can run here. Nothing is imported for it: neither a plugin nor torch."""
    from marbench.machine.text import clean_line
    from marbench.method.availability import why_unavailable
    from marbench.method.request import parse_methods
    from marbench.spec import load_spec

    if device != "cpu":
        from marbench.machine.devices import device_of

        device_of(device)
    resolved = load_spec(spec)
    methods = []
    found = options.discovered(plugins)
    for request in parse_methods("all", found):
        why_not = options.with_spec(clean_line(why_unavailable(request, resolved)))
        card = request.entry.card
        about = {"name": request.label, "title": clean_line(card.title), "summary": clean_line(card.summary)}
        methods.append({**about, "available": not why_not, "why_not": why_not})
    return methods


def _print(benchmarks: list[dict[str, Any]], methods: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("benchmark", "summary", title="Benchmarks", title_justify="left")
    for benchmark in benchmarks:
        table.add_row(escape(benchmark["name"]), escape(benchmark["summary"]))
    console = Console()
    console.print(table)
    table = Table("method", "title", "summary", "can run here", title="Methods", title_justify="left")
    for method in methods:
        available = "yes" if method["available"] else f"no: {method['why_not']}"
        table.add_row(*(escape(method[key]) for key in ("name", "title", "summary")), escape(available))
    console.print(table)
