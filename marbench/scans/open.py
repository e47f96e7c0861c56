"""What a user calls a scan: a folder of DICOM, a NIfTI file, or a measured sinogram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.nifti import SUFFIXES
from marbench.errors import DataError
from marbench.scans.dicom_series import DicomSeries
from marbench.scans.measured import MeasuredSinogram
from marbench.scans.nifti_scan import NiftiScan, read_mask
from marbench.scans.series import Series
from marbench.spec import Spec

__all__ = ["open_scan", "read_masks"]


def open_scan(scan: Path | None, sinogram: Path | None, spec: Spec, series: str, out: Path) -> Series:
    """Return the slices of a scan.

    Parameters
    ----------
    scan, sinogram : Path, optional
        One of the two.
    spec : Spec
    series : str
        Which one of several in a folder.
    out : Path
        Where results will go: not among the originals, nor these among them.

    Raises
    ------
    DataError
        There is no scan, or it cannot be used.
    """
    if (scan is None) == (sinogram is None):
        raise DataError("expected either a scan, as marbench apply FOLDER, or --sinogram FILE.")
    source = scan or sinogram
    assert source is not None  # seen above
    if series and not source.is_dir():
        raise DataError(f"--series chooses one of a folder of DICOM, and {source} is a file. Leave it out.")
    if source.resolve().is_relative_to(out.resolve()):
        raise DataError(
            f"{source} lies within the folder of the results, {out}, which are replaced by those of every call. Choose "
            "another --out."
        )
    if sinogram is not None:
        return MeasuredSinogram(sinogram, spec)
    assert scan is not None
    if scan.is_dir():
        if out.resolve().is_relative_to(scan.resolve()):
            raise DataError(
                f"{out} lies within the scan's folder, where derived images would mix with the originals. Choose "
                "another --out."
            )
        return DicomSeries(scan, spec.anatomy.fit, series)
    if scan.name.lower().endswith(SUFFIXES):
        return NiftiScan(scan)
    raise DataError(f"{scan} is no scan: expected a folder that holds a DICOM series, or a file *.nii or *.nii.gz.")


def read_masks(file: Path, series: Series) -> Sequence[NDArray[np.bool_]]:
    """Return the metal of every slice of a scan from a NIfTI file; DataError where it does not fit."""
    rows, columns = series.picture(0).native.image.shape
    return read_mask(file, (rows, columns), len(series), series.affine if isinstance(series, NiftiScan) else None)
