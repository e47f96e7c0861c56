"""Batches out of a bounded pool of cases that is reused, augmented and renewed while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from marbench.cases.batch import joined
from marbench.cases.case import Scan, Truth
from marbench.cases.scanner import operators_of
from marbench.errors import MarbenchError
from marbench.learning.augmentation import SquareSymmetries
from marbench.learning.cases import BLOCK, World
from marbench.learning.feeder import Feeder
from marbench.learning.packing import FIELDS, unpack
from marbench.method.learned import Batch

__all__ = ["BatchStream", "PoolPlan"]


@dataclass(frozen=True)
class PoolPlan:
    """Which cases are in the pool, in which order they are drawn: functions of the step alone.

    In pass k every case of the pool is drawn once, in random order. Between passes ``renewed`` blocks make room for
    the next ones; after ``distinct`` blocks the first one comes again.

    Attributes
    ----------
    blocks : int
        Blocks in the pool.
    distinct : int
        Different blocks in all: what the cache on disk grows to.
    renewed : int
        Blocks that are exchanged between two passes.
    batch : int
        Cases per step, over all ranks.
    seed : int
    steps : int, optional
        How many there will be, where that is known.
    """

    blocks: int
    distinct: int
    renewed: int
    batch: int
    seed: int
    steps: int | None = None

    def __post_init__(self) -> None:
        if not (0 < self.blocks <= self.distinct and 0 <= self.renewed <= self.blocks):
            raise MarbenchError(
                f"A pool needs 0 < blocks ≤ distinct and 0 ≤ renewed ≤ blocks. "
                f"Got {self.blocks}, {self.distinct}, {self.renewed}."
            )
        if not 0 < self.batch <= self.blocks * BLOCK:
            raise MarbenchError(f"A pool of {self.blocks * BLOCK} cases cannot give batches of {self.batch}.")

    @property
    def steps_per_pass(self) -> int:
        """Steps until every case was drawn once; an incomplete last batch is left out."""
        return self.blocks * BLOCK // self.batch

    def comes_to(self, pass_number: int) -> bool:
        """Tell whether any step draws from a pass."""
        return self.steps is None or pass_number * self.steps_per_pass < self.steps

    def pool(self, pass_number: int) -> list[int]:
        """Return the block in each place of the pool."""
        first = pass_number * self.renewed if self.distinct > self.blocks else 0
        places = np.arange(self.blocks)
        # Place p holds the block n with n ≡ p (mod blocks) among the `blocks` latest: renewal moves nothing.
        latest = first + (places - first) % self.blocks
        numbers: list[int] = (latest % self.distinct).tolist()
        return numbers

    def draw(self, step: int, elements: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positions in the pool, and a symmetry for each, of one step's batch over all ranks."""
        pass_number, position = divmod(step, self.steps_per_pass)
        order = self._rng(pass_number, 0).permutation(self.blocks * BLOCK)
        cases = order[position * self.batch : (position + 1) * self.batch]
        symmetries = self._rng(step, 1).integers(elements, size=self.batch)
        return torch.from_numpy(cases), torch.from_numpy(symmetries)

    def _rng(self, number: int, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, stream, number])))


class BatchStream:
    """The batches of a run, step by step, on the device.

    Parameters
    ----------
    world : World
    plan : PoolPlan
    feeder : Feeder
    device : torch.device
        The pool is held there too where it fits, else in the computer's memory.
    rank, ranks : int
        Which part of each batch this process takes.
    note : callable
        Hears what is being waited for.
    """

    def __init__(
        self,
        world: World,
        plan: PoolPlan,
        feeder: Feeder,
        device: torch.device,
        rank: int = 0,
        ranks: int = 1,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        spec = world.spec
        self._plan, self._feeder, self._device, self._note = plan, feeder, device, note
        self._part = slice(rank * plan.batch // ranks, (rank + 1) * plan.batch // ranks)
        self._operators = operators_of(spec)
        self._symmetries = SquareSymmetries(spec.geometry, spec.grid, device)
        self._held: list[int | None] = [None] * plan.blocks
        self._tensors: dict[str, torch.Tensor] = {}

    def prepare(self, step: int) -> None:
        """Fill or renew the pool for a step, waiting for what is not simulated yet, and order what comes next."""
        pass_number = step // self._plan.steps_per_pass
        wanted = self._plan.pool(pass_number)
        places = [place for place, number in enumerate(wanted) if self._held[place] != number]
        if not places:
            return

        def progress(done: int) -> None:
            if done * 10 // len(places) != (done - 1) * 10 // len(places):
                self._note(self._waiting(done, len(places)))

        for place, block in zip(places, self._feeder.fetch([wanted[p] for p in places], progress), strict=True):
            self._hold(place, block)
            self._held[place] = wanted[place]
        if (rate := self._feeder.rate) is not None:
            self._note(f"the workers simulate {rate:.1f} cases/s")
        if self._plan.comes_to(pass_number + 1):
            self._feeder.request(self._plan.pool(pass_number + 1))

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step for which the pool is prepared."""
        cases, elements = (part[self._part] for part in self._plan.draw(step, self._symmetries.count))
        rows = cases.to(self._tensors["metal"].device)
        packed = {name: self._tensors[name][rows].to(self._device, non_blocking=True) for name in FIELDS}
        plain, elements = unpack(packed), elements.to(self._device)
        on_detector = ("sinogram", "true_sinogram", "trace")
        turned = {
            name: (self._symmetries.sinograms if name in on_detector else self._symmetries.images)(tensor, elements)
            for name, tensor in plain.items()
        }
        with torch.no_grad():
            image = self._operators.reconstruct(turned["sinogram"])
        scan = Scan(turned["sinogram"], turned["mask"], turned["trace"], image)
        return Batch(scan, Truth(turned["true_image"], turned["true_sinogram"], turned["any_metal"]))

    def of_pass(self, step: int, cases: int, together: int) -> Iterator[Batch]:
        """Yield the first cases of the pass that the prepared ``step`` belongs to, in batches of their own size.

        About ``cases`` of them, fewer where the pass has fewer; at least ``together`` in a batch but the last.
        """
        first, size = step - step % self._plan.steps_per_pass, self._part.stop - self._part.start
        steps = range(first, first + min(-(-cases // size), self._plan.steps_per_pass))
        joined = -(-together // size)
        for at in range(0, len(steps), joined):
            yield _join([self[one] for one in steps[at : at + joined]])

    def _waiting(self, done: int, blocks: int) -> str:
        """Return what is waited for, and how long, once that can be told."""
        rate = self._feeder.rate
        left = f", about {(blocks - done) * BLOCK / rate / 60:.0f} min at {rate:.1f} cases/s" if rate else ""
        return f"waiting for the simulation: {done * BLOCK} of {blocks * BLOCK} cases{left}"

    def _hold(self, place: int, block: dict[str, torch.Tensor]) -> None:
        if not self._tensors:
            home = self._home(sum(tensor.nbytes for tensor in block.values()) * self._plan.blocks)
            self._tensors = {
                name: torch.empty(self._plan.blocks * BLOCK, *tensor.shape[1:], dtype=tensor.dtype, device=home)
                for name, tensor in block.items()
            }
        for name, tensor in block.items():
            self._tensors[name][place * BLOCK : (place + 1) * BLOCK] = tensor

    def _home(self, size: int) -> torch.device:
        """Return where a pool of this many bytes is held."""
        if self._device.type == "cuda" and size < torch.cuda.mem_get_info(self._device)[0] / 2:
            return self._device
        return torch.device("cpu")


def _join(batches: Sequence[Batch]) -> Batch:
    scan = Scan(*joined([batch.scan for batch in batches]))
    return Batch(scan, Truth(*joined([batch.truth for batch in batches])))
