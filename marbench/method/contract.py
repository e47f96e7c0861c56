"""The plugin contract: what a method is given, and what it gives back.

A plugin is a folder with two files. ``method.toml`` says what the method is and is read without importing anything;
``method.py`` defines one subclass of `Method`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from marbench.cases.case import Scan
from marbench.ct.operators import Operators
from marbench.errors import MethodUnavailable
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
            raise MethodUnavailable(no_weights(self.label, self.spec.name, self.preset, self.found))
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


class FunctionMethod(Method):
    """A plain function of a scan as a method."""

    def __init__(self, function: Callable[[Scan], Any]) -> None:
        super().__init__()
        self.function = function

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Call the function."""
        result: torch.Tensor = self.function(scan)
        return result
