"""How Python finds plugins that are not installed: as packages below `marbench.method.loaded`, wherever they lie.

Processes that a method starts itself import what they are to do by its name (`multiprocessing` by "spawn" or
"forkserver", joblib). Where plugins lie is in a variable of the environment, which these processes inherit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

__all__ = ["PluginFinder", "package_of"]

_PARENT = "marbench.method.loaded"
_VARIABLE = "_MARBENCH_LOADED"


def package_of(identifier: str, module: Path, folder: Path | None) -> str:
    """Return the package as which a plugin can be imported from now on: a folder, or a single file itself.

    One of a file has no modules: what lies beside it is no part of the method.
    """
    file, modules = (module, []) if folder is None else (folder / "__init__.py", [str(folder)])
    os.environ[_VARIABLE] = json.dumps({**_places(), identifier: (str(file), modules)})
    return f"{_PARENT}.{identifier}"


def _places() -> dict[str, tuple[str, list[str]]]:
    """Return the file and the folders of modules of each package."""
    places: dict[str, tuple[str, list[str]]] = json.loads(os.environ.get(_VARIABLE, "{}"))
    return places


class PluginFinder(MetaPathFinder):
    """Finds the packages of plugins; what is in them, Python finds itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a package of a plugin comes from; None for all others."""
        parent, _, identifier = fullname.rpartition(".")
        if parent != _PARENT or identifier not in _places():
            return None
        file, modules = _places()[identifier]
        spec = spec_from_file_location(fullname, file, loader=_Loader(fullname, file), submodule_search_locations=[])
        assert spec is not None  # with a loader there is one
        # Not before: where there are none, Python would take the folder of the file.
        spec.submodule_search_locations = modules
        return spec


class _Loader(SourceFileLoader):
    """Runs ``__init__.py``; a folder without is a package all the same, whose files its code can ask for."""

    def get_code(self, fullname: str) -> CodeType | None:
        return super().get_code(fullname) if Path(self.path).is_file() else compile("", self.path, "exec")
