"""The contract of methods that learn: what `marbench train` asks of them beyond `Method`.

A learned plugin subclasses `LearnedMethod`, builds its networks in `build`, and says in `objectives` what to minimise.
Everything else — data, checkpoints, precision, devices, the schedule — is the trainer's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from marbench.cases.case import Scan, Truth
from marbench.errors import MethodError
from marbench.method.contract import Context, Method
from marbench.method.weights import assign_weights
from marbench.tensors import as_mask

__all__ = [
    "Batch",
    "LearnedMethod",
    "Objective",
    "batch_normalizations",
    "build_untrained",
    "learning_modules",
    "mean_outside_metal",
    "random_patches",
    "recalibrate_batch_normalization",
]


@dataclass(frozen=True, eq=False)
class Batch:
    """Simulated training cases: what the method sees, and what it should have given."""

    scan: Scan
    truth: Truth


@dataclass(frozen=True, eq=False)
class Objective:
    """One optimisation step: minimise ``loss`` with the optimiser called ``optimizer``.

    ``terms`` are the parts of the loss, detached, for the learning curves.
    """

    optimizer: str
    loss: torch.Tensor
    terms: Mapping[str, torch.Tensor]


class LearnedMethod(Method):
    """A method whose networks are trained by `marbench train` and shipped as safetensors."""

    def build(self, context: Context) -> None:
        """Create the networks as attributes, on ``context.device``, with random weights."""
        raise NotImplementedError(f"{type(self).__name__} must define build(self, context)")

    def networks(self) -> dict[str, nn.Module]:
        """Return the networks that make up the method, by name: what a weights file holds."""
        raise NotImplementedError(f"{type(self).__name__} must define networks(self)")

    def auxiliaries(self) -> dict[str, nn.Module]:
        """Return networks that exist only while training, e.g. a discriminator."""
        return {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers by name, each at its largest learning rate."""
        raise NotImplementedError(f"{type(self).__name__} must define optimizers(self)")

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield what to minimise, one objective per optimiser.

        The trainer runs backward and a step after each one before it asks for the next, so a second network sees the
        first one updated. Runs under autocast. What it draws from torch, ``numpy.random`` or ``random`` depends on the
        step alone, so that a training can go on after a kill; a generator of its own would not.
        """
        raise NotImplementedError(f"{type(self).__name__} must define objectives(self, batch)")

    def learning_rate_factor(self, progress: float) -> float:
        """Return the factor on the learning rate at ``progress`` in [0, 1] of the budget: a ramp, then a cosine."""
        ramp = min(1.0, progress / 0.01)
        return ramp * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def adopt(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights that a training begins from as these networks take them; by default as they are."""
        return state

    def load(self, context: Context) -> None:
        """Build the networks and read their weights; raises `MethodUnavailable` where there are none."""
        super().load(context)
        state = context.weights()
        self.build(context)
        assign_weights(self.networks(), state, context.label)
        for network in self.networks().values():
            network.eval()


def build_untrained(method: LearnedMethod, context: Context) -> None:
    """Let a method prepare for a benchmark with random networks: `LearnedMethod.load` without its weights."""
    Method.load(method, context)
    method.build(context)


def learning_modules(method: LearnedMethod) -> dict[str, nn.Module]:
    """Return all that a training changes, by name: networks and auxiliaries.

    Raises
    ------
    MethodError
        A network and an auxiliary have the same name.
    """
    networks, auxiliaries = method.networks(), method.auxiliaries()
    if shared := sorted(networks.keys() & auxiliaries.keys()):
        raise MethodError(f"networks() and auxiliaries() both name {', '.join(map(repr, shared))}: rename one of them")
    return {**networks, **auxiliaries}


def mean_outside_metal(error: torch.Tensor, metal: torch.Tensor) -> torch.Tensor:
    """Return the mean of an error over the pixels without metal: what is under metal is neither scored nor learned.

    Parameters
    ----------
    error : Tensor ``(batch, rows, columns)``
    metal : bool Tensor, same shape
    """
    outside = ~as_mask(metal, "metal")
    return torch.where(outside, error, 0).sum() / outside.sum().clamp(min=1)


def random_patches(size: int, *images: torch.Tensor, around: torch.Tensor | None = None) -> list[torch.Tensor]:
    """Cut one square patch out of each slice of a batch, at the same place in all images.

    Parameters
    ----------
    size : int
        Rows and columns of a patch; 0 keeps whole slices, and so does a size that no slice reaches.
    images : Tensors ``(batch, …, rows, columns)``
    around : bool Tensor ``(batch, rows, columns)``, optional
        Where metal is: about every second patch then holds some of it. The largest errors are beside metal, in a
        few hundredths of a slice.
    """
    rows, columns = images[0].shape[-2:]
    if size == 0 or (size >= rows and size >= columns):
        return list(images)
    last = [max(length - size, 0) for length in (rows, columns)]
    corners = []
    for index in range(len(images[0])):
        corner = [int(torch.randint(most + 1, ())) for most in last]
        if around is not None and torch.rand(()) < 0.5 and len(places := around[index].nonzero()):
            place = places[torch.randint(len(places), ())] - torch.randint(size, (2,)).to(places.device)
            corner = [min(max(first, 0), most) for first, most in zip(place.tolist(), last, strict=True)]
        corners.append(corner)
    return [
        torch.stack(
            [one[..., top : top + size, left : left + size] for one, (top, left) in zip(image, corners, strict=True)]
        )
        for image in images
    ]


def batch_normalizations(method: LearnedMethod) -> list[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]:
    """Return all batch normalisations in the networks of a method.

    Not those that average over ranks: statistics are averaged in the first rank, which would wait for the others.
    """
    modules = [module for network in method.networks().values() for module in network.modules()]
    return [module for module in modules if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)]


def recalibrate_batch_normalization(method: LearnedMethod, batches: Iterable[Batch]) -> None:
    """Average the statistics of all batch normalisations anew, with the weights as they are.

    To be called before a network is validated or written. The running averages of training forget too fast, so that
    one batch with heavy artifacts spoils them, or too slowly for weights that still move; no momentum avoids both.

    Parameters
    ----------
    method : LearnedMethod
    batches : iterable of Batch
        Training cases, some dozens in all.
    """
    networks, norms = list(method.networks().values()), batch_normalizations(method)
    modes = [network.training for network in networks]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    before = [{name: value.clone() for name, value in norm.named_buffers(recurse=False)} for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    for network in networks:
        network.train()
    with _frozen(learning_modules(method).values()):
        for batch in batches:
            deque(method.objectives(batch), maxlen=0)  # all of them: each may be of another network
    for norm, momentum, kept in zip(norms, momenta, before, strict=True):
        norm.momentum = momentum
        if not norm.num_batches_tracked:  # no objective has used it
            norm.load_state_dict(kept, strict=False)
    for network, mode in zip(networks, modes, strict=True):
        network.train(mode)


@contextmanager
def _frozen(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let no parameter ask for gradients.

    Unlike under `torch.no_grad`, an objective that takes derivatives itself, a gradient penalty say, still can; what
    hangs on parameters alone is not remembered for them.
    """
    before = [(parameter, parameter.requires_grad) for module in modules for parameter in module.parameters()]
    for parameter, _ in before:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, asks in before:
            parameter.requires_grad_(asks)
