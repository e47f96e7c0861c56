"""Where metal is in a scan without truth: by threshold, or from a mask that somebody drew."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask
from marbench.bench.options import Progress
from marbench.errors import DataError
from marbench.scans.series import Picture, Series

__all__ = ["DEFAULT_THRESHOLD_HU", "FoundMetal", "MetalChoice", "MetalOfSlice", "find_metal", "metal_by_threshold"]

DEFAULT_THRESHOLD_HU = 2000.0
"""As in appendix C of the DuDoNet paper (Lin et al., CVPR 2019)."""

CORE = 1.25
"""Metal exceeds the threshold by this factor somewhere: enamel and petrous bone reach 2,200 HU and stay below."""

NEAR_CM = 1.0
"""How far from the body metal may lie: fixators and hair clips, not screws of the headrest."""

SPECK_CM2 = 0.02
"""Less is noise, or casts no shadow that shows."""

BRIGHTER_HU = 1000.0
"""By how much brighter what a mask covers is where it lies otherwise than it should: as `mask_belongs` has it."""

GREY_HU = 3000.0
"""Above it all metal is alike here: a speck of gold would outweigh titanium."""


@dataclass(frozen=True)
class MetalChoice:
    """How metal is found: by a threshold in HU, or from the masks ``(rows, columns)`` of all slices.

    Raises
    ------
    DataError
        Both are given.
    """

    given_threshold: float | None = None
    masks: Sequence[NDArray[np.bool_]] | None = None

    def __post_init__(self) -> None:
        if self.masks is not None and self.given_threshold is not None:
            raise DataError("expected either --metal-threshold or --metal-mask, which says where metal is. Got both.")

    @property
    def threshold(self) -> float:
        """In HU, `DEFAULT_THRESHOLD_HU` where none is given."""
        return DEFAULT_THRESHOLD_HU if self.given_threshold is None else self.given_threshold

    @property
    def text(self) -> str:
        """In words, other ones for another mask."""
        if self.masks is None:
            return f"above {self.threshold:g} HU"
        digest = hashlib.sha256(b"".join(np.packbits(mask).tobytes() for mask in self.masks)).hexdigest()
        return f"by the mask {digest[:12]}"

    def of(self, index: int, picture: Picture) -> MetalOfSlice:
        """Return the metal of a slice."""
        if self.masks is None:
            return metal_by_threshold(picture, self.threshold)
        mask, image = self.masks[index], picture.native.image
        if mask.shape != image.shape:
            raise DataError(f"expected a metal mask of {image.shape} pixels for slice {index + 1}. Got {mask.shape}.")
        return MetalOfSlice(mask & ~picture.outside, False, False, float(image.max()))


@dataclass(frozen=True, eq=False)
class MetalOfSlice:
    """The metal of a slice.

    Attributes
    ----------
    mask : bool array ``(rows, columns)``
    dense : bool
        Whether something else lies above the threshold too, which is no metal: dense bone, noise.
    elsewhere : bool
        Whether there is metal far from the body.
    highest : float
        HU.
    """

    mask: NDArray[np.bool_]
    dense: bool
    elsewhere: bool
    highest: float


@dataclass(frozen=True, eq=False)
class FoundMetal:
    """The slices of a scan that hold metal.

    Attributes
    ----------
    masks : mapping of index to bool array ``(rows, columns)``
        Of slices with metal, in order.
    notices : tuple of str
        Which slices have metal, and what was not taken for it.
    """

    masks: Mapping[int, NDArray[np.bool_]]
    notices: tuple[str, ...]


def find_metal(series: Series, choice: MetalChoice, chosen: range, progress: Progress) -> FoundMetal:
    """Look through the slices that are to be corrected.

    Raises
    ------
    DataError
        A slice cannot be read, most are not in HU, none has metal, or a mask does not lie on it.
    """
    if not chosen:
        raise DataError(f"{series.file}: --slices chooses none of its {len(series)} slices, which count from 1.")
    found: dict[int, MetalOfSlice] = {}
    doubted: dict[int, str] = {}
    covered = _Covered(() if choice.masks is None else choice.masks)
    progress.begin("Looking for metal", len(chosen))
    for index in chosen:
        picture = series.picture(index)
        if picture.native.doubt is None:
            found[index] = choice.of(index, picture)
            covered.look(index, picture)
        else:
            doubted[index] = picture.native.doubt
        progress.advance()
    if 2 * len(doubted) > len(chosen):
        first = next(iter(doubted))
        raise DataError(
            f"{series.file}: expected HU, with air near -1000. {len(doubted)} of {len(chosen)} slices are not; "
            f"{series.label(first)} is {doubted[first]}. Mend the rescale slope and intercept."
        )
    masks = {index: one.mask for index, one in found.items() if one.mask.any()}
    if not masks:
        raise _no_metal(series, choice, found)
    covered.check(series)
    doubts = (f"Left as it is: {series.label(index)}, {why}." for index, why in doubted.items())
    return FoundMetal(masks, (*_remarks(series, found, choice), *doubts))


@dataclass(eq=False)
class _Covered:
    """What the masks of slices cover as they lie, and if they were turned or their slices in reverse order."""

    masks: Sequence[NDArray[np.bool_]]
    hu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    pixels: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def look(self, index: int, picture: Picture) -> None:
        """Take a slice."""
        for way, mask in self._ways(index):
            self.hu[way] += float(np.minimum(picture.native.image[mask], GREY_HU).sum())
            self.pixels[way] += int(mask.sum())

    def check(self, series: Series) -> None:
        """Raise DataError where the masks would cover much brighter pixels, and as many, if they lay otherwise."""
        means = {way: self.hu[way] / count for way, count in self.pixels.items() if count >= self.pixels[""] > 0}
        best = max(means, key=lambda way: means[way], default="")
        if best and means[best] > means[""] + BRIGHTER_HU:
            raise DataError(
                f"{series.file}: the metal mask does not lie on its metal. It covers {means['']:.0f} HU, and would "
                f"{means[best]:.0f} HU with {best}. Mend its affine or the order of its axes."
            )

    def _ways(self, index: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        if not len(self.masks):
            return
        for last_first, swapped, down, across in product((False, True), repeat=4):
            mask = self.masks[-1 - index if last_first else index]
            if mask.any() and (not swapped or mask.shape[0] == mask.shape[1]):
                turned = (mask.T if swapped else mask)[:: -1 if down else 1, :: -1 if across else 1]
                names = ("slices in reverse order", "rows and columns swapped", "rows reversed", "columns reversed")
                chosen = zip(names, (last_first, swapped, down, across), strict=True)
                yield ", ".join(name for name, is_so in chosen if is_so), turned


def metal_by_threshold(picture: Picture, threshold: float = DEFAULT_THRESHOLD_HU) -> MetalOfSlice:
    """Return the metal of a slice: connected regions above a threshold that are large and dense enough.

    A region counts if it covers 2 mm², somewhere exceeds the threshold by a quarter, and lies no further than 1 cm from
    the body.

    Parameters
    ----------
    picture : Picture
    threshold : float
        HU.
    """
    image, spacing = picture.native.image, picture.native.spacing
    above = (image > threshold) & ~picture.outside
    labels, count = ndimage.label(above, structure=np.ones((3, 3)))
    if not count:
        return MetalOfSlice(above, False, False, float(image.max()))
    areas = np.bincount(labels.ravel(), minlength=count + 1) * (spacing[0] * spacing[1])
    peaks = np.asarray(ndimage.maximum(image, labels, np.arange(count + 1)))
    counts = (areas >= SPECK_CM2) & (peaks > CORE * threshold)
    counts[0] = False
    metal: NDArray[np.bool_] = counts[labels]
    body = body_mask(image, spacing)
    near = np.zeros(count + 1, dtype=bool)
    if metal.any() and body.any():
        distance = ndimage.distance_transform_edt(~body, sampling=spacing)
        near = np.asarray(ndimage.minimum(distance, labels, np.arange(count + 1))) <= NEAR_CM
    mask = metal & near[labels]
    return MetalOfSlice(mask, bool((above & ~metal).any()), bool((metal & ~mask).any()), float(image.max()))


def _no_metal(series: Series, choice: MetalChoice, found: Mapping[int, MetalOfSlice]) -> DataError:
    """Return the error for a scan without metal: how dense it is, and where."""
    if choice.masks is not None:
        return DataError(
            f"{series.file}: the metal mask is empty in all {len(found)} slices. Mark the pixels of metal with 1."
        )
    highest = max(found, key=lambda index: found[index].highest)
    return DataError(
        f"{series.file}: no metal in any of {len(found)} slices. Metal is a region in or near the body of "
        f"{100 * SPECK_CM2:g} mm² above {choice.threshold:g} HU that somewhere reaches {CORE * choice.threshold:g} HU; "
        f"the highest value, {found[highest].highest:.0f} HU, is in {series.label(highest)}. Lower --metal-threshold, "
        "or draw the metal: --metal-mask FILE."
    )


def _remarks(series: Series, found: Mapping[int, MetalOfSlice], choice: MetalChoice) -> Iterator[str]:
    """Yield which slices have metal, and which have something dense that was not taken for it."""
    having = [index + 1 for index, one in found.items() if one.mask.any()]
    others = " The others stay as they are." if len(having) < len(series) else ""
    yield f"Metal in {len(having)} of {len(series)} slices: {_ranges(having)}.{others}"
    dense = [index + 1 for index, one in found.items() if one.dense]
    if dense:
        yield (
            f"Taken for dense bone or noise, not for metal: small or moderate regions above {choice.threshold:g} HU in "
            f"slices {_ranges(dense)}. A --metal-mask decides otherwise."
        )
    elsewhere = [index + 1 for index, one in found.items() if one.elsewhere]
    if elsewhere:
        yield f"Metal far from the body, as in a headrest, is left alone in slices {_ranges(elsewhere)}."


def _ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers as text.

    >>> _ranges([1, 2, 3, 7, 9, 10])
    '1–3, 7, 9–10'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
