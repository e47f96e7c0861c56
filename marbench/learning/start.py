"""Where a training begins: random networks, or weights that were trained before, elsewhere or at another resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from marbench.errors import MethodError
from marbench.machine.text import said_by
from marbench.method.learned import LearnedMethod
from marbench.method.request import MethodRequest
from marbench.method.weights import WeightsFile, assign_weights, read_weights
from marbench.spec import load_spec

__all__ = ["begin_with", "named_start", "start_and_name", "starting_weights"]


class _Missing(MethodError):
    """There are no such weights, or no more."""


def starting_weights(text: str, request: MethodRequest) -> WeightsFile:
    """Return the weights that ``--start-from`` names: a safetensors file with its card, or those for a benchmark.

    Networks do not know the grid that they were trained on, so weights of another benchmark serve, too.

    Raises
    ------
    MethodError
        There are none, they cannot be read, or they are those of another method.
    SpecError
        It names neither a file nor a benchmark.
    """
    file = _file(Path(text)) if text.endswith(".safetensors") else _of_benchmark(text, request)
    # Of another preset they may still fit, see `LearnedMethod.adopt`; where they do not, their shapes are told.
    if file.card.method != request.entry.name:
        raise MethodError(f"--start-from {text}: expected weights of {request.entry.name}, got {file.card.label}.")
    return file


def start_and_name(
    text: str, request: MethodRequest, before: Mapping[str, Any] | None
) -> tuple[WeightsFile | None, Mapping[str, Any]]:
    """Return the weights that ``--start-from`` names, and what the recipe says of them, see `named_start`.

    Parameters
    ----------
    text : str
    request : MethodRequest
    before : mapping or None
        What the recipe of the training that goes on says; None where one begins. Its checkpoints hold all it needs, so
        weights that are gone, or of a benchmark are others now, are taken for these: None.

    Raises
    ------
    MethodError, SpecError
        See `starting_weights`.
    """
    try:
        file = starting_weights(text, request)
    except _Missing:
        if before is None:
            raise
        return None, before
    named = named_start(file)
    # Of a benchmark the newest weights serve, and since a run began those may have become others, its own even.
    is_file = text.endswith(".safetensors")
    if before and not is_file and before["spec"] == named["spec"]:
        return (file if before == named else None), before
    return file, named


def begin_with(method: LearnedMethod, file: WeightsFile, plugins: Path | None) -> None:
    """Give the networks of a method the weights that its training begins from.

    Parameters
    ----------
    method : LearnedMethod
    file : WeightsFile
    plugins : Path or None
        See `WeightsSearch`.

    Raises
    ------
    MethodError
        They cannot be read, or are of networks of another size.
    """
    state = read_weights(file, plugins)
    try:
        assign_weights(method.networks(), method.adopt(state), file.card.label)
    except MethodError as error:
        raise MethodError(
            f"--start-from {file.path.name} (preset {file.card.preset}): {error} Or let the method make them fit, in "
            "adopt(state)."
        ) from None


def named_start(file: WeightsFile) -> dict[str, Any]:
    """Return what a recipe, and so the card, says of where a training began."""
    card = file.card
    return {"label": card.label, "spec": card.spec, "sha256": card.sha256, "samples": card.samples}


def _file(path: Path) -> WeightsFile:
    card = path.with_suffix(".json")
    try:
        return WeightsFile.of(path)
    except OSError as error:
        kind = MethodError if path.exists() or card.exists() else _Missing
        raise kind(f"--start-from {path}: its card {card.name} cannot be read: {said_by(error)}.") from None
    except ValidationError as error:
        raise MethodError(
            f"--start-from {path}: {card.name} is no card of weights: {error.errors()[0]['msg']}."
        ) from None


def _of_benchmark(name: str, request: MethodRequest) -> WeightsFile:
    spec = load_spec(name)
    # Those of the same preset, or of another, as the halves of a training may have.
    for each in (request, replace(request, preset=None)):
        if (file := each.for_spec(spec).found.file) is not None:
            return file
    raise _Missing(f"--start-from {name}: {request.label} has no weights for this benchmark.")
