"""Trainings in processes of their own: one that a signal ends, and the ranks of one.

What they are to do stands in the environment: ``TRAINING`` has the folder of plugins, the benchmark and the folder of
the training, and ranks meet where `torchrun` would tell them to.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import torch
from tiny_training import recipe_for, request_for

from marbench.learning import trainer, training
from marbench.learning.start import named_start, starting_weights
from marbench.machine.channel import Channel
from marbench.machine.forkserver import Child, shared_server
from marbench.spec import load_spec

REQUEST = "tinynet[poison=-2]"
SECONDS = 120

# Imported once for all of them.
_PRELOAD = ("lightning_fabric", "marbench.learning.training", "marbench.phantoms.patients", __name__)


def started(target: str, paths: Sequence[Path], environment: Mapping[str, object]) -> Child:
    """Start a process that calls a function of this file, with more variables in its environment."""
    told = {"TRAINING": json.dumps([str(path) for path in paths])}
    with patch.dict(os.environ, told | {name: str(value) for name, value in environment.items()}):
        return shared_server(_PRELOAD).fork(f"{__name__}:{target}")


def meeting_of(ranks: int) -> dict[str, object]:
    """Return the variables that `torchrun` gives to all ranks on one machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    counts = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), ranks) | {"GROUP_RANK": 0}
    return counts | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "the tests"}


def alone(_: Channel) -> None:
    """Train, with a checkpoint after each step."""
    trainer.CHECKPOINT_SECONDS = 0
    plugins, spec_file, out = map(Path, json.loads(os.environ["TRAINING"]))
    request, spec = request_for(plugins, REQUEST), load_spec(spec_file)
    training.train(request, spec, recipe_for(request, spec), out, installed=False)


class _Watched(trainer.Trainer):
    """Keeps what its rank ends with."""

    def run(self, *arguments: object) -> None:
        super().run(*arguments)  # type: ignore[arg-type]
        weights = {name: weight.detach() for name, weight in self.method.networks()["net"].named_parameters()}
        torch.save({"precision": self.recipe.precision, "weights": weights}, self._out / f"rank{os.environ['RANK']}.pt")


def rank(_: Channel) -> None:
    """Be one of two ranks. Each asks for another precision, as if they had measured differently."""
    training.Trainer = _Watched  # type: ignore[misc]
    plugins, spec_file, out, weights = map(Path, json.loads(os.environ["TRAINING"]))
    request, spec = request_for(plugins), load_spec(spec_file)
    start = starting_weights(str(weights), request)
    precision = ("32-true", "bf16-mixed")[int(os.environ["RANK"])]
    recipe = recipe_for(request, spec, steps=6, validations=1, precision=precision, start=named_start(start))
    training.train(request, spec, recipe, out, start=start, installed=False)


def stage(_: Channel) -> None:
    """Be one of two ranks of a stage of a training, with a checkpoint after each step."""
    trainer.CHECKPOINT_SECONDS = 0
    plugins, spec_file, out, *weights = map(Path, json.loads(os.environ["TRAINING"]))
    request, spec = request_for(plugins), load_spec(spec_file)
    start = starting_weights(str(weights[0]), request) if weights else None
    recipe = recipe_for(request, spec, steps=6, validations=1, start=start and named_start(start))
    training.train(request, spec, recipe, out, start=start, installed=False)
