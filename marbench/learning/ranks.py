"""Where a training runs: one processor or GPU, or the ranks of a ``torchrun``, through Lightning Fabric."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import nn

from marbench.errors import MarbenchError
from marbench.machine.devices import device_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["average_gradients", "largest", "launch", "ranks_here", "take_from_the_first"]


def ranks_here() -> int:
    """Return how many processes of a ``torchrun`` share this machine, this one among them."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def launch(device: str) -> Fabric:
    """Return Fabric for a device; under ``torchrun``, of as many ranks as it started.

    Raises
    ------
    MarbenchError
        Lightning Fabric is not installed, or there is no such device.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    except ImportError:
        raise MarbenchError('Training needs Lightning Fabric: pip install "marbench[train]"') from None
    place = device_of(device)
    ranks, local = int(os.environ.get("WORLD_SIZE", 1)), ranks_here()
    fabric = Fabric(
        accelerator=place.type,
        # Several ranks take a GPU each; one takes that which was asked for.
        devices=local if ranks > 1 else 1 if place.index is None else [place.index],
        num_nodes=ranks // local,
        strategy="ddp" if ranks > 1 else "auto",
        # A job of a cluster may have tasks that are no ranks: without torchrun this process is alone.
        plugins=[] if ranks > 1 else [LightningEnvironment()],
    )
    fabric.launch()
    return fabric


def take_from_the_first(module: nn.Module, fabric: Fabric) -> None:
    """Give a module the state that it has in the first rank."""
    if fabric.world_size == 1:
        return
    state = module.state_dict()
    # By way of the CPU: a tensor on a GPU would come to that of the sender in every rank.
    state.update({name: value.cpu() for name, value in state.items() if torch.is_tensor(value)})
    module.load_state_dict(fabric.broadcast(state))


def average_gradients(gradients: list[torch.Tensor], ranks: int) -> None:
    """Replace gradients by their mean over all ranks, in one exchange.

    By hand, because methods call their networks as they like: no wrapper would see several optimisers in turn.
    """
    if ranks == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= ranks
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def largest(fabric: Fabric, *values: float) -> list[float]:
    """Return the largest of each value over all ranks, so that they agree."""
    if fabric.world_size == 1:
        return list(values)
    agreed = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    torch.distributed.all_reduce(agreed, torch.distributed.ReduceOp.MAX)
    found: list[float] = agreed.tolist()
    return found
