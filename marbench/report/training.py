"""What a method's card says of its training. Cards come from anywhere: their form is not taken for granted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from marbench.report.formats import compact

__all__ = ["budget", "is_learned", "training_facts", "unequal_training"]

_HASH = 8
"""Characters of a hash that are shown."""


def is_learned(card: Mapping[str, Any], parameters: float | None, timed: bool) -> bool:
    """Return whether a method is trained.

    Its parameters were counted when it was timed. A method that never came so far, for want of weights say, is
    trained if its card knows weights, or presets: sizes in which a network is trained.
    """
    return bool(parameters) or any(card.get(key) for key in ("trained", "weights", *(() if timed else ("presets",))))


def budget(card: Mapping[str, Any]) -> str:
    """Return how long a method was trained, and from where it began; empty where its card does not tell.

    >>> budget({"trained": {"samples": 384000, "hours": 1.52}}), budget({})
    ('384 k samples, 1.5 h', '')
    >>> budget({"trained": {"samples": 2400, "recipe": {"start": {"spec": "mini", "samples": 36000}}}})
    '2.40 k samples, begun from weights for mini (36.0 k samples)'
    """
    began = _beginning(card)
    return ", ".join(filter(None, (_spent(card), f"begun from {began}" if began else "")))


def training_facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return lines of text on the weights that were used: their training, on what, from where, recipe and hash."""
    trained = _trained(card)
    hardware, recipe = trained.get("hardware"), trained.get("recipe")
    machine = hardware.get("name") if isinstance(hardware, Mapping) else None
    asked = dict(recipe) if isinstance(recipe, Mapping) else {}
    lines = {
        "Training": ", ".join(filter(None, (_spent(card), f"on {machine}" if machine else ""))),
        "Begun from": _beginning(card),
        "Trained for": ", ".join(str(trained[key]) for key in ("spec", "preset", "finished") if trained.get(key)),
        "Recipe": "; ".join(f"{name} {value}" for name, value in asked.items() if isinstance(value, str | int | float)),
        "Weights": f"SHA-256 {trained['sha256']}" if trained.get("sha256") else "",
    }
    return [(name, text) for name, text in lines.items() if text]


def unequal_training(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return in what the trainings of several methods, label → card, were not alike: such methods compare badly.

    >>> unequal_training({"a": {"trained": {"samples": 8}}, "b": {"trained": {"samples": 9}}, "li": {}})
    ['samples are not the same: 8 (a), 9 (b)']
    """
    told = []
    # Two weights may be of one benchmark by its name, and of two by what it was when they were trained.
    for name, key in (("presets", "preset"), ("samples", "samples"), ("definitions of the benchmark", "spec_hash")):
        found: dict[str, list[str]] = {}
        for label, card in cards.items():
            if value := _trained(card).get(key):
                text = compact(value) if isinstance(value, int | float) else str(value)
                found.setdefault(text[:_HASH] if key == "spec_hash" else text, []).append(label)
        told += _unequal(name, found)
    began: dict[str, list[str]] = {}
    for label, card in cards.items():
        if isinstance(_trained(card).get("recipe"), Mapping):
            began.setdefault(_start(card) or "random networks", []).append(label)
    return told + _unequal("beginnings", began)


def _unequal(name: str, found: Mapping[str, Sequence[str]]) -> list[str]:
    values = (f"{value} ({', '.join(labels)})" for value, labels in found.items())
    return [f"{name} are not the same: {', '.join(values)}"] if len(found) > 1 else []


def _spent(card: Mapping[str, Any]) -> str:
    trained = _trained(card)
    samples, hours = _positive(trained.get("samples")), _positive(trained.get("hours"))
    parts = [f"{compact(samples)} samples" if samples else "", f"{hours:.2g} h" if hours else ""]
    return ", ".join(filter(None, parts))


def _start(card: Mapping[str, Any]) -> str:
    """Return which weights a training began from; empty for random networks, or where its card does not tell."""
    recipe = _trained(card).get("recipe")
    start = recipe.get("start") if isinstance(recipe, Mapping) else None
    if not isinstance(start, Mapping):
        return ""
    samples = _positive(start.get("samples"))
    return f"weights for {start.get('spec')}" + (f" ({compact(samples)} samples)" if samples else "")


def _beginning(card: Mapping[str, Any]) -> str:
    """Return `_start`, and that no step was better where these are the weights that came out."""
    start, validation = _start(card), _trained(card).get("validation")
    is_still = isinstance(validation, Mapping) and validation.get("step") == 0
    return f"{start}; no step since was better" if start and is_still else start


def _trained(card: Mapping[str, Any]) -> Mapping[str, Any]:
    trained = card.get("trained")
    return trained if isinstance(trained, Mapping) else {}


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
