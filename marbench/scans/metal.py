"""Where metal is in a scan without truth: by threshold, or from a mask that somebody drew."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask
from marbench.anatomy.native import NativeSlice
from marbench.bench.options import Progress
from marbench.cases.agreement import BODY_HU, DARK_HU, GREY_HU, inverted, wrong_unit
from marbench.cases.orientation import BRIGHTER_HU
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

LARGE, LARGE_BRIGHTER_HU = 0.1, 400.0
"""Share of the body that masks of metal with wide margins stay below, unless they are brighter than it by this."""

REMEDIES = {
    "not in HU": "Mend the rescale slope and intercept.",
    "pixel size": "Mend PixelSpacing of DICOM, pixdim and xyzt_units of NIfTI.",
}
"""By the kind of a doubt."""

CLIPPED = "Where that is metal, lower --metal-threshold to four fifths of that value, or draw it: --metal-mask FILE."


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
        """Return the metal of a slice without a doubt."""
        image, clipped = picture.native.image, picture.native.clipped is not None
        if picture.native.doubt is not None:  # it is empty
            return MetalOfSlice(np.zeros(image.shape, bool), float(image.max()), empty=True)
        if self.masks is None:
            return replace(metal_by_threshold(picture, self.threshold), clipped=clipped)
        mask = self.masks[index]
        if mask.shape != image.shape:
            raise DataError(f"expected a metal mask of {image.shape} pixels for slice {index + 1}. Got {mask.shape}.")
        if why := inverted(float(mask.mean())):
            raise DataError(f"the metal mask of slice {index + 1}: {why}")
        return MetalOfSlice(mask & ~picture.outside, float(image.max()), clipped=clipped)

    def doubt(self, native: NativeSlice) -> tuple[str, str] | None:
        """Return why a slice may not be used and what to do; None where it may, and where it is empty."""
        if native.doubt is not None:
            kind = native.doubt.split(":")[0]
            return None if kind == "empty" else (native.doubt, REMEDIES[kind])
        if native.clipped is None or self.masks is not None or native.image.max() >= CORE * self.threshold:
            return None  # metal is at the end of many a scale
        return native.clipped, CLIPPED


@dataclass(frozen=True, eq=False)
class MetalOfSlice:
    """The metal of a slice.

    Attributes
    ----------
    mask : bool array ``(rows, columns)``
    highest : float
        HU.
    dense : bool
        Whether something else lies above the threshold too, which is no metal: dense bone, noise.
    elsewhere : bool
        Whether there is metal far from the body.
    empty : bool
        Whether nothing was scanned.
    clipped : bool
        Whether the highest value fills many pixels.
    """

    mask: NDArray[np.bool_]
    highest: float
    dense: bool = False
    elsewhere: bool = False
    empty: bool = False
    clipped: bool = False


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
        A slice cannot be read, most are not in HU, none has metal, or a mask does not lie on it or marks anything else.
    """
    if not chosen:
        raise DataError(f"{series.file}: --slices chooses none of its {len(series)} slices, which count from 1.")
    found: dict[int, MetalOfSlice] = {}
    doubted: dict[int, tuple[str, str]] = {}
    covered = _Covered(() if choice.masks is None else choice.masks)
    progress.begin("Looking for metal", len(chosen))
    for index in chosen:
        picture = series.picture(index)
        doubt = choice.doubt(picture.native)
        if doubt is None:
            found[index] = choice.of(index, picture)
            if picture.sinogram is not None:
                _hold_unit(series, picture, found[index].mask if covered.masks else None)
            if not found[index].empty:
                covered.look(index, picture)
        else:
            doubted[index] = doubt
        progress.advance()
    if len(doubted) > sum(not one.empty for one in found.values()):
        raise DataError(
            f"{series.file}: expected HU, with air near -1000, in pixels of a scanner's size. {len(doubted)} of "
            f"{len(chosen)} slices are not; {_first(series, doubted)}"
        )
    masks = {index: one.mask for index, one in found.items() if one.mask.any()}
    if not masks:
        unseen = f" Not looked at: {len(doubted)} of {len(chosen)}; {_first(series, doubted)}" if doubted else ""
        raise DataError(f"{series.file}: {_no_metal(series, choice, found)}{unseen}")
    covered.check(series)
    doubts = (f"Left as it is: {series.label(index)}, {why}." for index, (why, _) in doubted.items())
    return FoundMetal(masks, (*_remarks(series, found, choice), *doubts))


def _hold_unit(series: Series, picture: Picture, drawn: NDArray[np.bool_] | None) -> None:
    """Raise DataError where line integrals were measured in another unit: a threshold takes all for metal, or none."""
    image = picture.native.image
    if why := wrong_unit(image, np.zeros(image.shape, bool) if drawn is None else drawn):
        raise DataError(f"{series.file}: {why} Multiply them by 0.1 if lengths are in mm, by 10 if they are a tenth.")


def _first(series: Series, doubted: Mapping[int, tuple[str, str]]) -> str:
    """Return what is wrong with the first of the slices that are doubted, and what to do."""
    index, (why, remedy) = next(iter(doubted.items()))
    return f"{series.label(index)} is {why}. {remedy}"


@dataclass(eq=False)
class _Covered:
    """What the masks of slices cover as they lie, and if they were turned or their slices in reverse order.

    ``rest`` are the pixels of the body beside them in these slices.
    """

    masks: Sequence[NDArray[np.bool_]]
    hu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    pixels: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    rest: int = 0
    rest_hu: float = 0.0
    highest: float = -math.inf

    def look(self, index: int, picture: Picture) -> None:
        """Take a slice."""
        image = np.minimum(picture.native.image, GREY_HU[1])
        for way, mask in self._ways(index):
            self.hu[way] += float(image[mask].sum())
            self.pixels[way] += int(mask.sum())
            if not way:
                rest = image[(image > BODY_HU) & ~mask]
                self.rest, self.rest_hu = self.rest + rest.size, self.rest_hu + float(rest.sum())
                self.highest = max(self.highest, float(image[mask].max()))

    def check(self, series: Series) -> None:
        """Raise DataError where the masks mark something else than metal, or lie otherwise than it."""
        count = self.pixels[""]
        if not count:
            return
        self._check_turns(series)
        covered, body = self.hu[""] / count, self.rest_hu / max(self.rest, 1)
        dark = covered < body + DARK_HU and self.highest < body + BRIGHTER_HU
        large = count > LARGE * (count + self.rest) and covered < body + LARGE_BRIGHTER_HU
        if dark or large:
            raise DataError(
                f"{series.file}: the metal mask does not mark its metal. It covers {covered:.0f} HU, and the rest of "
                f"the body has {body:.0f} HU. Is it of organs, or of another scan? Mark the pixels of metal alone."
            )

    def _check_turns(self, series: Series) -> None:
        """Raise DataError where the masks would cover much brighter pixels, and as many, if they lay otherwise."""
        means = {way: self.hu[way] / count for way, count in self.pixels.items() if count >= self.pixels[""]}
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
        return MetalOfSlice(above, float(image.max()))
    areas = np.bincount(labels.ravel(), minlength=count + 1) * (spacing[0] * spacing[1])
    peaks = np.asarray(ndimage.maximum(image, labels, np.arange(count + 1)))
    counts = (areas >= SPECK_CM2) & (peaks >= CORE * threshold)
    counts[0] = False
    metal: NDArray[np.bool_] = counts[labels]
    body = body_mask(image, spacing)
    near = np.zeros(count + 1, dtype=bool)
    if metal.any() and body.any():
        distance = ndimage.distance_transform_edt(~body, sampling=spacing)
        near = np.asarray(ndimage.minimum(distance, labels, np.arange(count + 1))) <= NEAR_CM
    mask = metal & near[labels]
    return MetalOfSlice(mask, float(image.max()), bool((above & ~metal).any()), bool((metal & ~mask).any()))


def _no_metal(series: Series, choice: MetalChoice, found: Mapping[int, MetalOfSlice]) -> str:
    """Say of a scan without metal how dense it is, and where."""
    if choice.masks is not None:
        return f"the metal mask is empty in all {len(found)} slices that can be used. Mark the pixels of metal with 1."
    highest = max(found, key=lambda index: found[index].highest)
    return (
        f"no metal in any of {len(found)} slices. Metal is a region in or near the body of "
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
    clipped = [index + 1 for index, one in found.items() if one.clipped]
    if clipped:
        yield f"The highest value fills many pixels, as metal at the end of a scale does, in slices {_ranges(clipped)}."
    empty = [index + 1 for index, one in found.items() if one.empty]
    if empty:
        yield f"Empty, and left as they are: slices {_ranges(empty)}."


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
