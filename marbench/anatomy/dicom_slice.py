"""The pixels of one DICOM slice: decoded, in HU, without padding, the right way up."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.dicom_header import frames_of, pydicom
from marbench.anatomy.dicom_values import Calibration, calibration, numbers, position, whole
from marbench.anatomy.native import NativeSlice, content_of
from marbench.anatomy.proof import LOWEST_AIR_HU
from marbench.anatomy.resample import Fit
from marbench.errors import DataError

__all__ = ["DecodedSlice", "DicomSlice", "Order", "Place", "pixel_digest", "reaching_border", "upright"]

Order = tuple[int, str, float, int]
"""Series number, series UID, position along the patient, instance number."""

Place = tuple[float | None, int]
"""Position along the patient and instance number: where copies of a slice lie, whatever else they are called."""


@dataclass(frozen=True)
class DicomSlice:
    """Where a slice lies on disk.

    Attributes
    ----------
    file : Path
    frame : int
        Of an enhanced image; 0 in other files.
    name : str
    fit : {"physical", "image"}
    order : Order
    place : Place
    instance : str
        SOPInstanceUID, which breaks ties of the order.
    syntax : str
        TransferSyntaxUID, how the pixels are compressed; empty of frames.
    """

    file: Path
    frame: int
    name: str
    fit: Fit
    order: Order
    place: Place
    instance: str
    syntax: str

    @classmethod
    def of(cls, header: Any, file: Path, frame: int, name: str, fit: Fit) -> DicomSlice:
        """Return the slice that a header describes; without SOPInstanceUID ``instance`` is empty."""
        place = position(header), whole(header, "InstanceNumber")
        series = whole(header, "SeriesNumber"), str(header.get("SeriesInstanceUID"))
        instance = str(header.get("SOPInstanceUID") or "")
        syntax = str(getattr(header, "file_meta", {}).get("TransferSyntaxUID") or "")
        return cls(file, frame, name, fit, (*series, place[0] or 0.0, place[1]), place, instance, syntax)

    remedy = (
        "Mend RescaleSlope (0028,1053), RescaleIntercept (0028,1052) or PixelPaddingValue (0028,0120), or take the "
        "files out (anatomy.pattern says which files are meant)."
    )

    def read(self) -> NativeSlice:
        """Read and check the slice; DataError says what is wrong with it, and not where it lies."""
        return self.decode().native()

    def decode(self) -> DecodedSlice:
        """Read the slice as it is stored; errors as of `read`."""
        try:
            dataset, headers = _opened(self.file, *_state(self.file))
            header = headers[self.frame]
            values = calibration(header, self.fit)
            stored = _stored(dataset, self.frame if len(headers) > 1 else None)
            image = stored.astype(np.float32) * np.float32(values.slope) + np.float32(values.intercept)
            return DecodedSlice(stored, values, image, _padding(header, stored, image, values.slope, values.intercept))
        except DataError:
            raise
        except Exception as error:  # pydicom raises many kinds, some only when a value is asked for
            raise DataError(f"the file cannot be read ({error}). Replace it or take it out of the folder.") from error


@dataclass(frozen=True, eq=False)
class DecodedSlice:
    """The pixels of a slice as they are stored, and what they mean.

    Attributes
    ----------
    stored : integer array ``(rows, columns)``
    calibration : Calibration
    image : float32 array, same shape
        HU, not clipped.
    padding : bool array, same shape
        What the header says is outside the scanned field.
    """

    stored: NDArray[Any]
    calibration: Calibration
    image: NDArray[np.float32]
    padding: NDArray[np.bool_]

    def native(self) -> NativeSlice:
        """Return the slice the right way up, checked, with air where nothing was scanned."""
        values = self.calibration
        spacing = values.spacing[::-1] if values.turn[0] else values.spacing
        # A copy: what becomes of it is its owner's, and without a turn it would be this one's array.
        image, padding = self.turned(self.image).copy(), self.turned(self.padding)
        return NativeSlice.of(image, spacing, values.window, values.region, padding)

    def turned(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return a stored picture the right way up."""
        return upright(picture, *self.calibration.turn)

    def turned_back(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return a picture as it is stored, the inverse of `turned`."""
        transpose, flip_rows, flip_columns = self.calibration.turn
        flipped = upright(picture, False, flip_rows, flip_columns)
        return np.ascontiguousarray(flipped.T if transpose else flipped)


def upright(picture: NDArray[Any], transpose: bool, flip_rows: bool, flip_columns: bool) -> NDArray[Any]:
    """Return a picture turned as `Calibration.turn` says."""
    turned = picture.T if transpose else picture
    return np.ascontiguousarray(turned[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])


def pixel_digest(stored: DicomSlice, decode: bool = False) -> bytes:
    """Return a digest of a slice's pixels, by which copies are known: as they lie there, or decoded, which takes long.

    Of pixels that cannot be decoded it is that of the bytes, of an unreadable file of its place.
    """
    try:
        dataset, headers = _opened(stored.file, *_state(stored.file))
        pixels = dataset.PixelData
        if decode:
            with contextlib.suppress(DataError):
                pixels = _stored(dataset, stored.frame if len(headers) > 1 else None).tobytes()
        return hashlib.sha256(pixels).digest()
    except Exception:  # of whatever kind: reading the slice will say why
        return str(stored.file).encode(errors="replace")


def _state(file: Path) -> tuple[int, int]:
    """Return what changes with the content of a file."""
    try:
        state = file.stat()
    except OSError:
        return 0, 0  # reading it will say why
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=1)
def _opened(file: Path, modified: int, size: int) -> tuple[Any, list[Any]]:
    """Return a data set and the headers of its frames; the last one is kept, of which each frame is asked for."""
    content = content_of(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom().dcmread(io.BytesIO(content), force=True)
        if not dataset.file_meta.get("TransferSyntaxUID"):
            dataset.file_meta.TransferSyntaxUID = _syntax(dataset)
        return dataset, frames_of(dataset)


def _syntax(dataset: Any) -> str:
    """Return how a data set without meta information is encoded, as it was found to be."""
    implicit, little = dataset.original_encoding
    uid = pydicom().uid
    if implicit:
        return str(uid.ImplicitVRLittleEndian)
    return str(uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian)


def _stored(dataset: Any, frame: int | None) -> NDArray[Any]:
    """Return the stored values of a slice."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels: NDArray[Any] = pydicom().pixels.pixel_array(dataset, index=frame)
            return pixels
    except Exception as error:  # pydicom and its decoders raise many kinds
        raise DataError(f"the pixels cannot be read ({error}). {_advice(syntax)}") from error


def _advice(syntax: Any) -> str:
    """Say what helps against pixels that cannot be read: a decoder where there is none, another file otherwise."""
    if not syntax.is_transfer_syntax:
        return f"Its TransferSyntaxUID, {syntax}, is not a known one: convert the file."
    if syntax.is_compressed and not syntax.is_deflated:
        try:
            available = pydicom().pixels.get_decoder(syntax).is_available
        except NotImplementedError:
            return f"Decompress the file: {syntax.name} has no decoder here."
        if not available:
            return (
                f'{syntax.name} needs a decoder. pip install "marbench[dicom]" brings those for JPEG 2000 and JPEG-LS '
                "(pylibjpeg-openjpeg, pyjpegls), pip install pylibjpeg pylibjpeg-libjpeg that for JPEG. Or decompress "
                "the file."
            )
    return "Replace the file, which may be truncated, or take it out of the folder."


def _padding(
    header: Any, stored: NDArray[Any], image: NDArray[np.float32], slope: float, intercept: float
) -> NDArray[np.bool_]:
    """Return the pixels outside what was scanned, where the file marks them with a value or a range.

    They reach the border of the picture; inside it the same value is tissue, water where the value is that of 0 HU.
    """
    nowhere = np.zeros(stored.shape, dtype=bool)
    value = _padding_number(header, "PixelPaddingValue")
    if value is None:
        return nowhere
    limit = _padding_number(header, "PixelPaddingRangeLimit")
    ends = sorted((value, value if limit is None else limit))
    marked = (stored >= ends[0]) & (stored <= ends[1])
    if header.get("LossyImageCompression") == "01" and slope * value + intercept < LOWEST_AIR_HU:
        marked |= image < LOWEST_AIR_HU  # compression has blurred the edges of the padding
    return reaching_border(marked)


def reaching_border(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected parts of a mask that touch the border of the picture."""
    labels, _ = ndimage.label(marked, structure=np.ones((3, 3)))
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside: NDArray[np.bool_] = np.isin(labels, border[border > 0])
    return outside


def _padding_number(header: Any, keyword: str) -> int | None:
    """Return a stored value that means padding; None where there is none, or an empty one."""
    if header.get_item(keyword) is None or header.get_item(keyword).value in (None, b"", ""):
        return None
    number = numbers(header, keyword, 1)
    if number is None:
        raise DataError(f"expected one number as {keyword}. Mend it or take the file out of the folder.")
    # Some software writes the unsigned number with the bits of a signed one.
    signed = header.get("PixelRepresentation") == 1 and header.get("BitsAllocated") == 16 and number[0] >= 2**15
    return int(number[0]) - 2**16 if signed else int(number[0])
