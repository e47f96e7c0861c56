"""A benchmark as a TOML file that stands alone: ``spec.toml`` of a results folder."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from marbench.errors import MarbenchError, StoreError
from marbench.machine.files import read_file, write_once
from marbench.spec import PROTOCOL, Spec, load_spec

__all__ = ["hold_to_spec", "read_spec", "spec_toml"]

_FILE_BYTES = 2**20


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


def read_spec(folder: Path) -> Spec | None:
    """Return the benchmark of a folder, None where it has none.

    Raises
    ------
    StoreError
        Its ``spec.toml`` cannot be read, is a link, or does not stand alone: it must not make us read other files.
    """
    path = folder / "spec.toml"
    try:
        content = tomllib.loads(read_file(path, _FILE_BYTES).decode())
        if "extends" in content:
            raise StoreError("spec.toml extends another file; that of a results folder stands alone")
        return load_spec(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"spec.toml cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, MarbenchError) as error:
        raise StoreError(
            f"{error}" if isinstance(error, MarbenchError) else f"spec.toml is no TOML: {error}"
        ) from error


def hold_to_spec(folder: Path, spec: Spec, write: bool = True) -> None:
    """See that a folder belongs to a benchmark; claim it for the benchmark where it belongs to none.

    Of two processes that claim one folder for different benchmarks one is refused.

    Raises
    ------
    StoreError
        The folder holds another benchmark, or cannot be written.
    """
    stored = _stored(folder)
    if stored is None and folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; results need a folder. Choose another --out.")
    if stored is None and write and not write_once(folder / "spec.toml", spec_toml(spec).encode()):
        stored = _stored(folder)  # another process was first
    if stored is not None and stored.hash != spec.hash:
        raise StoreError(
            f"{folder} holds results of the benchmark {stored.name!r} (hash {stored.hash[:12]}), which is not this "
            f"{spec.name!r} (hash {spec.hash[:12]}). Choose another --out."
        )


def _stored(folder: Path) -> Spec | None:
    try:
        return read_spec(folder)
    except StoreError as error:
        raise StoreError(
            f"{folder} holds results of a benchmark that cannot be read. {error}. Choose another --out."
        ) from error


def _value(value: Any) -> str:
    """Return a TOML value. JSON's strings, numbers and booleans are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
