"""One slice that comes as a measured sinogram, in the geometry of a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.anatomy.native import NativeSlice, UnreadableFile
from marbench.anatomy.nifti_volume import nibabel
from marbench.cases.agreement import measured_otherwise
from marbench.cases.scanner import operators_of
from marbench.errors import DataError, StoreError
from marbench.machine.arrays import names_in, parse_npy, read_npz
from marbench.machine.files import read_file, safe_name
from marbench.report.page import Output
from marbench.scans.nifti_scan import encode_volume
from marbench.scans.series import Change, Picture, Version, Writer
from marbench.spec import Spec
from marbench.tensors import refuse_counts

__all__ = ["MeasuredSinogram"]

NAME = "sinogram_line_integral"
"""Of the array in an ``.npz`` file that holds several, as `marbench export` calls it."""


class MeasuredSinogram:
    """The slice whose line integrals lie in a file; its picture is the uncorrected reconstruction.

    Parameters
    ----------
    file : Path
        ``.npy``, or ``.npz`` with one array or one called ``sinogram_line_integral``: water-corrected line integrals
        ``(views, bins)``.
    spec : Spec
        Describes the geometry in which it was measured, and the grid.

    Raises
    ------
    DataError
        The file holds something else.
    """

    kind = "measured sinogram"
    notices: tuple[str, ...] = ()

    def __init__(self, file: Path, spec: Spec) -> None:
        self.file, self._spec = file, spec
        self._sinogram = _line_integrals(file, spec)
        image = operators_of(spec).reconstruct(torch.from_numpy(self._sinogram)[None])[0].numpy()
        self._image = np.asarray(image, dtype=np.float32)

    def __len__(self) -> int:
        return 1

    def label(self, index: int) -> str:
        """See `Series`."""
        return "the slice"

    def picture(self, index: int) -> Picture:
        """See `Series`. A reconstruction is not clipped at air, which streaks go below."""
        pixel = self._spec.grid.pixel
        native = NativeSlice(self._image, (pixel, pixel))
        return Picture(native, np.zeros(self._image.shape, dtype=bool), self._sinogram)

    def writer(self, version: Version, output: Output) -> Writer:
        """See `Series`."""
        return _CorrectedSlice(self._image, self._spec.grid.pixel, version, output)


class _CorrectedSlice:
    """Writes the corrected slice as NIfTI, the isocentre at the origin."""

    def __init__(self, image: NDArray[np.float32], pixel: float, version: Version, output: Output) -> None:
        self._image, self._pixel, self._version, self._output = image, 10 * pixel, version, output

    def add(self, index: int, change: Change | None) -> None:
        """See `Writer`."""
        self._image = self._image if change is None else self._image + change

    def discard(self) -> None:
        """See `Writer`: nothing is written before `close`."""

    def close(self) -> None:
        """See `Writer`."""
        rows, columns = self._image.shape
        # Columns run to the patient's left and rows to posterior, NIfTI's axes to the right and anterior; mm.
        affine = np.diag([-self._pixel, -self._pixel, self._pixel, 1.0])
        affine[:2, 3] = self._pixel * (columns - 1) / 2, self._pixel * (rows - 1) / 2
        image = nibabel().Nifti1Image(np.ascontiguousarray(self._image.T[:, :, None]), affine)
        self._output.write(f"{safe_name(self._version.label)}.nii.gz", encode_volume(image, self._version))


def _line_integrals(file: Path, spec: Spec) -> NDArray[np.float32]:
    try:
        array = _array(file)
    except (OSError, ValueError, StoreError) as error:
        raise UnreadableFile(file, f"expected line integrals as .npy or .npz; {error}") from error
    wanted = spec.geometry.shape
    if array.shape != wanted or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise DataError(
            f"{file}: expected finite line integrals of shape {wanted} (views, bins), as the geometry of "
            f"{spec.name!r} has. Got {array.dtype} of shape {array.shape}. Describe the geometry in a TOML file and "
            "name it with --spec."
        )
    rays = np.array(array, dtype=np.float32, order="C")
    refuse_counts(torch.from_numpy(rays), str(file))
    if why := measured_otherwise(rays, spec.geometry):
        raise DataError(f"{file}: {why}. Mend the geometry that --spec names, or the file.")
    return rays


def _array(file: Path) -> NDArray[Any]:
    target = file.resolve()  # readers follow no link, but this file was named by the user
    if file.suffix.lower() == ".npy":
        return parse_npy(read_file(target, 2**28), file.name)
    names = names_in(target)
    if NAME not in names and len(names) != 1:
        raise ValueError(f"it holds {', '.join(sorted(names)) or 'nothing'}, and none is called {NAME}")
    name = NAME if NAME in names else names[0]
    return read_npz(target, [name])[name]
