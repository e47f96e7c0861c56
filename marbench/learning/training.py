"""A training from its first case to its weights, in one process or in the ranks of a ``torchrun``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from marbench.errors import MarbenchError, StoreError
from marbench.learning.batches import BatchStream
from marbench.learning.cache import BlockCache
from marbench.learning.feeder import Feeder
from marbench.learning.ranks import launch
from marbench.learning.recipe import Recipe, hold_to_recipe
from marbench.learning.trainer import Trainer
from marbench.learning.validation import validation_key
from marbench.machine.files import writable_folder
from marbench.machine.interrupts import Interrupts
from marbench.machine.locks import locked_where_possible
from marbench.method.request import MethodRequest
from marbench.method.weights import WeightsFile
from marbench.spec import Spec, refuse_borrowed_name

__all__ = ["train"]

# A training that was stopped may still be leaving.
_LOCK_SECONDS = 1.0


def train(
    request: MethodRequest,
    spec: Spec,
    recipe: Recipe,
    out: Path,
    *,
    start: WeightsFile | None = None,
    device: str = "cpu",
    workers: int = 0,
    installed: bool = True,
    note: Callable[[str], None] = print,
) -> WeightsFile:
    """Train a method, or go on with the training in a folder, and return the weights.

    Parameters
    ----------
    request : MethodRequest
        A learned method, with its preset and parameters.
    spec : Spec
    recipe : Recipe
    out : Path
        Takes the recipe, checkpoints, learning curves, pictures and, in the end, the weights.
    start : WeightsFile, optional
        What the networks begin from, where the recipe says that they begin from weights. A training that goes on from a
        checkpoint does without.
    device : str
        ``cpu`` or ``cuda``; several GPUs through ``torchrun``.
    workers : int
        Processes that simulate; 0 simulates between the steps.
    installed : bool
        Whether to copy the weights to where marbench looks for them.
    note : callable
        Takes lines on the progress.

    Raises
    ------
    MethodError
        The method does not learn, its networks are not those of ``start``, or neither ``start`` nor a checkpoint is
        there though the recipe begins from weights.
    SpecError
        The folder holds another training, or the benchmark has no training slices, or the name of a built-in one that
        it is not.
    StoreError
        Another process trains in the folder, or it cannot be written.
    KeyboardInterrupt
        On SIGINT and SIGTERM, after a checkpoint.
    """
    refuse_borrowed_name(spec)
    fabric = launch(device)
    # What was measured on this machine, the precision, may differ between ranks: all take that of the first one.
    recipe = fabric.broadcast(recipe)
    if recipe.batch % fabric.world_size:
        raise MarbenchError(f"{fabric.world_size} ranks cannot share steps of {recipe.batch} cases: give a multiple.")
    world, plan = recipe.world(spec), recipe.plan()
    quiet = fabric.global_rank > 0
    cache = BlockCache(world.key)
    feeder = Feeder(world, cache, workers, fabric.global_rank, fabric.world_size)
    with Interrupts() as interrupts, feeder, nullcontext() if quiet else _alone(out):
        if not quiet:
            cases = validation_key(spec, recipe.validation_cases)
            recipe = replace(recipe, world_key=world.key, validation_key=cases)
            hold_to_recipe(out, recipe)
            cache.remove_unused()
        feeder.request(plan.pool(0))
        trainer = Trainer(request, spec, recipe, out, fabric, start, (lambda _: None) if quiet else note)
        stream = BatchStream(world, plan, feeder, fabric.device, fabric.global_rank, fabric.world_size, trainer.note)
        trainer.run(stream, interrupts)
        fabric.barrier()
        return trainer.finish(installed)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other trainings out of a folder: two would remove each other's checkpoints and best weights."""
    writable_folder(out)
    with ExitStack() as held:
        try:
            held.enter_context(locked_where_possible(out / ".training.lock", _LOCK_SECONDS))
        except StoreError as error:
            if error.__cause__ is not None:  # the lock file cannot be made
                raise
            raise StoreError(
                f"{out}: another training is at work in this folder. Wait for it, or choose another --out."
            ) from None
        yield
