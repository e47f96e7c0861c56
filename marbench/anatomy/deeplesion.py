"""CT slices from the NIH DeepLesion data set.

K. Yan, X. Wang, L. Lu, R. M. Summers, "DeepLesion: automated mining of large-scale lesion annotations and universal
lesion detection with deep learning", Journal of Medical Imaging 5 (3), 036501, 2018.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.native import NativeSlice, UnreadableFile, content_of
from marbench.anatomy.resample import Fit
from marbench.anatomy.slices import Split
from marbench.anatomy.split import Counts, divided_officially
from marbench.errors import DataError

__all__ = ["DeepLesion"]

TABLE = "DL_info.csv"
IMAGES = "Images_png"
COLUMNS = ("File_name", "Patient_index", "DICOM_windows", "Spacing_mm_px_", "Train_Val_Test")
FILE_NAME = re.compile(r"(\d+_\d+_\d+)_(\d+)\.png")

OFFICIAL: Mapping[int, Split] = {1: "train", 2: "val", 3: "test"}

ABSENT = "series that were not downloaded"

OFFSET = 32768
"""A stored value is HU + 32768."""


class DeepLesion(SliceCollection):
    """The slices of DeepLesion: ``DL_info.csv`` beside ``Images_png/<series>/<slice>.png``.

    The official split of the patients is kept, and ``counts`` choose within it. Every slice of the series that the
    table names is used, the neighbours of the key slices too: 12 patients have no 200 key slices. A series whose
    folder is absent was not downloaded, which is counted in ``skipped``; a key slice that its folder lacks is an error.

    Parameters
    ----------
    path : str or Path
    counts, seed, fit
        See `SliceCollection`. Published work uses ``fit="image"``.

    Raises
    ------
    DataError
        For a missing or malformed table, no downloaded series at all, a missing key slice, or a picture that
        is not a 16-bit grey PNG.
    """

    def __init__(self, path: str | Path, counts: Counts, seed: int, fit: Fit = "image") -> None:
        super().__init__(path, counts, seed, fit)
        named = _read_table(self.path / TABLE)
        images = self.path / IMAGES
        downloaded = {folder.name for folder in images.iterdir()} if images.is_dir() else set()
        absent = sum(series not in downloaded for series in named)
        if absent:
            self.skipped[ABSENT] = absent
        if absent == len(named):
            raise DataError(
                f"{images} holds none of the {len(named)} series that {TABLE} names. Unpack the DeepLesion images so "
                f"that {IMAGES}/{next(iter(named))}/*.png exists."
            )
        self._series: defaultdict[str, list[_Series]] = defaultdict(list)
        for name in sorted(named.keys() & downloaded):
            self._series[named[name].patient_id].append(named[name])

    def patient_ids(self) -> Sequence[str]:
        """Return every patient of whom a series was downloaded, sorted."""
        return self._patient_ids

    def stored_slices(self, patient_id: str) -> Sequence[_Png]:
        """Return the slices of a patient, series by series."""
        return [stored for series in self._series[patient_id] for stored in series.slices(self.path / IMAGES)]

    @cached_property
    def division(self) -> Mapping[Split, Sequence[str]]:
        """The patients of every split, chosen within the official one."""
        official = {patient: series[0].split for patient, series in self._series.items()}
        return divided_officially(official, self.counts, self.seed)

    @cached_property
    def _patient_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._series))


@dataclass(frozen=True)
class _Series:
    name: str
    patient_id: str
    split: Split
    spacing: tuple[float, float]
    window: tuple[float, float]
    key_slices: frozenset[str]

    def slices(self, images: Path) -> list[_Png]:
        files = sorted(file for file in (images / self.name).glob("*.png") if file.stem.isdecimal())
        missing = self.key_slices - {file.name for file in files}
        if missing:
            names = ", ".join(sorted(missing))
            raise UnreadableFile(
                images / self.name, f"{names} is missing, which {TABLE} names. Unpack the series again."
            )
        return [_Png(file, f"{self.name}_{file.stem}", self.spacing, self.window) for file in files]


@dataclass(frozen=True)
class _Png:
    file: Path
    name: str
    spacing: tuple[float, float]
    window: tuple[float, float]

    remedy = f"DeepLesion stores HU + {OFFSET}: use the pictures and the table as published."

    def read(self) -> NativeSlice:
        content = content_of(self.file)
        try:
            stored = _pixels(content)
        except Exception as error:  # Pillow raises many kinds
            raise DataError(f"the picture cannot be read ({error}). Unpack the series again.") from error
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise DataError(
                f"wrong bit depth: expected a grey PNG of 16 bits (HU + {OFFSET}). Got {stored.dtype}, "
                f"shape {stored.shape}. Use the pictures as published; viewers save 8 bits."
            )
        return NativeSlice.of(stored.astype(np.float32) - OFFSET, self.spacing, self.window)


def _pixels(content: bytes) -> NDArray[np.unsignedinteger]:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        # Some releases of Pillow open 16 bits of grey as int32 (mode "I"), others as uint16 ("I;16").
        return np.asarray(picture, np.uint16 if picture.mode.startswith("I") else np.uint8)


def _read_table(path: Path) -> dict[str, _Series]:
    """Return the series that the table names, with their key slices."""
    if not path.is_file():
        raise DataError(f"{path} does not exist. DeepLesion is a folder with {TABLE} and {IMAGES}.")
    series: dict[str, _Series] = {}
    splits: dict[str, Split] = {}
    for line, row in _rows(path):
        try:
            key = _parse_row(row)
        except (KeyError, ValueError) as error:
            raise DataError(f"{path}, line {line}: cannot be read ({error!r}). Download it again.") from error
        if splits.setdefault(key.patient_id, key.split) != key.split:
            raise DataError(f"{path}, line {line}: patient {key.patient_id} is in two splits.")
        known = series.get(key.name, key)
        series[key.name] = replace(known, key_slices=known.key_slices | key.key_slices)
    if not series:
        raise DataError(f"{path} has no rows. Download it again.")
    return series


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of the table with the numbers of their lines."""
    try:
        table = csv.DictReader(io.StringIO(_decoded(path.read_bytes()), newline=""), restval="")
        missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
        if missing:
            raise DataError(
                f"{path}: expected the columns {', '.join(COLUMNS)}, separated by commas; {', '.join(missing)} is "
                "missing. Use the table as published."
            )
        for row in table:
            yield table.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}). Use the table as published: CSV in UTF-8.") from error


def _decoded(content: bytes) -> str:
    """Return the text of a table; spreadsheets save it as UTF-16 or in the code page of western Europe too."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # of what is read here, all is ASCII


def _parse_row(row: Mapping[str, str]) -> _Series:
    """Return the series of one lesion, with one key slice.

    >>> row = {"File_name": "000001_01_01_109.png", "Patient_index": "1", "DICOM_windows": "-175, 275"}
    >>> _parse_row(row | {"Spacing_mm_px_": "0.488281, 0.488281, 5", "Train_Val_Test": "3"}).key_slices
    frozenset({'109.png'})
    """
    parts = FILE_NAME.fullmatch(row["File_name"])
    if parts is None:
        raise ValueError(f"File_name {row['File_name']!r}")
    low, high = (float(bound) for bound in row["DICOM_windows"].split(","))
    column, line, _ = (float(size) / 10 for size in row["Spacing_mm_px_"].split(","))
    if not (low < high and min(line, column) > 0 and max(line, column) < math.inf):
        raise ValueError(f"DICOM_windows {row['DICOM_windows']!r}, Spacing_mm_px_ {row['Spacing_mm_px_']!r}")
    return _Series(
        name=parts[1],
        patient_id=f"{int(row['Patient_index']):06d}",
        split=OFFICIAL[int(row["Train_Val_Test"])],
        spacing=(line, column),
        window=(low, high),
        key_slices=frozenset({f"{parts[2]}.png"}),
    )
