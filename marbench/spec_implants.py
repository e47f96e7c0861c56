"""What a benchmark's TOML file says of materials and implants of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from marbench.errors import DataError
from marbench.mask_files import decode_mask, encode_mask, mask_pixels
from marbench.masks import area_fractions
from marbench.phantoms.implants.metal import Site
from marbench.physics.composition import Fractions, Material, element_fractions, formula_fractions
from marbench.physics.materials import find_material
from marbench.spec_table import Name, Section

__all__ = ["MaterialSection", "OwnMetalSection", "plain_name"]

# Formulas that are also names of materials, but not quite what these are: implants of zirconia hold yttria, nitinol
# more nickel. Other names that read like formulas are of alloys, and give parts of the mass.
_COMPOUNDS = ("ZrO2", "NiTi", "Al2O3")


class MaterialSection(Section):
    """``[materials.my_alloy]``: a material of one's own, by its density and what it consists of."""

    density: Annotated[float, Field(ge=0.01, le=30)]
    """g/cm³."""
    formula: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Numbers count atoms, as in ZrO2. A usual name of an alloy, like Ti6Al4V or CoCrMo, stands for what it consists
    of."""
    fractions: Annotated[dict[str, float], Field(max_length=30)] | None = None
    """In place of a formula: shares of the mass, { Ti = 90, Al = 6, V = 4 }."""

    @model_validator(mode="after")
    def _consists_of_something(self) -> Self:
        if (self.formula is None) == (self.fractions is None):
            raise ValueError("a material takes a formula or the mass fractions of its elements")
        try:
            self.material("")
        except DataError as error:
            raise ValueError(str(error)) from None
        return self

    def material(self, name: str) -> Material:
        """Return the material under a name."""
        if self.fractions is not None:
            return Material(name, self.density, element_fractions(self.fractions), "given by the benchmark")
        assert self.formula is not None  # by the validator
        return Material(name, self.density, _fractions(self.formula), "given by the benchmark")


class OwnMetalSection(Section):
    """``[[metals.own]]``: an implant of one's own, by one mask for each of its materials.

    These metals are tested with instead of the ten of the library; those to train and to validate with stay.
    """

    id: Name
    """Part of the names of cases."""
    title: Annotated[str, Field(max_length=200)] = ""
    """What it is, for people."""
    pixel_cm: Annotated[float, Field(ge=1e-4, le=10)]
    """Side of a pixel of the masks."""
    masks: Annotated[dict[str, str], Field(min_length=1, max_length=20)]
    """Material and file, relative to this one: { ti6al4v = "stem.png", cocr = "head.npy" }. See docs/own_physics.md."""
    site: Site | None = None
    """Where places are found for it, as for the metals of the library."""
    centre_cm: tuple[float, float] | None = None
    """In place of a site: where the middle of the masks lies, to the right of the isocentre and above it."""

    @field_validator("masks", mode="before")
    @classmethod
    def _one_mask_of_each(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        masks: dict[Any, Any] = {}
        for name, mask in value.items():
            known = plain_name(name) if isinstance(name, str) else name
            if known in masks:
                raise ValueError(f"{known!r} is named twice")
            try:
                masks[known] = encode_mask(area_fractions(mask, known)) if isinstance(mask, np.ndarray) else mask
            except DataError as error:
                raise ValueError(str(error)) from None
        return masks

    @field_validator("site")
    @classmethod
    def _said_or_left_out(cls, value: Site | None) -> Site | None:
        return None if value == "any" else value

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if self.site is not None and self.centre_cm is not None:
            raise ValueError("a metal takes a site, where a place is found for it, or centre_cm, its place")
        return self

    def pixels(self) -> int:
        """Return how many pixels its masks have together, none of them unpacked; ValueError where one is no mask."""
        with _told_of(self.id):
            return sum(mask_pixels(text) for text in self.masks.values())

    def hold_together(self) -> None:
        """Raise ValueError where the masks are not those of one implant."""
        with _told_of(self.id):
            masks = {name: decode_mask(text) for name, text in self.masks.items()}
        shapes = {name: mask.shape for name, mask in masks.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"{self.id}: the masks of one metal have the same shape. Got {shapes}")
        total = np.sum(list(masks.values()), axis=0)
        # Each mask is rounded to 255ths.
        if total.max() > 1 + len(masks) / 255:
            raise ValueError(
                f"{self.id}: the masks overlap: together they cover {int((total > 1 + len(masks) / 255).sum())} pixels "
                f"by more than all of their area, {total.max():.2f} times at most. A place holds one material"
            )

    def hold_within(self, field_of_view: tuple[float, float]) -> None:
        """Raise ValueError where the metal reaches beyond an image so many cm high and wide."""
        height, width = field_of_view
        left, bottom, right, top = self.bounds()
        x, y = self.centre_cm or (-(left + right) / 2, -(bottom + top) / 2)
        reach = max(-(left + x) - width / 2, right + x - width / 2, -(bottom + y) - height / 2, top + y - height / 2)
        if reach > 1e-9:
            raise ValueError(
                f"metals.own {self.id}: it is {right - left:.3g} cm wide and {top - bottom:.3g} cm high, and reaches "
                f"{reach:.3g} cm beyond the image of {width:.4g} × {height:.4g} cm. Are pixel_cm and centre_cm in cm?"
            )

    def bounds(self) -> tuple[float, float, float, float]:
        """Return (left, bottom, right, top) of the metal in cm, from the middle of the masks."""
        covered = np.sum([decode_mask(text) for text in self.masks.values()], axis=0) > 0
        rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
        height, width = covered.shape
        left, right = columns[0] - width / 2, columns[-1] + 1 - width / 2
        top, bottom = height / 2 - rows[0], height / 2 - rows[-1] - 1
        return left * self.pixel_cm, bottom * self.pixel_cm, right * self.pixel_cm, top * self.pixel_cm


@contextlib.contextmanager
def _told_of(metal: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise ValueError(f"{metal}: {error}") from None


def _fractions(formula: str) -> Fractions:
    """Return the mass fractions of the material of that name, or those that a formula counts."""
    if formula.replace(" ", "") not in _COMPOUNDS:
        with contextlib.suppress(DataError):
            return find_material(formula).fractions
    return formula_fractions(formula)


def plain_name(material: str) -> str:
    """Return the one name of a material; others are the benchmark's own, or unknown, which the whole spec tells."""
    with contextlib.suppress(DataError):
        return find_material(material).name
    return material
