"""Write what the manual says of keys, commands and modules: ``python scripts/reference.py``.

Some pages of docs/ have a part between two marks that is made from the code: from the models of the spec and of the
cards, key by key, from the command line, option by option, and from public modules, name by name. So they cannot differ
from what these are; the tests see whether they are up to date.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

import marbench.toolbox
from marbench.bench.parameters import parameter_count
from marbench.cli import main
from marbench.method.card import MethodCard
from marbench.method.discovery import discover
from marbench.method.learned import LearnedMethod
from marbench.method.request import MethodRequest, context_for, instantiate, parse_methods
from marbench.method.weights import WeightsFile
from marbench.spec import Spec, load_spec

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- made by scripts/reference.py: begin -->\n", "<!-- made by scripts/reference.py: end -->\n"
BAR = r"\|"  # within a table
MODULES = ("marbench.ct", "marbench.geometry", "marbench.errors")


def spec_keys() -> str:
    """Return the tables of all keys of a benchmark as Markdown."""
    schema = Spec.model_json_schema(by_alias=True)
    return "\n".join([*_table("", schema, schema), ""])


def card_keys() -> str:
    """Return the tables of all keys of a method's card as Markdown."""
    schema = MethodCard.model_json_schema(by_alias=True)
    return "\n".join([*_table("", schema, schema), ""])


def commands() -> str:
    """Return every command with its options as Markdown."""
    group = click.Context(main, info_name="marbench")
    verbs = {name: main.get_command(group, name) for name in main.list_commands(group)}
    return "\n".join(line for name, verb in verbs.items() if verb for line in [*_command(name, verb, group), ""])


def modules() -> str:
    """Return every public module below ``marbench`` with its names as Markdown, for Sphinx to make a page of each."""
    toolbox = [f"marbench.toolbox.{each.name}" for each in pkgutil.iter_modules(marbench.toolbox.__path__)]
    return "\n".join(line for name in (*MODULES, *toolbox) for line in _module(name))


def weights() -> str:
    """Return what ships as Markdown tables, one for each benchmark: parameters, cost and outcome of the trainings."""
    tables: dict[str, list[str]] = {}
    for name, entry in sorted(discover().entries.items()):
        for file in [each.file for each in entry.card.weights if each.preset != "ablation"]:
            path = entry.home / file
            card = WeightsFile.of(path).card
            baseline, score = (card.validation[key]["psnr[dudonet2019]"] for key in ("linear_interpolation", "scores"))
            if card.spec not in tables:
                columns = (
                    "",
                    "parameters",
                    "in the paper's size",
                    "file",
                    "begun from",
                    "samples",
                    "a second",
                    "hours",
                )
                head = (*columns, f"validation PSNR, dB (LI {baseline:.2f})")
                tables[card.spec] = [f"### `{card.spec}`", "", _row(*head), f"|---{'|--:' * (len(head) - 1)}|"]
            full = parse_methods(name, preset="paper")[0] if "paper" in entry.card.presets else None
            start = card.recipe.get("start")
            cells = (
                f"`{card.label}`",
                f"{sum(card.networks.values()):,}",
                f"{_parameters(full, load_spec(card.spec)):,}" if full else "",
                f"{path.stat().st_size / 1e6:.2f} MB",
                f"{start['samples']:,} of `{start['spec']}`" if start else "",
                f"{card.samples:,}",
                f"{card.samples / card.hours / 3600:.1f}",
                f"{card.hours:.2f}",
                f"{score:.2f}",
            )
            tables[card.spec].append(_row(*cells))
    # `mini` first: most tables of the manual are of it.
    ordered = sorted(tables, key=lambda spec: (spec != "mini", spec))
    return "\n".join(line for spec in ordered for line in (*tables[spec], ""))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


PAGES: dict[str, Callable[[], str]] = {
    "benchmarks.md": spec_keys,
    "cards.md": card_keys,
    "commands.md": commands,
    "api.md": modules,
    "learned.md": weights,
}


def page(name: str) -> str:
    """Return a page of the manual with its tables made anew."""
    before, rest = (DOCS / name).read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n{PAGES[name]()}{END}{rest.split(END)[1]}"


def _table(name: str, model: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one table, and of those below it."""
    summary = (model.get("description") or "").split("\n\n")
    if name:
        text = " ".join(summary[0].split(": ", 1)[-1].split())
        yield f"### `{name}`\n"
        yield _code(text[:1].upper() + text[1:]) + "\n"
    yield from (_code(" ".join(paragraph.split())) + "\n" for paragraph in summary[1:] if name)
    below, rows = {}, []
    for key, field in model["properties"].items():
        found = _model(field, schema)
        if found is not None:
            # Most tables say what they are called: ``[parameters.NAME]``, ``[[weights]]``.
            own = re.match(r"``(\[+[\w.]+\]+)``", found.get("description", ""))
            # Tables of one model have one description.
            below.setdefault(id(found), (found, []))[1].append(own[1] if own else f"[{name.strip('[]')}.{key}]")
            continue
        default = f"`{json.dumps(field['default'])}`" if field.get("default") is not None else ""
        if key in model.get("required", ()):
            default = "needed"
        text = " ".join(field.get("description", "").split())
        assert text, f"{name}.{key} has no description: put a docstring below it"
        rows.append(f"| `{key}` | {_values(field, schema)} | {default} | {_code(text)} |")
    if rows:
        yield "| key | values | default | |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    for found, names in below.values():
        yield from _table("`, `".join(names), found, schema)


def _code(text: str) -> str:
    """Turn the code of a docstring into that of Markdown."""
    return text.replace("``", "`")


def _model(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the model of a key that is a table; None of any other."""
    parts = [
        field,
        field.get("items", {}),
        field.get("additionalProperties") or {},
        *field.get("allOf", ()),
        *field.get("anyOf", ()),
    ]
    parts += field.get("patternProperties", {}).values()
    for part in parts:
        if isinstance(part, dict) and "$ref" in part:
            found: dict[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _values(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return which values a key takes."""
    if "anyOf" in field:
        return " or ".join(_values(part, schema) for part in field["anyOf"] if part.get("type") != "null")
    if "enum" in field or "const" in field:
        return ", ".join(f'`"{value}"`' for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_values(field.get('items', {}), schema)}"
    kind = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true`, `false`"}
    low, high = (
        next((f"{sign}{field[name]:g}" for name, sign in names if name in field), "")
        for names in ((("minimum", "≥ "), ("exclusiveMinimum", "> ")), (("maximum", "≤ "), ("exclusiveMaximum", "< ")))
    )
    name = "table" if field.get("type") == "object" else kind.get(field.get("type", ""), "value")
    return " ".join([name, ", ".join(filter(None, (low, high)))]).strip()


def _command(name: str, verb: click.Command, group: click.Context) -> Iterator[str]:
    """Yield the lines on one command."""
    usage = " ".join(verb.collect_usage_pieces(click.Context(verb, parent=group, info_name=name)))
    yield f"### `marbench {name}`\n"
    yield f"```text\nmarbench {name} {usage}\n```\n"
    yield inspect.cleandoc(verb.help or "") + "\n"
    options = [each for each in verb.params if isinstance(each, click.Option)]
    if options:
        context = click.Context(verb, parent=group, info_name=name, terminal_width=200)
        records = [record for each in options if (record := each.get_help_record(context))]
        yield "| option | |\n|---|---|"
        yield from (f"| `{option.replace('|', BAR)}` | {_cell(text)} |" for option, text in records)


def _module(name: str) -> Iterator[str]:
    """Yield the lines on one module."""
    module = importlib.import_module(name)
    yield f"## `{name}`\n"
    yield (module.__doc__ or "").partition("\n\n")[0].strip() + "\n"
    yield f"```{{eval-rst}}\n.. currentmodule:: {name}\n\n.. autosummary::\n   :toctree: generated\n"
    yield from (f"   {each}" for each in sorted(module.__all__))
    yield "```\n"


def _parameters(request: MethodRequest, spec: Spec) -> int:
    """Return how many parameters the networks of a learned method have."""
    method = instantiate(request.to_train())
    assert isinstance(method, LearnedMethod)
    method.build(context_for(request, spec))
    return parameter_count(method) or 0


def _cell(text: str) -> str:
    """Return the help of an option for a cell of a table: one line, without HTML."""
    return " ".join(text.replace("<", r"\<").replace("[", r"\[").replace("]", r"\]").replace("|", BAR).split())


if __name__ == "__main__":
    for each in PAGES:
        (DOCS / each).write_text(page(each), encoding="utf-8")
