"""Where the slices of a benchmark come from."""

from __future__ import annotations

from marbench.anatomy.slices import SliceSource
from marbench.errors import SpecError
from marbench.spec import Spec

__all__ = ["open_source"]


def open_source(spec: Spec) -> SliceSource:
    """Return where a benchmark's slices come from.

    Raises
    ------
    SpecError
        A procedural benchmark asks for "all" patients or slices.
    DataError
        The folder that the spec names has no usable slices.
    """
    counts, path, fit = spec.split.counts(), spec.anatomy.path, spec.anatomy.fit
    if spec.anatomy.source == "procedural":
        from marbench.phantoms.patients import ProceduralPatients

        limits = {}
        for split, (patients, slices) in counts.items():
            if patients is None or slices is None:
                raise SpecError(f'{spec.name}: split.{split}: procedural patients have no "all"; give numbers')
            limits[split] = (patients, slices)
        return ProceduralPatients(spec.seed, limits)
    assert path is not None  # by the spec's validator
    if spec.anatomy.source == "dicom":
        from marbench.anatomy.dicom import DicomFolder

        return DicomFolder(path, counts, spec.seed, fit)
    if spec.anatomy.source == "nifti":
        from marbench.anatomy.nifti import NiftiFolder

        return NiftiFolder(path, counts, spec.seed, fit)
    from marbench.anatomy.deeplesion import DeepLesion

    return DeepLesion(path, counts, spec.seed, fit)
