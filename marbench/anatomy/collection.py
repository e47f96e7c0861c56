"""What collections of real CT slices share: identity by content, screening, splits, the way onto the grid."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

from marbench.anatomy.body import body_extent
from marbench.anatomy.native import NativeSlice, StoredSlice, UnreadableFile
from marbench.anatomy.regions import region_of_slice
from marbench.anatomy.resample import Fit, resample
from marbench.anatomy.screening import SMALLEST_BODY_CM2, unfit
from marbench.anatomy.slices import Slice, Split
from marbench.anatomy.split import Counts, choose_evenly, divide
from marbench.errors import DataError, nearest
from marbench.geometry import ImageGrid
from marbench.machine.text import clean_line

__all__ = ["SliceCollection"]

DIGITS_OF_ID = 12
"""Hex digits of the pixels' digest in a slice id: 48 bits, which a million slices share by chance once in 500."""


@dataclass(frozen=True)
class _Examined:
    """What is known of a slice that was read: its id, digest, window, region and body's extent (height, width) in cm.

    ``reason`` says why it is left out. The extent is 0 of those, and where the whole picture is fitted.
    """

    slice_id: str
    digest: str
    window: tuple[float, float]
    region: str
    extent: tuple[float, float]
    reason: str | None

    @property
    def kind(self) -> str:
        """The reason without its figures; empty for a slice that can be used."""
        return (self.reason or "").split(":")[0]


class SliceCollection(ABC):
    """A `SliceSource` over files. A format says which patients there are and where their slices lie.

    Pixels are read only where they are needed: to screen the slices that a split may use, and to load one.

    Parameters
    ----------
    path : Path
        The folder.
    counts : mapping of split to (patients, slices)
        None takes all that remain.
    seed : int
        Decides which patients go where.
    fit : {"physical", "image"}
        See `marbench.anatomy.resample.resample`.
    pattern : str, optional
        Of DICOM and NIfTI: which files, see `marbench.anatomy.files.files_below`.

    Attributes
    ----------
    skipped : Counter
        Number of files passed over, by reason.
    remarks : Counter
        Number of slices of which something had to be assumed, by what.
    """

    def __init__(self, path: str | Path, counts: Counts, seed: int, fit: Fit) -> None:
        if fit not in get_args(Fit):
            raise DataError(f"unknown fit {fit!r}; {nearest(str(fit), get_args(Fit))}")
        self.path = Path(path)
        if not self.path.is_dir():
            raise DataError(f"{self.path} is not a folder; {type(self).__name__} reads a folder of CT slices.")
        self.counts = dict(counts)
        self.seed = seed
        self.fit: Fit = fit
        self.skipped: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self._stored: dict[str, tuple[StoredSlice, ...]] = {}
        self._examined: dict[tuple[str, StoredSlice], _Examined] = {}
        self._places: dict[tuple[str, str], StoredSlice] = {}
        self._pictures: Counter[str] = Counter()
        self._owners: dict[str, str] = {}
        self._chosen: dict[Split, dict[str, tuple[str, ...]]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @abstractmethod
    def patient_ids(self) -> Sequence[str]:
        """Return what every patient is called, in any split or none."""

    @abstractmethod
    def stored_slices(self, patient_id: str) -> Sequence[StoredSlice]:
        """Return the slices of one patient in anatomical order."""

    def identity(self, patient_id: str) -> str:
        """Return who a patient is, where that is no one else's business; it decides the split and never leaves here."""
        return patient_id

    @property
    def left_out(self) -> dict[str, str]:
        """Why slices that were examined so far are not used, by slice id: metal, no patient there, not in HU."""
        return {one.slice_id: one.reason for one in self._examined.values() if one.reason is not None}

    def notices(self, grid: ImageGrid) -> tuple[str, ...]:
        """What was passed over, left out and assumed so far, and what does not fit a grid.

        The lines name no file and may be published.
        """
        lines = [f"Passed over: {_listed(self.skipped)}."] if self.skipped.total() else []
        lines += [f"Assumed: {_listed(self.remarks)}."] if self.remarks.total() else []
        kinds = Counter(one.kind for one in self._examined.values() if one.reason)
        if kinds:
            lines.append(f"Left out of {len(self._examined)} slices that were looked at: {_listed(kinds)}.")
        # Of these kinds there should be none, so the first of each is named.
        odd = {one.kind: one for one in reversed(self._examined.values()) if one.reason and ":" in one.reason}
        odd.pop("metal", None)
        return (*lines, *self._cut(grid), *(f"{one.slice_id} is left out, {one.reason}." for one in odd.values()))

    def _cut(self, grid: ImageGrid) -> Iterator[str]:
        """Tell of bodies that are larger than a grid: what lies beyond its edge becomes air, in the truth, too."""
        used = [one.extent for one in self._examined.values() if one.reason is None]
        cut = [
            extent for extent in used if any(size > side for size, side in zip(extent, grid.field_of_view, strict=True))
        ]
        if cut:
            height, width = grid.field_of_view
            yield (
                f"Cut off at the edge of the image, which is {width:.1f} cm wide and {height:.1f} cm high: {len(cut)} "
                f"of {len(used)} slices, whose bodies are up to {max(extent[1] for extent in cut):.1f} cm wide and "
                f"{max(extent[0] for extent in cut):.1f} cm high. More or larger pixels hold them "
                '(grid.size, grid.pixel_cm); fit = "image" scales every slice.'
            )

    def patients(self, split: Split) -> Mapping[str, Sequence[str]]:
        """Return the slice ids of every patient of a split, in anatomical order.

        Patients are ordered by their pixels, not by what they are called: on every machine alike.
        """
        if split not in self._chosen:
            self._chosen[split] = self._choose(split)
        return self._chosen[split]

    def data(self, regions: bool = False) -> str:
        """Return the SHA-256 of the test slices: their pixels and windows, and which of them are of one patient.

        That is what scores depend on; and on the ``regions``, where these choose the implants. What the patients are
        called, what the files are called and in which order they lie does not count.
        """
        chosen = self.patients("test")
        lines = {
            (name, one.slice_id): f"{one.digest} {_text(one.window)}{f' {one.region}' if regions else ''}"
            for (name, _), one in self._examined.items()
        }
        patients = ["\n".join(sorted(lines[name, one] for one in slices)) for name, slices in chosen.items()]
        return hashlib.sha256("\n\n".join(sorted(patients)).encode()).hexdigest()

    def region(self, patient_id: str, slice_id: str) -> str:
        """Return the body region of a slice of a split: of its header, or else told from its pixels when it is read.

        Raises
        ------
        DataError
            No split has this slice.
        """
        key = patient_id, slice_id
        for split in self.counts:
            if key not in self._places:  # of a split that nobody uses the slices need not even be readable
                self.patients(split)
        if key not in self._places:
            raise DataError(f"patient {patient_id} has no slice {slice_id!r}.")
        return self._examine(patient_id, self._places[key]).region

    def load(self, patient_id: str, slice_id: str, grid: ImageGrid) -> Slice:
        """Return one slice on a grid.

        Raises
        ------
        DataError
            When there is no such slice, or its file is broken or has changed since it was listed. The message, which
            may end up in published results, names the slice and no file.
        """
        try:
            native = self._find(patient_id, slice_id)
        except UnreadableFile as error:
            # Without the cause, too: its traceback would name the file.
            raise DataError(f"slice {slice_id}: {_anonymous(error.reason, error.file)}") from None
        image = resample(native.image, native.spacing, grid, self.fit)
        return Slice(image, native.window, patient_id, slice_id, native.region, native.digest)

    @cached_property
    def division(self) -> Mapping[Split, Sequence[str]]:
        """The patients of every split."""
        return divide(self.patient_ids(), self.counts, self.seed, self.identity)

    def _choose(self, split: Split) -> dict[str, tuple[str, ...]]:
        wanted = self.counts.get(split, (0, 0))[1]
        patients = self.division[split] if wanted != 0 else ()
        candidates = {patient: [(patient, one) for one in self._slices_of(patient)] for patient in patients}
        chosen = choose_evenly(candidates, wanted, lambda pair: self._examine(*pair).reason is None)
        for patient, slices in candidates.items():
            self._refuse_unproven(patient, [pair[1] for pair in slices if pair in self._examined])
        found = sum(map(len, chosen.values()))
        if found < (wanted if wanted is not None else min(1, len(candidates))):
            asked = "all slices" if wanted is None else f"{wanted} slices"
            raise DataError(
                f"the {split} split asks for {asked}, but its {len(candidates)} patients have {found} that can be used "
                f"({self._reasons()}). Ask for fewer slices, for more patients, or add data."
            )
        examined = {patient: [self._examine(*pair) for pair in pairs] for patient, pairs in chosen.items()}
        order = sorted(examined, key=lambda patient: min(one.digest for one in examined[patient]))
        return {patient: tuple(one.slice_id for one in examined[patient]) for patient in order}

    def _refuse_unproven(self, patient_id: str, slices: Sequence[StoredSlice]) -> None:
        """Raise an error for a patient without a usable slice, most of them for not being in HU: that is no slip."""
        examined = [self._examine(patient_id, one) for one in slices]
        doubted = [
            one for one, found in zip(slices, examined, strict=True) if found.kind in ("not in HU", "pixel size")
        ]
        if 2 * len(doubted) >= len(examined) > 0 and all(found.reason for found in examined):
            first = doubted[0]
            raise UnreadableFile(
                first.file,
                f"expected HU, with air near -1000, in pixels of a scanner's size. {len(doubted)} of {len(examined)} "
                f"slices are not; {first.name} is {self._examine(patient_id, first).reason}. {first.remedy}",
            )

    def _reasons(self) -> str:
        kinds = Counter(one.kind for one in self._examined.values() if one.reason)
        return f"{kinds.total()} left out{': ' if kinds else ''}{', or '.join(sorted(kinds))}"

    def _passed_over(self) -> str:
        return f": {_listed(self.skipped)}" if self.skipped.total() else ""

    def _slices_of(self, patient_id: str) -> tuple[StoredSlice, ...]:
        if patient_id not in self._stored:
            self._stored[patient_id] = tuple(self.stored_slices(patient_id))
        return self._stored[patient_id]

    def _examine(self, patient_id: str, stored: StoredSlice) -> _Examined:
        """Return the id of a slice and why it is left out, reading it once per process."""
        key = patient_id, stored
        if key not in self._examined:
            try:
                native = stored.read()
            except DataError as error:
                raise UnreadableFile(stored.file, str(error)) from error
            slice_id = f"{stored.name}-{native.digest[:DIGITS_OF_ID]}"
            self._pictures[slice_id] += 1
            if (uses := self._pictures[slice_id]) > 1:
                # The very same picture again: a copy, or a phantom. Ids are unique all the same.
                slice_id += f".{uses}"
            if self._owners.setdefault(native.digest, patient_id) != patient_id:
                self.remarks["slices with the pixels of another patient's are slices of their own"] += 1
            # Where the whole picture is fitted, patients have no size of their own.
            smallest = SMALLEST_BODY_CM2 if self.fit == "physical" else 0.0
            reason = native.doubt or native.clipped or unfit(native.image, native.spacing, smallest)
            region, extent = native.region, (0.0, 0.0)
            if reason is None:
                region = region_of_slice(region, native.image, native.spacing)
                if self.fit == "physical":
                    extent = body_extent(native.image, native.spacing)
            self._examined[key] = _Examined(slice_id, native.digest, native.window, region, extent, reason)
            # Asked for once per slice: a search through all of them each time would be quadratic.
            self._places[patient_id, slice_id] = stored
        return self._examined[key]

    def _find(self, patient_id: str, slice_id: str) -> NativeSlice:
        name, _, digest = slice_id.partition(".")[0].rpartition("-")
        if patient_id not in self.patient_ids():
            raise DataError(f"there is no patient {patient_id!r} among the {len(self.patient_ids())} of these data.")
        known = self._places.get((patient_id, slice_id))  # not in a process that was given ids alone
        fault = DataError(f"patient {patient_id} has no slice {slice_id!r}.")
        for stored in [known] if known else [one for one in self._slices_of(patient_id) if one.name == name]:
            try:
                native = stored.read()
            except DataError as error:
                fault = UnreadableFile(stored.file, str(error))
                continue
            if native.digest.startswith(digest):
                return native
            fault = DataError(
                f"slice {slice_id} has changed: the pixels in its file now have the digest "
                f"{native.digest[:DIGITS_OF_ID]}. Restore the file, or start a new run with the new data."
            )
        raise fault


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common() if count)


def _anonymous(text: str, file: Path) -> str:
    """Return what went wrong with a file without its name and place, which may be a person's name."""
    for name in (str(file), str(file.resolve()), file.name):
        if len(name) > 2:
            text = text.replace(name, "its file")
    return clean_line(text)


def _text(window: tuple[float, float]) -> str:
    return f"{window[0]:.6g} {window[1]:.6g}"
