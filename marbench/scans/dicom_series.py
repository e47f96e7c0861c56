"""A series of CT slices in DICOM: which files are its slices, in which order, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from marbench.anatomy.dicom_header import frames_of, naming, read_header, reason_to_skip
from marbench.anatomy.dicom_slice import DicomSlice
from marbench.anatomy.dicom_values import calibration, whole
from marbench.anatomy.files import files_below
from marbench.anatomy.native import UnreadableFile
from marbench.anatomy.resample import Fit
from marbench.errors import DataError
from marbench.report.page import Output
from marbench.scans.derived_dicom import DerivedSeries, identity_of
from marbench.scans.series import Picture, Version, Writer, untouched

__all__ = ["DicomSeries"]

GAP = 1.5
"""A step is a gap where it is so many times the smallest one."""

LISTED = 3

Key = tuple[str, int, str, str]
"""What slices of one series share: SeriesInstanceUID, SeriesNumber, StudyInstanceUID, PatientID. UIDs alone may lie."""

UNKNOWN_SIDES = "ImageOrientationPatient is missing: taken as the patient's right on the left and anterior up."
UNKNOWN_PLACES = "ImagePositionPatient is missing in some slices: whether others are missing cannot be told."


@dataclass
class _Found:
    """The slices of a series, and what is wrong with the first file of it that cannot be used."""

    slices: list[DicomSlice] = field(default_factory=list)
    fault: UnreadableFile | None = None


class DicomSeries:
    """The axial slices of one series below a folder, from foot to head.

    Parameters
    ----------
    folder : Path
        Searched recursively. Other modalities, localizers, reformats and captures are passed over, as by
        `marbench.anatomy.dicom.DicomFolder`; slices with metal are not.
    fit : {"physical", "image"}
        Of the benchmark: "physical" needs PixelSpacing.
    series : str
        SeriesNumber or SeriesInstanceUID, where the folder holds several.

    Raises
    ------
    DataError
        The folder holds no CT slices or several series, or a file of the series cannot be used.
    """

    kind = "DICOM series"

    def __init__(self, folder: Path, fit: Fit = "physical", series: str = "") -> None:
        self.file, self._fit = folder, fit
        files = files_below(folder)
        self._skipped = files.skipped
        self._unturned = False
        found: dict[Key, _Found] = {}
        for path in files.found:
            self._index(path, found)
        if not found:
            listed = ", ".join(f"{count} {reason}" for reason, count in self._skipped.most_common())
            raise DataError(
                f"no CT slice in {folder}: {len(files.found)} files{': ' if listed else ''}{listed}. "
                "Name a folder that holds a series of axial CT images in DICOM format, or a NIfTI file."
            )
        self._slices = sorted(_chosen(folder, found, series), key=lambda one: (one.order[2], one.order[3]))
        self.notices = tuple(self._notices())

    def __len__(self) -> int:
        return len(self._slices)

    def label(self, index: int) -> str:
        """See `Series`."""
        place, number = self._slices[index].place
        where = "" if place is None else f", {_number(place)} mm"
        return f"slice {index + 1} of {len(self)} (instance {number}{where})"

    def picture(self, index: int) -> Picture:
        """See `Series`."""
        stored = self._slices[index]
        try:
            decoded = stored.decode()
        except DataError as error:
            raise UnreadableFile(stored.file, str(error)) from error
        return Picture(decoded.native(), decoded.turned(untouched(decoded.image, decoded.padding)))

    def writer(self, version: Version, output: Output) -> Writer:
        """See `Series`."""
        return DerivedSeries(self._slices, self._identity, version, output)

    @cached_property
    def _identity(self) -> str:
        return identity_of(self._slices)

    def _index(self, path: Path, found: dict[Key, _Found]) -> None:
        """Add the slice in a file to its series, or what is wrong with it, which need not be the wanted series."""
        with naming(path):
            header = read_header(path)
            if header is None:
                self._skipped["not DICOM"] += 1
                return
            uid, study, patient = (
                str(header.get(keyword) or "") for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "PatientID")
            )
            key = uid, whole(header, "SeriesNumber"), study, patient
        try:
            with naming(path):
                for one in self._slices_in(path, header):
                    found.setdefault(key, _Found()).slices.append(one)
        except UnreadableFile as error:
            if not uid:
                raise  # whose it is, nobody knows
            its = found.setdefault(key, _Found())
            its.fault = its.fault or error

    def _slices_in(self, path: Path, header: Any) -> Iterator[DicomSlice]:
        """Yield the slice in a file, its header checked; what is passed over is counted."""
        frames = frames_of(header)
        reasons = [reason_to_skip(frame) for frame in frames]
        if None in reasons and frames[0] is not header:
            # Its attributes are per frame, and a derived image of the same kind another object altogether.
            raise DataError(
                f"expected a CT image of one slice. Got an enhanced image of {len(frames)} frames: convert it to "
                "single frames (dcm4che: emf2sf), or to NIfTI (dcm2niix)."
            )
        for frame, reason in zip(frames, reasons, strict=True):
            if reason is None:
                yield self._slice(path, frame)
            else:
                self._skipped[reason] += 1

    def _slice(self, path: Path, header: Any) -> DicomSlice:
        calibration(header, self._fit)
        self._unturned |= not header.get("ImageOrientationPatient")
        return DicomSlice.of(header, path, 0, f"i{whole(header, 'InstanceNumber'):04d}", self._fit)

    def _notices(self) -> Iterator[str]:
        if self._skipped:
            listed = ", ".join(f"{count} {reason}" for reason, count in self._skipped.most_common())
            yield f"Passed over: {listed}."
        if self._unturned:
            yield UNKNOWN_SIDES
        known = [one.place[0] for one in self._slices if one.place[0] is not None]
        if len(known) < len(self._slices):
            yield UNKNOWN_PLACES
        yield from _gaps(known)


def _chosen(folder: Path, found: Mapping[Key, _Found], wanted: str) -> Sequence[DicomSlice]:
    """Return the slices of the only series, or of the one that is wanted; raise what is wrong with it."""
    named = {key: its for key, its in found.items() if wanted in ("", key[0], str(key[1]))}
    if len(named) == 1:
        (its,) = named.values()
        if its.fault is not None:
            raise its.fault
        return its.slices
    if len(named) > len({key[:2] for key in named}):
        raise DataError(
            f"expected one series in {folder}. Got several patients or studies under one number and UID. Put each into "
            "a folder of its own."
        )
    listed = "; ".join(f"{key[1]} ({key[0] or '-'}, {len(found[key].slices)} slices)" for key in sorted(found))
    what = f"{len(named)} series {wanted!r}" if wanted and named else f"{len(found)} series"
    if wanted and not named:
        what = f"no series {wanted!r} among {len(found)}"
    # What they have in common chooses none of them.
    uids, numbers = ({key[part] for key in named or found} for part in (0, 1))
    by = "number" if len(uids) == 1 else "UID" if len(numbers) == 1 else "number or UID"
    raise DataError(f"expected one series in {folder}. Got {what}. Choose one with --series, by {by}: {listed}.")


def _gaps(places: Sequence[float]) -> Iterator[str]:
    """Yield what the positions of the slices, in mm and rising, tell: where some are missing, or several lie at one."""
    steps = np.diff(places).round(3)
    moves = steps[steps > 0]
    if len(moves) < len(steps):
        yield f"{len(steps) - len(moves)} slices lie where another one does."
    if not moves.size or moves.max() <= GAP * moves.min():
        return
    gaps = [(a, b) for a, b, step in zip(places[:-1], places[1:], steps, strict=True) if step > GAP * moves.min()]
    listed = "; ".join(f"{_number(a)} and {_number(b)} mm" for a, b in gaps[:LISTED])
    more = f"; and {len(gaps) - LISTED} times more" if len(gaps) > LISTED else ""
    near = f"{moves.min():g} mm apart at the closest"
    yield f"Slices are missing, or were scanned unevenly: they lie {near}, but there are none between {listed}{more}."


def _number(place: float) -> str:
    return f"{place:g}".replace("-", "−")
