"""Methods on a scan of a patient: every slice with metal is corrected by every method, judged, written and shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marbench.bench.limits import NO_LIMITS, Limits
from marbench.bench.options import Progress
from marbench.bench.outcome import Failure
from marbench.bench.producers import Producer, producer_of
from marbench.bench.work import PRELOAD
from marbench.errors import DataError
from marbench.machine.devices import device_of
from marbench.machine.forkserver import shared_server
from marbench.machine.threads import set_threads
from marbench.method.request import MethodRequest
from marbench.report.page import Output
from marbench.scans.applied import Applied
from marbench.scans.correction import MetalSlice, Reprojector
from marbench.scans.measures import Measures, Regions, artifact_index, clean_change
from marbench.scans.metal import FoundMetal, MetalChoice, find_metal
from marbench.scans.page import Gallery, write_page
from marbench.scans.series import Change, Series, Version, Writer
from marbench.scans.swap import replacing
from marbench.spec import Spec

__all__ = ["ApplyOptions", "apply_methods"]

_CUT = 0.02
"""Share of the metal beyond the field of view: less is what averaging to pixels takes at its edge."""


@dataclass(frozen=True)
class ApplyOptions:
    """How to apply methods.

    Attributes
    ----------
    metal : MetalChoice
    first, last : int
        Which slices are corrected, counted from 1; the others stay as they are.
    device : str
    limits : Limits
        Of every call of a method. Their threads are those of this process from now on.
    """

    metal: MetalChoice = field(default_factory=MetalChoice)
    first: int = 1
    last: int | None = None
    device: str = "cpu"
    limits: Limits = NO_LIMITS


@dataclass(eq=False)
class _Work:
    """One method at work on a scan."""

    version: Version
    producer: Producer
    writer: Writer
    failure: Failure | None
    measures: dict[int, Measures] = field(default_factory=dict)


def apply_methods(
    series: Series, spec: Spec, requests: Sequence[MethodRequest], out: Path, asked: ApplyOptions, progress: Progress
) -> Applied:
    """Correct a scan by methods and write what comes of it.

    Slices without metal are written as they are. A method that fails on a slice is given up, and all are where a slice
    cannot be read or the call is interrupted: a series of which slices are missing, or not what their header says, must
    not be filed. What an earlier call wrote stays until everything is made.

    Parameters
    ----------
    series : Series
    spec : Spec
        Its geometry and grid, which the weights of learned methods are bound to.
    requests : sequence of MethodRequest
    out : Path
        Gets a DICOM series or a NIfTI file per method, ``index.html`` and ``measures.json``.
    asked : ApplyOptions
    progress : Progress

    Raises
    ------
    MarbenchError
        This machine can hold no process to the limits.
    DataError
        A slice cannot be read, most are not in HU, or none of them has metal within the field of view.
    """
    asked.limits.hold_here()
    set_threads(asked.limits.threads)
    found = find_metal(series, asked.metal, range(len(series))[asked.first - 1 : asked.last], progress)
    with replacing(out) as output:
        works = [_work(request, series, spec, asked, output) for request in requests]
        job = _Job(series, Reprojector(spec, device_of(asked.device)), found, Gallery(output, list(found.masks)))
        try:
            progress.begin("Correcting", len(series))
            for index in range(len(series)):
                job.correct(index, works)
                progress.advance()
        finally:
            for work in works:
                work.producer.close()
        if not job.original:
            height, width = spec.grid.field_of_view
            raise DataError(
                f"No slice can be corrected: all metal lies outside the {width:.1f} × {height:.1f} cm of "
                f"{spec.name!r}, in the middle of which the body is put. Choose a benchmark of a larger field of view "
                "with --spec."
            )
        for work in works:
            if work.failure is None:
                work.writer.close()
        applied = Applied(
            spec,
            series.kind,
            len(series),
            asked.metal.text,
            {work.version.label: work.version for work in works},
            job.original,
            {work.version.label: work.measures for work in works if work.failure is None},
            {work.version.label: work.failure for work in works if work.failure is not None},
            (*series.notices, *found.notices, *job.notices, *job.cut_notice()),
        )
        write_page(applied, job.gallery, output)
        output.write("measures.json", applied.json())
    return applied


def _work(request: MethodRequest, series: Series, spec: Spec, asked: ApplyOptions, output: Output) -> _Work:
    """Return a method that is loaded, or why it is not."""
    fitted = request.for_spec(spec)
    producer = producer_of(fitted, spec, device_of(asked.device), asked.limits, "auto", shared_server(PRELOAD))
    producer.open()
    which = "" if (asked.first, asked.last) == (1, None) else f", slices {asked.first}:{asked.last or ''}"
    made_of = f"version {fitted.hash[:12]}, {spec.name} {spec.hash[:12]}, metal {asked.metal.text}{which}"
    version = Version(fitted.label, request.entry.card.title, made_of)
    return _Work(version, producer, series.writer(version, output), producer.failure)


@dataclass(eq=False)
class _Job:
    """The slices of a scan on their way through the methods."""

    series: Series
    reprojector: Reprojector
    found: FoundMetal
    gallery: Gallery
    original: dict[int, Measures] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)

    def cut_notice(self) -> Iterator[str]:
        """Tell of slices in which some of the metal lies beyond the grid, and so stays as it is."""
        if self.cut:
            yield (
                f"Beyond the field of view of {self.reprojector.spec.name!r} lies up to {max(self.cut):.0%} of the "
                f"metal, in {len(self.cut)} of {len(self.original)} slices: its artifacts stay as they are. Choose a "
                "benchmark of a larger field of view with --spec."
            )

    def correct(self, index: int, works: Sequence[_Work]) -> None:
        """Hand a slice to every method that has not failed, and write what they make of it."""
        prepared = self._prepared(index)
        changes: dict[str, Change] = {}
        regions = None
        if prepared is not None:
            regions = Regions(prepared.picture, prepared.metal)
            image = prepared.picture.native.image
            residual = self.reprojector.residual(prepared, image)[1]
            self.original[index] = Measures(residual, 0.0, artifact_index(image, regions), math.nan)
        for work in works:
            if work.failure is None and prepared is not None and regions is not None:
                change = self._corrected(work, index, prepared, regions)
                if change is not None:
                    changes[work.version.label] = change
            if work.failure is None:
                work.writer.add(index, changes.get(work.version.label))
        if prepared is not None and regions is not None and index in self.gallery.chosen:
            self.gallery.draw(index, self.series.label(index), regions, self._pictures(prepared, changes))

    def _prepared(self, index: int) -> MetalSlice | None:
        if index not in self.found.masks:
            return None
        picture = self.series.picture(index)
        try:
            prepared = self.reprojector.prepare(picture, self.found.masks[index])
        except DataError as error:
            self.notices.append(f"Left as it is: {self.series.label(index)}, {error}.")
            return None
        if prepared.beyond > _CUT:
            self.cut.append(prepared.beyond)
        return prepared

    def _corrected(self, work: _Work, index: int, prepared: MetalSlice, regions: Regions) -> Change | None:
        """Return what a method changes in a slice, and measure it; None if it fails."""
        outcome = work.producer.produce(prepared.case(f"slice-{index:05d}"))
        if outcome.image is None:
            work.failure = outcome.failure
            work.writer.discard()
            return None
        change = self.reprojector.change(prepared, outcome.image)
        corrected = prepared.picture.native.image + change
        residual = self.reprojector.residual(prepared, corrected)[1]
        index_after = artifact_index(corrected, regions)
        work.measures[index] = Measures(residual, clean_change(change, regions), index_after, outcome.seconds)
        return change

    def _pictures(
        self, prepared: MetalSlice, changes: Mapping[str, Change]
    ) -> dict[str, tuple[Change, NDArray[np.float32]]]:
        """Return label → (change, residual of the sinogram)."""
        image = prepared.picture.native.image
        return {label: (each, self.reprojector.residual(prepared, image + each)[0]) for label, each in changes.items()}
