"""A benchmark as a TOML file that stands alone: ``spec.toml`` of a results folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marbench.errors import MarbenchError, SpecError, StoreError
from marbench.machine.files import write_atomically
from marbench.spec import PROTOCOL, Spec, load_spec

__all__ = ["hold_to_spec", "spec_toml"]


def spec_toml(spec: Spec) -> str:
    """Return a benchmark as TOML: everything resolved, nothing extended.

    Where CT data lie is left out: it says nothing about the benchmark, and something about the author and, often, about
    patients. Their digest stands for them.

    Raises
    ------
    SpecError
        The benchmark takes its slices from files and is not bound to them yet, see `marbench.cases.sources.bind`.
    """
    if spec.anatomy.source != "procedural" and spec.anatomy.data is None:
        raise SpecError(f"{spec.name} is not bound to its data: open it with marbench.Suite, and take its .spec.")
    content = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"anatomy": {"path"}})
    lines = [f"# marbench protocol {PROTOCOL}, hash {spec.hash}"]
    lines += [f"{key} = {_value(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for section, table in content.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def hold_to_spec(folder: Path, spec: Spec, write: bool = True) -> None:
    """See that a folder belongs to a benchmark; claim it for the benchmark where it belongs to none.

    Raises
    ------
    StoreError
        The folder holds another benchmark, or cannot be written.
    """
    path = folder / "spec.toml"
    if not path.is_file():
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder} is a file; results need a folder. Choose another --out.")
        if write:
            write_atomically(path, spec_toml(spec).encode())
        return
    try:
        stored = load_spec(path)
    except MarbenchError as error:
        raise StoreError(
            f"{folder} holds results of a benchmark that cannot be read. {error}. Choose another --out."
        ) from error
    if stored.hash != spec.hash:
        raise StoreError(
            f"{folder} holds results of the benchmark {stored.name!r} (hash {stored.hash[:12]}), which is not this "
            f"{spec.name!r} (hash {spec.hash[:12]}){_difference(stored, spec)}. Choose another --out."
        )


def _difference(stored: Spec, spec: Spec) -> str:
    """Say so where two benchmarks differ in nothing but the CT data."""
    there, here = stored.anatomy.data, spec.anatomy.data
    if there == here or stored.model_copy(update={"anatomy": spec.anatomy}).hash != spec.hash:
        return ""
    return f": its CT slices are others (digest {str(there)[:12]} there, {str(here)[:12]} here)"


def _value(value: Any) -> str:
    """Return a TOML value. JSON's strings, numbers and booleans are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
