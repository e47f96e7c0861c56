"""Finding, describing and importing plugins.

Ways in: a folder in ``methods/``; folders below ``--plugins DIR`` or ``MARBENCH_PLUGINS``; the entry-point group
``marbench.methods``; ``path.py:Class``. Describing a method never imports it. Plugins are imported under the private
package ``marbench_methods`` and `sys.path` is never touched.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from marbench.errors import MethodError, nearest
from marbench.method.card import MethodCard
from marbench.method.contract import Method
from marbench.resources import resource_folder

__all__ = ["MethodEntry", "discover", "import_class", "methods", "plain_card", "source_files"]

ENTRY_POINTS = "marbench.methods"
PLUGINS_VARIABLE = "MARBENCH_PLUGINS"
_PACKAGE = "marbench_methods"
# What several methods share decides their results too.
_SHARED = tuple(sorted((Path(__file__).parents[1] / "toolbox").glob("*.py")))


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


def import_class(entry: MethodEntry) -> type[Method]:
    """Import a plugin and return its class; raises whatever the plugin does.

    Raises
    ------
    MethodError
        The file is missing, or does not define the class.
    """
    return _find_class(_import(entry), entry)


def source_files(entry: MethodEntry) -> Sequence[Path]:
    """Return the code that decides a method's results. Card and weights are hashed apart from it."""
    if entry.folder is None:
        return [*_SHARED, entry.module]
    return [*_SHARED, *sorted(path for path in entry.folder.rglob("*.py") if path.is_file())]


def plain_card(name: str, summary: str) -> MethodCard:
    """Return the card of a method that comes without a ``method.toml``."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-") or "method"
    return MethodCard(name=slug, title=name, summary=summary, domain="dual")


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
        card = _read_card(toml) if toml.is_file() else plain_card(point.name, f"From the package {point.module}.")
        folder = module.parent if toml.is_file() else None
        entries.append(MethodEntry(card, module, point.attr or None, folder))
    return entries


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
