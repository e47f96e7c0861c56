"""The tables below ``[physics]``: what lies in the beam besides the patient, and what is made of scatter."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from marbench.spec_implants import plain_name
from marbench.spec_table import Section

__all__ = ["BowtieSection", "ScatterSection"]

Pairs = Annotated[tuple[tuple[float, float], ...], Field(min_length=2, max_length=1000)]


def _runs_from_zero(pairs: Pairs, first: str, second: str) -> Pairs:
    """Return pairs of which the first numbers increase from 0 and none is negative, or raise ValueError."""
    steps = [one for one, _ in pairs]
    if steps[0] != 0 or sorted(set(steps)) != steps:
        raise ValueError(f"of pairs of {first} and {second} the {first} increase from 0, for both sides. Got {steps}")
    if min(value for _, value in pairs) < 0:
        raise ValueError(f"of pairs of {first} and {second} no {second} is below 0")
    return pairs


class BowtieSection(Section):
    """``[physics.bowtie]``: a filter between tube and patient that is thicker towards the ends of the fan.

    ``physics.photons`` are counted in front of it. The air scan is divided out, and water corrected column by column.
    """

    material: Annotated[str, Field(max_length=64)] = "aluminium"
    """Of what it is: a name, or one of ``[materials]``."""
    thickness: Pairs
    """Pairs of degrees from the central ray and path through it in cm, straight between: [[0, 0.3], [25, 3.5]]."""

    @field_validator("material")
    @classmethod
    def _one_name_of_each(cls, value: str) -> str:
        return plain_name(value)

    @field_validator("thickness")
    @classmethod
    def _of_a_fan(cls, value: Pairs) -> Pairs:
        if max(cm for _, cm in value) > 20:
            raise ValueError("a bowtie is at most 20 cm thick. Is its thickness in cm?")
        return _runs_from_zero(value, "degrees", "thickness")


class ScatterSection(Section):
    """Scatter that depends on what is scanned, as it comes to be and as it is subtracted again.

    S = a · K ∗ (p^b · I), with I the signal, p = −ln(I/I0) and K of sum 1 along the detector.
    """

    amount: Annotated[float, Field(gt=0, le=1)]
    """a: scatter in parts of the signal where p = 1."""
    power: Annotated[float, Field(ge=0.1, le=3)] = 1.0
    """b."""
    kernel: Pairs
    """K: pairs of cells from its middle and weight, straight between, of any sum: [[0, 1], [12, 0.4], [24, 0]]."""

    @model_validator(mode="after")
    def _kernel_has_weight(self) -> Self:
        _runs_from_zero(self.kernel, "cells", "weight")
        if self.kernel[0][1] == 0:
            raise ValueError("the weight in the middle of a kernel is above 0")
        if self.kernel[-1][0] > 20_000:
            raise ValueError("a kernel reaches 20000 cells at most")
        return self
