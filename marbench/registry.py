"""Finding, describing and loading methods.

Ways in: a folder in ``methods/``; folders below ``--plugins DIR`` or ``MARBENCH_PLUGINS``; the entry-point group
``marbench.methods``; ``path.py:Class``. Describing a method never imports it. Plugins are imported under the private
package ``marbench_methods`` and `sys.path` is never touched.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from marbench.ct.operators import Operators
from marbench.errors import MethodError, MethodUnavailable, nearest
from marbench.method import Context, Method, MethodCard, ParameterValue
from marbench.resources import resource_folder
from marbench.spec import Spec, load_spec
from marbench.weights import NO_WEIGHTS, WeightsSearch, find_weights

if TYPE_CHECKING:
    import torch

__all__ = [
    "LoadedMethod",
    "MethodEntry",
    "MethodRequest",
    "context_for",
    "discover",
    "instantiate",
    "load_method",
    "methods",
    "parse_methods",
]

ENTRY_POINTS = "marbench.methods"
PLUGINS_VARIABLE = "MARBENCH_PLUGINS"
_PACKAGE = "marbench_methods"


@dataclass(frozen=True)
class MethodEntry:
    """A method that was found, loaded or not.

    Attributes
    ----------
    card : MethodCard
    module : Path
        The Python file that defines the method.
    attribute : str or None
        The class in it; None takes the only subclass of `Method`.
    folder : Path or None
        The plugin's folder; None for a single file.
    """

    card: MethodCard
    module: Path
    attribute: str | None = None
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name by which users call it."""
        return self.card.name


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

        Where no preset was asked for, those of the card are tried in turn.
        """
        presets = [self.preset] if self.preset else [None, *self.entry.card.presets]
        candidates = [replace(self, preset=preset)._with_weights(spec) for preset in presets]
        return next((candidate for candidate in candidates if candidate.found.file), candidates[0])

    def hash(self) -> str:
        """SHA-256 of the method's code, parameters and weights, 16 hex digits: results of another hash are not reused.

        The weights are those of `for_spec`.
        """
        digest = hashlib.sha256(repr(sorted(self.values().items())).encode())
        digest.update(self.entry.card.model_dump_json(exclude={"weights"}).encode())
        for path in _source_files(self.entry):
            digest.update(f"\0{path.name}\0".encode())
            digest.update(path.read_bytes())
        if self.found.file is not None:
            digest.update(self.found.file.card.sha256.encode())
        return digest.hexdigest()[:16]

    def _with_weights(self, spec: Spec) -> MethodRequest:
        found = find_weights(self.label, self.preset, spec, self.entry.folder, self.entry.card.weights)
        return replace(self, found=found)


@dataclass(frozen=True)
class LoadedMethod:
    """A method that is ready to run."""

    request: MethodRequest
    method: Method

    @property
    def label(self) -> str:
        """See `MethodRequest.label`."""
        return self.request.label


def methods(plugins: Iterable[str | Path] = ()) -> dict[str, MethodCard]:
    """Return the cards of all methods that can be found, by name."""
    return {name: entry.card for name, entry in discover(plugins).items()}


def discover(plugins: Iterable[str | Path] = ()) -> dict[str, MethodEntry]:
    """Find all methods without importing any, in a fixed order: shipped ones first.

    Parameters
    ----------
    plugins : iterable of paths
        Folders whose sub-folders are plugins, or plugin folders themselves. Those named in ``MARBENCH_PLUGINS``
        (separated as in ``PATH``) come after them.

    Raises
    ------
    MethodError
        A ``method.toml`` is invalid, a folder does not exist, or two methods have the same name.
    """
    named = [Path(part) for part in os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep) if part]
    found: dict[str, MethodEntry] = {}
    entries = [entry for root in (resource_folder("methods"), *map(Path, plugins), *named) for entry in _folders(root)]
    for entry in (*entries, *_entry_points()):
        other = found.setdefault(entry.name, entry)
        if other is not entry and other != entry:
            raise MethodError(
                f"Two methods are called {entry.name!r}: {other.module} and {entry.module}. "
                "Rename one in its method.toml."
            )
    return found


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
        chosen = list(entries.values()) if part == "all" else None
        for request in [_request(entry, "", preset) for entry in chosen] if chosen else [_parse(part, entries, preset)]:
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
        return _find_class(_import(request.entry), request.entry)(**request.values())
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


def _folders(root: Path) -> list[MethodEntry]:
    """Return the plugins in a folder of folders, or the folder itself where it is one."""
    if not root.is_dir():
        raise MethodError(f"The plugin folder {root} does not exist.")
    candidates = [root] if (root / "method.toml").is_file() else sorted(root.iterdir())
    return [_read_folder(folder) for folder in candidates if (folder / "method.toml").is_file()]


def _read_folder(folder: Path) -> MethodEntry:
    return MethodEntry(_read_card(folder / "method.toml"), folder / "method.py", folder=folder)


def _read_card(path: Path) -> MethodCard:
    try:
        return MethodCard.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MethodError(f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        allowed = ", ".join(MethodCard.model_fields)
        raise MethodError(f"{path}: {'; '.join(faults)}. Keys: {allowed}") from None


def _entry_points() -> list[MethodEntry]:
    """Return the methods that installed packages offer. The card stands beside the module that defines the class."""
    entries = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.module)
        if spec is None or spec.origin is None:
            raise MethodError(f"The entry point {point.name!r} of {ENTRY_POINTS}: there is no module {point.module!r}.")
        module = Path(spec.origin)
        toml = module.parent / "method.toml"
        card = _read_card(toml) if toml.is_file() else _plain_card(point.name, f"From the package {point.module}.")
        folder = module.parent if toml.is_file() else None
        entries.append(MethodEntry(card, module, point.attr or None, folder))
    return entries


def _plain_card(name: str, summary: str) -> MethodCard:
    """Return the card of a method that comes without a ``method.toml``."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-") or "method"
    return MethodCard(name=slug, title=name, summary=summary, domain="dual")


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
        return _request(MethodEntry(_plain_card(attribute, f"From {path.name}."), path, attribute), parameters, preset)
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


def _import(entry: MethodEntry) -> ModuleType:
    """Import a plugin below the private package, afresh, so that two folders never share modules by accident."""
    if _PACKAGE not in sys.modules:
        package = ModuleType(_PACKAGE)
        package.__path__ = []
        sys.modules[_PACKAGE] = package
    if not entry.module.is_file():
        raise MethodError(f"{entry.name}: the file {entry.module} is missing.")
    identifier = re.sub(r"\W", "_", entry.name)
    package_name = f"{_PACKAGE}.{identifier}"
    for name in [name for name in sys.modules if name == package_name or name.startswith(f"{package_name}.")]:
        del sys.modules[name]
    folder_module = ModuleType(package_name)
    folder_module.__path__ = [str(entry.folder)] if entry.folder else []
    sys.modules[package_name] = folder_module
    spec = importlib.util.spec_from_file_location(f"{package_name}.{entry.module.stem}", entry.module)
    assert spec is not None and spec.loader is not None  # a .py file always has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _find_class(module: ModuleType, entry: MethodEntry) -> type[Method]:
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    }
    if entry.attribute is not None:
        if entry.attribute not in own:
            raise MethodError(
                f"{entry.module} has no subclass of marbench.Method called {entry.attribute!r}; "
                f"{nearest(entry.attribute, own)}"
            )
        return own[entry.attribute]
    if len(own) != 1:
        raise MethodError(
            f"{entry.module} must define exactly one subclass of marbench.Method; found: {', '.join(own) or 'none'}"
        )
    return next(iter(own.values()))


def _source_files(entry: MethodEntry) -> Sequence[Path]:
    """Return the code that decides a method's results. Card and weights are hashed apart from it."""
    if entry.folder is None:
        return [entry.module]
    return sorted(path for path in entry.folder.rglob("*.py") if path.is_file())


def _text(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
