"""``method.toml``: what a method is, read without importing it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from marbench.errors import MethodError, nearest
from marbench.machine.text import said_by
from marbench.machine.toml import parse_toml
from marbench.spec_table import NAME_PATTERN, said_of

__all__ = [
    "DeclaredWeights",
    "MethodCard",
    "Parameter",
    "ParameterValue",
    "Sha256",
    "by_title",
    "check_name",
    "read_card",
]

NAME_LIMIT = 64
_PRESET = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_LIMIT}}}")
ParameterValue = bool | int | float | str
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Section(BaseModel):
    # What stands below a key is what the manual says of it, see docs/cards.md.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DeclaredWeights(_Section):
    """``[[weights]]``: a file that ships with the plugin."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]+\.safetensors$")]
    """Relative to the plugin's folder; its card, NAME.json, lies beside it."""
    sha256: Sha256
    """Of the file."""
    spec: str
    """The benchmark on which it was trained."""
    preset: str | None = None
    """The preset with which it was trained."""
    parameters: dict[str, ParameterValue] = {}
    """Those that the user chose for the training."""


class Parameter(_Section):
    """``[parameters.NAME]``: one setting of a method; a number may have bounds, which are themselves allowed."""

    default: ParameterValue
    """Its type is the type of the parameter."""
    choices: tuple[ParameterValue, ...] = ()
    """The values that it may have, of its type; empty for any."""
    minimum: int | float | None = None
    """The least that a number may be."""
    maximum: int | float | None = None
    """The most that a number may be."""
    help: str = ""
    """What it does, for ``marbench show``."""

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Parameter:
        for choice in self.choices:
            if not self._is_of_its_type(choice):
                advice = f": write {float(self.default)}" if type(choice) is float and type(self.default) is int else ""
                raise ValueError(f"choice {choice!r} is not of the type of the default {self.default!r}{advice}")
        if self.choices and self.default not in self.choices:
            raise ValueError(f"default {self.default!r} is none of the choices {list(self.choices)}")
        if (self.minimum, self.maximum) != (None, None):
            if isinstance(self.default, bool | str):
                raise ValueError(f"only numbers have bounds, and the default is {self.default!r}")
            self._check_bounds(self.default)
        return self

    def parse(self, text: str) -> ParameterValue:
        """Return the value that a user typed, in the type of the default.

        Raises
        ------
        ValueError
            The text does not stand for a value of that type, or for none of the choices.
        """
        value: ParameterValue
        if isinstance(self.default, bool):
            if text.lower() not in ("true", "false"):
                raise ValueError(f"expected true or false, got {text!r}")
            value = text.lower() == "true"
        else:
            value = type(self.default)(text)
        self.check(value)
        return value

    def check(self, value: ParameterValue) -> None:
        """Raise ValueError for a value that the parameter cannot have."""
        if not self._is_of_its_type(value):
            raise ValueError(f"{value!r} is not allowed; expected a value like {self.default!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is not allowed; {nearest(str(value), map(str, self.choices))}")
        if isinstance(value, int | float):
            self._check_bounds(value)

    def _is_of_its_type(self, value: ParameterValue) -> bool:
        # A whole number serves as a float, and true as nothing but a switch.
        kinds = (int, float) if isinstance(self.default, float) else type(self.default)
        return isinstance(value, kinds) and isinstance(value, bool) == isinstance(self.default, bool)

    @property
    def allowed(self) -> str:
        """What values are allowed, in brackets after a space; empty where any is."""
        if self.choices:
            return f" (one of {', '.join(map(str, self.choices))})"
        return f" ({self._range})" if self._range else ""

    @property
    def _range(self) -> str:
        if self.maximum is None:
            return "" if self.minimum is None else f"of at least {self.minimum:g}"
        return f"of at most {self.maximum:g}" if self.minimum is None else f"from {self.minimum:g} to {self.maximum:g}"

    def _check_bounds(self, value: float) -> None:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if self._range and not low <= value <= high:  # NaN lies between no bounds
            raise ValueError(f"{value!r} is not allowed; expected a number {self._range}")


class MethodCard(_Section):
    """``method.toml``: what a method is."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """What one types: lower case, at most 64 characters. Not ``all``, which asks for every method."""
    title: str
    """What readers call it."""
    summary: str
    """What it does, in a sentence or two."""
    explanation: str = ""
    """How it works and where it fails, in five lines, for a reader who does not know it."""
    equation: str = ""
    """What it computes or solves, in plain signs, one equation a line; the letters of the methods page: p, T, M, P."""
    domain: Literal["sinogram", "image", "dual", "none"]
    """Where it works; "none" where it corrects nothing."""
    role: Literal["", "uncorrected", "baseline"] = ""
    """What tables highlight. "uncorrected" returns the image of the scan as it is: no correction, so it judges no case;
    "baseline" is a reference that every paper of the field quotes."""
    cite: str = ""
    """The paper to cite, with its address, which tables link to."""
    bibtex: str = ""
    """Its BibTeX entry."""
    authors: str = ""
    """Who wrote the method."""
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """The address of its code or page."""
    year: Annotated[int, Field(ge=1970, le=2100)] | None = None
    """Of the paper."""
    licence: str = ""
    """Of the plugin."""
    patents: str = ""
    """Patents that are known to cover the method. Empty says nothing: nobody need have searched."""
    notes: str = ""
    """What a reader has to know."""
    requires: tuple[str, ...] = ()
    """Requirements as pip takes them, paths from the plugin's folder; under ``isolation = "venv"`` they are installed,
    once more where what lies at a path has changed (``./lib``, not ``lib @ file:…``), else they must be there."""
    isolation: Literal["auto", "inline", "process", "venv"] = "auto"
    """Where the method runs: "inline" with marbench, "process" in a process of its own, "venv" in an environment of its
    own. "auto" is "process", and "inline" for methods that ship with marbench, which alone may ask for it."""
    python: str = ""
    """The interpreter that runs the method, which needs what marbench requires; empty for the one of marbench."""
    parameters: dict[str, Parameter] = {}
    presets: dict[str, dict[str, ParameterValue]] = {}
    """Sets of parameters with a name, ``[presets.NAME]``: sizes in which a network is trained. A name is made of
    at most 64 of A-Z a-z 0-9 . _ -"""
    weights: tuple[DeclaredWeights, ...] = ()

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value == "all":
            raise ValueError("no method can be called 'all', which asks for every method")
        if len(value) > NAME_LIMIT:
            raise ValueError(f"a name has at most {NAME_LIMIT} characters, got {len(value)}")
        return value

    @model_validator(mode="after")
    def _presets_set_known_parameters(self) -> MethodCard:
        for preset, values in self.presets.items():
            if not _PRESET.fullmatch(preset):
                raise ValueError(
                    f"preset {preset!r}: its name becomes part of file names, so it is made of at most {NAME_LIMIT} of "
                    "A-Z a-z 0-9 . _ -"
                )
            for name in values:
                if name not in self.parameters:
                    raise ValueError(f"preset {preset!r} sets {name!r}; {nearest(name, self.parameters)}")
                try:
                    self.parameters[name].check(values[name])
                except ValueError as error:
                    raise ValueError(f"preset {preset!r}, {name}: {error}") from None
        return self

    @property
    def own_interpreter(self) -> bool:
        """Whether the method never runs in marbench's interpreter; then another one has what it requires."""
        return self.isolation == "venv" or bool(self.python)

    def defaults(self) -> dict[str, Any]:
        """Return the default value of every parameter."""
        return {name: parameter.default for name, parameter in self.parameters.items()}


def read_card(
    path: Path | None, over: Mapping[str, Any] | None = None, below: Mapping[str, Any] | None = None
) -> MethodCard:
    """Return the card of a ``method.toml``.

    Parameters
    ----------
    path : Path or None
        None where there is no file.
    over, below : mapping, optional
        Values that come before, and after, those of the file.

    Raises
    ------
    MethodError
        It cannot be read, is no TOML, or a key is unknown, missing or of another type.
    """
    try:
        told = parse_toml(path.read_text(encoding="utf-8-sig")) if path else {}
        return MethodCard.model_validate({**(below or {}), **told, **(over or {})})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {said_of(fault)}" for fault in error.errors())
        raise MethodError(f"{path or 'its card'}: {faults}. Keys: {', '.join(MethodCard.model_fields)}") from None
    except (ValueError, RecursionError) as error:  # no UTF-8, numbers of 5,000 digits
        raise MethodError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise MethodError(f"{path} cannot be read: {said_by(error)}") from None


def check_name(name: str) -> None:
    """Raise MethodError where a method cannot be called so, with what a name is made of."""
    try:
        MethodCard(name=name, title=name, summary=name, domain="image")
    except ValidationError as error:
        said = said_of(error.errors()[0])
        raise MethodError(f"{name!r} cannot be the name of a method: {said}. What readers see is its title") from None


def by_title(name: str, titles: Mapping[str, str]) -> str | None:
    """Return the method that a user means, by what one types or by its title, in capitals or not; None if none is.

    >>> by_title("DuDoNet", {"dudonet": "DuDoNet", "li": "LI"})
    'dudonet'

    Raises
    ------
    MethodError
        Several are called so.
    """
    if name in titles:
        return name
    wanted = name.casefold()
    found = [each for each, title in titles.items() if wanted in (each.casefold(), title.casefold())]
    if len(found) > 1:
        raise MethodError(f"{name!r} may be any of {', '.join(found)}.")
    return found[0] if found else None
