"""The plugin contract: what a method is given, and what it gives back.

A plugin is a folder with two files. ``method.toml`` says what the method is and is read without importing anything;
``method.py`` defines one subclass of `Method`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from marbench.ct.operators import Operators
from marbench.errors import MethodUnavailable, nearest
from marbench.geometry import FanBeam, ImageGrid
from marbench.scan import Scan
from marbench.spec import Spec
from marbench.weights import NO_WEIGHTS, DeclaredWeights, WeightsSearch, read_weights, training_command

__all__ = ["Context", "Method", "MethodCard", "Parameter"]

ParameterValue = bool | int | float | str


@dataclass(frozen=True)
class Context:
    """What a method may use while it loads and runs.

    Attributes
    ----------
    spec : Spec
        The benchmark.
    device : torch.device
        Where scans will be, and where results are expected.
    operators : Operators
        Projection and inversion of this benchmark.
    label : str
        What the method is called in results; of use in messages.
    preset : str or None
        The preset that was asked for, or that the weights are for.
    found : WeightsSearch
        The weights that fit the method and the benchmark; see `weights`.
    """

    spec: Spec
    device: torch.device
    operators: Operators
    label: str = "the method"
    preset: str | None = None
    found: WeightsSearch = NO_WEIGHTS

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the method's tensors by name, ``NETWORK.PARAMETER``, float32, on the CPU.

        Raises
        ------
        MethodUnavailable
            There are none for this benchmark; the message says how to train them.
        MethodError
            The file is damaged or is not the one that its card describes.
        """
        if self.found.file is None:
            command = training_command(self.label, self.spec.name, self.preset)
            problems = "".join(f" ({problem})" for problem in self.found.problems)
            raise MethodUnavailable(
                f"{self.label} has no weights for this benchmark: train it with `{command}`.{problems}"
            )
        return read_weights(self.found.file)

    @property
    def geometry(self) -> FanBeam:
        """The scan geometry."""
        return self.spec.geometry

    @property
    def grid(self) -> ImageGrid:
        """The image grid."""
        return self.spec.grid


class Method:
    """A metal artifact reduction method. Subclasses override `reduce`, and `load` where they need it."""

    def __init__(self, **parameters: ParameterValue) -> None:
        self.parameters = parameters

    def load(self, context: Context) -> None:
        """Prepare once, untimed: read weights, build tables. The default keeps the context as ``self.context``."""
        self.context = context

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return corrected images in HU, ``(batch, rows, columns)``, on the device of the scan. This is timed."""
        raise NotImplementedError(f"{type(self).__name__} must define reduce(self, scan)")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Section):
    """``[parameters.NAME]``: one setting of a method."""

    default: ParameterValue
    choices: tuple[ParameterValue, ...] = ()
    help: str = ""

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Parameter:
        if self.choices and self.default not in self.choices:
            raise ValueError(f"default {self.default!r} is none of the choices {list(self.choices)}")
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
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is not allowed; {nearest(text, map(str, self.choices))}")
        return value


class MethodCard(_Section):
    """``method.toml``: what a method is."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    summary: str
    domain: Literal["sinogram", "image", "dual", "none"]
    cite: str = ""
    year: Annotated[int, Field(ge=1970, le=2100)] | None = None
    licence: str = ""
    notes: str = ""
    requires: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = {}
    presets: dict[str, dict[str, ParameterValue]] = {}
    weights: tuple[DeclaredWeights, ...] = ()

    @model_validator(mode="after")
    def _presets_set_known_parameters(self) -> MethodCard:
        for preset, values in self.presets.items():
            for name in values:
                if name not in self.parameters:
                    raise ValueError(f"preset {preset!r} sets {name!r}; {nearest(name, self.parameters)}")
        return self

    def defaults(self) -> dict[str, Any]:
        """Return the default value of every parameter."""
        return {name: parameter.default for name, parameter in self.parameters.items()}
