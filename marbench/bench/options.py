"""How to run, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Protocol, get_args

from marbench.bench.limits import NO_LIMITS, Limits
from marbench.bench.plan import Shard
from marbench.bench.producers import Isolation
from marbench.errors import MarbenchError, nearest
from marbench.results.images import ImageChoice
from marbench.results.rows import Row

__all__ = ["Progress", "RunOptions"]


class Progress(Protocol):
    """Whom a run tells how far it is."""

    def begin(self, what: str, total: int) -> None:
        """A stretch of work begins."""

    def advance(self, row: Row | None = None) -> None:
        """One piece of it is done."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    Attributes
    ----------
    limit : int, optional
        Only the first cases.
    spread : int, optional
        Only so many cases, from as many slices as there are, see `marbench.bench.spread.spread`.
    pictures : frozenset of str
        Cases whose images are kept besides those of ``images``.
    limits : Limits
        What one call of a method may use.
    isolation : str
        ``auto``, ``process`` or ``inline``, see `marbench.bench.producers.producer_of`.
    retry_failed : bool
        Try everything again that is not ok.
    force : tuple of str
        Methods to run again, whatever is stored; a name without parameters means all that the run has of it.
    workers : int, optional
        Processes that share the work; by default as many as pay, and this one alone where ``isolation`` is ``inline``.
    dask : str
        Address of a Dask scheduler that has the workers; empty for this machine.
    timing : bool
        Time the methods that were not timed on this machine.
    command : str
        The command line, kept in the folder.
    """

    device: str = "cpu"
    limit: int | None = None
    spread: int | None = None
    images: ImageChoice = "gallery"
    pictures: frozenset[str] = frozenset()
    limits: Limits = NO_LIMITS
    isolation: Isolation = "auto"
    # Off: a method that crashes would else crash again at every start of a run that goes on.
    retry_failed: bool = False
    force: tuple[str, ...] = ()
    shard: Shard | None = None
    workers: int | None = None
    dask: str = ""
    timing: bool = True
    command: str = ""

    def __post_init__(self) -> None:
        # −1 would be all but the last.
        if self.limit is not None and not (isinstance(self.limit, Integral) and self.limit >= 1):
            raise MarbenchError(f"A limit is a number of cases, at least 1; None takes all. Got {self.limit!r}.")
        choices = {"images": get_args(ImageChoice), "isolation": get_args(Isolation)}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise MarbenchError(f"{name} cannot be {value!r}; {nearest(str(value), known)}")
        if not self.dask:  # else the machines of the cluster are meant
            self.limits.hold_here()
        if self.isolation == "inline" and self.limits.memory_gb is not None:
            raise MarbenchError("Only a process of its own can be held to --memory: drop it, or --isolation inline.")
