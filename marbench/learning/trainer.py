"""The trainer: steps, validations and checkpoints; at any moment it may be killed, and the same command goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from marbench.errors import MarbenchError, MethodError
from marbench.learning.batches import BatchStream
from marbench.learning.checkpoints import load_checkpoint, save_checkpoint
from marbench.learning.curves import LearningCurves
from marbench.learning.judge import Judge
from marbench.learning.optimisation import Optimisation, seed_of_step
from marbench.learning.outcome import hardware, install_unless_worse, read_outcome, write_outcome
from marbench.learning.ranks import average_gradients, largest, take_from_the_first
from marbench.learning.recipe import Recipe
from marbench.learning.start import begin_with
from marbench.learning.statistics import BatchStatistics
from marbench.machine.generators import seed_generators
from marbench.machine.interrupts import Interrupted, Interrupts
from marbench.method.images import InvalidImage
from marbench.method.learned import LearnedMethod, build_untrained, learning_modules
from marbench.method.request import MethodRequest, context_for, instantiate
from marbench.method.weights import WeightsFile
from marbench.spec import Spec

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Trainer"]

CHECKPOINT_SECONDS = 180.0
NOTE_SECONDS = 15.0
_LOGGED_STEPS = 20


class Trainer:
    """A run in progress. Its state is what `_state` says; random numbers are functions of the step."""

    def __init__(
        self,
        request: MethodRequest,
        spec: Spec,
        recipe: Recipe,
        out: Path,
        fabric: Fabric,
        start: WeightsFile | None,
        note: Callable[[str], None],
    ) -> None:
        self.recipe, self.note = recipe, note
        self._request, self._spec, self._out, self._fabric = request, spec, out, fabric
        self._leads = fabric.global_rank == 0
        seed_generators(recipe.seed)
        self.method = _learner(request, spec, fabric.device)
        self._modules = learning_modules(self.method)
        state = load_checkpoint(out / "checkpoints", note)
        if state is None and recipe.start is not None:
            begin_with(self.method, _found(start, out), request.entry.plugins)
        for module in self._modules.values():
            take_from_the_first(module, fabric)  # whatever else than these generators a method drew from
            _use_channels_last(module)
        self._statistics = BatchStatistics(self.method, fabric, self._autocast, recipe.seed)
        self._optimisation = Optimisation(self.method, recipe.clip, self._autocast, self._average)
        self._curves = LearningCurves(out)
        self._judge = self._appointed() if self._leads else None
        # What a training begins from is scored as well: it may be the best.
        self.step, self.seconds, self._validated = 0, 0.0, 0 if recipe.start is None else -1
        self._summed: dict[str, torch.Tensor] = {}
        self._counted: dict[str, int] = {}
        self._resume(state)

    @property
    def progress(self) -> float:
        """How much of the budget is used, from 0 to 1."""
        return self.recipe.progress(self.step, self.seconds)

    def run(self, stream: BatchStream, interrupts: Interrupts) -> None:
        """Train until the budget is used; on a signal, write a checkpoint first."""
        # Of several ranks none leaves before the others know: those would wait for it. They stop after the same step.
        together = interrupts.shield() if self._fabric.world_size > 1 else nullcontext()
        try:
            with together:
                self._steps(stream, interrupts)
        except KeyboardInterrupt:
            with interrupts.shield():
                self._save()
            self.note(f"stopped after step {self.step}, which is saved; the same command goes on from there")
            raise
        self._save()

    def _steps(self, stream: BatchStream, interrupts: Interrupts) -> None:
        saved = noted = time.monotonic()
        self._train_mode(True)
        while True:
            # Before the next step, not after the last one: a run that was stopped meanwhile makes up for it.
            if self.progress * self.recipe.validations >= self._validated + 1:
                self._validate(stream, interrupts)
            if self.progress >= self.recipe.statistics_until and not self._statistics.kept:
                self._statistics.keep(stream, self.step - 1)
            if self.progress >= 1:
                return
            now = time.monotonic()
            # The first step is saved at once: that a state cannot be is told before time is spent.
            if (now - saved > CHECKPOINT_SECONDS or self.step == 1) and self._optimisation.sound:
                saved = now
                self._save()
            stream.prepare(self.step)
            with interrupts.shield():
                asked = self._take_step(stream, interrupts)
            if asked:
                raise Interrupted(asked)
            if now - noted > NOTE_SECONDS:
                noted = now
                self._note_progress()

    def finish(self, installed: bool) -> WeightsFile:
        """Write the best weights and their card."""
        if self._judge is None:
            self._fabric.barrier()
            return read_outcome(self._out, self.recipe)
        best_step = self._judge.bring_back_the_best()
        self._train_mode(False)
        spent = {
            "steps": self.step,
            "hours": round(self.seconds / 3600, 6),
            "hardware": hardware(self._fabric.device, self._fabric.world_size),
        }
        run = self.method, self._request, self._spec, self.recipe, self._out, self._judge
        file = write_outcome(*run, self.step if best_step is None else best_step, spent)
        told = self._judge.told(file.card.validation["scores"])
        self.note(f"{file.path} ({file.path.stat().st_size / 1e6:.2f} MB): validation {told}")
        if installed:
            self.note(install_unless_worse(file, self._judge))
        self._fabric.barrier()
        return file

    def _take_step(self, stream: BatchStream, interrupts: Interrupts) -> int:
        """Take a step; return the number of a signal that any rank received, or 0."""
        began = time.perf_counter()
        # Dropout and random crops depend on the step alone, so a run that was killed goes on as if it had not been.
        seed_generators(seed_of_step(self.recipe.seed, self.step, self._fabric.global_rank))
        # A plain number, whatever a method computes with: a checkpoint holds it.
        factor = self.recipe.learning_rate_factor * float(self.method.learning_rate_factor(self.progress))
        terms = self._optimisation.step(stream[self.step], factor)
        for name, value in terms.items():
            self._summed[name] = self._summed.get(name, torch.zeros_like(value)) + value
            self._counted[name] = self._counted.get(name, 0) + 1
        self.step += 1
        seconds, asked = largest(self._fabric, time.perf_counter() - began, interrupts.pending or 0)
        self.seconds += seconds
        if self.step % _LOGGED_STEPS == 0:
            row = {**self._position(), "learning_rate_factor": factor, **self._mean_terms()}
            if self._leads:
                self._curves.add("losses", row)
        return int(asked)

    def _validate(self, stream: BatchStream, interrupts: Interrupts) -> None:
        if self._judge is not None and len(self._judge):
            self._statistics.average(stream, self.step - 1)
            self._train_mode(False)
            try:
                scores = self._judge.scores()
            except InvalidImage as error:  # refused at the end, should it be so with the best weights
                self._note_progress(f"; no score: {error}")
            else:
                with interrupts.shield():
                    self._note_progress(f"; validation {self._judge.keep(scores, self._position())}")
            self._train_mode(True)
        self._validated = int(self.progress * self.recipe.validations)
        self._fabric.barrier()

    def _appointed(self) -> Judge:
        cases, device = self.recipe.validation_cases, self._fabric.device
        return Judge(self.method, self._spec, cases, device, self._out, self._curves, self.note)

    def _save(self) -> None:
        if self._leads:
            save_checkpoint(self._out / "checkpoints", self.step, self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "validated": self._validated,
            "statistics_kept": self._statistics.kept,
            "summed": self._summed,
            "counted": self._counted,
            "modules": {name: module.state_dict() for name, module in self._modules.items()},
            "optimisation": self._optimisation.state(),
        }

    def _resume(self, state: dict[str, Any] | None) -> None:
        if state is not None:
            for name, module in self._modules.items():
                module.load_state_dict(state["modules"][name])
            self._optimisation.restore(state["optimisation"])
            self.step, self.seconds, self._validated = state["step"], state["seconds"], state["validated"]
            self._statistics.kept = state["statistics_kept"]
            self._summed = {name: value.to(self._fabric.device) for name, value in state["summed"].items()}
            self._counted = state["counted"]
            self.note(f"going on after step {self.step} ({self.progress:.0%} of the budget)")
        if self._leads:
            self._curves.rewind(-1 if state is None else self.step)

    def _position(self) -> dict[str, float]:
        return {"step": self.step, "samples": self.step * self.recipe.batch, "hours": round(self.seconds / 3600, 6)}

    def _mean_terms(self) -> dict[str, float]:
        means = {name: float(total) / self._counted[name] for name, total in self._summed.items()}
        self._summed, self._counted = {}, {}
        return means

    def _note_progress(self, more: str = "") -> None:
        rate = self.step * self.recipe.batch / max(self.seconds, 1e-9)
        if not self.step:
            self.note(f"before the first step{more}")
            return
        minutes = self.seconds / 60
        whole = f"{minutes:.1f} of about {minutes / self.progress:.1f} min"
        self.note(f"step {self.step}, {self.progress:.1%}, {whole}, {rate:.1f} samples/s{more}")

    def _train_mode(self, on: bool) -> None:
        for module in self._modules.values():
            module.train(on)
        if on:
            self._statistics.hold()

    def _autocast(self) -> AbstractContextManager[None]:
        bf16 = self.recipe.precision == "bf16-mixed"
        return torch.autocast(self._fabric.device.type, torch.bfloat16, enabled=bf16)

    def _average(self, gradients: list[torch.Tensor]) -> None:
        average_gradients(gradients, self._fabric.world_size)


def _found(start: WeightsFile | None, out: Path) -> WeightsFile:
    if start is None:
        raise MethodError(
            f"{out}: no checkpoint can be read, and the weights that this training began from are gone. Bring these "
            "back, or choose another --out."
        )
    return start


def _learner(request: MethodRequest, spec: Spec, device: torch.device) -> LearnedMethod:
    """Create a method with random networks."""
    method = instantiate(request)
    if not isinstance(method, LearnedMethod):
        raise MethodError(f"{request.label} does not learn: there is nothing to train.")
    build_untrained(method, context_for(request, spec, device))
    if not method.networks():
        raise MarbenchError(f"{request.label} has no networks: there is nothing to train.")
    return method


def _use_channels_last(module: nn.Module) -> None:
    """Lay out the weights of convolutions as the fast kernels want them; what flows through them follows suit."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
