"""Write what the manual says of the keys of a benchmark: ``python scripts/spec_reference.py``.

docs/benchmarks.md has a part between two marks that is made from the models of the spec, key by key, so that it cannot
differ from what they take; the tests see whether it is up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marbench.spec import Spec

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- keys: begin -->\n", "<!-- keys: end -->\n"


def reference() -> str:
    """Return the tables of all keys as Markdown."""
    schema = Spec.model_json_schema(by_alias=True)
    return "\n".join([*_table("", schema, schema), ""])


def _table(name: str, model: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one table, and of those below it."""
    summary = (model.get("description") or "").split("\n\n")
    if name:
        yield f"### `[{name}]`\n"
        yield summary[0].split(": ", 1)[-1].strip().replace("\n", " ").capitalize() + "\n"
    yield from (" ".join(paragraph.split()).replace("``", "`") + "\n" for paragraph in summary[1:] if name)
    below, rows = [], []
    for key, field in model["properties"].items():
        found = _model(field, schema)
        if found is not None:
            below.append((f"{name}.{key}" if name else key, found))
            continue
        default = json.dumps(field["default"]) if field.get("default") is not None else ""
        if key in model.get("required", ()):
            default = "needed"
        text = " ".join(field.get("description", "").split())
        assert text, f"{name}.{key} has no description: put a docstring below it"
        rows.append(f"| `{key}` | {_values(field, schema)} | {default} | {text} |")
    if rows:
        yield "| key | values | default | |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    for each in below:
        yield from _table(*each, schema)


def _model(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the model of a key that is a table; None of any other."""
    parts = [field, field.get("items", {}), field.get("additionalProperties") or {}, *field.get("allOf", ())]
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
    return " ".join([kind.get(field.get("type", ""), "value"), ", ".join(filter(None, (low, high)))]).strip()


def page(text: str) -> str:
    """Return the manual's page with its tables made anew."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + reference() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
