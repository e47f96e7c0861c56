"""The plugin contract: what a method is given, and what it gives back.

A plugin is a folder with two files. ``method.toml`` says what the method is and is read without importing anything;
``method.py`` defines one subclass of `Method`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from marbench.cases.case import Scan
from marbench.ct.operators import Operators
from marbench.errors import MethodError, MethodUnavailable
from marbench.geometry import FanBeam, ImageGrid
from marbench.method.card import ParameterValue
from marbench.method.weights import NO_WEIGHTS, WeightsSearch, no_weights, read_weights
from marbench.spec import Spec

__all__ = ["Context", "FunctionMethod", "Method"]


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
            raise MethodUnavailable(no_weights(self.label, self.spec, self.preset, self.found))
        return read_weights(self.found.file, self.found.plugins)

    @property
    def geometry(self) -> FanBeam:
        """The scan geometry."""
        return self.spec.geometry

    @property
    def grid(self) -> ImageGrid:
        """The image grid."""
        return self.spec.grid


class Method:
    """A metal artifact reduction method. Subclasses override `reduce`, and `load` where they need it.

    A parameter of the card that the class annotates is an attribute of that type:

    >>> class Smooth(Method):
    ...     width: float
    >>> Smooth(width=2).width
    2.0

    Attributes
    ----------
    parameters : dict
        All parameters of the card: defaults, then the preset, then what the user asked for.

    Raises
    ------
    MethodError
        A parameter is not of the type that the class says.
    """

    def __init__(self, **parameters: ParameterValue) -> None:
        self.parameters = parameters
        for name, value in _typed(type(self), parameters).items():
            setattr(self, name, value)

    def load(self, context: Context) -> None:
        """Prepare once, untimed: read weights, build tables. The default keeps the context as ``self.context``."""
        self.context = context

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return corrected images in HU, ``(batch, rows, columns)``, on the device of the scan. This is timed.

        It is called under `torch.no_grad`: a method that optimises does so within ``with torch.enable_grad():``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define reduce(self, scan)")


class FunctionMethod(Method):
    """A plain function of a scan as a method."""

    def __init__(self, function: Callable[[Scan], Any]) -> None:
        super().__init__()
        self.function = function

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Call the function."""
        result: torch.Tensor = self.function(scan)
        return result


def _typed(kind: type[Method], parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Return the parameters that a class or its bases annotate, in the types that they say."""
    values = {}
    for base in kind.__mro__:
        for name, annotation in inspect.get_annotations(base).items():
            if name not in parameters or name in values:
                continue
            if callable(getattr(kind, name, None)):
                raise MethodError(
                    f"{kind.__name__}.{name} is a method, which the parameter {name!r} of method.toml would hide: "
                    "call one of them otherwise."
                )
            # Not typing.get_type_hints: names of other annotations may be there for type checkers only.
            known = vars(sys.modules[base.__module__])
            wanted = eval(annotation, known) if isinstance(annotation, str) else annotation
            try:
                values[name] = TypeAdapter(wanted).validate_python(parameters[name], strict=True)
            except ValidationError:
                kind_of = wanted.__name__ if isinstance(wanted, type) else wanted
                raise MethodError(
                    f"{kind.__name__}.{name}: expected {kind_of}, as method.py says. Got {parameters[name]!r} from the "
                    "parameters: let method.toml and method.py agree."
                ) from None
    return values
