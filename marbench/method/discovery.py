"""Finding, describing and importing plugins.

Ways in: a folder in ``methods/``; folders below ``--plugins DIR`` or ``MARBENCH_PLUGINS``; the entry-point group
``marbench.methods``; ``path.py:NAME``. Describing a method never imports it, and each is described alone: one that is
broken is named and skipped. Plugins are imported below the package `marbench.method.loaded`, those of installed
packages under their own name, so that their relative imports work; `sys.path` is never touched.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from marbench.errors import MethodError, nearest
from marbench.machine.text import clean_line, said_by
from marbench.method.card import MethodCard, by_title, read_card
from marbench.method.finder import package_of
from marbench.method.fingerprint import fingerprint
from marbench.resources import resource_folder

if TYPE_CHECKING:
    from marbench.method.contract import Method

__all__ = [
    "Discovery",
    "MethodEntry",
    "discover",
    "entry_of_file",
    "how_to_name",
    "import_method",
    "is_file",
    "is_plugin",
    "methods",
    "plugin_folders",
]

ENTRY_POINTS = "marbench.methods"
PLUGINS_VARIABLE = "MARBENCH_PLUGINS"

Origin = Literal["shipped", "folder", "package", "file"]


@dataclass(frozen=True)
class MethodEntry:
    """A method that was found, loaded or not.

    Attributes
    ----------
    card : MethodCard
    module : Path
        The Python file that defines the method.
    origin : str
        ``shipped`` with marbench, a ``folder`` of somebody else's, an installed ``package``, or a single ``file``.
    attribute : str or None
        What in the file is the method; None takes the only subclass of `Method`.
    folder : Path or None
        The plugin's folder, or the folder of its package; None for a single file.
    import_name : str or None
        The module of an installed package.
    alias : str
        What it is called in results if not by the card's name: ``my.py:Name`` of a single file.
    """

    card: MethodCard
    module: Path
    origin: Origin = "folder"
    attribute: str | None = None
    folder: Path | None = None
    import_name: str | None = None
    alias: str = ""

    @property
    def name(self) -> str:
        """The name by which users call it."""
        return self.alias or self.card.name

    @property
    def home(self) -> Path:
        """The folder of its module, in which its card lies, and from which that names files."""
        return self.module.parent

    @property
    def plugins(self) -> Path | None:
        """What ``--plugins`` has to name so that it is found; None where it is found without."""
        return self.folder if self.origin == "folder" else None


@dataclass(frozen=True)
class Discovery:
    """What was found: methods by name, shipped ones first, and what had to be skipped, and why."""

    entries: dict[str, MethodEntry]
    problems: tuple[str, ...] = ()

    def named(self, name: str) -> MethodEntry | None:
        """Return the method of a name or title; see `by_title`."""
        label = by_title(name, {each: entry.card.title for each, entry in self.entries.items()})
        return None if label is None else self.entries[label]


def plugin_folders(plugins: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """Return folders as a list, of which one may be given alone."""
    return [plugins] if isinstance(plugins, str | Path) else list(plugins)


def methods(plugins: str | Path | Iterable[str | Path] = ()) -> dict[str, MethodCard]:
    """Return the cards of all methods that can be found, by name."""
    return {name: entry.card for name, entry in discover(plugins).entries.items()}


def discover(plugins: str | Path | Iterable[str | Path] = ()) -> Discovery:
    """Find all methods without importing any, in a fixed order: shipped ones first.

    Parameters
    ----------
    plugins : path or iterable of paths
        Folders whose sub-folders are plugins, or plugin folders themselves. Those named in ``MARBENCH_PLUGINS``
        (separated as in ``PATH``) come after them.

    Raises
    ------
    MethodError
        A folder of ``plugins`` does not exist or cannot be read, or two methods have the same name.
    """
    named = [Path(part) for part in os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep) if part]
    problems: list[str] = []
    found: dict[str, MethodEntry] = {}

    def take(describe: Iterable[Callable[[], MethodEntry]]) -> None:
        for one in describe:
            try:
                entry = one()
            except MethodError as error:
                problems.append(f"Skipped: {error}")
                continue
            other = found.setdefault(entry.name, entry)
            if other is not entry and other.module.resolve() != entry.module.resolve():
                raise MethodError(
                    f"Two methods are called {entry.name!r}: {other.module} and {entry.module}. "
                    "Rename one in its method.toml."
                )

    take(_folders(resource_folder("methods"), "shipped"))
    for root in map(_expanded, plugin_folders(plugins)):
        take(_folders(root, "folder"))
    for root in named:
        try:
            described = _folders(root, "folder")
        except MethodError as error:
            problems.append(f"Skipped: {error} {PLUGINS_VARIABLE} names it.")
        else:
            take(described)
    take(_entry_points())
    return Discovery(found, tuple(problems))


def entry_of_file(file: str, attribute: str) -> MethodEntry:
    """Return the method ``path.py:NAME``; it is called by the file's name and ``NAME``.

    Raises
    ------
    MethodError
        There is no such file.
    """
    path = _expanded(file)
    if not is_file(path):
        raise MethodError(f"The file {file} does not exist (asked for as '{file}:{attribute}').")
    alias = f"{clean_line(path.name)}:{attribute}"  # of any bytes, but rows and pages are UTF-8
    return MethodEntry(_plain_card(alias, f"From {path.name}."), path.absolute(), "file", attribute, alias=alias)


def import_method(entry: MethodEntry) -> Callable[..., Method]:
    """Import a plugin and return its class, or a function of a scan as one; raises whatever the plugin does.

    Raises
    ------
    MethodError
        The file is missing, or does not define the method.
    """
    if not entry.module.is_file():
        raise MethodError(f"{entry.name}: the file {entry.module.name} is missing.")
    return _find(_import(entry), entry)


def is_plugin(folder: Path) -> bool:
    """Tell whether a folder holds a card; one that cannot be looked into is no plugin."""
    return is_file(folder / "method.toml")


def how_to_name(text: str) -> str:
    """Return how to ask for the plugin or file that lies where a user gave a path for a method; empty of no path."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~nobody
        return ""
    if is_plugin(path):
        return f"A plugin lies there: give --plugins {shlex.quote(text)}, and the name of its method.toml as the method"
    if path.suffix == ".py" and is_file(path):
        return f"Name the class or function in that file: {shlex.quote(f'{text}:NAME')}"
    return ""


def is_file(path: str | Path) -> bool:
    """Tell whether there is a file; one that cannot be asked for is none."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # in a folder of somebody else's (before Python 3.14), over-long, or with a NUL
        return False


def _expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().absolute()  # a plugin may change the working folder
    except (RuntimeError, ValueError) as error:  # ~nouser, NUL
        raise MethodError(f"{str(path)!r} cannot be found: {error}") from None


def _plain_card(name: str, summary: str) -> MethodCard:
    """Return the card of a method that comes without a ``method.toml``."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:64] or "method"
    return MethodCard(name=slug, title=name, summary=summary, domain="dual")


def _folders(root: Path, origin: Origin) -> list[Callable[[], MethodEntry]]:
    """Return what describes the plugins in a folder of folders, or the folder itself where it is one."""
    try:
        candidates = [root] if is_plugin(root) else sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise MethodError(f"The plugin folder {root} does not exist.") from None
    except (OSError, ValueError) as error:  # NUL
        raise MethodError(f"The plugin folder {root} cannot be read: {said_by(error)}.") from None
    return [partial(_describe_folder, folder, origin) for folder in candidates if is_plugin(folder)]


def _describe_folder(folder: Path, origin: Origin) -> MethodEntry:
    card, folder = read_card(folder / "method.toml"), folder.absolute()  # a worker may be elsewhere
    return MethodEntry(card, folder / "method.py", origin, folder=folder)


def _entry_points() -> Iterator[Callable[[], MethodEntry]]:
    try:
        points = sorted(importlib.metadata.entry_points(group=ENTRY_POINTS))
    except Exception as error:  # Python reads those of all packages at once, and one of them is broken
        broken = MethodError(f"methods of installed packages: the entry points of one cannot be read ({error})")
        yield lambda: _raise(broken)
        return
    yield from (partial(_describe_entry_point, point) for point in points)


def _raise(error: MethodError) -> MethodEntry:
    raise error


def _describe_entry_point(point: importlib.metadata.EntryPoint) -> MethodEntry:
    """Describe a method of an installed package. Its card stands beside its module; without one it has a plain one."""
    said = f"the entry point {point.name!r} of {ENTRY_POINTS}"
    try:
        module, package = _locate(point.module)
    except (ImportError, ValueError, AttributeError, AssertionError, OSError) as error:  # `module` of what names none
        raise MethodError(f"{said}: the module {point.value!r} cannot be found ({error}).") from None
    toml = module.parent / "method.toml"
    card = read_card(toml) if is_file(toml) else _plain_card(point.name, f"From the package {point.module}.")
    return MethodEntry(card, module, "package", point.attr or None, package, point.module)


def _locate(name: str) -> tuple[Path, Path | None]:
    """Return the file of a module and the folder of its top-level package, without importing either.

    `importlib.util.find_spec` of ``a.b`` imports ``a``, and runs whatever stands in it.
    """
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise ImportError(f"no package {top!r} is installed")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not rest:
        if spec.origin is None:
            raise ImportError(f"{top!r} has no code")
        return Path(spec.origin), folders[0] if folders else None
    for folder in folders:
        path = folder.joinpath(*rest)
        for candidate in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate, folder
    raise ImportError(f"{top!r} has no module {'.'.join(rest)!r}")


_imported: dict[str, tuple[Path, str]] = {}


def _import(entry: MethodEntry) -> ModuleType:
    """Import a plugin: once in a process, and anew where any file that counts has changed since.

    One of an installed package is never imported anew: others may have imported it, too.
    """
    if entry.import_name is not None:
        return importlib.import_module(entry.import_name)
    package = package_of(_identifier(entry.name), entry.module, entry.folder)
    version = entry.module, fingerprint(entry.module, entry.folder, {})
    if _imported.pop(package, None) != version:
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
            del sys.modules[name]
        importlib.invalidate_caches()  # files may be younger than what Python knows of their folder
    module = importlib.import_module(package if entry.folder is None else f"{package}.{entry.module.stem}")
    _imported[package] = version
    return module


def _identifier(name: str) -> str:
    """Return a name as Python takes it; names that would become one, as ``a-b`` and ``a_b``, stay apart."""
    plain = re.sub(r"\W", "_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _find(module: ModuleType, entry: MethodEntry) -> Callable[..., Method]:
    from marbench.method.contract import FunctionMethod, Method

    own: dict[str, type[Method]] = {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, Method) and each.__module__ == module.__name__
    }
    file = entry.module.name
    if entry.attribute is not None:
        named: object = getattr(module, entry.attribute, None)
        if isinstance(named, type) and issubclass(named, Method):
            return named
        if callable(named) and not isinstance(named, type):
            function = named
            return lambda: FunctionMethod(function)
        raise MethodError(
            f"{file} has no subclass of marbench.Method and no function called {entry.attribute!r}; "
            f"{nearest(entry.attribute, own)}"
        )
    if len(own) != 1:
        raise MethodError(
            f"{file} must define exactly one subclass of marbench.Method; found: {', '.join(own) or 'none'}"
        )
    return next(iter(own.values()))
