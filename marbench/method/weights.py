"""Weights files: safetensors with a card beside them; found by what they are for, and verified before use.

``NAME.safetensors`` holds the tensors, ``NAME.json`` beside it is the card (`WeightsCard`). Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from marbench.errors import MethodError
from marbench.method.card import DeclaredWeights, ParameterValue, Sha256
from marbench.spec import Spec, builtin_specs

__all__ = [
    "NO_WEIGHTS",
    "WeightsCard",
    "WeightsFile",
    "WeightsSearch",
    "assign_weights",
    "find_weights",
    "read_weights",
    "scan_hash",
    "training_command",
    "user_weights_folder",
]

WEIGHTS_VARIABLE = "MARBENCH_WEIGHTS"


class WeightsCard(BaseModel):
    """What a weights file is for, and how it was made.

    Attributes
    ----------
    parameters : dict
        Every parameter of the method as it was trained: defaults, preset and what the user asked for.
    scan_hash : str
        Geometry and grid of the benchmark, see `scan_hash`.
    networks : dict
        Network → number of parameters.
    hours : float
        Training time, without waiting for the simulation and without validation.
    validation : dict
        Mean scores on the validation cases, of the weights as they are in the file.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    method: str
    label: str
    preset: str | None
    parameters: dict[str, ParameterValue]
    spec: str
    spec_hash: Sha256
    scan_hash: Sha256
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
    """A weights file and its card; the tensors are verified by `read_weights`."""

    path: Path
    card: WeightsCard


@dataclass(frozen=True)
class WeightsSearch:
    """What a search came to: the file that fits best, if any, and why others could not be considered."""

    file: WeightsFile | None
    problems: tuple[str, ...] = ()


NO_WEIGHTS = WeightsSearch(None)


def scan_hash(spec: Spec) -> str:
    """Return the SHA-256 of geometry and grid: what a network's input looks like.

    Weights trained on a benchmark serve all benchmarks of the same scan, so that one network can be tried on other
    patients, metals, spectra and doses than it was trained with.
    """
    identity = spec.identity()
    canonical = json.dumps([identity["geometry"], identity["grid"]], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def user_weights_folder() -> Path:
    """Return the folder into which `marbench train` installs its results."""
    return Path(platformdirs.user_data_dir("marbench", appauthor=False)) / "weights"


def find_weights(
    label: str,
    preset: str | None,
    parameters: Mapping[str, ParameterValue],
    spec: Spec,
    folder: Path | None = None,
    declared: Sequence[DeclaredWeights] = (),
) -> WeightsSearch:
    """Look for the weights of a method, trained with the same preset and parameters.

    Looked through in this order: the folders named in ``MARBENCH_WEIGHTS``, the files that the plugin declares, the
    user's own folder. Weights trained on exactly this benchmark come before those of another with the same scan.

    Parameters
    ----------
    label : str
        The method and the parameters that differ from its defaults, e.g. ``dudonet[variant=E]``.
    preset : str or None
    parameters : mapping
        All parameters of the method. One that a card does not know did not exist when the weights were trained.
    spec : Spec
    folder : Path, optional
        The plugin's folder.
    declared : sequence of DeclaredWeights
        What its ``method.toml`` declares.

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
    files = [
        *_files_in(named, problems),
        *_declared_files(folder, declared, problems),
        *_files_in([user_weights_folder()], problems),
    ]
    fitting = [
        file
        for file in files
        if (file.card.label, file.card.preset) == (label, preset)
        and all(file.card.parameters.get(name, value) == value for name, value in parameters.items())
    ]
    scan = scan_hash(spec)
    exact = [file for file in fitting if file.card.spec_hash == spec.hash]
    same_scan = [file for file in fitting if file.card.scan_hash == scan]
    return WeightsSearch(next(iter([*exact, *same_scan]), None), tuple(problems))


def read_weights(file: WeightsFile) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file by name; floating ones as float32, on the CPU.

    Raises
    ------
    MethodError
        The file is missing, is not the one that its card describes, or is no safetensors file.
    """
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise MethodError(f"The weights {file.path} cannot be read: {error.strerror}.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != file.card.sha256:
        raise MethodError(
            f"The weights {file.path} are damaged or foreign: expected SHA-256 {file.card.sha256[:16]}…, found "
            f"{found[:16]}… ({len(content)} bytes). Fetch them again, or train them again with "
            f"`{training_command(file.card.label, file.card.spec, file.card.preset)}`."
        )
    try:
        tensors = load_safetensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise MethodError(f"The weights {file.path} are no safetensors file: {error}.") from None
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def assign_weights(networks: Mapping[str, nn.Module], state: Mapping[str, torch.Tensor], label: str) -> None:
    """Copy tensors named ``NETWORK.PARAMETER`` into networks.

    Raises
    ------
    MethodError
        A tensor is missing, left over, or of another shape.
    """
    states = {name: network.state_dict() for name, network in networks.items()}
    expected = {f"{name}.{key}": value for name, values in states.items() for key, value in values.items()}
    faults = [f"{key} is missing" for key in expected if key not in state]
    faults += [f"{key} is unknown" for key in state if key not in expected]
    faults += [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    if faults:
        shown = "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise MethodError(f"The weights do not fit the networks of {label}: {shown}. Train them again.")
    for name, network in networks.items():
        network.load_state_dict({key: state[f"{name}.{key}"] for key in states[name]})


def training_command(label: str, spec: str, preset: str | None) -> str:
    """Return a command line that trains a method. Of a benchmark of the user's own the file is not known."""
    words = ["marbench", "train", label, "--spec", spec if spec in builtin_specs() else f"{spec}.toml"]
    return shlex.join([*words, *(["--preset", preset] if preset else []), "--hours", "2"])


def _files_in(folders: Iterable[Path], problems: list[str]) -> list[WeightsFile]:
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*.safetensors"))]
    return _with_cards(paths, problems)


def _declared_files(folder: Path | None, declared: Sequence[DeclaredWeights], problems: list[str]) -> list[WeightsFile]:
    """Return the declared files. What ``method.toml`` says of the hash counts, not the card beside the file."""
    if folder is None:
        return []
    files = []
    for entry in declared:
        files += [
            WeightsFile(file.path, file.card.model_copy(update={"sha256": entry.sha256}))
            for file in _with_cards([folder / entry.file], problems)
        ]
    return files


def _with_cards(paths: Iterable[Path], problems: list[str]) -> list[WeightsFile]:
    files = []
    for path in paths:
        card = path.with_suffix(".json")
        try:
            files.append(WeightsFile(path, WeightsCard.model_validate_json(card.read_bytes())))
        except OSError as error:
            problems.append(f"{path} is ignored: its card {card.name} cannot be read ({error.strerror})")
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "content"
            problems.append(f"{path} is ignored: its card {card.name} is invalid ({where}: {fault['msg']})")
    return files
