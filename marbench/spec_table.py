"""What the tables of a benchmark's TOML file have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["NAME_LENGTH", "NAME_PATTERN", "Name", "Section", "said_of"]

NAME_LENGTH = 64
"""The most characters of a name, which is that of a folder, too."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=NAME_LENGTH)]

_LIST, _TABLE = 'expected a list, as ["body"]', "expected a table, as { patients = 2, slices = 4 }"
_EXPECTED = {"tuple_type": _LIST, "list_type": _LIST, "model_type": _TABLE, "dict_type": _TABLE}
_EXPECTED_NAME = "expected lower-case letters, digits, _ and -, the first a letter or digit"


class Section(BaseModel):
    """A table: frozen, without unknown keys, NaN or infinity, or true and false in place of numbers."""

    # What stands below a key is what the manual says of it, see docs/benchmarks.md.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, values: Any) -> Any:
        # `scatter = true` would be one photon.
        for name, value in values.items() if isinstance(values, dict) else ():
            if (
                isinstance(value, bool)
                and name in cls.model_fields
                and not _takes_bool(cls.model_fields[name].annotation)
            ):
                raise ValueError(f"{name} = {str(value).lower()}: it takes a value, not true or false")
        return values


def _takes_bool(annotation: Any) -> bool:
    return annotation is bool or isinstance(annotation, bool) or any(map(_takes_bool, get_args(annotation)))


def said_of(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a value of a TOML file in the file's terms, of a fault as pydantic lists it."""
    if fault.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return _EXPECTED_NAME
    message: str = _EXPECTED.get(fault["type"], fault["msg"])
    return message.removeprefix("Value error, ")
