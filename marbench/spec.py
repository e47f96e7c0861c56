"""What a benchmark is: the frozen, hashed models of ``data_specs/*.toml``.

One TOML file says all. A file may begin with ``extends = "mini"`` (a name or a path) and then gives only what differs.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from marbench.anatomy.slices import Split
from marbench.errors import MarbenchError, SpecError, nearest
from marbench.geometry import FanBeam, ImageGrid
from marbench.metrics.conventions import CONVENTIONS
from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.materials import METALS
from marbench.physics.spectrum import spectra
from marbench.resources import resource_folder

__all__ = ["PROTOCOL", "Spec", "builtin_specs", "load_spec"]

PROTOCOL = 1
"""Version of everything that turns a spec into cases and scores. Raised whenever results would change."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Count = Annotated[int, Field(ge=0)] | Literal["all"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class GeometrySection(_Section):
    """``[geometry]``: a full-circle fan beam."""

    detector: Literal["arc", "flat"] = "arc"
    views: Annotated[int, Field(ge=1)]
    bins: Annotated[int, Field(ge=2)]
    source_distance_cm: Positive
    pitch_deg: Positive | None = None
    pitch_cm: Positive | None = None
    detector_distance_cm: Positive | None = None
    start_deg: float = 0.0

    @model_validator(mode="after")
    def _one_pitch(self) -> Self:
        if self.detector == "arc" and (self.pitch_deg is None or self.pitch_cm is not None):
            raise ValueError('an "arc" detector takes pitch_deg (and not pitch_cm)')
        if self.detector == "flat" and (self.pitch_cm is None or self.pitch_deg is not None):
            raise ValueError('a "flat" detector takes pitch_cm (and not pitch_deg)')
        if (self.detector == "flat") != (self.detector_distance_cm is not None):
            raise ValueError('detector_distance_cm belongs to a "flat" detector, which needs it')
        return self

    def fan_beam(self) -> FanBeam:
        """Return the geometry as a value in cm and radians."""
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
        )


class GridSection(_Section):
    """``[grid]``: the square image."""

    size: Annotated[int, Field(ge=8)]
    pixel_cm: Positive


class PhysicsSection(_Section):
    """``[physics]``: tube, detector and correction."""

    spectrum: str = "w120_al2.8"
    reference_kev: Annotated[float, Field(ge=20, le=150)] = 70.0
    water_attenuation: Positive = WATER_ATTENUATION
    photons: Positive = 2e7
    scatter: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 20.0
    noise: bool = True

    @field_validator("spectrum")
    @classmethod
    def _known_spectrum(cls, value: str) -> str:
        if value not in spectra():
            raise ValueError(f"unknown spectrum {value!r}; {nearest(value, spectra())}")
        return value


class MetalsSection(_Section):
    """``[metals]``: of what the implants are, how large, and into how many size groups they fall.

    A ray belongs to the metal trace if its line integral through metal alone, at the reference energy, is above
    ``trace_threshold``. Published code takes 0. On a coarse grid that widens the trace of a wire to several times the
    wire, at the cost of all methods that replace the trace.
    """

    material: str = "own"
    reference_pixel_cm: Positive
    tissue_under_metal: Literal["removed", "kept"] = "removed"
    trace_threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    size_groups: Annotated[int, Field(ge=1)] = 5

    @field_validator("material")
    @classmethod
    def _known_material(cls, value: str) -> str:
        if value not in ("own", *METALS):
            raise ValueError(f"unknown material {value!r}; {nearest(value, ('own', *METALS))}")
        return value


class AnatomySection(_Section):
    """``[anatomy]``: where slices come from."""

    source: Literal["procedural", "dicom", "nifti", "deeplesion"] = "procedural"
    path: str | None = None
    fit: Literal["physical", "image"] = "physical"

    @model_validator(mode="after")
    def _path_where_needed(self) -> Self:
        if (self.source == "procedural") != (self.path is None):
            raise ValueError('path is needed for every source but "procedural", which takes none')
        return self


class Counts(_Section):
    """How many patients and slices a split takes; ``"all"`` takes what is left."""

    patients: Count
    slices: Count

    def limits(self) -> tuple[int | None, int | None]:
        """Return the counts with None for ``"all"``."""
        return (
            None if self.patients == "all" else self.patients,
            None if self.slices == "all" else self.slices,
        )


class SplitSection(_Section):
    """``[split]``: patients, not slices, are divided."""

    test: Counts
    val: Counts = Counts(patients=0, slices=0)
    train: Counts = Counts(patients=0, slices=0)

    def counts(self) -> dict[Split, tuple[int | None, int | None]]:
        """Return the limits of the three splits."""
        return {"train": self.train.limits(), "val": self.val.limits(), "test": self.test.limits()}


class TruthSection(_Section):
    """``[truth]``: what a method is scored against.

    ``"reconstruction"`` is the simulated scan without metal; ``"anatomy"`` is the clean slice itself.
    """

    image: Literal["reconstruction", "anatomy"] = "reconstruction"
    noise: bool = True


class MetricsSection(_Section):
    """``[metrics]``: the conventions of PSNR and SSIM; the first one ranks."""

    conventions: Annotated[tuple[str, ...], Field(min_length=1)] = ("dudonet2019",)

    @field_validator("conventions")
    @classmethod
    def _known_conventions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in CONVENTIONS:
                raise ValueError(f"unknown convention {name!r}; {nearest(name, CONVENTIONS)}")
        if len(set(value)) != len(value):
            raise ValueError("a convention is named twice")
        return value


class ReportSection(_Section):
    """``[report]``: which slices the gallery shows."""

    gallery_slices: tuple[Annotated[int, Field(ge=0)], ...] = (0,)


class Spec(_Section):
    """A benchmark. Immutable; equal specs have equal `hash`."""

    name: Name
    title: str
    summary: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    geometry_section: GeometrySection = Field(alias="geometry")
    grid_section: GridSection = Field(alias="grid")
    physics: PhysicsSection = PhysicsSection()
    metals: MetalsSection
    anatomy: AnatomySection = AnatomySection()
    split: SplitSection
    truth: TruthSection = TruthSection()
    metrics: MetricsSection = MetricsSection()
    report: ReportSection = ReportSection()

    @model_validator(mode="after")
    def _field_covered(self) -> Self:
        # Also turns an impossible geometry into an error of this file.
        fan, grid = self.geometry, self.grid
        inscribed = min(grid.field_of_view) / 2
        if fan.field_radius < inscribed:
            raise ValueError(
                f"the fan sees a circle of radius {fan.field_radius:.2f} cm, but the image reaches {inscribed:.2f} cm "
                "from its centre: the scan would be truncated. Use more bins, a larger pitch or a smaller pixel"
            )
        return self

    @property
    def geometry(self) -> FanBeam:
        """The scan geometry."""
        return self.geometry_section.fan_beam()

    @property
    def grid(self) -> ImageGrid:
        """The image grid."""
        return ImageGrid(self.grid_section.size, self.grid_section.size, self.grid_section.pixel_cm)

    def identity(self) -> dict[str, Any]:
        """Return what defines the benchmark's numbers: all but its texts, its report and where its data lie."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"title", "summary", "report"})
        # Slices read from files are identified by their content (see `Slice.slice_id`), wherever they lie.
        content["anatomy"].pop("path")
        return {"protocol": PROTOCOL, **content}

    @property
    def hash(self) -> str:
        """SHA-256 of the identity, 64 hex digits."""
        canonical = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def builtin_specs() -> tuple[str, ...]:
    """Return the names of the benchmarks that ship with marbench."""
    return tuple(sorted(path.stem for path in resource_folder("data_specs").glob("*.toml")))


def load_spec(name_or_path: str | Path | Spec) -> Spec:
    """Return a benchmark by the name of a built-in one or the path of a TOML file.

    Raises
    ------
    SpecError
        There is no such benchmark or file, it is no TOML, or a key or value is not allowed; the message names the
        file, the key and what is allowed.
    """
    if isinstance(name_or_path, Spec):
        return name_or_path
    path = _locate(str(name_or_path), base=Path())
    content = _resolve(path, ())
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        raise SpecError(_explain(path, error)) from None
    except MarbenchError as error:
        raise SpecError(f"{path}: {error}") from None


def _locate(name: str, base: Path) -> Path:
    """Return the file of a benchmark; relative paths are taken from ``base``."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        path = resource_folder("data_specs") / f"{name}.toml"
        if path.is_file():
            return path
    path = base / Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise SpecError(f"{path} is a folder. Give a TOML file, or the name of a benchmark: {_names()}")
    raise SpecError(f"There is no benchmark and no file {name!r}; {nearest(name, builtin_specs())}")


def _resolve(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Read a file and, below it, the one that it extends."""
    resolved = path.resolve()
    if resolved in seen:
        raise SpecError(f"{path}: 'extends' runs in a circle: {' → '.join(p.name for p in (*seen, resolved))}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    _absolute_data_path(content, path)
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise SpecError(f"{path}: 'extends' must be the name or path of a benchmark, got {base!r}")
    inherited = _resolve(_locate(base, base=path.parent), (*seen, resolved))
    inherited.pop("summary", None)  # it describes the other benchmark
    return _merge(inherited, content)


def _absolute_data_path(content: dict[str, Any], path: Path) -> None:
    """Make ``anatomy.path`` absolute: it is meant relative to the file in which it stands."""
    anatomy = content.get("anatomy")
    if isinstance(anatomy, dict) and isinstance(anatomy.get("path"), str):
        anatomy["path"] = str((path.parent / Path(anatomy["path"]).expanduser()).resolve())


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the tables of ``changes`` merged in, key by key."""
    merged = dict(base)
    for key, value in changes.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


def _explain(path: Path, error: ValidationError) -> str:
    """Return one line per fault: file, key, what is wrong, what is allowed."""
    lines = []
    for fault in error.errors():
        location = [str(part) for part in fault["loc"]]
        key = ".".join(location) or "(file)"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key {key!r}; {nearest(location[-1], _keys_at(location[:-1]))}")
        elif fault["type"] == "missing":
            lines.append(f"{path}: the key {key!r} is missing")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            got = "" if isinstance(fault["input"], dict) else f" (got {fault['input']!r})"
            lines.append(f"{path}: {key}: {message}{got}")
    return "\n".join(lines)


def _keys_at(location: list[str]) -> list[str]:
    """Return the keys that are allowed in the table at a location."""
    model: Any = Spec
    for part in location:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = fields[part].annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def _names() -> str:
    return ", ".join(builtin_specs())
