"""A benchmark as a TOML file that stands alone: ``spec.toml`` of a results folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from marbench.errors import MarbenchError, SpecError, StoreError
from marbench.machine.files import read_file, write_once
from marbench.machine.text import few, said_by
from marbench.machine.toml import parse_toml, toml_value
from marbench.spec import PLACES, PROTOCOL, Spec, load_spec
from marbench.spec_inputs import files_named

__all__ = ["hold_to_spec", "read_spec", "refuse_other_rules", "spec_toml"]

_FILE_BYTES = 2**22


def spec_toml(spec: Spec) -> str:
    """Return a benchmark as TOML: everything resolved, nothing extended.

    Where CT data lie is left out: it says nothing about the benchmark, and something about the author and, often, about
    patients. Their digest stands for them.

    Raises
    ------
    SpecError
        The benchmark takes slices or cases from files and is not bound to them yet, see `marbench.cases.sources.bind`.
    """
    if not spec.is_bound:
        raise SpecError(
            f"{spec.name} is not bound to its data: open it with marbench.cases.opening.open_cases, and take its .spec."
        )
    content = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=PLACES)
    lines = [f"# marbench protocol {PROTOCOL}, hash {spec.hash}"]
    lines += [f"{key} = {toml_value(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for section, table in content.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
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
        content = parse_toml(read_file(path, _FILE_BYTES).decode("utf-8-sig"))
        if "extends" in content:
            raise StoreError("spec.toml extends another file; that of a results folder stands alone")
        # Without a place of CT data, too: a folder may come from anyone, and must not say what is read here.
        if named := [*files_named(content), *_places_in(content, PLACES)]:
            raise StoreError(f"spec.toml names a file in {few(named, 3)}; that of a results folder stands alone")
        return load_spec(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"spec.toml cannot be read: {said_by(error)}") from error
    except (ValueError, RecursionError, MarbenchError) as error:
        raise StoreError(
            f"{error}" if isinstance(error, MarbenchError) else f"spec.toml is no TOML: {error}"
        ) from error


def refuse_other_rules(folder: Path, spec: Spec, remedy: str) -> None:
    """Raise StoreError, with what to do, where a folder was filled under rules or from tables that are others now.

    ``spec`` is its benchmark. What it holds was computed before, its pictures included, and does not compare.
    """
    head = read_file(folder / "spec.toml", _FILE_BYTES)[:200].decode(errors="replace")
    stated = re.match(r"# marbench protocol (\d+), hash (\w+)", head)
    # Written by hand, it states nothing, and only the hash of what stands in it counts.
    if stated is None or stated[2] == spec.hash:
        return
    if int(stated[1]) != PROTOCOL:
        what = f"protocol {stated[1]}, and this marbench has {PROTOCOL}: the simulation or a measure"
    else:
        what = f"the hash {stated[2][:12]}, which is {spec.hash[:12]} here: the patients, implants or tables"
    raise StoreError(f"{folder} was filled under {what} changed between them. {remedy}")


def hold_to_spec(folder: Path, spec: Spec, write: bool = True) -> None:
    """See that a folder belongs to a benchmark; claim it for the benchmark where it belongs to none.

    Of two processes that claim one folder for different benchmarks one is refused.

    Raises
    ------
    StoreError
        The folder holds another benchmark, was filled under other rules, or cannot be written.
    """
    stored = _stored(folder)
    if stored is None and folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; results need a folder. Choose another --out.")
    if stored is None and write and not write_once(folder / "spec.toml", spec_toml(spec).encode()):
        stored = _stored(folder)  # another process was first
    if stored is not None and stored.hash != spec.hash:
        raise StoreError(
            f"{folder} holds results of the benchmark {stored.name!r} (hash {stored.hash[:12]}), which is not this "
            f"{spec.name!r} (hash {spec.hash[:12]}){_difference(stored, spec)}. Choose another --out."
        )
    if stored is not None:
        refuse_other_rules(folder, spec, "Choose another --out.")


def _difference(stored: Spec, spec: Spec) -> str:
    """Say so where two benchmarks differ in nothing but the files that they are made of."""
    there, here = stored.data, spec.data
    if (
        there == here
        or stored.model_copy(update={"anatomy": spec.anatomy, "recorded": spec.recorded}).hash != spec.hash
    ):
        return ""
    return (
        f": its {spec.data_name} are others (digest {str(there)[:12]} there, {str(here)[:12]} here). A benchmark is "
        "what its files hold: once one is mended or replaced, all methods have to run anew, in a folder of their own"
    )


def _places_in(content: Any, places: Any, above: str = "") -> list[str]:
    """Return the keys of a spec file that say where data lie, as in `PLACES`."""
    found = []
    for name in places if isinstance(content, dict) else ():
        below = places[name] if isinstance(places, dict) else True
        if name in content:
            key = f"{above}{name}"
            found += [key] if below is True else _places_in(content[name], below, f"{key}.")
    return found


def _stored(folder: Path) -> Spec | None:
    try:
        return read_spec(folder)
    except StoreError as error:
        raise StoreError(
            f"{folder} holds results of a benchmark that cannot be read. {error}. Choose another --out."
        ) from error
