"""From what a user asked for, e.g. ``nmar[prior=raw]``, to methods that are ready to run."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from marbench.ct.operators import Operators
from marbench.errors import MethodError, MethodUnavailable, nearest
from marbench.method.card import ParameterValue
from marbench.method.contract import Context, Method
from marbench.method.discovery import MethodEntry, discover, import_class, plain_card, source_files
from marbench.method.weights import NO_WEIGHTS, WeightsSearch, find_weights
from marbench.spec import Spec, load_spec

if TYPE_CHECKING:
    import torch

__all__ = ["LoadedMethod", "MethodRequest", "context_for", "instantiate", "load_method", "parse_methods"]


@dataclass(frozen=True)
class MethodRequest:
    """A method as a user asked for it: an entry, parameters that differ from the defaults, a preset.

    ``found`` are its weights for one benchmark, see `for_spec`.
    """

    entry: MethodEntry
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    preset: str | None = None
    found: WeightsSearch = NO_WEIGHTS

    @property
    def label(self) -> str:
        """The canonical text, e.g. ``nmar[prior=raw]``: what tables and results call it."""
        defaults = self.entry.card.defaults()
        changed = {name: value for name, value in sorted(self.parameters.items()) if value != defaults[name]}
        if not changed:
            return self.entry.name
        return f"{self.entry.name}[{','.join(f'{name}={_text(value)}' for name, value in changed.items())}]"

    def values(self) -> dict[str, ParameterValue]:
        """Return every parameter: defaults, then the preset, then what the user asked for."""
        preset = self.entry.card.presets.get(self.preset, {}) if self.preset else {}
        return {**self.entry.card.defaults(), **preset, **self.parameters}

    def for_spec(self, spec: Spec) -> MethodRequest:
        """Return the request with the weights that fit a benchmark, and with the preset that they are for.

        Where no preset was asked for, those of the card are tried in turn, first for weights that were trained on
        exactly this benchmark.
        """
        presets = [self.preset] if self.preset else [None, *self.entry.card.presets]
        candidates = [replace(self, preset=preset)._with_weights(spec) for preset in presets]

        def misfit(candidate: MethodRequest) -> int:
            file = candidate.found.file
            return 2 if file is None else int(file.card.spec_hash != spec.hash)

        return min(candidates, key=misfit)  # the first of the best

    def hash(self) -> str:
        """SHA-256 of the method's code, parameters and weights, 16 hex digits: results of another hash are not reused.

        The weights are those of `for_spec`.
        """
        digest = hashlib.sha256(repr(sorted(self.values().items())).encode())
        digest.update(self.entry.card.model_dump_json(exclude={"weights"}).encode())
        for path in source_files(self.entry):
            digest.update(f"\0{path.name}\0".encode())
            digest.update(path.read_bytes())
        if self.found.file is not None:
            digest.update(self.found.file.card.sha256.encode())
        return digest.hexdigest()[:16]

    def _with_weights(self, spec: Spec) -> MethodRequest:
        folder, declared = self.entry.folder, self.entry.card.weights
        return replace(self, found=find_weights(self.label, self.preset, self.values(), spec, folder, declared))


@dataclass(frozen=True)
class LoadedMethod:
    """A method that is ready to run."""

    request: MethodRequest
    method: Method

    @property
    def label(self) -> str:
        """See `MethodRequest.label`."""
        return self.request.label


def parse_methods(text: str, plugins: Iterable[str | Path] = (), preset: str | None = None) -> list[MethodRequest]:
    """Return what a user asked for: ``all``, or names separated by commas, each with its parameters in brackets.

    >>> [request.label for request in parse_methods("li,nmar[prior=raw]")]
    ['li', 'nmar[prior=raw]']

    Raises
    ------
    MethodError
        A method, parameter or value is unknown; the message lists the valid ones.
    """
    entries = discover(plugins)
    requests: dict[str, MethodRequest] = {}
    for part in _split_list(text):
        if part == "all":
            # Of all methods those take the preset that have it; of one that was named it is a mistake not to have it.
            chosen = [
                _request(entry, "", preset if preset in entry.card.presets else None) for entry in entries.values()
            ]
        else:
            chosen = [_parse(part, entries, preset)]
        for request in chosen:
            requests.setdefault(request.label, request)
    if not requests:
        raise MethodError(f"No method named. {nearest('', entries)}")
    return list(requests.values())


def load_method(
    name: str | MethodRequest, spec: str | Path | Spec, device: str | torch.device = "cpu", preset: str | None = None
) -> LoadedMethod:
    """Import a method and let it prepare for a benchmark.

    Parameters
    ----------
    name : str or MethodRequest
        As in `parse_methods`, one method.
    spec : str, Path or Spec
    device : str or torch.device
    preset : str, optional
        A preset of the method's card.

    Raises
    ------
    MethodUnavailable
        The plugin cannot be imported or prepared here; the message says why.
    """
    request = name if isinstance(name, MethodRequest) else parse_methods(name, preset=preset)[0]
    resolved = load_spec(spec)
    request = request.for_spec(resolved)
    method = instantiate(request)
    try:
        method.load(context_for(request, resolved, device))
    except MethodError:
        raise
    except Exception as error:  # a plugin may raise anything; it must not take the run with it
        raise MethodUnavailable(f"{request.label} cannot be loaded: {type(error).__name__}: {error}") from error
    return LoadedMethod(request, method)


def instantiate(request: MethodRequest) -> Method:
    """Import a plugin and create the method with its parameters; it still has to `load`.

    Raises
    ------
    MethodUnavailable
        A package that it needs is missing, or it cannot be imported.
    """
    for package in request.entry.card.requires:
        if importlib.util.find_spec(package) is None:
            raise MethodUnavailable(f"{request.label} needs the package {package!r}: pip install {package}")
    try:
        return import_class(request.entry)(**request.values())
    except MethodError:
        raise
    except Exception as error:  # as above
        raise MethodUnavailable(f"{request.label} cannot be imported: {type(error).__name__}: {error}") from error


def context_for(request: MethodRequest, spec: Spec, device: str | torch.device = "cpu") -> Context:
    """Return what a method needs to load itself for a benchmark."""
    import torch

    return Context(
        spec,
        torch.device(device),
        Operators(spec.geometry, spec.grid, spec.physics.water_attenuation),
        label=request.label,
        preset=request.preset or next(iter(request.entry.card.presets), None),
        found=request.found,
    )


def _split_list(text: str) -> list[str]:
    """Split at the commas that stand outside brackets."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def _parse(text: str, entries: Mapping[str, MethodEntry], preset: str | None) -> MethodRequest:
    match = re.fullmatch(r"(?P<name>[^\[\]]+)(?:\[(?P<parameters>[^\[\]]*)\])?", text)
    if match is None:
        raise MethodError(f"{text!r} is no method: expected NAME or NAME[parameter=value,…].")
    name, parameters = match["name"].strip(), match["parameters"] or ""
    file, separator, attribute = name.rpartition(":")
    if separator and file.endswith(".py"):
        path = Path(file).expanduser()
        if not path.is_file():
            raise MethodError(f"The file {file} does not exist (asked for as {text!r}).")
        return _request(MethodEntry(plain_card(attribute, f"From {path.name}."), path, attribute), parameters, preset)
    if name not in entries:
        raise MethodError(f"There is no method {name!r}; {nearest(name, entries)}")
    return _request(entries[name], parameters, preset)


def _request(entry: MethodEntry, parameters: str, preset: str | None) -> MethodRequest:
    card = entry.card
    values: dict[str, ParameterValue] = {}
    for part in filter(None, (part.strip() for part in parameters.split(","))):
        name, separator, text = (piece.strip() for piece in part.partition("="))
        if not separator or name not in card.parameters:
            raise MethodError(f"{entry.name} has no parameter {name!r}; {nearest(name, card.parameters)}")
        try:
            values[name] = card.parameters[name].parse(text)
        except ValueError as error:
            raise MethodError(f"{entry.name}[{name}]: {error}") from None
    if preset is not None and card.presets and preset not in card.presets:
        raise MethodError(f"{entry.name} has no preset {preset!r}; {nearest(preset, card.presets)}")
    return MethodRequest(entry, values, preset if preset in card.presets else None)


def _text(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
