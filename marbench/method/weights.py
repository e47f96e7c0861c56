"""Weights files: safetensors with a card beside them; found by what they are for, and verified before use.

``NAME.safetensors`` holds the tensors, ``NAME.json`` beside it is the card (`WeightsCard`). Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError

from marbench.errors import MethodError
from marbench.machine.text import said_by
from marbench.method.card import DeclaredWeights, ParameterValue, Sha256
from marbench.resources import resource_folder
from marbench.spec import Spec, is_builtin
from marbench.spec_sections import Section

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "NO_WEIGHTS",
    "SCALE",
    "WeightsCard",
    "WeightsFile",
    "WeightsSearch",
    "assign_weights",
    "declared_files",
    "find_weights",
    "misfit",
    "no_weights",
    "read_weights",
    "scan_of",
    "training_command",
    "user_weights_folder",
]

WEIGHTS_VARIABLE = "MARBENCH_WEIGHTS"
SCALE = ":scale"
"""What follows the name of a tensor in the name of its scales; a tensor that has any is stored as whole numbers."""


class WeightsCard(BaseModel):
    """What a weights file is for, and how it was made.

    Attributes
    ----------
    parameters : dict
        Every parameter of the method as it was trained: defaults, preset and what the user asked for.
    scan : dict
        Geometry, grid, physics and reconstruction of the benchmark, see `scan_of`.
    networks : dict
        Network → number of parameters.
    hours : float
        Training time, without waiting for the simulation and without validation.
    validation : dict
        Mean scores on the validation cases, of the weights as they are in the file.
    """

    # NaN, as the score of a region that no case has, and infinity are written as Python's json has them.
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    method: str
    label: str
    preset: str | None
    parameters: dict[str, ParameterValue]
    spec: str
    spec_hash: Sha256
    scan: dict[Literal["geometry", "grid", "physics", "reconstruction"], dict[str, Any]]
    sha256: Sha256
    networks: dict[str, int] = {}
    seed: int = 0
    steps: int = 0
    samples: int = 0
    hours: float = 0.0
    precision: str = ""
    hardware: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    validation: dict[str, Any] = {}
    finished: str = ""


@dataclass(frozen=True)
class WeightsFile:
    """A weights file and its card; the tensors are verified by `read_weights`.

    ``is_declared``: its plugin's card declares it.
    """

    path: Path
    card: WeightsCard
    is_declared: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, path: Path) -> WeightsFile:
        """Read the card beside a file; raises OSError where there is none, and ValidationError where it is no card."""
        return cls(path, WeightsCard.model_validate_json(path.with_suffix(".json").read_bytes()))


@dataclass(frozen=True)
class WeightsSearch:
    """What a search came to.

    Attributes
    ----------
    file : WeightsFile or None
        The one that fits best.
    problems : tuple of str
        Why others could not be considered.
    misfit : float
        Of the file, see `misfit`.
    is_named : bool
        Whether it lies in a folder that ``MARBENCH_WEIGHTS`` names.
    plugins : Path or None
        What ``--plugins`` has to name where the method is to be trained; None where it is found without.
    """

    file: WeightsFile | None
    problems: tuple[str, ...] = ()
    misfit: float = math.inf
    is_named: bool = False
    plugins: Path | None = None


NO_WEIGHTS = WeightsSearch(None)


def scan_of(spec: Spec) -> dict[str, dict[str, Any]]:
    """Return what a network's input looks like, by its values: tables of the benchmark's file.

    Values, not a digest of them: to an option that a later release adds, an older card owes its default.
    """
    sections = {
        "geometry": spec.geometry_section,
        "grid": spec.grid_section,
        "physics": spec.physics,
        "reconstruction": spec.reconstruction,
    }
    return {name: section.model_dump(mode="json", exclude_none=True) for name, section in sections.items()}


def misfit(card: WeightsCard, spec: Spec, spec_hash: str | None = None) -> int | None:
    """Return how far a benchmark is from that which weights were trained on; None where they cannot be used.

    0: it is the same. 1: the same scan; other patients, metals or measures. 2: the same geometry and grid, but another
    spectrum or dose. 3: images and truth are reconstructed in another way. 4: both. So one network can be tried on all
    of these; another geometry or grid is none that it knows.

    Parameters
    ----------
    card : WeightsCard
    spec : Spec
    spec_hash : str, optional
        Of ``spec``, where it is known.
    """
    if card.spec_hash == (spec_hash or spec.hash):
        return 0
    if not (_same(card, "geometry", spec.geometry_section) and _same(card, "grid", spec.grid_section)):
        return None
    other_physics = not _same(card, "physics", spec.physics)
    return 1 + other_physics + 2 * (not _same(card, "reconstruction", spec.reconstruction))


def _same(card: WeightsCard, name: Literal["geometry", "grid", "physics", "reconstruction"], section: Section) -> bool:
    """Compare a table of a card with a benchmark's, after the defaults of today are filled in."""
    try:
        return type(section).model_validate(card.scan.get(name, {})) == section
    except ValidationError:  # options of another release
        return False


def user_weights_folder() -> Path:
    """Return the folder into which `marbench train` installs its results."""
    return Path(platformdirs.user_data_dir("marbench", appauthor=False)) / "weights"


def find_weights(
    label: str,
    preset: str | None,
    parameters: Mapping[str, ParameterValue],
    spec: Spec,
    home: Path,
    declared: Sequence[DeclaredWeights] = (),
    plugins: Path | None = None,
) -> WeightsSearch:
    """Look for the weights of a method, trained with the same preset and parameters.

    Looked through in this order: the folders named in ``MARBENCH_WEIGHTS``, the files that the plugin declares, the
    user's own folder. Weights trained on exactly this benchmark come first, then those of the same scan, see `misfit`.

    Parameters
    ----------
    label : str
        The method and the parameters that differ from its defaults, e.g. ``dudonet[variant=E]``.
    preset : str or None
    parameters : mapping
        All parameters of the method. One that a card does not know did not exist when the weights were trained.
    spec : Spec
    home : Path
        The folder in which the plugin's card lies.
    declared : sequence of DeclaredWeights
        What its ``method.toml`` declares.
    plugins : Path, optional
        See `WeightsSearch`.

    Raises
    ------
    MethodError
        A folder named in ``MARBENCH_WEIGHTS`` does not exist.
    """
    problems: list[str] = []
    parts = filter(None, os.environ.get(WEIGHTS_VARIABLE, "").split(os.pathsep))
    named = [Path(part).expanduser().absolute() for part in parts]
    for path in named:
        if not path.is_dir():
            raise MethodError(f"{WEIGHTS_VARIABLE} names {path}, which is no folder.")
    from_named = _files_in(named, problems)
    files = [
        *from_named,
        *declared_files(home, declared, problems),
        *_files_in([user_weights_folder()], problems),
    ]
    fitting = [
        file
        for file in files
        if (file.card.label, file.card.preset) == (label, preset)
        and all(_agree(file.card.parameters.get(name, value), value) for name, value in parameters.items())
    ]
    spec_hash = spec.hash
    ranked = [(rank, file) for file in fitting if (rank := misfit(file.card, spec, spec_hash)) is not None]
    # The first of the best: files that are looked through earlier come first.
    distance, file = min(ranked, key=lambda pair: pair[0], default=(math.inf, None))
    return WeightsSearch(file, tuple(problems), distance, file in from_named, plugins)


def _agree(value: ParameterValue, other: ParameterValue) -> bool:
    return value == other or (value != value and other != other)  # NaN is NaN


def read_weights(file: WeightsFile, plugins: Path | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file by name; floating ones as float32, on the CPU.

    Parameters
    ----------
    file : WeightsFile
    plugins : Path, optional
        See `WeightsSearch`.

    Raises
    ------
    MethodError
        The file is missing, is not the one that its card describes, or is no safetensors file.
    """
    from safetensors.torch import load as load_safetensors  # brings torch, which finding weights does without

    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise MethodError(f"The weights {file.path} cannot be read: {said_by(error)}.") from None
    found, card = hashlib.sha256(content).hexdigest(), file.card
    if found != card.sha256:
        advice = f", and let {WEIGHTS_VARIABLE} name the folder of the new ones: they come before the plugin's then"
        raise MethodError(
            f"The weights {file.path} are damaged or foreign: expected SHA-256 {card.sha256[:16]}…, found "
            f"{found[:16]}… ({len(content)} bytes). Fetch them again, or train them again with "
            f"`{training_command(card.label, card.spec, card.spec_hash, card.preset, plugins)}`"
            f"{advice if file.is_declared else ''}."
        )
    try:
        tensors = load_safetensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise MethodError(f"The weights {file.path} are no safetensors file: {error}.") from None
    scales = {name: tensors.pop(name) for name in list(tensors) if name.endswith(SCALE)}
    for name, scale in scales.items():
        levels = tensors.get(name.removesuffix(SCALE))
        if levels is None or scale.shape != levels.shape[:1]:
            raise MethodError(f"The weights {file.path} have scales that fit no tensor: {name}. Train them again.")
        tensors[name.removesuffix(SCALE)] = levels * scale.view(-1, *[1] * (levels.dim() - 1))
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def assign_weights(networks: Mapping[str, nn.Module], state: Mapping[str, torch.Tensor], label: str) -> None:
    """Copy tensors named ``NETWORK.PARAMETER`` into networks.

    Raises
    ------
    MethodError
        A tensor is missing, left over, of another shape, or of another kind: floating, complex or neither.
    """
    states = {name: network.state_dict() for name, network in networks.items()}
    expected = {f"{name}.{key}": value for name, values in states.items() for key, value in values.items()}
    faults = [f"{key} is missing" for key in expected if key not in state]
    faults += [f"{key} is unknown" for key in state if key not in expected]
    present = [(key, state[key], value) for key, value in expected.items() if key in state]
    faults += [
        f"{key} is {tuple(found.shape)} instead of {tuple(value.shape)}"
        for key, found, value in present
        if found.shape != value.shape
    ]
    # load_state_dict would turn a mask, whole numbers without their scale or the real part into weights.
    faults += [
        f"{key} has {found.dtype} instead of {value.dtype}"
        for key, found, value in present
        if (found.is_floating_point(), found.is_complex()) != (value.is_floating_point(), value.is_complex())
    ]
    if faults:
        shown = "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise MethodError(f"The weights do not fit the networks of {label}: {shown}. Train them again.")
    for name, network in networks.items():
        network.load_state_dict({key: state[f"{name}.{key}"] for key in states[name]})


def no_weights(label: str, spec: Spec, preset: str | None, found: WeightsSearch) -> str:
    """Return what to say where a search found no weights."""
    problems = "".join(f" ({problem})" for problem in found.problems)
    command = training_command(label, spec.name, spec.hash, preset, found.plugins)
    return f"{label} has no weights for this benchmark: train it with `{command}`.{problems}"


def training_command(label: str, spec: str, spec_hash: str, preset: str | None, plugins: Path | None = None) -> str:
    """Return a command line that trains a method. Of a benchmark of the user's own the file is not known: FILE."""
    words = ["marbench", "train", label]
    if plugins is not None:
        with contextlib.suppress(OSError, ValueError):  # as a user would write it
            plugins = plugins.relative_to(Path.cwd())
        words += ["--plugins", str(plugins)]
    words += ["--spec", spec if is_builtin(spec, spec_hash) else "FILE"]
    return shlex.join([*words, *(["--preset", preset] if preset else []), "--hours", "2"])


def _files_in(folders: Iterable[Path], problems: list[str]) -> list[WeightsFile]:
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*.safetensors"))]
    return _with_cards(paths, problems)


def declared_files(folder: Path, declared: Sequence[DeclaredWeights], problems: list[str]) -> list[WeightsFile]:
    """Return the declared files. What ``method.toml`` says of the hash counts, not the card beside the file."""
    is_shipped = folder.parent == resource_folder("methods")
    files = []
    for entry in declared:
        path = folder / entry.file
        # A wheel of marbench leaves some out, see pyproject.toml.
        if is_shipped and not path.exists() and not path.with_suffix(".json").exists():
            continue
        files += [
            WeightsFile(file.path, file.card.model_copy(update={"sha256": entry.sha256}), is_declared=True)
            for file in _with_cards([path], problems)
        ]
    return files


def _with_cards(paths: Iterable[Path], problems: list[str]) -> list[WeightsFile]:
    files = []
    for path in paths:
        card = path.with_suffix(".json")
        try:
            files.append(WeightsFile.of(path))
        except OSError as error:
            problems.append(f"{path} is ignored: its card {card.name} cannot be read ({said_by(error)})")
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "content"
            problems.append(f"{path} is ignored: its card {card.name} is invalid ({where}: {fault['msg']})")
    return files
