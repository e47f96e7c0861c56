"""The tables of a benchmark's TOML file: which keys there are, and which values make sense.

Every bound is of a scanner that could be built, with room to spare. Beyond it the numbers that come out are none: a
pixel of 1e-300 cm gives NaN, a photon count of 1e19 is more than generators of Poisson numbers draw.
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from marbench.anatomy.slices import Split
from marbench.errors import DataError, nearest
from marbench.geometry import FanBeam
from marbench.metrics.conventions import CONVENTIONS
from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.materials import MATERIALS, mass_attenuation
from marbench.physics.spectrum import Detector, Spectrum, SpectrumTable, canonical_spectrum, weighted_spectrum
from marbench.reconstruction import Window, window_fault
from marbench.spec_implants import OwnMetalSection, plain_name
from marbench.spec_physics import BowtieSection, ScatterSection
from marbench.spec_table import Section

__all__ = [
    "AnatomySection",
    "Counts",
    "GeometrySection",
    "GridSection",
    "MetalsSection",
    "MetricsSection",
    "PhysicsSection",
    "ProvenanceSection",
    "ReconstructionSection",
    "ReportSection",
    "Section",
    "SegmentationSection",
    "SplitSection",
    "TruthSection",
]

PixelSize = Annotated[float, Field(ge=1e-3, le=10)]
Distance = Annotated[float, Field(gt=0, le=1e4)]

MOST_PHOTONS = 1e18
"""NumPy draws Poisson numbers up to about 9.2e18, the largest of 63 bits; photons and scatter add up."""

_MASK_TEXT, _MASK_PIXELS = 2**21, 2**28
"""Of all masks of a benchmark together, which are unpacked one metal after the other."""

_METAL_PIXELS = 2**24
"""Of the masks of one metal together, which are in memory at once: one of 4096 × 4096, or 16 of 1024 × 1024."""

WATER_TOLERANCE = 0.01
"""How far µ of water may lie from the tables at the reference energy: published simulators take 0.192 for 0.1929."""


class GeometrySection(Section):
    """``[geometry]``: a fan beam, see `marbench.geometry.FanBeam`."""

    detector: Literal["arc", "flat"] = "arc"
    """Cells on an arc around the source, or on a straight line."""
    views: Annotated[int, Field(ge=1, le=20_000)]
    """Positions of the source."""
    bins: Annotated[int, Field(ge=2, le=20_000)]
    """Cells of the detector."""
    source_distance_cm: Distance
    """From the source to the isocentre. The source must stay outside the image."""
    pitch_deg: Annotated[float, Field(gt=0, le=45)] | None = None
    """Angle between neighbouring cells of an arc."""
    pitch_cm: Annotated[float, Field(gt=0, le=10)] | None = None
    """Distance of neighbouring cells of a flat detector."""
    detector_distance_cm: Distance | None = None
    """From the source to a flat detector."""
    start_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    """Where the source begins: 0 is above the image."""
    offset_bins: Annotated[float, Field(ge=-10_000, le=10_000)] = 0.0
    """Shift of the detector in cells; 0.25 is the quarter shift, nearly half of the bins a half fan."""
    arc_deg: Annotated[float, Field(gt=0, le=360)] | Literal["short"] = 360.0
    """What the views cover. "short" is half a turn and the opening of the fan, with Parker's weights."""
    clockwise: bool = False
    """Which way the source turns."""
    angles_deg: Annotated[tuple[float, ...], Field(max_length=20_000)] = ()
    """Where every view is, in place of start_deg and arc_deg."""

    @model_validator(mode="after")
    def _one_pitch(self) -> Self:
        wanted, other = ("pitch_deg", "pitch_cm") if self.detector == "arc" else ("pitch_cm", "pitch_deg")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(
                f'detector = "{self.detector}" takes {wanted} (and not {other}; {other} = "unset" takes an inherited '
                "one away)"
            )
        if (self.detector == "flat") != (self.detector_distance_cm is not None):
            raise ValueError('detector_distance_cm belongs to a "flat" detector, which needs it')
        return self

    @model_validator(mode="after")
    def _one_way_to_say_the_angles(self) -> Self:
        if self.angles_deg and (self.start_deg or self.arc_deg != 360.0):
            raise ValueError("angles_deg says where every view is: it takes neither start_deg nor arc_deg")
        return self

    def fan_beam(self) -> FanBeam:
        """Return the geometry as a value in cm and radians."""
        circle = self._fan_beam(360.0)
        if self.arc_deg != "short":
            return circle if self.arc_deg == 360.0 else self._fan_beam(self.arc_deg)
        # Half a turn and the opening of the fan, from the first view to the last (Parker 1982).
        gamma = circle.gamma
        turn = math.pi + 2 * min(-gamma[0], gamma[-1])
        return self._fan_beam(math.degrees(turn) * self.views / max(1, self.views - 1))

    def _fan_beam(self, arc_deg: float) -> FanBeam:
        pitch = math.radians(self.pitch_deg) if self.pitch_deg is not None else self.pitch_cm
        assert pitch is not None  # by the validator
        return FanBeam(
            views=self.views,
            bins=self.bins,
            source_distance=self.source_distance_cm,
            pitch=pitch,
            detector=self.detector,
            detector_distance=self.detector_distance_cm or 0.0,
            start=math.radians(self.start_deg),
            offset=self.offset_bins,
            arc=math.radians(arc_deg),
            clockwise=self.clockwise,
            angles=tuple(map(math.radians, self.angles_deg)),
        )


class GridSection(Section):
    """``[grid]``: the square image."""

    size: Annotated[int, Field(ge=8, le=8192)]
    """Rows, and columns."""
    pixel_cm: PixelSize
    """Side of a pixel."""


class PhysicsSection(Section):
    """``[physics]``: tube, detector and correction.

    HU are defined by µ of water at the reference energy, so the two belong together: where only the energy is given, µ
    is that of the tables; where both are, they must agree.
    """

    spectrum: str | SpectrumTable = "w120_al2.8"
    """A tube spectrum by name, one energy like "70 keV", a file like "my_tube.csv", or a list of keV and photons."""
    detector: Detector = "counting"
    """Whether photons are counted, or their energies added up."""
    reference_kev: Annotated[float, Field(ge=20, le=150)] = 70.0
    """The energy at which HU are defined, and to which the correction of beam hardening leads."""
    water_attenuation: Annotated[float, Field(gt=0, le=10)] = WATER_ATTENUATION
    """µ of water at that energy, 1/cm."""
    photons: Annotated[float, Field(ge=1)] = 2e7
    """Per cell and view, without a patient."""
    scatter: Annotated[float, Field(ge=0)] = 20.0
    """Photons that every cell counts besides: of a lower dose, fewer."""
    noise: bool = True
    """Whether photons are counted with the noise of Poisson, and the electronics add theirs."""
    electronic_noise: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Standard deviation of what the electronics of every cell add to that, in photons."""
    tissue: Literal["water and bone", "water"] = "water and bone"
    """What hardens the beam: what is denser than 100 HU more and more like bone, or all tissue like water."""
    bowtie: BowtieSection | None = None
    patient_scatter: ScatterSection | None = None
    scatter_correction: ScatterSection | None = None
    crosstalk: Annotated[float, Field(ge=0, le=0.25)] = 0.0
    """Share of its photons that every cell hands on to either neighbour."""
    low_signal: Literal["one photon", "smoothed"] = "one photon"
    """What becomes of rays behind which nothing was counted: one photon is the least, or neighbours are averaged."""
    negative: Literal["kept", "zero"] = "kept"
    """What becomes of line integrals below 0, which noise makes of air."""
    water_order: Annotated[int, Field(ge=1, le=8)] = 3
    """Of the polynomial that corrects the hardening by water."""
    water_cm: Annotated[float, Field(ge=5, le=100)] = 50.0
    """The longest path that it is fitted to, of water of 0.192 1/cm: at a reference_kev at which water attenuates twice
    as much, half the path."""

    @model_validator(mode="before")
    @classmethod
    def _water_of_the_energy(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "water_attenuation" in values:
            return values
        kev = values.get("reference_kev", 70.0)
        if isinstance(kev, bool) or not isinstance(kev, int | float) or not 20 <= kev <= 150 or kev == 70:
            return values  # the published pair of 70 keV and 0.192 1/cm, or a mistake that is told below
        return {**values, "water_attenuation": _water(float(kev))}

    @field_validator("spectrum", mode="before")
    @classmethod
    def _known_spectrum(cls, value: Any) -> str | SpectrumTable:
        try:
            return canonical_spectrum(value)
        except DataError as error:
            raise ValueError(str(error)) from None

    @field_validator("photons", "scatter")
    @classmethod
    def _countable(cls, value: float) -> float:
        if value > MOST_PHOTONS:
            raise ValueError(f"at most {MOST_PHOTONS:g} photons can be counted: NumPy draws no larger Poisson numbers")
        return value

    @model_validator(mode="after")
    def _water_belongs_to_the_energy(self) -> Self:
        if (self.reference_kev, self.water_attenuation) != (70.0, WATER_ATTENUATION):
            water = _water(self.reference_kev)
            if abs(self.water_attenuation / water - 1) > WATER_TOLERANCE:
                raise ValueError(
                    f"water_attenuation = {self.water_attenuation:g} 1/cm is not that of water at reference_kev = "
                    f"{self.reference_kev:g}, which is {water:g}. Give that, or leave water_attenuation out "
                    '("unset" takes an inherited one away)'
                )
        return self

    @model_validator(mode="after")
    def _corrects_what_is_there(self) -> Self:
        if self.scatter_correction is not None and self.patient_scatter is None:
            raise ValueError(
                "scatter_correction subtracts scatter that is not there: give patient_scatter, or leave it out "
                '("unset" takes an inherited one away)'
            )
        return self

    @property
    def beam(self) -> Spectrum:
        """The spectrum as the detector weights it."""
        return weighted_spectrum(self.spectrum, self.detector)

    @property
    def fewest_counts(self) -> float:
        """Photons that are counted behind any ray, but for one in a billion: what scatter leaves above its noise."""
        if self.scatter_correction is not None:
            return 0.0  # it takes scatter away again, and more
        # Six standard deviations of Poisson and electronics together.
        noise = 6 * math.hypot(math.sqrt(self.scatter), self.electronic_noise) if self.noise else 0.0
        return max(0.0, self.scatter - noise)

    @property
    def spectrum_title(self) -> str:
        """The spectrum in words: its name, or what its table is."""
        if isinstance(self.spectrum, str):
            return self.spectrum
        low, high = self.spectrum[0][0], self.spectrum[-1][0]
        return f"a table of {len(self.spectrum)} energies, {low:g} to {high:g} keV"


def _water(kev: float) -> float:
    """Return µ of water in 1/cm; rounded, so that the last bits of a table lookup are no part of a benchmark."""
    return round(float(mass_attenuation("water", np.array([kev]))[0]) * MATERIALS["water"].density, 6)


class ReconstructionSection(Section):
    """``[reconstruction]``: the filtered back-projection of scans and of the truth."""

    window: Window = "ram-lak"
    """Of the ramp filter; the later names pass less of the high frequencies. Or pairs of frequency, as a part of
    Nyquist's from 0 to 1, and factor: [[0, 1], [0.5, 0.8], [1, 0.1]]."""
    truncation: Literal["refuse", "extrapolate"] = "refuse"
    """What becomes of a scan that does not see the circle that fits into the image: every view may be continued."""

    @field_validator("window", mode="before")
    @classmethod
    def _known_window(cls, value: Any) -> Any:
        if isinstance(value, str) and (fault := window_fault(value)):
            raise ValueError(fault)
        return value

    @field_validator("window")
    @classmethod
    def _window_is_whole(cls, value: Window) -> Window:
        if fault := window_fault(value):
            raise ValueError(fault)
        return value


class MetalsSection(Section):
    """``[metals]``: of what the implants are, how large, where, and into how many size groups they fall.

    ``placement`` "any" takes the same implants for every slice and looks for their tissue, as published benchmarks do;
    "anatomical" takes implants of the slice's region of the body and puts them where surgeons do.
    A ray belongs to the metal trace if its line integral through metal alone, at the reference energy, is above
    ``trace_threshold``. Published code takes 0. On a coarse grid that widens the trace of a wire to several times the
    wire, at the cost of all methods that replace the trace.
    """

    material: Annotated[str, Field(max_length=64)] = "own"
    """What all metals of the library are made of; "own" is what each consists of. See docs/own_physics.md."""
    reference_pixel_cm: PixelSize
    """Pixel of the 416 × 416 grid on which the library's metals have their sizes."""
    placement: Literal["any", "anatomical"] = "any"
    """Implants for any slice alike, by their tissue, or those of the slice's region, where surgeons put them."""
    tissue_under_metal: Literal["removed", "kept"] = "removed"
    """Whether metal takes the place of tissue, or is added to it."""
    pixels: Literal["shared", "whole"] = "shared"
    """Whether pixels are metal by the share of their area, or wholly where that is half or more, as masks have it."""
    edge_bins: Literal["whole", "quartered"] = "whole"
    """Whether the outermost bins of the trace in every view carry their path through metal, or a quarter of it."""
    trace_threshold: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Line integral of metal above which a ray belongs to the trace."""
    size_groups: Annotated[int, Field(ge=1, le=100)] = 5
    """Groups of metals by size, 1 being the largest."""
    own: Annotated[tuple[OwnMetalSection, ...], Field(max_length=100)] = ()

    @field_validator("material")
    @classmethod
    def _one_name_of_each(cls, value: str) -> str:
        return plain_name(value)

    @field_validator("own")
    @classmethod
    def _can_be_made(cls, value: tuple[OwnMetalSection, ...]) -> tuple[OwnMetalSection, ...]:
        if len({metal.id for metal in value}) < len(value):
            raise ValueError("two metals have one id")
        size = sum(len(text) for metal in value for text in metal.masks.values())
        if size > _MASK_TEXT:
            raise ValueError(f"the masks take {size:,} characters, {_MASK_TEXT:,} at most: crop them to the metal")
        # Before any is unpacked: a picture of nothing else than metal takes next to no text.
        pixels = {metal.id: metal.pixels() for metal in value}
        for name, count in pixels.items():
            if count > _METAL_PIXELS:
                raise ValueError(f"{name}: its masks have {count:,} pixels, {_METAL_PIXELS:,} at most: crop them to it")
        if (total := sum(pixels.values())) > _MASK_PIXELS:
            raise ValueError(f"the masks have {total:,} pixels, {_MASK_PIXELS:,} at most: crop them to the metal")
        for metal in value:
            metal.hold_together()
        return value


class SegmentationSection(Section):
    """``[segmentation]``: how well methods are told where the metal is.

    By default they get the mask of what was put in. In a clinic somebody has to find it; here it can be found by a
    threshold, too large or too small, or in the wrong place, in this order. Their trace is then the projection of that
    mask, filled with what the implant is made of, by the rule of ``[metals]``. The scan, the truth and where it is
    scored stay as they are.
    """

    threshold_hu: Annotated[float, Field(ge=-1000, le=1e5)] | None = None
    """The mask is what the uncorrected image shows at this value and above, in place of what was put in."""
    grow_px: Annotated[int, Field(ge=-50, le=50)] = 0
    """Pixels by which the mask is grown on all sides, or shrunk where it is negative."""
    shift_px: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Pixels by which the mask lies too far to the right."""


BodyRegion = Literal["abdomen", "hip", "dental", "thorax", "shoulder", "head", "pelvis"]


class AnatomySection(Section):
    """``[anatomy]``: where slices come from.

    ``path`` says where the files lie, ``pattern`` which of them are meant: ``"*/ct.nii.gz"`` below ``path`` (see
    `marbench.anatomy.files.files_below`). Both are nobody else's business: runs keep ``data`` instead, the SHA-256 of
    the chosen test slices (see `marbench.anatomy.collection.SliceCollection.data`). A file that gives both holds the
    files to the digest.
    """

    source: Literal["procedural", "dicom", "nifti", "deeplesion"] = "procedural"
    """Patients that are drawn, or files: a folder tree of DICOM or NIfTI, or the DeepLesion data set."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """The folder of the files; relative to the spec file."""
    pattern: Annotated[str, Field(min_length=1)] | None = None
    """Which files below ``path`` are meant, of "dicom" and "nifti": ``"*/ct.nii.gz"``; all without it."""
    data: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the test slices, to which the files are held."""
    fit: Literal["physical", "image"] = "physical"
    """True lengths with the body at the isocentre, or the whole picture scaled to the field of view. Procedural
    patients have true lengths in an image 41 cm wide alone."""
    scale: Annotated[float, Field(ge=0.3, le=1)] = 1.0
    """Procedural patients at this part of their size, all of their organs, beside implants of true size."""

    regions: Annotated[tuple[BodyRegion, ...], Field(min_length=1)] | None = None
    """Procedural patients of these regions alone, in turn, as to train without one of them; by default of all."""

    @model_validator(mode="after")
    def _of_the_drawn_alone(self) -> Self:
        if self.source != "procedural" and (self.scale != 1 or self.regions is not None):
            raise ValueError(
                f'scale and regions are of "procedural" patients: those of "{self.source}" are as they are'
            )
        if self.regions is not None and len(set(self.regions)) < len(self.regions):
            raise ValueError("regions names one twice")
        return self

    @model_validator(mode="after")
    def _files_where_needed(self) -> Self:
        named = self.path is not None or self.data is not None
        if self.source == "procedural" and named:
            raise ValueError('"procedural" patients come from no files: they take neither path nor data')
        if self.source != "procedural" and not named:
            raise ValueError(f'path is needed for "{self.source}": the folder of the slices')
        return self

    @model_validator(mode="after")
    def _pattern_below_path(self) -> Self:
        if self.pattern is None:
            return self
        if self.path is None or self.source not in ("dicom", "nifti"):
            raise ValueError('pattern says which files below path are meant, of "dicom" and "nifti"')
        if PurePosixPath(self.pattern).is_absolute() or ".." in PurePosixPath(self.pattern).parts:
            raise ValueError(f'pattern is relative to path, for example "*/ct.nii.gz"; got {self.pattern!r}')
        return self


class Counts(Section):
    """How many patients and slices a split takes; ``"all"`` takes what is left."""

    patients: Annotated[int, Field(ge=0, le=100_000)] | Literal["all"]
    """Of files "all" that the splits before this one leave."""
    slices: Annotated[int, Field(ge=0, le=1_000_000)] | Literal["all"]
    """Of all these patients together, spread evenly."""

    def limits(self) -> tuple[int | None, int | None]:
        """Return the counts with None for ``"all"``."""
        return (
            None if self.patients == "all" else self.patients,
            None if self.slices == "all" else self.slices,
        )


class SplitSection(Section):
    """``[split]``: patients, not slices, are divided."""

    test: Counts
    """What results are of."""
    val: Counts = Counts(patients=0, slices=0)
    """What hyperparameters are chosen on."""
    train: Counts = Counts(patients=0, slices=0)
    """What networks learn from."""

    def counts(self) -> dict[Split, tuple[int | None, int | None]]:
        """Return the limits of the three splits."""
        return {"train": self.train.limits(), "val": self.val.limits(), "test": self.test.limits()}


class TruthSection(Section):
    """``[truth]``: what a method is scored against."""

    image: Literal["reconstruction", "anatomy"] = "reconstruction"
    """The simulated scan without metal, or the clean slice itself."""
    noise: bool = True
    """Whether that scan has photon noise."""


class MetricsSection(Section):
    """``[metrics]``: the conventions of PSNR and SSIM; the first one ranks."""

    conventions: Annotated[tuple[str, ...], Field(min_length=1)] = ("dudonet2019",)
    """Names of conventions."""

    @field_validator("conventions")
    @classmethod
    def _known_conventions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in CONVENTIONS:
                raise ValueError(f"unknown convention {name!r}; {nearest(name, CONVENTIONS)}")
        if len(set(value)) != len(value):
            raise ValueError("a convention is named twice")
        return value


class ProvenanceSection(Section):
    """``[[provenance]]``: what is known of a published world. Told by `marbench show`; no part of the hash."""

    what: Annotated[str, Field(min_length=1, max_length=100)]
    """Which part of the world: geometry, metal, noise."""
    source: Annotated[str, Field(min_length=1, max_length=2000)]
    """What is known of it, and from where."""
    verified: Annotated[str, Field(max_length=2000)] = ""
    """How it was verified; empty: it was not."""


class ReportSection(Section):
    """``[report]``: which slices the gallery shows."""

    gallery_slices: Annotated[tuple[Annotated[int, Field(ge=0, le=1_000_000)], ...], Field(max_length=1000)] = (0,)
    """Test slices by their position, from 0."""
