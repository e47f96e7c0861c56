"""The end of a training: its best weights in a file, and a card that tells all that is needed to train them again."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from marbench.errors import MethodError
from marbench.learning.artefact import artefact_name, encode, identity_of, install, installed, stanza, write_card
from marbench.learning.judge import Judge
from marbench.learning.recipe import Recipe
from marbench.machine.files import write_atomically
from marbench.machine.host import describe_host, device_name
from marbench.method.learned import LearnedMethod
from marbench.method.request import MethodRequest
from marbench.method.weights import WeightsFile, assign_weights, read_weights, scan_of
from marbench.spec import Spec

__all__ = ["hardware", "install_unless_worse", "read_outcome", "write_outcome"]


def write_outcome(
    method: LearnedMethod,
    request: MethodRequest,
    spec: Spec,
    recipe: Recipe,
    out: Path,
    judge: Judge,
    best_step: int,
    spent: Mapping[str, Any],
) -> WeightsFile:
    """Write the networks as they are now, a card beside them, and the stanza for ``method.toml``.

    Parameters
    ----------
    best_step : int
        The step that the weights are of.
    spent : mapping
        What the card says of the run: ``steps``, ``hours`` and ``hardware``.
    """
    path = _path(out, recipe)
    identity = {"method": recipe.method, "label": recipe.label, "spec_hash": recipe.spec_hash}
    content = encode(method.networks(), identity)
    write_atomically(path, content)
    card = {**identity_of(request, spec), **_card(method, spec, recipe, spent)}
    # The scores on the card are those of the numbers in the file, which are rounded.
    assign_weights(method.networks(), read_weights(write_card(path, content, **card)), recipe.label)
    scores = judge.scores()
    card["validation"] = {
        "cases": len(judge),
        "step": best_step,
        "scores": scores,
        "linear_interpolation": dict(judge.baseline),
    }
    file = write_card(path, content, **card)
    write_atomically(out / "weights.toml", stanza(file, _chosen(request)).encode())
    return file


def read_outcome(out: Path, recipe: Recipe) -> WeightsFile:
    """Return what `write_outcome` wrote in another process."""
    return WeightsFile.of(_path(out, recipe))


def install_unless_worse(file: WeightsFile, judge: Judge) -> str:
    """Install weights, unless those that they would replace are better on the same cases; return what to tell.

    Where the method's code has changed since, those are scored anew: with the code of today they would run.
    """
    out, before = file.path.parent, installed(file)
    scores = _scores_now(before, file, judge) if before else {}
    if before and judge.is_worse(file.card.validation["scores"], scores):
        return (
            f"not installed: {before.path} is better, validation {judge.told(scores)}. To have these in its place, "
            f"remove it and run the same command again; or set MARBENCH_WEIGHTS={out}"
        )
    try:
        folder = install(file)
    except MethodError as error:
        return f"not installed: {error} Set MARBENCH_WEIGHTS={out} to have these"
    return f"installed in {folder}; set MARBENCH_WEIGHTS={out} to prefer it to shipped weights"


def hardware(device: torch.device, ranks: int) -> dict[str, Any]:
    """Return what a card says of the machine."""
    host = {key: value for key, value in describe_host().items() if key in ("cores", "packages", "threads")}
    return {"device": device.type, "name": device_name(device), "ranks": ranks, **host}


def _scores_now(before: WeightsFile, file: WeightsFile, judge: Judge) -> Mapping[str, float]:
    if before.card.recipe.get("method_hash") != file.card.recipe["method_hash"]:
        return judge.scores_of(before)
    scores: Mapping[str, float] = before.card.validation.get("scores", {})
    return scores


def _path(out: Path, recipe: Recipe) -> Path:
    return out / f"{artefact_name(recipe.label, recipe.preset, recipe.spec)}.safetensors"


def _card(method: LearnedMethod, spec: Spec, recipe: Recipe, spent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "scan": scan_of(spec),
        "networks": {name: _size(network) for name, network in method.networks().items()},
        "seed": recipe.seed,
        "samples": spent["steps"] * recipe.batch,
        "precision": recipe.precision,
        "recipe": asdict(recipe),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **spent,
    }


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _chosen(request: MethodRequest) -> dict[str, Any]:
    """Return the parameters that a user set to something else than the default."""
    defaults = request.entry.card.defaults()
    return {name: value for name, value in sorted(request.parameters.items()) if value != defaults[name]}
