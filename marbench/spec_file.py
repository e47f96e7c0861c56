"""A benchmark as a TOML file that stands alone: ``spec.toml`` of a results folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marbench.errors import MarbenchError, StoreError
from marbench.machine.files import write_atomically
from marbench.spec import PROTOCOL, Spec, load_spec

__all__ = ["hold_to_spec", "spec_toml"]


def spec_toml(spec: Spec) -> str:
    """Return a benchmark as TOML: everything resolved, nothing extended.

    Of the folder of the CT data only the name is kept: where it lies says nothing about the benchmark, and something
    about the author.
    """
    content = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    if "path" in content["anatomy"]:
        content["anatomy"]["path"] = Path(content["anatomy"]["path"]).name
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
            f"{spec.name!r} (hash {spec.hash[:12]}). Choose another --out."
        )


def _value(value: Any) -> str:
    """Return a TOML value. JSON's strings, numbers and booleans are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
