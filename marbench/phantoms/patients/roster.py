"""Who is in a split: names of procedural patients and slices, and how slices spread over patients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from marbench.anatomy.slices import Split
from marbench.errors import DataError

__all__ = ["Roster"]

_NUMBER: Mapping[Split, int] = {"train": 1, "val": 2, "test": 3}


class Roster:
    """Patients of every split, and their slices.

    Parameters
    ----------
    seed : int
        Non-negative.
    counts : mapping of split to (patients, slices)
    letter : str
        Tells the patients of one source from those of another, as in ``test-p003``.

    Raises
    ------
    DataError
        A negative seed, an unknown split, or a patient without a slice.
    """

    def __init__(self, seed: int, counts: Mapping[Split, tuple[int, int]], letter: str) -> None:
        if seed < 0:
            raise DataError(f"Procedural patients need a seed of 0 or more. Got {seed}.")
        for split, (patients, slices) in counts.items():
            if split not in _NUMBER:
                raise DataError(f"Procedural patients know the splits {', '.join(get_args(Split))}. Got {split!r}.")
            if patients < 0 or slices < patients or (patients == 0 and slices > 0):
                raise DataError(
                    f"{slices} slices cannot be spread over {patients} procedural patients of split {split!r}; "
                    "every patient needs at least one slice."
                )
        self.seed = seed
        self._counts = dict(counts)
        self._letter = letter

    def patients(self, split: Split) -> dict[str, tuple[str, ...]]:
        """Return the slice ids of every patient of a split, e.g. ``{"test-p000": ("test-p000-s0", …)}``."""
        names = [f"{split}-{self._letter}{number:03d}" for number in range(self._counts.get(split, (0, 0))[0])]
        return {name: tuple(f"{name}-s{k}" for k in range(self.slices(split, n))) for n, name in enumerate(names)}

    def slices(self, split: Split, patient: int) -> int:
        """Return the number of slices of a patient; 0 for one who is not in the split."""
        patients, slices = self._counts.get(split, (0, 0))
        if patient >= patients:
            return 0
        # Steps of a rounded straight line: no two patients differ by more than one slice.
        return slices * (patient + 1) // patients - slices * patient // patients

    def find(self, patient_id: str, slice_id: str) -> tuple[Split, int, int]:
        """Return split, number of the patient and number of the slice.

        Raises
        ------
        DataError
            The ids do not belong together, or nobody of that name is in the split.
        """
        match = re.fullmatch(rf"(({'|'.join(_NUMBER)})-{self._letter}(\d{{3,}}))-s(\d+)", slice_id)
        if match is None or match[1] != patient_id:
            raise DataError(
                f"A procedural slice is named like 'test-{self._letter}003-s0' and belongs to "
                f"'test-{self._letter}003'. Got {slice_id!r} of {patient_id!r}."
            )
        split: Split = next(name for name in _NUMBER if name == match[2])
        own = self.slices(split, int(match[3]))
        if int(match[4]) >= own:
            raise DataError(f"Slice {slice_id!r} is not in split {split!r}, where {patient_id!r} has {own} slices.")
        return split, int(match[3]), int(match[4])

    def entropy(self, split: Split, patient: int) -> tuple[int, ...]:
        """Return what seeds a patient: nobody else, in no other split or seed or source, has the same."""
        return (self.seed, _NUMBER[split], ord(self._letter), patient)

    def texture_seed(self, split: Split) -> int:
        """Return the seed of the random fields that the patients of a split share."""
        return 4 * self.seed + _NUMBER[split]
