"""Batch normalisation over a training: whose mean and variance a network is validated with, and ends with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from marbench.learning.batches import BatchStream
from marbench.learning.optimisation import seed_of_step
from marbench.learning.ranks import take_from_the_first
from marbench.machine.generators import seed_generators
from marbench.method.learned import LearnedMethod, batch_normalizations, recalibrate_batch_normalization

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["BatchStatistics"]

# Over how many cases statistics are averaged, to validate and to be kept, and how many at a time: batches of four, as a
# rank may train on, vary less within than all cases do, which cost DuDoNet 0.3 dB.
_CASES = 48
_KEPT_CASES = 240
_TOGETHER = 16


class BatchStatistics:
    """The statistics of a method's batch normalisations: those of each batch, later the mean ones, which are kept.

    Trained to the end with those of each batch, networks come to rely on them: with the mean ones, which is all that a
    single slice can be corrected with, DuDoNet lost 0.7 dB over the last sixth of its training on `mini`, and gained
    0.1 where they were kept.

    Parameters
    ----------
    method : LearnedMethod
    fabric : Fabric
    autocast : callable
        Returns the context in which networks are evaluated.
    seed : int
        Of the training.
    """

    def __init__(
        self, method: LearnedMethod, fabric: Fabric, autocast: Callable[[], AbstractContextManager[None]], seed: int
    ) -> None:
        self._method, self._fabric, self._autocast, self._seed = method, fabric, autocast, seed
        self.kept = False

    def average(self, stream: BatchStream, step: int, cases: int = _CASES) -> None:
        """Average them over training cases of the pass that the last ``step`` belongs to, unless they are kept."""
        if not self.kept and step >= 0:
            stream.prepare(step)
            # Crops and dropout depend on the step alone here, too, whatever was drawn since a run went on.
            seed_generators(seed_of_step(self._seed, step))
            with self._autocast():
                recalibrate_batch_normalization(self._method, stream.of_pass(step, cases, _TOGETHER))

    def keep(self, stream: BatchStream, step: int) -> None:
        """Average them once more and keep them from here on, the same in every rank."""
        self.average(stream, step, _KEPT_CASES)
        for norm in batch_normalizations(self._method):
            take_from_the_first(norm, self._fabric)
        self.kept = True
        self.hold()

    def hold(self) -> None:
        """Set batch normalisations to their kept statistics, after their networks were set to train."""
        if self.kept:
            for norm in batch_normalizations(self._method):
                norm.eval()
