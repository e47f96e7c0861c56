"""Muon: momentum whose matrices are orthogonalised before each step, for the many small trainings of a CPU.

`torch.optim.Muon` takes matrices alone and works in bfloat16, which CPUs without AVX-512 emulate; this one takes the
weights of convolutions and works in their own precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["Muon", "adam_or_muon", "orthogonalize"]

# Coefficients of the quintic iteration of Jordan et al.: singular values from 0.002 to 1 end between 0.68 and 1.21.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_FEWEST_CHANNELS = 4
_EPSILON = 1e-8


class Muon(torch.optim.Optimizer):
    """Muon for weights that mix channels, Adam for the others: biases, norms, and layers from or to few channels.

    Parameters
    ----------
    weights : iterable of Parameter
    matrix_rate : float
        Learning rate of the weights that mix channels: the length of a step in every direction of the channels.
    rate : float
        Learning rate of Adam.
    momentum : float
        Of Muon.
    betas : pair of float
        Of Adam.
    decay : float
        By what share of its learning rate Muon shrinks the weights in each step. As steps do not shrink with the
        gradient, weights of a network without normalisation else grow, and its ReLUs fall silent.

    References
    ----------
    K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        matrix_rate: float = 0.02,
        rate: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
    ) -> None:
        weights = list(weights)
        matrices = [weight for weight in weights if _mixes_channels(weight)]
        others = [weight for weight in weights if not _mixes_channels(weight)]
        groups = [
            {"params": matrices, "lr": matrix_rate, "orthogonal": True},
            {"params": others, "lr": rate, "orthogonal": False},
        ]
        super().__init__(
            [group for group in groups if group["params"]], {"momentum": momentum, "betas": betas, "decay": decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; returns what the closure, if any, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            step = self._step_matrix if group["orthogonal"] else self._step_adam
            for weight in group["params"]:
                if weight.grad is not None:
                    step(weight, group)
        return loss

    def _step_matrix(self, weight: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, mean = _gradient(weight), self._average(weight, "mean")
        mean.lerp_(gradient, 1 - group["momentum"])
        update = orthogonalize(gradient.lerp(mean, group["momentum"]).flatten(1))
        # A tall matrix reaches more outputs than it has directions: as in the reference, its step is longer.
        longer = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        weight.mul_(1 - group["lr"] * group["decay"])
        weight.add_(update.view(weight.shape), alpha=-group["lr"] * longer)

    def _step_adam(self, weight: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, state = _gradient(weight), self.state[weight]
        mean, square = self._average(weight, "mean"), self._average(weight, "square")
        first, second = group["betas"]
        mean.lerp_(gradient, 1 - first)
        square.lerp_(gradient.square(), 1 - second)
        state["step"] = steps = state.get("step", 0) + 1
        # Both averages began at zero.
        direction, size = mean / (1 - first**steps), (square / (1 - second**steps)).sqrt()
        weight.addcdiv_(direction, size + _EPSILON, value=-group["lr"])

    def _average(self, weight: nn.Parameter, name: str) -> torch.Tensor:
        """Return a running average of the weight's shape; it begins at zero."""
        state = self.state[weight]
        if name not in state:
            state[name] = torch.zeros_like(weight)
        average: torch.Tensor = state[name]
        return average


def adam_or_muon(
    weights: Iterable[nn.Parameter], parameters: Mapping[str, Any], betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.Optimizer:
    """Return the optimiser that a method's parameters ask for.

    Parameters
    ----------
    weights : iterable of Parameter
    parameters : mapping
        ``optimizer`` (adam or muon), ``learning_rate`` and, for Muon, ``matrix_rate`` and, unless 0, ``decay``.
    betas : pair of float
        Of Adam, alone or for what Muon leaves to it.
    """
    rate = float(parameters["learning_rate"])
    if parameters["optimizer"] == "muon":
        matrix_rate, decay = float(parameters["matrix_rate"]), float(parameters.get("decay", 0.0))
        return Muon(weights, matrix_rate, rate, betas=betas, decay=decay)
    return torch.optim.Adam(weights, rate, betas=betas)


def orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with the same singular vectors whose singular values are all near 1 (Newton–Schulz iteration).

    Parameters
    ----------
    matrix : Tensor ``(rows, columns)``
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    x = wide / wide.norm().clamp(min=1e-7)
    linear, cubic, quintic = _QUINTIC
    # x ← p(x xᵀ) x, again and again. All p commute with x xᵀ, so their product is made first, of small square matrices.
    gram, identity = x @ x.mT, torch.eye(len(x), dtype=x.dtype, device=x.device)
    product = identity
    for _ in range(_ITERATIONS):
        polynomial = linear * identity + cubic * gram + quintic * gram @ gram
        product = polynomial @ product
        gram = polynomial @ gram @ polynomial
    result: torch.Tensor = product @ x
    return result if wide is matrix else result.mT


def _mixes_channels(weight: nn.Parameter) -> bool:
    return weight.dim() >= 2 and min(weight.shape[:2]) >= _FEWEST_CHANNELS


def _gradient(weight: nn.Parameter) -> torch.Tensor:
    assert weight.grad is not None
    return weight.grad
