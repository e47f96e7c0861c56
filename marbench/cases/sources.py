"""Where the slices of a benchmark come from, and what it is bound to."""

from __future__ import annotations

from typing import Literal, get_args

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.slices import SliceSource, Split
from marbench.cases.case import CaseSource
from marbench.errors import DataError, SpecError, nearest
from marbench.phantoms import FIELD_OF_VIEW_CM
from marbench.spec import Spec

__all__ = ["bind", "bind_to", "check_cases", "check_split", "open_source"]

_SIZE_TOLERANCE = 0.05
"""How much larger or smaller than life procedural patients may be."""


def check_split(split: str) -> None:
    """Raise SpecError for what is no split."""
    if split not in get_args(Split):
        raise SpecError(f"A benchmark has no split {split!r}; {nearest(str(split), get_args(Split))}")


def check_cases(source: CaseSource) -> None:
    """Raise DataError for a benchmark of no cases: nothing can be run or scored on it."""
    if not source.case_keys:
        raise DataError(
            f"{source.spec.name} has no {source.split} cases: [split] {source.split} asks for none. Let it ask for "
            "patients and slices, or take another --spec."
        )


def open_source(spec: Spec) -> SliceSource:
    """Return where a benchmark's slices come from.

    Raises
    ------
    SpecError
        A procedural benchmark asks for "all" patients or slices, the benchmark does not say where its files lie, or its
        cases are recorded.
    DataError
        The folder that the spec names has no usable slices.
    """
    if spec.recorded is not None:
        raise SpecError(
            f"{spec.name}: its cases are recorded in files, so none can be simulated: not to train on either. Take the "
            "benchmark that simulates their world, or open them with marbench.cases.opening.open_cases."
        )
    counts, path, fit = spec.split.counts(), spec.anatomy.path, spec.anatomy.fit
    pattern = spec.anatomy.pattern
    if spec.anatomy.source == "procedural":
        from marbench.phantoms.patients import ProceduralPatients

        limits = {}
        for split, (patients, slices) in counts.items():
            if patients is None or slices is None:
                raise SpecError(f'{spec.name}: split.{split}: procedural patients have no "all"; give numbers')
            limits[split] = (patients, slices)
        _hold_true_size(spec)
        # A wider picture of the same patients, on the same grid.
        width = FIELD_OF_VIEW_CM / spec.anatomy.scale
        return ProceduralPatients(spec.seed, limits, width, spec.anatomy.regions)
    if path is None:
        raise SpecError(
            f"{spec.name}: the data of this benchmark are not named here, as in every results folder: give the spec "
            "file with anatomy.path"
        )
    if spec.anatomy.source == "dicom":
        from marbench.anatomy.dicom import DicomFolder

        return DicomFolder(path, counts, spec.seed, fit, pattern)
    if spec.anatomy.source == "nifti":
        from marbench.anatomy.nifti import NiftiFolder

        return NiftiFolder(path, counts, spec.seed, fit, pattern)
    from marbench.anatomy.deeplesion import DeepLesion

    return DeepLesion(path, counts, spec.seed, fit)


def bind(spec: Spec, source: SliceSource | None = None) -> Spec:
    """Return a benchmark with the digest of its test slices, ``anatomy.data``: what its results are results of.

    Parameters
    ----------
    spec : Spec
        Where its slices come from no files, it is returned as it is.
    source : SliceSource, optional
        Its slices, where they are open already.

    Raises
    ------
    DataError
        The benchmark has the digest already, and the files are others.
    """
    if spec.is_drawn:
        return spec
    opened = source or open_source(spec)
    assert isinstance(opened, SliceCollection)  # as all sources of files are
    data = opened.data(regions=spec.metals.placement == "anatomical")
    return bind_to(spec, "anatomy", data, "test slices")


def bind_to(spec: Spec, section: Literal["anatomy", "recorded"], data: str, what: str) -> Spec:
    """Return a benchmark with the digest of files as a section's ``data``; DataError where it has another already."""
    named = getattr(spec, section)
    if named.data not in (None, data):
        raise DataError(
            f"{spec.name}: the benchmark is of {what} with the digest {section}.data = {named.data}; those in "
            f"{named.path} have {data}. Give the right folder, or leave {section}.data out, which makes a "
            "benchmark of its own."
        )
    return spec.model_copy(update={section: named.model_copy(update={"data": data})})


def _hold_true_size(spec: Spec) -> None:
    width = spec.grid.field_of_view[1]
    if spec.anatomy.fit == "physical" and abs(width / FIELD_OF_VIEW_CM - 1) > _SIZE_TOLERANCE:
        raise SpecError(
            f'{spec.name}: anatomy.fit = "physical": procedural patients have their true size in an image '
            f"{FIELD_OF_VIEW_CM:g} cm wide, and would be {width / FIELD_OF_VIEW_CM:.2g} times as large in this one of "
            f"{width:.4g} cm. Choose grid.size and grid.pixel_cm so that their product is {FIELD_OF_VIEW_CM:g}, or "
            'take fit = "image", which scales them to the image'
        )
