"""What a training run is: everything that decides its result, written down before the first step."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from marbench.errors import MarbenchError, SpecError
from marbench.learning.artefact import identity_of
from marbench.learning.batches import PoolPlan
from marbench.learning.cache import cache_folder
from marbench.learning.cases import BLOCK, DEFAULT_MIX, World
from marbench.learning.checkpoints import has_checkpoint, remove_checkpoints
from marbench.learning.packing import bytes_per_case
from marbench.learning.ranks import ranks_here
from marbench.machine.files import write_atomically
from marbench.machine.memory import available_memory
from marbench.method.request import FittedMethod, MethodRequest
from marbench.method.weights import NO_WEIGHTS
from marbench.spec import Spec

__all__ = [
    "PRECISIONS",
    "Recipe",
    "faster_precision",
    "hold_to_recipe",
    "pool_sizes",
    "stored_recipe",
]

PRECISIONS = ("32-true", "bf16-mixed")
_POOL_CASES = {"cpu": 4096, "cuda": 16384}
# At most, and of what is left in memory and on the disk a third: the rest is for networks, workers and others.
_POOL_BYTES = 6e9
_CACHE_BYTES = 12e9
_SHARE = 1 / 3
# A CPU simulates several times faster than it trains, so no case need come twice; a GPU would wait.
_RENEWED_SHARE = {"cpu": 1.0, "cuda": 1 / 16}
_CASES = {"world_key", "validation_key"}
STATISTICS_UNTIL = 0.75
"""The share of its budget after which a training keeps the statistics of batch normalisation."""


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Attributes
    ----------
    method, label, preset, parameters
        What is trained; ``parameters`` are all of them.
    spec, spec_hash : str
        The benchmark.
    seed : int
        Of initial weights, dropout, the order of the cases and the cases themselves.
    hours, steps : float or int, one of them None
        The budget. Hours count training alone: not waiting for the simulation, not validation.
    batch : int
        Cases per step.
    precision : {"32-true", "bf16-mixed"}
    pool_blocks, distinct_blocks, renewed_blocks : int
        See `PoolPlan`.
    mix : mapping
        See `World`.
    validations : int
        How often the validation cases are scored, evenly over the budget.
    validation_cases : int
    clip : float
        Gradients longer than this many times their running mean are shortened to that.
    learning_rate_factor : float
        By which the method's learning rates are multiplied throughout: small where good weights are to be refined.
    statistics_until : float
        The share of the budget after which batch normalisations keep their statistics, see `BatchStatistics`.
    start : mapping, optional
        The weights that the networks begin from, see `marbench.learning.start.named_start`; None: random ones.
    method_hash : str
        What the method is made of, see `FittedMethod.hash`, without weights.
    world_key, validation_key : str
        What the cases are, see `World.key` and `validation_key`. `train` fills them in.
    """

    method: str
    label: str
    preset: str | None
    parameters: Mapping[str, Any]
    spec: str
    spec_hash: str
    seed: int
    hours: float | None
    steps: int | None
    batch: int
    precision: str
    pool_blocks: int
    distinct_blocks: int
    renewed_blocks: int
    mix: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    validations: int = 24
    validation_cases: int = 40
    clip: float = 4.0
    learning_rate_factor: float = 1.0
    statistics_until: float = STATISTICS_UNTIL
    start: Mapping[str, Any] | None = None
    method_hash: str = ""
    world_key: str = ""
    validation_key: str = ""

    def __post_init__(self) -> None:
        if (self.hours is None) == (self.steps is None):
            raise MarbenchError("A training needs a budget: either --hours or --steps.")
        if not (self.hours or self.steps or 0) > 0:
            raise MarbenchError(f"The budget must be positive. Got {self.hours or self.steps}.")
        if self.precision not in PRECISIONS:
            raise MarbenchError(f"--precision is one of {', '.join(PRECISIONS)}. Got {self.precision!r}.")
        self.plan()  # an impossible pool is refused here

    def plan(self) -> PoolPlan:
        """Return which cases are drawn when."""
        return PoolPlan(self.pool_blocks, self.distinct_blocks, self.renewed_blocks, self.batch, self.seed, self.steps)

    def world(self, spec: Spec) -> World:
        """Return where the cases come from."""
        return World(spec, self.seed, self.mix)

    def progress(self, step: int, seconds: float) -> float:
        """Return how much of the budget is used, from 0 to 1."""
        used = step / self.steps if self.steps else seconds / (3600 * (self.hours or 1))
        return min(1.0, used)

    @classmethod
    def of(cls, request: MethodRequest, spec: Spec, **settings: Any) -> Recipe:
        """Return the recipe for a method on a benchmark."""
        code = FittedMethod(request, NO_WEIGHTS).hash
        return cls(**identity_of(request, spec), method_hash=code, **settings)


def pool_sizes(spec: Spec, device: str, cases: int | None = None, drawn: int | None = None) -> dict[str, int]:
    """Return the settings of the pool: as asked for, or what suits the device, within memory and disk.

    Where the whole training draws fewer cases (``drawn``), no more are simulated for it.
    """
    size, kind = bytes_per_case(spec.geometry, spec.grid), "cuda" if device.startswith("cuda") else "cpu"
    memory = min(_POOL_BYTES, _SHARE * available_memory()) / ranks_here()  # each rank holds a pool of its own
    fitting = min(_POOL_CASES[kind], int(memory / size))
    blocks = max(1, round(cases / BLOCK) if cases else min(fitting // BLOCK, math.ceil((drawn or fitting) / BLOCK)))
    distinct = max(blocks, int(min(_CACHE_BYTES, _SHARE * _free_for_cases()) / size / BLOCK))
    return {
        "pool_blocks": blocks,
        "distinct_blocks": distinct,
        "renewed_blocks": min(blocks, max(1, round(blocks * _RENEWED_SHARE[kind]))),
    }


def _free_for_cases() -> float:
    """Return the bytes that are free where cases are kept, or hold cases now; ∞ if unknown.

    Were these not counted, the second method that trains on a benchmark would see fewer cases than the first.
    """
    folder = cache_folder().absolute()
    try:
        held = sum(block.stat().st_size for block in folder.glob("training/*/*.safetensors"))
        return held + shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    except (OSError, StopIteration):
        return math.inf


def stored_recipe(out: Path) -> dict[str, Any]:
    """Return the settings of the run in a folder; empty where there is none.

    A command that failed before its first step leaves neither a checkpoint nor weights: what it wrote holds nobody.
    """
    path = out / "recipe.json"
    if not path.is_file() or not (has_checkpoint(out / "checkpoints") or (out / "weights.toml").exists()):
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MarbenchError(f"{path} cannot be read: {error}. Choose another --out.") from None
    return content if isinstance(content, dict) else {}


def hold_to_recipe(out: Path, recipe: Recipe) -> None:
    """Write the recipe into a folder, or see that the run there has the same one, of the same method and cases.

    Raises
    ------
    SpecError
        The folder holds another run.
    """
    mine = json.loads(json.dumps(asdict(recipe)))
    stored = stored_recipe(out)
    if not stored:
        if not has_checkpoint(out / "checkpoints"):
            remove_checkpoints(out / "best")  # of weights that another command would have begun with
        write_atomically(out / "recipe.json", json.dumps(mine, indent=1, ensure_ascii=False).encode() + b"\n")
        return
    changed = [name for name in mine if stored.get(name) != mine[name]]
    if changed:
        # Other settings mean other cases. Where only these are others, files or the code that simulates have changed.
        what = "the cases are others: " if _CASES.issuperset(changed) else ""
        differences = "; ".join(f"{name} is {stored.get(name)} there, {mine[name]} here" for name in changed)
        raise SpecError(
            f"{out} holds another training: {what}{differences}. Choose another --out, or the same settings, files and "
            "code."
        )


def faster_precision(device: torch.device) -> str:
    """Return the precision in which a convolution, forward and backward, is faster on this machine."""
    if device.type == "cuda":
        # Older GPUs emulate it, slowly.
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    layer = torch.nn.Conv2d(32, 32, 3, padding=1)
    image = torch.randn(4, 32, 96, 96).contiguous(memory_format=torch.channels_last)

    def seconds(bf16: bool) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = layer(torch.relu(layer(image))).square().mean()
            torch.autograd.backward(loss)
            times.append(time.perf_counter() - start)
        return min(times)

    return "bf16-mixed" if seconds(True) < 0.9 * seconds(False) else "32-true"
