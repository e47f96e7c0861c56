"""What a benchmark's TOML file says of cases that somebody else has scanned or simulated, and that lie in files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from marbench.errors import nearest
from marbench.spec_table import Section

__all__ = ["FIELDS", "RECORDED_PLACES", "ArrayFile", "ImageFile", "RaysFile", "RecordedSection"]

FIELDS = ("patient", "slice", "case", "metal")
"""What may stand in braces in the name of a file, in the order in which a case's id is put together from it."""

_ROLES = ("sinogram", "mask", "trace", "uncorrected", "anatomy", "truth", "truth_sinogram")

RECORDED_PLACES: dict[str, bool | set[str]] = {"path": True, **{role: {"file"} for role in _ROLES}}
"""What says where the files lie: no part of a benchmark's identity, and of no results folder."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_KNOWN = {*FIELDS, *(f"{name}:d" for name in FIELDS), "split"}

Size = Annotated[int, Field(ge=1, le=20_000)]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]


class ArrayFile(Section):
    """An array of every case: in which file, and how it lies there."""

    file: Pattern | None = None
    """Its name below path, one of .npy, .npz, .h5, .mat, .raw: `"{split}/{patient}/{case}.h5"`, with `{patient}`,
    `{slice}`, `{case}` and `{metal}` where those of different cases differ. `{case:d}` is a number, `{split}` test,
    val or train."""
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Which array, of a file that holds several; of HDF5 in groups, too: `"exchange/data"`."""
    shape: Annotated[tuple[Size, ...], Field(min_length=2, max_length=3)] | None = None
    """Of a .raw file, as it lies there, slowest axis first; by default that of the benchmark."""
    dtype: Literal["float32", "float64", "int16", "uint16", "uint8"] = "float32"
    """Of a .raw file, little-endian."""
    index: Annotated[str, Field(pattern=r"^(\{metal:d\}|\d{1,6})$")] | None = None
    """Which picture of a stack along the last axis: a number, or `"{metal:d}"`."""
    transposed: bool = False
    """Whether the axes lie the other way round: columns before rows, bins before views."""

    @field_validator("file")
    @classmethod
    def _names_of_files(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts or "\\" in value or "\0" in value:
            raise ValueError(f"a file is named relative to path, with / between folders; got {value!r}")
        if unknown := [name for name in _FIELD.findall(value) if name not in _KNOWN]:
            raise ValueError(f"unknown {{{unknown[0]}}}; {nearest(unknown[0], sorted(_KNOWN))}")
        return value

    @property
    def fields(self) -> frozenset[str]:
        """What has to be known of a case to name its file, or its picture of a stack."""
        named = _FIELD.findall(f"{self.file or ''}{self.index or ''}")
        return frozenset(name.removesuffix(":d") for name in named if name != "split")


class ImageFile(ArrayFile):
    """A picture of every case, in which file, and how it lies there."""

    unit: Literal["HU", "1/cm"] = "HU"
    """Of images; masks have none."""
    reverse: tuple[Literal["rows", "columns"], ...] = ()
    """Axes, once they are rows and columns, that run the other way: rows run downwards, columns to the right."""
    resized: bool = False
    """Whether a mask is scaled to the grid, bilinearly as PIL does, every pixel that is not 0 being metal."""


class RaysFile(ArrayFile):
    """A sinogram of every case, in which file, and how it lies there."""

    reverse: tuple[Literal["views", "bins"], ...] = ()
    """Axes, once they are views and bins, that run the other way: with "views" the last view is the first. Of a circle
    on which the source turns the other way from the same first view, say `geometry.clockwise` instead."""
    turned_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    """How far its first view is beyond that of the geometry, after reversing: a whole number of views."""
    scale: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """By what values are multiplied to be line integrals, −ln(I/I₀)."""


class RecordedSection(Section):
    """``[recorded]``: cases that are read from files, and not simulated.

    The sinogram of a scan is taken as it is. Where lies what, ``path`` and the names of files, is nobody else's
    business: runs keep ``data`` instead, the SHA-256 of all files that are read to test. See docs/recorded.md.
    """

    format: Literal["files", "syndeeplesion", "aapm2024", "aapm2024-head", "export"] = "files"
    """Files that the tables below describe, the SynDeepLesion data set, body or head scans of the AAPM CT-MAR
    challenge, or a folder that `marbench export` wrote."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """The folder of the files; relative to the spec file."""
    data: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the files, to which they are held."""
    image: Literal["ours", "theirs"] = "ours"
    """Whose reconstruction is the uncorrected image, and the truth: ours of the sinogram, or the one in the files."""
    water_attenuation: Annotated[float, Field(gt=0, le=10)] | None = None
    """µ of water in 1/cm that makes HU of images in 1/cm; by default that of the physics."""
    window_hu: tuple[float, float] = (-175.0, 275.0)
    """Display window of all slices."""
    sinogram: RaysFile | None = None
    """Of the scan with metal: line integrals, corrected for beam hardening in water."""
    mask: ImageFile | None = None
    """Pixels that are metal."""
    trace: RaysFile | None = None
    """Rays that meet metal; without it those that meet the mask."""
    uncorrected: ImageFile | None = None
    """Their reconstruction of the sinogram."""
    anatomy: ImageFile | None = None
    """The clean slice itself: the truth where `truth.image` is "anatomy"."""
    truth: ImageFile | None = None
    """Their reconstruction of the scan without metal."""
    truth_sinogram: RaysFile | None = None
    """Of the scan without metal."""

    def arrays(self) -> dict[str, ArrayFile]:
        """Return the tables that are there: role → array."""
        named = {name: getattr(self, name) for name in _ROLES}
        return {name: each for name, each in named.items() if each is not None}

    @field_validator("window_hu")
    @classmethod
    def _low_below_high(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not -1e5 <= value[0] < value[1] <= 1e5:
            raise ValueError("a window is (low, high) in HU")
        return value

    @model_validator(mode="after")
    def _known_where_things_lie(self) -> Self:
        described = self.arrays()
        if self.path is None and self.data is None:
            raise ValueError("path is needed: the folder of the files")
        if self.format != "files" and described:
            raise ValueError(f'format = "{self.format}" says where everything lies: leave out {", ".join(described)}')
        if self.format == "files":
            self._complete(described)
        return self

    def _complete(self, described: dict[str, ArrayFile]) -> None:
        if missing := [name for name in ("sinogram", "mask") if name not in described]:
            raise ValueError(f'format = "files" needs the table [recorded.{missing[0]}]')
        if self.image == "theirs" and "uncorrected" not in described:
            raise ValueError('image = "theirs" needs the table [recorded.uncorrected]')
        if self.path is None:
            return  # of a results folder, which names no files
        if nameless := [name for name, each in described.items() if each.file is None]:
            raise ValueError(f"[recorded.{nameless[0]}] needs file: the name of its files")
        known = described["sinogram"].fields
        for name, each in described.items():
            if each.fields - known:
                raise ValueError(
                    f"[recorded.{name}] asks for {', '.join(sorted(each.fields - known))}, which the files of the "
                    "sinogram do not tell: cases are what matches its name"
                )
            if "{" in (each.index or "") and "{metal:d}" not in (described["sinogram"].file or ""):
                raise ValueError(
                    f'[recorded.{name}] index = "{each.index}" needs {{metal:d}} in the name of the sinogram\'s file: '
                    "without :d, files are cases whose metal is no number"
                )
