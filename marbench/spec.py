"""What a benchmark is: one frozen, hashed value, read from a file of ``data_specs/*.toml`` or of the user's own.

One TOML file says all. A file may begin with ``extends = "mini"`` (a name or a path) and then gives only what differs;
a key set to ``"unset"`` takes an inherited one away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Self, get_args, get_origin

import numpy as np
from pydantic import Field, ValidationError, model_validator

from marbench.errors import DataError, MarbenchError, SpecError, nearest
from marbench.geometry import FanBeam, ImageGrid
from marbench.machine.text import counted, said_by
from marbench.machine.toml import parse_toml
from marbench.mask_files import mask_digest
from marbench.phantoms import IMPLANTS_VERSION, METALS_VERSION, PHANTOMS_VERSION
from marbench.phantoms.implants.metal import MATERIALS as IMPLANT_MATERIALS
from marbench.physics.materials import METALS, Material, find_material, materials_digest
from marbench.physics.spectrum import spectrum_digest
from marbench.resources import resource_folder
from marbench.spec_implants import MaterialSection
from marbench.spec_inputs import UNSET, merge, path_of, resolve_paths, shown
from marbench.spec_recorded import RECORDED_PLACES, RaysFile, RecordedSection
from marbench.spec_sections import (
    AnatomySection,
    GeometrySection,
    GridSection,
    MetalsSection,
    MetricsSection,
    PhysicsSection,
    ProvenanceSection,
    ReconstructionSection,
    ReportSection,
    SegmentationSection,
    SplitSection,
    TruthSection,
)
from marbench.spec_table import Name, Section, said_of

__all__ = ["PLACES", "PROTOCOL", "Spec", "builtin_specs", "is_builtin", "load_spec", "refuse_borrowed_name"]

PROTOCOL = 1
"""Version of everything that turns a spec into cases and scores. Raised whenever results would change, be it by code or
by another default of an option."""

PLACES: dict[str, Any] = {"anatomy": {"path", "pattern"}, "recorded": RECORDED_PLACES}
"""The values that say where files lie: what they hold makes a benchmark, and the digest of it stands for them."""

_TISSUES = ("water", "bone")
_REFERENCE_GRID = 416
"""Pixels of the grid on which metal sizes are declared (Lin et al., CVPR 2019)."""
_REFERENCE_WIDTHS = (0.1, 1.5)
_COARSEST = 25
_FEWEST_BINS = 7
_FAULTS_TOLD, _KEY_LENGTH = 20, 200
"""Of a message: how many faults it lists, and how many characters of a key."""


class Spec(Section):
    """A benchmark. Immutable; equal specs have equal `hash`."""

    name: Name
    """Of files and folders; lower case."""
    title: str = ""
    """Of pages and tables; the name where none is given."""
    summary: str = ""
    """One sentence."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of patients, places and noise."""
    geometry_section: GeometrySection = Field(alias="geometry")
    grid_section: GridSection = Field(alias="grid")
    physics: PhysicsSection = PhysicsSection()
    materials: dict[Name, MaterialSection] = Field(default_factory=dict)
    reconstruction: ReconstructionSection = ReconstructionSection()
    metals: MetalsSection
    segmentation: SegmentationSection = SegmentationSection()
    anatomy: AnatomySection = AnatomySection()
    recorded: RecordedSection | None = None
    split: SplitSection
    truth: TruthSection = TruthSection()
    metrics: MetricsSection = MetricsSection()
    report: ReportSection = ReportSection()
    provenance: Annotated[tuple[ProvenanceSection, ...], Field(max_length=50)] = ()

    @model_validator(mode="before")
    @classmethod
    def _title_is_the_name(cls, values: Any) -> Any:
        return {"title": values["name"], **values} if isinstance(values, dict) and "name" in values else values

    @model_validator(mode="after")
    def _scan_is_possible(self) -> Self:
        # Also turns an impossible geometry into an error of this file.
        fan, grid = self.geometry, self.grid
        inscribed, reach = min(grid.field_of_view) / 2, math.hypot(*grid.field_of_view) / 2
        if fan.source_distance <= reach:
            raise ValueError(
                f"the source, {fan.source_distance:g} cm from the isocentre, would pass through the image, whose "
                f"corners are {reach:.2f} cm away. Use a larger source_distance_cm or a smaller pixel"
            )
        if fan.detector == "flat" and fan.detector_distance < fan.source_distance + reach:
            raise ValueError(
                f"the flat detector, detector_distance_cm = {fan.detector_distance:g} from the source, would stand in "
                f"the image or in front of it, which ends {fan.source_distance + reach:.2f} cm from the source. The "
                "distance is from the source, not from the isocentre: add source_distance_cm to one that is"
            )
        if fan.field_radius < inscribed and self.reconstruction.truncation == "refuse":
            raise ValueError(
                f"the fan sees a circle of radius {fan.field_radius:.2f} cm, but the image reaches {inscribed:.2f} cm "
                "from its centre: the scan would be truncated. Use more bins, a larger pitch or a smaller pixel, or "
                'choose reconstruction.truncation = "extrapolate"'
            )
        if unmeasured := fan.unmeasured(inscribed):
            more = 'Use a larger arc_deg; "short" is the least that suffices' if fan.views > 2 else "Use more views"
            raise ValueError(f"{unmeasured}. {'List more views' if fan.angles else more}")
        # Rebinned to parallel rays of the pitch at the isocentre, the scan needs one on either side of the centre.
        if fan.field_radius * (1 + 1e-9) < fan.isocentre_pitch:
            raise ValueError(f"{fan.bins} bins {fan.isocentre_pitch:.2f} cm apart are too few. Use more and finer bins")
        return self

    @model_validator(mode="after")
    def _recorded_views_can_be_turned(self) -> Self:
        arrays, fan = {} if self.recorded is None else self.recorded.arrays(), self.geometry
        turned = [name for name, how in arrays.items() if isinstance(how, RaysFile) and how.turned_deg]
        if turned and (fan.angles or not fan.is_circle):
            raise ValueError(
                f"recorded.{turned[0]}.turned_deg turns the views of an evenly divided circle. Of another "
                "scan say with geometry.start_deg or angles_deg where its views are"
            )
        return self

    @model_validator(mode="after")
    def _metals_fit(self) -> Self:
        if self.recorded is not None:
            if self.segmentation != SegmentationSection():
                raise ValueError("segmentation: recorded cases come with the mask of their files")
            return self  # no metal is placed
        pixel, grid = self.metals.reference_pixel_cm, self.grid
        width = _REFERENCE_GRID * pixel / grid.field_of_view[1]
        low, high = _REFERENCE_WIDTHS
        if not low <= width <= high:
            raise ValueError(
                f"metals.reference_pixel_cm = {pixel:g} makes the {_REFERENCE_GRID}² reference grid {width:.2g} times "
                f"as wide as the image; {low:g} to {high:g} times can be placed in it, 1 is the paper's: "
                f"{grid.field_of_view[1] / _REFERENCE_GRID:.6g}"
            )
        if grid.pixel > _COARSEST * pixel:
            raise ValueError(
                f"a pixel of {grid.pixel:g} cm is {grid.pixel / pixel:.0f} times as wide as metals.reference_pixel_cm: "
                f"the smallest metals would vanish. Use smaller pixels, {_COARSEST} times as wide at most"
            )
        return self

    @model_validator(mode="after")
    def _implants_can_be_made(self) -> Self:
        for name in self.materials:
            with contextlib.suppress(DataError):
                raise ValueError(
                    f"materials.{name}: {find_material(name).name!r} has that name already. Choose another"
                )
        if self.metals.material != "own":
            self._implant("metals.material", self.metals.material)
        for metal in self.metals.own:
            metal.hold_within(self.grid.field_of_view)
            for name in metal.masks:
                self._implant(f"metals.own {metal.id}", name)
        return self

    @model_validator(mode="after")
    def _detector_fits(self) -> Self:
        bowtie, fan = self.physics.bowtie, self.geometry
        if self.physics.low_signal == "smoothed" and fan.bins < _FEWEST_BINS:
            raise ValueError(f'physics.low_signal = "smoothed" takes {_FEWEST_BINS} bins or more. Got {fan.bins}')
        if bowtie is None:
            return self
        self._known("physics.bowtie.material", bowtie.material)
        outermost = math.degrees(float(np.abs(fan.gamma).max()))
        if bowtie.thickness[-1][0] < outermost - 1e-6:
            raise ValueError(
                f"physics.bowtie.thickness ends at {bowtie.thickness[-1][0]:g}°, but the fan reaches {outermost:.4g}° "
                "from its central ray. Say how thick the bowtie is there"
            )
        return self

    def _implant(self, key: str, name: str) -> Material:
        """Return what an implant is made of, or raise ValueError with the key that names it."""
        found = self._known(key, name)
        if found.name not in (*METALS, *self.materials):
            raise ValueError(f"{key}: implants are not made of {found.name}; {nearest(name, METALS)}")
        return found

    def _known(self, key: str, name: str) -> Material:
        """Return a material, or raise ValueError with the key that names it."""
        try:
            return self.material(name)
        except DataError as error:
            raise ValueError(f"{key}: {error}") from None

    def material(self, name: str) -> Material:
        """Return a material that the benchmark defines or marbench knows.

        Raises
        ------
        DataError
            There is none of that name.
        """
        return find_material(name, {own: section.material(own) for own, section in self.materials.items()})

    @property
    def geometry(self) -> FanBeam:
        """The scan geometry."""
        return self.geometry_section.fan_beam()

    @property
    def grid(self) -> ImageGrid:
        """The image grid."""
        return ImageGrid(self.grid_section.size, self.grid_section.size, self.grid_section.pixel_cm)

    @property
    def data_name(self) -> str:
        """What the files are called whose digest `data` is."""
        return "recorded files" if self.recorded is not None else "CT slices"

    @property
    def data(self) -> str | None:
        """Digest of the files that the benchmark is made of: of its recorded cases, or of its slices. None: unknown."""
        return self.anatomy.data if self.recorded is None else self.recorded.data

    @property
    def is_bound(self) -> bool:
        """Whether nothing is left to be known of the benchmark's data: they are drawn, or known by their digest."""
        return self.data is not None or self.is_drawn

    @property
    def is_drawn(self) -> bool:
        """Whether all cases are drawn, and none is read from files."""
        return self.recorded is None and self.anatomy.source == "procedural"

    def identity(self) -> dict[str, Any]:
        """Return what defines the benchmark's numbers.

        That is the protocol, every value that differs from its default, and the versions or the content of what the
        values name. So an option that is added later, with a default, changes no benchmark, and other data do.
        Texts, the choice of pictures and the place of the files are left out.
        """
        values = self.model_dump(
            mode="json",
            by_alias=True,
            exclude_defaults=True,
            exclude={
                "title": True,
                "summary": True,
                "report": True,
                "provenance": True,
                **PLACES,
                "metals": {"own": {"__all__": {"title", "masks"}}},
            },
        )
        return {"protocol": PROTOCOL, **values, "content": self._content()}

    def _content(self) -> dict[str, Any]:
        """Return digests of the tables and versions of the generators that the values name."""
        implants: list[str] = list(IMPLANT_MATERIALS) if self.metals.material == "own" else [self.metals.material]
        implants += [name for metal in self.metals.own for name in metal.masks]
        implants += [self.physics.bowtie.material] if self.physics.bowtie is not None else []
        made_of = [self.material(name) for name in (*_TISSUES, *implants)]
        content: dict[str, Any] = {
            "spectrum": spectrum_digest(self.physics.spectrum),
            "materials": materials_digest(made_of),
        }
        if self.recorded is not None:
            return content  # nothing is drawn: the files are known by recorded.data
        content["metals"] = METALS_VERSION
        if self.metals.placement == "anatomical":
            content["implants"] = IMPLANTS_VERSION
        if self.anatomy.source == "procedural":
            content["phantoms"] = PHANTOMS_VERSION
        if self.metals.own:
            content["masks"] = [
                {name: mask_digest(text) for name, text in metal.masks.items()} for metal in self.metals.own
            ]
        return content

    @property
    def hash(self) -> str:
        """SHA-256 of the identity, 64 hex digits."""
        canonical = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def builtin_specs() -> tuple[str, ...]:
    """Return the names of the benchmarks that ship with marbench."""
    return tuple(sorted(path.stem for path in resource_folder("data_specs").glob("*.toml")))


def is_builtin(name: str, spec_hash: str) -> bool:
    """Tell whether a benchmark of a name and hash is one that ships with marbench, and not another of its name."""
    return name in builtin_specs() and load_spec(name).hash == spec_hash


def refuse_borrowed_name(spec: Spec) -> None:
    """Raise SpecError for a benchmark with the name of a built-in one that it is not: what is made of it would mislead.

    Such a one comes of a file that extends ``mini``, say, without a name of its own.
    """
    if spec.name in builtin_specs() and not is_builtin(spec.name, spec.hash):
        raise SpecError(
            f"This benchmark is called {spec.name!r}, but its values are not those of the {spec.name} that ships with "
            "marbench: give it a name and a title of its own in its TOML file."
        )


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
    try:
        return Spec.model_validate(_resolve(path, ()))
    except ValidationError as error:
        raise SpecError(_explain(path, error)) from None
    except RecursionError:
        raise SpecError(f"{path}: its tables are nested too deeply") from None
    except SpecError:
        raise
    except MarbenchError as error:
        raise SpecError(f"{path}: {error}") from None


def _locate(name: str, base: Path) -> Path:
    """Return the file of a benchmark; relative paths are taken from ``base``."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        path = resource_folder("data_specs") / f"{name}.toml"
        if _exists(path):
            return path
    path = path_of(name, base)
    if path.is_file():
        return path
    if path.is_dir():
        raise SpecError(f"{path} is a folder. Give a TOML file, or the name of a benchmark: {_names()}")
    raise SpecError(f"There is no benchmark and no file {shown(name)}; {nearest(name, builtin_specs())}")


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _resolve(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Read a file and, below it, the one that it extends."""
    resolved = path.resolve()
    if resolved in seen:
        raise SpecError(f"{path}: 'extends' runs in a circle: {' → '.join(p.name for p in (*seen, resolved))}")
    try:
        content = parse_toml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {said_by(error)}") from None
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits, tables nested 1,000 deep
        raise SpecError(f"{path} is not valid TOML: {error}") from None
    resolve_paths(content, path)
    base = content.pop("extends", None)
    for *table, key in _unset(content):
        if (known := _keys_at(table)) and key not in known:
            raise SpecError(f"{path}: unknown key {shown('.'.join([*table, key]))}; {nearest(key, known)}")
    if base is None:
        return merge({}, content)
    if not isinstance(base, str):
        raise SpecError(f"{path}: 'extends' must be the name or path of a benchmark, got {shown(base)}")
    try:
        below = _locate(base, base=path.parent)
    except SpecError as error:
        raise SpecError(f"{path}: extends: {error}") from None
    inherited = _resolve(below, (*seen, resolved))
    for name in ("title", "summary", "provenance"):  # they describe the other benchmark
        inherited.pop(name, None)
    return merge(inherited, content)


def _unset(content: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where the keys stand that are to be taken away: merged, nothing would be left to refuse of a wrong one."""
    for key, value in content.items():
        if value == UNSET:
            yield (*above, key)
        elif isinstance(value, dict):
            yield from _unset(value, (*above, key))


def _explain(path: Path, error: ValidationError) -> str:
    """Return one line for each of the first faults: file, key, what is wrong, what is allowed."""
    lines, told = [], error.errors()
    # A list is too short, too, for pydantic, where one of its items is wrong.
    wrong = {fault["loc"][:length] for fault in told for length in range(len(fault["loc"]))}
    faults = [fault for fault in told if fault["type"] != "too_short" or fault["loc"] not in wrong]
    for fault in faults[:_FAULTS_TOLD]:
        location = [str(part) for part in fault["loc"]]
        key = ".".join(location)[:_KEY_LENGTH] or "(file)"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key {shown(key)}; {nearest(location[-1], _keys_at(location[:-1]))}")
        elif fault["type"] == "missing":
            lines.append(f"{path}: the key {key!r} is missing")
        else:
            got = "" if isinstance(fault["input"], dict) else f" (got {shown(fault['input'])})"
            lines.append(f"{path}: {key}: {said_of(fault)}{got}")
    if (more := len(faults) - _FAULTS_TOLD) > 0:
        lines.append(f"{path}: and {counted(more, 'more fault')}")
    return "\n".join(lines)


def _keys_at(location: list[str]) -> list[str]:
    """Return the keys that are allowed in the table at a location; none where any is, or where there is no table."""
    model: Any = Spec
    for part in location:
        if get_origin(model) is None:
            model = _fields(model).get(part)
            if get_origin(model) is not UnionType:
                continue
        # A table of tables, a list of them, or an optional table, which no part of the location stands for.
        model = next((one for one in get_args(model) if _fields(one)), None)
    return list(_fields(model))


def _fields(model: Any) -> dict[str, Any]:
    """Return key → type of a table; of anything else none."""
    is_table = isinstance(model, type) and issubclass(model, Section)
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()} if is_table else {}


def _names() -> str:
    return ", ".join(builtin_specs())
