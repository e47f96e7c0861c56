"""From what a user asked for, e.g. ``nmar[prior=raw]``, to methods that are ready to run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from marbench.errors import MethodError, MethodUnavailable, nearest
from marbench.machine.text import clean
from marbench.method.card import ParameterValue
from marbench.method.discovery import (
    Discovery,
    MethodEntry,
    discover,
    entry_of_file,
    how_to_name,
    import_method,
    is_file,
)
from marbench.method.fingerprint import fingerprint
from marbench.spec import Spec, load_spec

if TYPE_CHECKING:
    import torch

    from marbench.cases.case import Scan
    from marbench.method.contract import Context, Method
    from marbench.method.weights import WeightsSearch

__all__ = [
    "FittedMethod",
    "LoadedMethod",
    "MethodRequest",
    "context_for",
    "instantiate",
    "is_installed",
    "load_method",
    "needs_package",
    "only_one",
    "parse_methods",
    "split_list",
]


_DIGITS = 6
"""Of a path's digest, in a label."""


@dataclass(frozen=True)
class MethodRequest:
    """A method as a user asked for it: an entry, parameters that differ from the defaults, a preset.

    ``by_all``: it was not named, but is one of all. Whoever asks for all asks for those that can run.
    """

    entry: MethodEntry
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    preset: str | None = None
    by_all: bool = field(default=False, compare=False)

    @property
    def label(self) -> str:
        """The canonical text, e.g. ``nmar[prior=raw]``: what tables and results call it.

        It names the parameters that differ from the defaults, and those that were set back to them against the preset.
        Of a path the last part stays, with a digest that tells it from others: labels are published.
        """
        defaults, without = self.entry.card.defaults(), self._preset_values()
        changed = {
            name: value
            for name, value in sorted(self.parameters.items())
            if value != defaults[name] or value != without[name]
        }
        if not changed:
            return self.entry.name
        return f"{self.entry.name}[{','.join(f'{name}={_text(value)}' for name, value in changed.items())}]"

    def values(self) -> dict[str, ParameterValue]:
        """Return every parameter: defaults, then the preset, then what the user asked for."""
        return {**self._preset_values(), **self.parameters}

    def files(self) -> dict[str, Path]:
        """Return the files that parameters name, as the method meets them: a relative path is one from here.

        Of a folder the name alone counts. A parameter with choices names none.
        """
        parameters = self.entry.card.parameters
        texts = {name: value for name, value in self.values().items() if isinstance(value, str) and value}
        return {name: Path(text) for name, text in texts.items() if not parameters[name].choices and is_file(text)}

    def _preset_values(self) -> dict[str, ParameterValue]:
        preset = self.entry.card.presets.get(self.preset, {}) if self.preset else {}
        return {**self.entry.card.defaults(), **preset}

    def to_train(self) -> MethodRequest:
        """Return the request with the preset that is trained: where none was asked for, the first of the card."""
        return replace(self, preset=self.preset or next(iter(self.entry.card.presets), None))

    def for_spec(self, spec: Spec) -> FittedMethod:
        """Return the method with the weights that fit a benchmark, and with the preset that they are for.

        Where no preset was asked for, those of the card are tried in turn, first for weights that were trained on
        exactly this benchmark, then for some from a folder that ``MARBENCH_WEIGHTS`` names.
        """
        from marbench.method.weights import find_weights

        presets = [self.preset] if self.preset else [None, *self.entry.card.presets]
        candidates = [replace(self, preset=preset) for preset in presets]
        where = self.entry.home, self.entry.card.weights, self.entry.plugins
        fitted = [
            FittedMethod(each, find_weights(each.label, each.preset, each.values(), spec, *where))
            for each in candidates
        ]

        # The first of the best, but what the user named goes before what ships.
        return min(fitted, key=lambda candidate: (candidate.found.misfit, not candidate.found.is_named))


@dataclass(frozen=True)
class FittedMethod:
    """A method fitted to a benchmark: with its preset and the weights that were found for it."""

    request: MethodRequest
    found: WeightsSearch

    @property
    def label(self) -> str:
        """See `MethodRequest.label`."""
        return self.request.label

    @cached_property
    def hash(self) -> str:
        """What the method is made of, see `marbench.method.fingerprint`: results of another hash are not reused."""
        entry, file = self.request.entry, self.found.file
        if not entry.module.name:  # a function or class of a notebook has no file
            return ""
        weights = file.card.sha256 if file is not None else ""
        apart = [entry.home / each.file for each in entry.card.weights] + ([file.path] if file is not None else [])
        values, files = self.request.values(), self.request.files()
        return fingerprint(entry.module, entry.folder, values, entry.card.requires, weights, apart, files)

    def hash_now(self) -> str:
        """Return the hash of the files as they are now and here; empty where they are gone."""
        try:
            return FittedMethod(self.request, self.found).hash
        except OSError:
            return ""


@dataclass(frozen=True)
class LoadedMethod:
    """A method that is ready to run on a benchmark's scans and a device: call it with a `Scan`, or its ``reduce``."""

    fitted: FittedMethod
    method: Method
    spec: Spec
    device: torch.device

    @property
    def label(self) -> str:
        """See `MethodRequest.label`."""
        return self.fitted.label

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return corrected images in HU, ``(batch, rows, columns)``."""
        import torch

        from marbench.machine.defaults import standard_process
        from marbench.method.learned import LearnedMethod

        if isinstance(self.method, LearnedMethod) and torch.float64 in (scan.sinogram.dtype, scan.image.dtype):
            scan = replace(scan, sinogram=scan.sinogram.float(), image=scan.image.float())  # the type of the weights
        with standard_process(), torch.no_grad():
            return self.method.reduce(scan)

    __call__ = reduce


def parse_methods(
    text: str, plugins: str | Path | Iterable[str | Path] | Discovery = (), preset: str | None = None
) -> list[MethodRequest]:
    """Return what a user asked for: ``all``, or names separated by commas, each with its parameters in brackets.

    >>> [request.label for request in parse_methods("li,nmar[prior=raw]")]
    ['li', 'nmar[prior=raw]']

    Raises
    ------
    MethodError
        A method, parameter or value is unknown; the message lists the valid ones. Or two methods that are asked for
        have the same label. Or none of them has the preset.
    """
    found = plugins if isinstance(plugins, Discovery) else discover(plugins)
    entries = found.entries
    requests: dict[str, MethodRequest] = {}
    for part in split_list(text):
        if part == "all":
            # Of all methods those take the preset that have it; of one that was named it is a mistake not to have it.
            chosen = [
                replace(_request(entry, "", preset if preset in entry.card.presets else None), by_all=True)
                for entry in entries.values()
            ]
        else:
            chosen = [_parse(part, found, preset)]
        for request in chosen:
            other = requests.setdefault(request.label, request)
            if other.entry != request.entry:
                raise MethodError(
                    f"Two methods would be called {request.label!r} in the results: {other.entry.module} and "
                    f"{request.entry.module}. Rename one of the files, or run them into folders of their own."
                )
            if other.by_all:
                requests[request.label] = request
    if not requests:
        raise MethodError(f"No method named. {nearest('', entries)}")
    if preset is not None and all(request.preset != preset for request in requests.values()):
        known = {name for request in requests.values() for name in request.entry.card.presets}
        raise MethodError(f"None of the methods has a preset {preset!r}; {nearest(preset, known)}")
    return list(requests.values())


def load_method(
    name: str | MethodRequest | FittedMethod,
    spec: str | Path | Spec,
    device: str | torch.device = "cpu",
    preset: str | None = None,
    *,
    plugins: str | Path | Iterable[str | Path] = (),
) -> LoadedMethod:
    """Import a method into this process and let it prepare for a benchmark.

    Parameters
    ----------
    name : str, MethodRequest or FittedMethod
        As in `parse_methods`, one method.
    spec : str, Path or Spec
    device : str or torch.device
    preset : str, optional
        A preset of the method's card.
    plugins : path or iterable of paths
        Folders with more methods.

    Raises
    ------
    MethodError
        There is no such method, or several are named.
    MethodUnavailable
        The plugin cannot be imported or prepared here; the message says why.
    """
    from marbench.machine.defaults import standard_process
    from marbench.machine.devices import device_of

    request = (
        only_one(parse_methods(name, plugins, preset), "One method is loaded at a time")
        if isinstance(name, str)
        else name
    )
    resolved, where = load_spec(spec), device_of(device)
    fitted = request.for_spec(resolved) if isinstance(request, MethodRequest) else request
    with standard_process():
        method = instantiate(fitted.request)
        try:
            method.load(context_for(fitted.request, resolved, where, fitted.found))
        except MethodError:
            raise
        except Exception as error:  # a plugin may raise anything; its user needs to know which one it was
            raise MethodUnavailable(f"{fitted.label} cannot be loaded: {type(error).__name__}: {error}") from error
    return LoadedMethod(fitted, method, resolved, where)


def only_one(requests: Sequence[MethodRequest], rule: str) -> MethodRequest:
    """Return the method that was asked for; MethodError, with the ``rule``, where there are several."""
    if len(requests) != 1:
        raise MethodError(f"{rule}. Got {', '.join(request.label for request in requests)}.")
    return requests[0]


def instantiate(request: MethodRequest) -> Method:
    """Import a plugin and create the method with its parameters; it still has to `load`.

    Raises
    ------
    MethodUnavailable
        A package that it needs is missing, or it cannot be imported.
    """
    from marbench.machine.defaults import standard_process
    from marbench.method.contract import Method

    for requirement in request.entry.card.requires:
        if not is_installed(requirement):
            raise MethodUnavailable(needs_package(request.label, requirement))
    try:
        with standard_process():
            method = import_method(request.entry)(**request.values())
    except MethodError:
        raise
    except Exception as error:  # as above
        said = f"{type(error).__name__}: {error}{_advice(error, request.entry)}"
        raise MethodUnavailable(f"{request.label} cannot be imported: {said}") from error
    if not isinstance(method, Method):
        raise MethodUnavailable(f"{request.label} cannot be loaded: its class made a {type(method).__name__}")
    return method


def _advice(error: Exception, entry: MethodEntry) -> str:
    """Return how to import what a plugin has not found though it lies in its folder."""
    top = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if not top or entry.folder is None or not (is_file(entry.folder / f"{top}.py") or (entry.folder / top).is_dir()):
        return ""
    return f"; it lies in the plugin's folder: import it as .{top}"


def needs_package(label: str, requirement: str) -> str:
    """Return what to say of a method whose requirement is not met."""
    return f"{label} needs the package {requirement!r}: pip install '{requirement}'"


def is_installed(requirement: str) -> bool:
    """Tell whether a requirement as pip takes it is met: by the name of a distribution or of a module.

    Of a file or an address, which has no name, the import will tell; nor is asked for what is for other machines.
    """
    try:
        wanted = Requirement(requirement)
    except InvalidRequirement:
        return True
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return True
    try:
        version = Version(importlib.metadata.version(wanted.name) or "")
        return wanted.specifier.contains(version, prereleases=True)
    except (importlib.metadata.PackageNotFoundError, ValueError):  # not installed, or without a version to compare
        # A dotted name is not looked up: that would import its parent.
        top = wanted.name.replace("-", "_")
        return top.isidentifier() and importlib.util.find_spec(top) is not None


def context_for(
    request: MethodRequest, spec: Spec, device: str | torch.device = "cpu", found: WeightsSearch | None = None
) -> Context:
    """Return what a method needs to load itself for a benchmark; without ``found`` it has no weights."""
    from marbench.cases.scanner import operators_of
    from marbench.machine.devices import device_of
    from marbench.method.contract import Context
    from marbench.method.weights import NO_WEIGHTS

    return Context(
        spec,
        device_of(device),
        operators_of(spec),
        label=request.label,
        preset=request.to_train().preset,
        found=found or NO_WEIGHTS,
    )


def split_list(text: str) -> list[str]:
    """Split at the commas that stand outside brackets."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def _parse(text: str, found: Discovery, preset: str | None) -> MethodRequest:
    match = re.fullmatch(r"(?P<name>[^\[\]]+)(?:\[(?P<parameters>[^\[\]]*)\])?", text)
    if match is None:
        raise MethodError(f"{text!r} is no method: expected NAME or NAME[parameter=value,…].")
    name, parameters = match["name"].strip(), match["parameters"] or ""
    file, separator, attribute = name.rpartition(":")
    if separator and file.endswith(".py"):
        return _request(entry_of_file(file, attribute), parameters, preset)
    entry = found.named(name)
    if entry is None:
        # The one that is meant may be among those that could not be read.
        hint = how_to_name(name) or nearest(name, found.entries)
        raise MethodError("\n".join([f"There is no method {name!r}; {hint}", *found.problems]))
    return _request(entry, parameters, preset)


def _request(entry: MethodEntry, parameters: str, preset: str | None) -> MethodRequest:
    card = entry.card
    values: dict[str, ParameterValue] = {}
    for part in filter(None, (part.strip() for part in parameters.split(","))):
        name, separator, text = (piece.strip() for piece in part.partition("="))
        if name not in card.parameters:
            raise MethodError(f"{entry.name} has no parameter {name!r}; {nearest(name, card.parameters)}")
        if not separator:
            allowed = card.parameters[name].allowed
            raise MethodError(f"{entry.name}[{name}]: expected {entry.name}[{name}=VALUE]{allowed}")
        if name in values:
            raise MethodError(f"{entry.name}[{name}] is given twice. Give it once.")
        if re.fullmatch(rf"[^/\\]*~[0-9a-f]{{{_DIGITS}}}", text):
            raise MethodError(f"{entry.name}[{name}]: {text} is how tables name a path. Give the path itself.")
        try:
            values[name] = card.parameters[name].parse(text)
        except (ValueError, OverflowError) as error:
            raise MethodError(f"{entry.name}[{name}]: {error}") from None
    if preset is not None and card.presets and preset not in card.presets:
        raise MethodError(f"{entry.name} has no preset {preset!r}; {nearest(preset, card.presets)}")
    return MethodRequest(entry, values, preset if preset in card.presets else None)


def _text(value: ParameterValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if clean(text) == text:
        return text
    last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    return f"{clean(last)}~{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:_DIGITS]}"
