"""Whether a method can run here, as far as that can be told without importing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marbench.method.request import is_installed, needs_package
from marbench.method.weights import no_weights

if TYPE_CHECKING:
    from marbench.method.request import FittedMethod, MethodRequest
    from marbench.spec import Spec

__all__ = ["is_untrained", "why_unavailable"]


def why_unavailable(request: MethodRequest, spec: Spec) -> str:
    """Return why a method cannot run on a benchmark here, by its card and files; ``""`` where nothing speaks against.

    A plugin may still fail to load, which ``marbench doctor`` finds out.
    """
    card = request.entry.card
    for requirement in () if card.own_interpreter else card.requires:
        if not is_installed(requirement):
            return needs_package(request.label, requirement)
    if not request.entry.module.is_file():
        return f"{request.label}: the file {request.entry.module.name} is missing."
    fitted = request.for_spec(spec)
    if is_untrained(fitted):
        return no_weights(request.label, spec, fitted.request.to_train().preset, fitted.found)
    return ""


def is_untrained(fitted: FittedMethod) -> bool:
    """Return whether a method, by its card, learns and has no weights for the benchmark that it is fitted to."""
    card, file = fitted.request.entry.card, fitted.found.file
    is_learned = bool(card.weights or card.presets)  # presets are sizes in which a network is trained
    return is_learned and (file is None or not file.path.is_file())
