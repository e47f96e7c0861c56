"""A case of the corpus: files as people have them, what they hold, and the judgement of how marbench reads them."""

from __future__ import annotations

import re
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.deeplesion import DeepLesion
from marbench.anatomy.dicom import DicomFolder
from marbench.anatomy.nifti import NiftiFolder
from marbench.errors import MarbenchError
from marbench.geometry import ImageGrid

__all__ = ["CASES", "PIXEL_MM", "SIZE", "Case", "Outcome", "body", "case", "judge"]

SIZE, PIXEL_MM = 128, 3.0
TOLERANCE_HU = 1.0
WIDE = ImageGrid(8, 8, 10.0)
"""A grid that cuts nobody off."""

Image = NDArray[np.floating[Any]]
Make = Callable[[Path], Sequence[Image] | None]
READERS: dict[str, type[SliceCollection]] = {"dicom": DicomFolder, "nifti": NiftiFolder, "deeplesion": DeepLesion}


@dataclass(frozen=True)
class Case:
    """One awkward input.

    Attributes
    ----------
    name, source : str
        What it is, and where in public it was met.
    reader : str
    make : callable
        Writes the files into a folder and returns what a right reading gives, in HU, as radiologists see it, in
        anatomical order; None where only a refusal is right.
    refused : str
        A pattern that the refusal has to match: file, attribute, remedy. Empty where it has to be read.
    told : str
        A pattern that what is told beside the slices has to match.
    patients : int
    options : dict
        Of the reader.
    """

    name: str
    source: str
    reader: str
    make: Make
    refused: str = ""
    told: str = ""
    patients: int = 1
    options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What happened: ``read``, ``refused``, or what is wrong."""

    right: bool
    text: str


CASES: list[Case] = []


def case(
    name: str, source: str, reader: str, refused: str = "", told: str = "", patients: int = 1, **options: Any
) -> Callable[[Make], Make]:
    """Register a function that makes the files of a case."""

    def register(make: Make) -> Make:
        CASES.append(Case(name, source, reader, make, refused, told, patients, options))
        return make

    return register


def body(number: int = 0) -> NDArray[np.int16]:
    """Return a slice in HU with noise: fat, soft tissue, spine behind, a rod in the patient's right, gas in front."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL_MM / 10
    image = np.full((SIZE, SIZE), -1000.0)
    image[(x / 15) ** 2 + (y / 11) ** 2 < 1] = -100
    image[(x / 13.5) ** 2 + (y / 9.5) ** 2 < 1] = 40
    image[np.hypot(x, y - 6) < 2] = 700
    image[np.hypot(x + 8, y) < 2] = 300
    image[np.hypot(x - 1, y + 5) < 1.5] = -900
    image += np.random.default_rng(number).normal(0, 12, image.shape)
    return np.maximum(np.rint(image), -1024).astype(np.int16)


def judge(one: Case) -> Outcome:
    """Make the files, read them, and compare with what is in them."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place) / "data"
        folder.mkdir()
        expected = one.make(folder)
        try:
            source = READERS[one.reader](folder, {"test": (None, None)}, seed=0, **(one.options or {}))
            found = _slices(source)
        except MarbenchError as error:
            return _refusal(one, str(error))
        except Exception:
            return Outcome(False, f"TRACEBACK {traceback.format_exc(limit=-1)}")
        if one.refused or expected is None:
            return Outcome(False, f"SILENT: {len(found)} slices are read")
        if len(source.patients("test")) != one.patients:
            return Outcome(False, f"SILENT: {len(source.patients('test'))} patients, {one.patients} are there")
        return _comparison(one, found, expected, " ".join(source.notices(WIDE)))


def _slices(source: SliceCollection) -> list[Image]:
    """Return the pictures of the test slices, as they are stored."""
    images = []
    for patient, ids in source.patients("test").items():
        wanted = {name.partition(".")[0].rpartition("-")[0] for name in ids}
        images += [stored.read().image for stored in source.stored_slices(patient) if stored.name in wanted]
    return images


def _refusal(one: Case, said: str) -> Outcome:
    if not one.refused:
        return Outcome(False, f"REFUSED: {said}")
    if not re.search(one.refused, said, re.DOTALL):
        return Outcome(False, f"UNCLEAR: expected {one.refused!r}, got {said}")
    return Outcome(True, "refused")


def _comparison(one: Case, found: Sequence[Image], expected: Sequence[Image], told: str) -> Outcome:
    if [image.shape for image in found] != [image.shape for image in expected]:
        return Outcome(False, f"SILENT: {len(found)} slices are read, {len(expected)} are there, or of other shapes")
    worst = max(np.abs(image - np.maximum(right, -1000)).max() for image, right in zip(found, expected, strict=True))
    if not worst <= TOLERANCE_HU:
        return Outcome(False, f"SILENT: {worst:g} HU off")
    if not re.search(one.told, told):
        return Outcome(False, f"UNTOLD: expected {one.told!r}, got {told!r}")
    return Outcome(True, f"read, {len(found)} slice{'s' if len(found) != 1 else ''}{', told' if one.told else ''}")
