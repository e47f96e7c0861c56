"""Interpreters for methods that cannot share marbench's: an environment with what they require, or one that exists.

An environment is made once for a set of requirements and kept in the user's cache. What it does not have itself it
takes from marbench's own, so that torch is not installed twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import platformdirs

from marbench.errors import MethodUnavailable
from marbench.machine.locks import locked
from marbench.machine.text import clean, said_by
from marbench.method.fingerprint import own_files
from marbench.method.request import MethodRequest

__all__ = ["environment_for", "interpreter_of"]

_INSTALL_SECONDS = 3600
_PACKAGE = Path(__file__).resolve().parents[1]


def interpreter_of(request: MethodRequest) -> tuple[str, list[str]]:
    """Return the interpreter of a method, and what to add to its path so that it finds marbench.

    Raises
    ------
    MethodUnavailable
        The interpreter does not exist, or the environment cannot be made.
    """
    card = request.entry.card
    if not card.python:
        return str(environment_for(request)), []
    python = Path(card.python).expanduser()
    # Relative to the plugin, so that a folder with its environment beside it can be moved.
    if not python.is_absolute():
        python = request.entry.home / python
    if not os.access(python, os.X_OK) or python.is_dir():
        raise MethodUnavailable(
            f"{request.label} asks for the interpreter {python.name!r}, which does not exist: mend `python` in its "
            "method.toml."
        )
    return str(python), [str(_alone())]


def environment_for(request: MethodRequest) -> Path:
    """Return the interpreter of the environment with what a method requires; it is made where it does not exist.

    Raises
    ------
    MethodUnavailable
        Something cannot be installed; the message has the end of what pip said.
    StoreError
        Another process has been making the environment for hours, or there are no locks in the user's cache.
    OSError
        The user's cache cannot be written.
    """
    requires = sorted(request.entry.card.requires)
    # Of requirements that are plain paths, no addresses: what lies there changes while its name stays.
    files = [each for name in requires for each in _written(request.entry.home / name)]
    # Of another Python, or beside another marbench, the same requirements are another environment; so are other files.
    made_of = [requires, files, sys.version, sys.prefix, _shared_folders()]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    root = Path(platformdirs.user_cache_dir("marbench", appauthor=False)) / "environments"
    folder, ready = root / key, root / key / "ready"
    python = folder / "bin" / "python"
    root.mkdir(parents=True, exist_ok=True)
    # Several runs may want it at once; one that makes it gives up after a while.
    with locked(root / f"{key}.lock", 2 * _INSTALL_SECONDS):
        if not ready.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, python, request)
            ready.write_text("\n".join(requires))
    return python


def _written(path: Path) -> list[tuple[str, int]]:
    """Return the file there, or the files of a folder but what a build leaves, each with when it was written."""
    found = own_files(path) if path.is_dir() else [(path.name, path)]
    # Of a requirement that is no path there is no such file.
    with contextlib.suppress(OSError, ValueError):
        return [(str(file), file.stat().st_mtime_ns) for name, file in found if name.split("/")[0] != "build"]
    return []


def _make(folder: Path, python: Path, request: MethodRequest) -> None:
    label, requires = request.label, request.entry.card.requires
    # A copy of pip in each environment would take longer than most requirements.
    own_pip = importlib.util.find_spec("pip") is not None
    try:
        venv.EnvBuilder(with_pip=not own_pip, symlinks=True).create(folder)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "" if own_pip else " Install pip beside marbench, or python3-venv where Debian's Python lacks it."
        said = clean(said_by(error)).rstrip(".")
        raise MethodUnavailable(f"{label}: its environment cannot be made: {said}.{remedy}") from None
    # After its own packages come those of marbench's environment.
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    own.mkdir(parents=True, exist_ok=True)
    (own / "marbench-environment.pth").write_text("\n".join(_shared_folders()) + "\n")
    if not requires:
        return
    # From the plugin's folder, in which paths are meant; with -P, for a types.py of it is no module of pip's.
    pip = [sys.executable, "-P", "-m", "pip", "--python", str(python)] if own_pip else [str(python), "-P", "-m", "pip"]
    command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", *requires]
    home = request.entry.home
    try:
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, timeout=_INSTALL_SECONDS, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MethodUnavailable(f"{label}: its environment cannot be made: {clean(str(error))}") from None
    if done.returncode:
        said = clean(done.stderr.strip()[-600:])
        raise MethodUnavailable(f"{label}: {', '.join(requires)} cannot be installed into its environment: {said}")


def _shared_folders() -> list[str]:
    """Return the folders of packages that an environment falls back upon: marbench's, then what it needs."""
    # Into the user's own packages an environment never looks by itself; marbench does, and before all others.
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    installed = [*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    # marbench itself last, and alone: in a checkout it stands beside its tests.
    return list(dict.fromkeys([*users, *installed, str(_alone())]))


def _alone() -> Path:
    """Return a folder in which marbench is the only package: beside it stands what no other interpreter should see."""
    folder = Path(platformdirs.user_cache_dir("marbench", appauthor=False)) / "package"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:12] / "marbench"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        with contextlib.suppress(FileExistsError):  # another run was faster
            link.symlink_to(_PACKAGE, target_is_directory=True)
    return link.parent
