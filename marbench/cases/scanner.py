"""The projector and the inversion of a benchmark."""

from __future__ import annotations

from marbench.ct.operators import Operators
from marbench.spec import Spec

__all__ = ["operators_of"]


def operators_of(spec: Spec) -> Operators:
    """Return the operators with which a benchmark is simulated, and which its methods get."""
    chosen = spec.reconstruction
    return Operators(spec.geometry, spec.grid, spec.physics.water_attenuation, chosen.window, chosen.truncation)
