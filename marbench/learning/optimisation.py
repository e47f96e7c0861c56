"""One training step: the objectives of a method in turn, each with its own optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from marbench.errors import MarbenchError
from marbench.method.learned import Batch, LearnedMethod

__all__ = ["Optimisation", "seed_of_step"]

_MEMORY = 0.98
_WARM_UP = 20
_MOST_SKIPPED = 25


class Optimisation:
    """The optimisers of a method, guarded against gradients that are too long or not finite.

    Parameters
    ----------
    method : LearnedMethod
    clip : float
        Gradients longer than ``clip`` times their running mean are shortened to that. The mean is kept for each
        optimiser, so losses of any scale are treated alike, and is of the steps whose gradients are not all zero.
    autocast : callable
        Returns the context in which losses are computed.
    average : callable
        Averages gradients over all ranks, in place.
    """

    def __init__(
        self,
        method: LearnedMethod,
        clip: float,
        autocast: Callable[[], AbstractContextManager[None]],
        average: Callable[[list[torch.Tensor]], None],
    ) -> None:
        self._method, self._clip, self._autocast, self._average = method, clip, autocast, average
        self._optimizers = method.optimizers()
        self._largest = {
            name: [float(group["lr"]) for group in optimizer.param_groups]
            for name, optimizer in self._optimizers.items()
        }
        self._mean_norm = dict.fromkeys(self._optimizers, 0.0)
        self._taken = dict.fromkeys(self._optimizers, 0)
        self._skipped = dict.fromkeys(self._optimizers, 0)

    def step(self, batch: Batch, factor: float) -> dict[str, torch.Tensor]:
        """Take one step per objective at ``factor`` of the largest learning rates; return the terms of the losses.

        Raises
        ------
        MarbenchError
            Many steps in a row had to be skipped because a loss or gradient was not finite.
        """
        terms: dict[str, torch.Tensor] = {}
        objectives = iter(self._method.objectives(batch))
        while True:
            # A generator runs in the context of whoever asks for its next value.
            with self._autocast():
                objective = next(objectives, None)
            if objective is None:
                return terms
            self._minimise(objective.optimizer, objective.loss, factor)
            terms[f"{objective.optimizer}/loss"] = objective.loss.detach()
            told = {name: torch.as_tensor(value).detach() for name, value in objective.terms.items()}
            terms |= {f"{objective.optimizer}/{name}": value for name, value in told.items()}

    @property
    def sound(self) -> bool:
        """Whether the last step was taken, and the networks are worth a checkpoint."""
        return not any(self._skipped.values())

    def state(self) -> dict[str, object]:
        """Return what a checkpoint needs."""
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "mean_norm": dict(self._mean_norm),
            "taken": dict(self._taken),
        }

    def restore(self, state: dict[str, dict[str, object]]) -> None:
        """Go on from a checkpoint."""
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])  # type: ignore[arg-type]
        self._mean_norm = {name: float(value) for name, value in state["mean_norm"].items()}  # type: ignore[arg-type]
        self._taken = {name: int(value) for name, value in state["taken"].items()}  # type: ignore[call-overload]

    def _minimise(self, name: str, loss: torch.Tensor, factor: float) -> None:
        optimizer = self._optimizers[name]
        for group, largest in zip(optimizer.param_groups, self._largest[name], strict=True):
            group["lr"] = largest * factor
        # Also forgets what the objectives of other optimisers left here.
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = _gradients(parameters)
        self._average(gradients)
        norm = get_total_norm(gradients)
        length = float(norm)  # the one place where a step waits for the device
        if not math.isfinite(length):
            self._skip(name, float(loss.detach()))
            return
        self._skipped[name] = 0
        if self._taken[name] >= _WARM_UP and length > self._clip * self._mean_norm[name]:
            length = self._clip * self._mean_norm[name]
            clip_grads_with_norm_(parameters, length, norm)
        if length:  # an optimiser that begins to learn later is clipped at what it has then
            weight = max(1 - _MEMORY, 1 / (self._taken[name] + 1))
            self._mean_norm[name] += weight * (length - self._mean_norm[name])
            self._taken[name] += 1
        optimizer.step()

    def _skip(self, name: str, loss: float) -> None:
        self._skipped[name] += 1
        self._optimizers[name].zero_grad(set_to_none=True)
        if self._skipped[name] > _MOST_SKIPPED:
            raise MarbenchError(
                f"The loss of {name!r} is {loss} and its gradients are not finite for {self._skipped[name]} steps "
                "in a row. Every such step was skipped, so the last checkpoint is sound. Lower the learning rate of "
                "the method, or train with --precision 32-true."
            )


def seed_of_step(seed: int, step: int, rank: int = 0) -> int:
    """Return what dropout and random crops of a step are drawn from: 32 bits, all that a CPU takes of a seed."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0])


def _gradients(parameters: Iterable[torch.nn.Parameter]) -> list[torch.Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
