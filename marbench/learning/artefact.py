"""What a training leaves: one safetensors file and its card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save as save_safetensors
from torch import nn

from marbench.errors import MethodError
from marbench.machine.files import safe_name, write_atomically
from marbench.machine.toml import toml_value
from marbench.method.request import MethodRequest
from marbench.method.weights import SCALE, WeightsCard, WeightsFile, read_weights, user_weights_folder
from marbench.spec import Spec

__all__ = ["artefact_name", "encode", "identity_of", "install", "installed", "stanza", "write_card"]

# The normal range of float16: what is smaller loses digits, and below 6e-8 all of them.
_HALF_LEAST, _HALF_LIMIT = 6.2e-5, 6e4
# Entries from which on a tensor is stored as whole numbers up to ±_LEVELS, six bits that a wheel packs into five. Of
# DuDoNet's weights these are nine tenths, and it costs 0.01 dB; the small tensors, among them the first and the last,
# would cost 0.4 dB even in eight.
_LARGE, _LEVELS = 50_000, 31


def encode(networks: Mapping[str, nn.Module], identity: Mapping[str, str], rounded: bool = True) -> bytes:
    """Return the networks as a safetensors file; statistics, and where not ``rounded`` everything, as they are.

    Rounded parameters are float16, large ones whole numbers of six bits, one a byte, with a scale for each entry of
    their first axis (an output channel, of a transposed convolution an input channel), which
    `marbench.method.weights.read_weights` multiplies.
    """
    tensors = {}
    for name, network in networks.items():
        # A module that is used several times has a name for each of its places, and safetensors a copy for each name.
        parameters = {key for key, _ in network.named_parameters(remove_duplicate=False)}
        for key, value in network.state_dict().items():
            full, tensor = f"{name}.{key}", value.detach().cpu().clone(memory_format=torch.contiguous_format)
            if rounded and key in parameters and _fits_half(tensor):
                if tensor.dim() > 1 and tensor.numel() > _LARGE:
                    tensor, tensors[full + SCALE] = _in_6_bits(tensor)
                else:
                    tensor = tensor.half()
            tensors[full] = tensor
    return save_safetensors(tensors, metadata=dict(identity))


def _fits_half(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return False
    largest = float(tensor.abs().max())
    return largest == 0 or _HALF_LEAST < largest < _HALF_LIMIT


def _in_6_bits(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return −31 … 31 of the shape of ``tensor``, and what each of its first axis is to be multiplied by."""
    rows = tensor.flatten(1)
    scale = rows.abs().amax(1).clamp(min=1e-12) / _LEVELS
    return (rows / scale[:, None]).round().to(torch.int8).view_as(tensor), scale


def artefact_name(label: str, preset: str | None, spec: str) -> str:
    """Return the file name of a weights file, without suffix."""
    return "-".join(filter(None, (safe_name(label), preset, spec)))


def identity_of(request: MethodRequest, spec: Spec) -> dict[str, Any]:
    """Return what weights are for: the method with all its parameters, and the benchmark."""
    return {
        "method": request.entry.name,
        "label": request.label,
        "preset": request.preset,
        "parameters": request.values(),
        "spec": spec.name,
        "spec_hash": spec.hash,
    }


def write_card(path: Path, content: bytes, **card: Any) -> WeightsFile:
    """Write the card of a weights file beside it."""
    complete = WeightsCard(sha256=hashlib.sha256(content).hexdigest(), **card)
    write_atomically(path.with_suffix(".json"), complete.model_dump_json(indent=1).encode() + b"\n")
    return WeightsFile(path, complete)


def install(file: WeightsFile) -> Path:
    """Copy a weights file and its card to where marbench looks for weights, and return the folder.

    Raises
    ------
    MethodError
        The file of another method or preset is there, whose name comes to the same.
    """
    place = _place_of(file)
    with suppress(OSError, ValidationError):  # what cannot be read makes room
        there = WeightsFile.of(place).card
        if _called(there) != _called(file.card):
            raise MethodError(f"{place} holds the weights of {' preset '.join(_called(there))}.")
    write_atomically(place, file.path.read_bytes())
    write_atomically(place.with_suffix(".json"), file.path.with_suffix(".json").read_bytes())
    return place.parent


def installed(file: WeightsFile) -> WeightsFile | None:
    """Return the weights that `install` would replace, if there are any whose scores can be held against these.

    They can be read, are of the same networks and benchmark, and were scored on the same validation cases; the code of
    the method may have been another, see ``method_hash`` of their recipes.
    """
    try:
        there = WeightsFile.of(_place_of(file))
        read_weights(there)
    except (OSError, ValidationError, MethodError):
        return None
    return there if _comparable(there.card, file.card) else None


def _called(card: WeightsCard) -> tuple[str, ...]:
    return (card.label, card.preset) if card.preset else (card.label,)


def _comparable(card: WeightsCard, other: WeightsCard) -> bool:
    # What a card does not note may be anything.
    return bool(card.recipe.get("validation_key")) and _scored_as(card) == _scored_as(other)


def _scored_as(card: WeightsCard) -> tuple[object, ...]:
    return _called(card), card.spec_hash, card.parameters, card.networks, card.recipe.get("validation_key")


def _place_of(file: WeightsFile) -> Path:
    return user_weights_folder() / f"{file.path.stem}-{file.card.spec_hash[:8]}.safetensors"


def stanza(file: WeightsFile, chosen: Mapping[str, Any]) -> str:
    """Return the ``[[weights]]`` table by which a ``method.toml`` declares a file in its ``weights`` folder."""
    card = file.card
    keys = {
        "file": f"weights/{file.path.name}",
        "sha256": card.sha256,
        "spec": card.spec,
        "preset": card.preset,
        "parameters": dict(chosen),
    }
    lines = ["[[weights]]", *(f"{key} = {toml_value(value)}" for key, value in keys.items() if value)]
    return "\n".join(lines) + "\n"
