"""How many parameters a method has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from marbench.method.contract import Method
from marbench.method.learned import LearnedMethod
from marbench.results.rows import LARGEST_INTEGER

__all__ = ["believable_count", "parameter_count"]


def parameter_count(method: Method) -> int | None:
    """Return the number of network parameters among a method's attributes; None for a method without any.

    Of a method that learns only its networks count, not those that help in training.
    """
    # A discriminator, say, is an attribute too, and takes no part in an image.
    if isinstance(method, LearnedMethod):
        modules = list(method.networks().values())
    else:
        modules = [module for value in vars(method).values() for module in _modules(value)]
    # By identity: networks may share weights.
    parameters = {id(parameter): parameter for module in modules for parameter in module.parameters()}
    return sum(parameter.numel() for parameter in parameters.values()) or None


def believable_count(told: Any) -> int | None:
    """Return a number of parameters as a plugin's process tells it; None for what can be none."""
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= LARGEST_INTEGER else None


def _modules(value: object) -> list[nn.Module]:
    if isinstance(value, nn.Module):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [item for item in value if isinstance(item, nn.Module)]
    return []
