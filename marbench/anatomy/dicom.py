"""CT slices from a folder tree of DICOM files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.dicom_header import frames_of, naming, read_header, reason_to_skip
from marbench.anatomy.dicom_slice import DicomSlice, pixel_digest
from marbench.anatomy.dicom_values import calibration, whole
from marbench.anatomy.files import files_below
from marbench.anatomy.pseudonyms import patient_label
from marbench.anatomy.resample import Fit
from marbench.anatomy.split import Counts
from marbench.errors import DataError

__all__ = ["DicomFolder"]

LARGEST_NUMBER = 99_999
"""Of series and instance in the name of a slice."""

UNTURNED = "slices without ImageOrientationPatient, taken as the patient's right on the left and anterior up"
ODD_WINDOW = "slices whose display window is none of HU, shown and scored from −160 to 240 HU"


@dataclass(frozen=True)
class _Indexed:
    """A slice, and whose it is as far as its own header tells."""

    patient: str
    study: str
    stored: DicomSlice


class DicomFolder(SliceCollection):
    """The axial CT slices below a folder, grouped by patient, series and position.

    Other modalities, localizers, reformats that are not axial, screen captures, maps of something else than HU and
    files that are not DICOM are passed over and counted in ``skipped``. A CT slice whose header cannot be used is an
    error that names its file. Every slice is turned by its own orientation and resampled by its own matrix and spacing,
    so the slices of a series may differ in all three. The frames of enhanced images are slices.

    A patient is whoever has one PatientID. A file without any belongs to the one patient of its study, or the study is
    a patient. All are known by a salted digest alone (see `marbench.anatomy.pseudonyms`), also where the file calls
    itself de-identified: what stands there may be a name. Slices are known by the numbers of series and instance and by
    their pixels.

    Parameters
    ----------
    path : str or Path
        Searched recursively.
    counts, seed, fit, pattern
        See `SliceCollection`. ``fit="physical"`` needs PixelSpacing in every slice.

    Raises
    ------
    DataError
        For a folder without CT slices, a broken or unsuitable slice, or when pydicom is not installed.
    """

    def __init__(
        self, path: str | Path, counts: Counts, seed: int, fit: Fit = "physical", pattern: str | None = None
    ) -> None:
        super().__init__(path, counts, seed, fit)
        files = files_below(self.path, pattern)
        self.skipped.update(files.skipped)
        indexed = [one for file in files.found for one in self._slices_in(file)]
        if not indexed:
            raise DataError(
                f"no CT slice in {self.path}: {len(files.found)} files{self._passed_over()}. "
                "Name a folder that holds axial CT images in DICOM format."
            )
        by_patient = _by_patient(indexed)
        self._identities = {patient_label(identity): identity for identity in by_patient}
        self._slices = {label: self._arrange(by_patient[identity]) for label, identity in self._identities.items()}

    def patient_ids(self) -> Sequence[str]:
        """Return what every patient is called, sorted."""
        return self._patient_ids

    def stored_slices(self, patient_id: str) -> Sequence[DicomSlice]:
        """Return the slices of a patient by series and position."""
        return self._slices[patient_id]

    def identity(self, patient_id: str) -> str:
        """Return the patient's PatientID, or the study's UID."""
        return self._identities[patient_id]

    @cached_property
    def _patient_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._slices))

    def _slices_in(self, file: Path) -> Iterator[_Indexed]:
        """Yield the slices in a file, their headers checked; what is passed over is counted."""
        with naming(file):
            header = read_header(file)
            if header is None:
                self.skipped["not DICOM"] += 1
                return
            for number, frame in enumerate(frames_of(header)):
                reason = reason_to_skip(frame)
                if reason is None:
                    self.remarks[ODD_WINDOW] += calibration(frame, self.fit).odd_window
                    self.remarks[UNTURNED] += not frame.get("ImageOrientationPatient")
                    yield self._indexed(file, number, frame)
                else:
                    self.skipped[reason] += 1

    def _indexed(self, file: Path, number: int, header: Any) -> _Indexed:
        stored = DicomSlice.of(header, file, number, _slice_name(header), self.fit)
        return _Indexed(str(header.get("PatientID") or "").strip(), str(header.get("StudyInstanceUID")), stored)

    def _arrange(self, slices: Iterable[DicomSlice]) -> list[DicomSlice]:
        """Return the slices of a patient in order, without copies."""
        unlike = self._without_copies(slices)
        sizes = Counter(stored.order[:2] for stored in unlike)

        def along_patient(stored: DicomSlice) -> tuple[object, ...]:
            number, series, *place = stored.order
            # Where each slice calls itself a series of its own, the position alone orders them.
            named = series if sizes[number, series] > 1 else ""
            return number, named, *place, series, stored.instance or str(stored.file)

        return sorted(unlike, key=along_patient)

    def _without_copies(self, slices: Iterable[DicomSlice]) -> list[DicomSlice]:
        """Return slices without those of the same place and pixels, whatever UIDs they have.

        The UIDs say nothing: some software gives all slices of a series one SOPInstanceUID, some a new one to copies.
        A copy of a series may have other instance numbers, too; within a series, or where the position is unknown,
        slices of different numbers are different ones.
        """
        by_place: defaultdict[object, list[DicomSlice]] = defaultdict(list)
        for stored in slices:
            position, number = stored.place
            by_place[number if position is None else (position,)].append(stored)  # a place is no number
        kept: list[DicomSlice] = []
        for here in by_place.values():
            # Most places have one slice, and its pixels need not be read.
            series, numbers = {stored.order[1] for stored in here}, {stored.place[1] for stored in here}
            differ = len(series) == 1 and len(numbers) == len(here)
            # A compressed copy has the same pixels, in other bytes.
            decode = len({stored.syntax for stored in here}) > 1
            alike: defaultdict[bytes, dict[str, dict[int, DicomSlice]]] = defaultdict(lambda: defaultdict(dict))
            for stored in here:
                digest = b"" if differ else pixel_digest(stored, decode)
                alike[digest][stored.order[1]].setdefault(stored.place[1], stored)
            # Of several series that have these pixels, the one that has them most often.
            chosen = [one for found in alike.values() for one in max(found.values(), key=len).values()]
            if len(chosen) < len(here):
                self.skipped["copies of a slice"] += len(here) - len(chosen)
            kept += chosen
        return kept


def _by_patient(indexed: Iterable[_Indexed]) -> dict[str, list[DicomSlice]]:
    """Return the slices of every patient, by one rule for all files: else one person would be two, in two splits."""
    indexed = list(indexed)
    known = defaultdict(set)
    for one in indexed:
        if one.patient:
            known[one.study].add(one.patient)
    patients: defaultdict[str, list[DicomSlice]] = defaultdict(list)
    for one in indexed:
        of_study = known[one.study]
        identity = one.patient or (min(of_study) if len(of_study) == 1 else f"study {one.study}")
        patients[identity].append(one.stored)
    return patients


def _slice_name(header: Any) -> str:
    named = whole(header, "SeriesNumber"), whole(header, "InstanceNumber")
    # Longer ones are dates or the like, which are nobody's business; the pixels tell such slices apart.
    series, instance = (number if 0 <= number <= LARGEST_NUMBER else 0 for number in named)
    return f"s{series}-i{instance:04d}"
