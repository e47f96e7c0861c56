"""Checks of methods that learn: weights that belong to them, and a step of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from marbench.bench.calls import own_state
from marbench.bench.outcome import describe
from marbench.cases.batch import collate
from marbench.cases.case import Case
from marbench.conformance.inside import guarded
from marbench.conformance.verdict import Finding, failed, ok, skipped
from marbench.errors import MethodError
from marbench.learning.artefact import encode, identity_of, write_card
from marbench.machine.defaults import standard_process
from marbench.method.learned import Batch, LearnedMethod, build_untrained, learning_modules
from marbench.method.request import FittedMethod, MethodRequest, context_for, instantiate
from marbench.method.weights import WeightsSearch, declared_files, no_weights, read_weights, scan_of
from marbench.spec import Spec

__all__ = ["check_training", "check_weights", "untrained"]


def untrained(request: MethodRequest, spec: Spec, folder: Path, seconds: float | None) -> FittedMethod | None:
    """Return a learned method with the weights that its networks begin with, as files in ``folder``.

    None for a method that does not learn. It is held to a limit of time here, see `guarded`.
    """
    chosen = request.to_train()
    with guarded(seconds), own_state(0), standard_process():
        method = instantiate(chosen)
        if not isinstance(method, LearnedMethod):
            return None
        build_untrained(method, context_for(chosen, spec))
        content = encode(method.networks(), {}, rounded=False)
    path = folder / f"{spec.hash[:16]}.safetensors"
    path.write_bytes(content)
    file = write_card(path, content, scan=scan_of(spec), **identity_of(chosen, spec))
    return FittedMethod(chosen, WeightsSearch(file, misfit=0, plugins=request.entry.plugins))


def check_weights(fitted: FittedMethod, spec: Spec, is_trained: bool) -> Finding:
    """See whether the files that a card declares are what it says, and which one serves."""
    entry, problems = fitted.request.entry, list[str]()
    declared = entry.card.weights
    files = declared_files(entry.home, declared, problems)
    for file in files:
        told = next(each for each in declared if entry.home / each.file == file.path)
        try:
            read_weights(file, entry.plugins)
        except MethodError as error:
            problems.append(str(error))
        wanted, says = (entry.name, told.spec, told.preset), (file.card.method, file.card.spec, file.card.preset)
        if wanted != says:
            problems.append(f"{file.path.name} is for {says} by its card, for {wanted} by method.toml")
    if problems:
        advice = "declare what marbench train wrote: its [[weights]] table stands beside the weights"
        return failed("weights", "; ".join(problems), advice)
    used = fitted.found.file
    if not is_trained:
        return skipped("weights", no_weights(fitted.label, spec, fitted.request.preset, fitted.found))
    if used is None:
        return skipped("weights", "it has none")
    common = {0: "this benchmark", 1: f"{used.card.spec}, with the same scan"}
    same = common.get(int(fitted.found.misfit), f"{used.card.spec}, with the same geometry and grid")
    count = sum(used.card.networks.values())
    return ok("weights", f"{used.path.name}, trained on {same}" + (f", {count:,} parameters" if count else ""))


def check_training(request: MethodRequest, spec: Spec, cases: Sequence[Case], seconds: float | None) -> Finding:
    """Let a learned method take one step on a batch of cases, from its first weights."""
    chosen = request.to_train()
    batch = collate(cases)
    assert batch.truth is not None  # specimens have truths
    advice = "see marbench.method.learned for what marbench train asks for"
    try:
        with guarded(seconds), own_state(0), standard_process():
            method = instantiate(chosen)
            if not isinstance(method, LearnedMethod):
                return skipped("training", "it does not learn")
            build_untrained(method, context_for(chosen, spec))
            learning_modules(method)  # where two have one name, that is the finding
            losses = _step(method, Batch(batch.scan, batch.truth))
    except Exception as error:
        return failed("training", describe(error, chosen.entry.home).message, advice)
    return ok("training", f"a step on {len(cases)} cases, loss {', '.join(f'{loss:.3g}' for loss in losses)}")


def _step(method: LearnedMethod, batch: Batch) -> list[float]:
    """Return the losses of one step."""
    optimizers, losses = method.optimizers(), []
    for objective in method.objectives(batch):
        if objective.optimizer not in optimizers:
            known = ", ".join(optimizers)
            raise MethodError(f"objectives names the optimizer {objective.optimizer!r}; optimizers() has {known}")
        if not bool(torch.isfinite(objective.loss)):
            raise MethodError(f"the loss is {float(objective.loss.detach())}")
        optimizers[objective.optimizer].zero_grad()
        objective.loss.backward()  # type: ignore[no-untyped-call]
        optimizers[objective.optimizer].step()
        losses.append(float(objective.loss.detach()))
    weights = [weight for network in method.networks().values() for weight in network.parameters()]
    if not any(weight.grad is not None and bool(weight.grad.any()) for weight in weights):
        raise MethodError("no objective has a gradient for any weight of networks()")
    return losses
