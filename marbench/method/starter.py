"""A plugin to begin with: a template of ``templates/``, copied under a name of the author's."""

from __future__ import annotations

import json
import re
from pathlib import Path

from marbench.errors import MethodError, nearest
from marbench.machine.text import said_by
from marbench.method.card import check_name
from marbench.method.discovery import discover
from marbench.resources import resource_folder

__all__ = ["templates", "write_plugin"]


def templates() -> dict[str, Path]:
    """Return the folders of the templates by name."""
    return {path.parent.name: path.parent for path in sorted(resource_folder("templates").glob("*/method.toml"))}


def write_plugin(name: str, template: str, folder: Path) -> Path:
    """Write the plugin ``folder/name`` and return its folder; nothing that exists is touched.

    Raises
    ------
    MethodError
        There is no such template, the name cannot be one or is taken, or the folder exists or cannot be made.
    """
    known = templates()
    if template not in known:
        raise MethodError(f"There is no template {template!r}; {nearest(template, known)}")
    check_name(name)
    plugin = folder / name
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(known[template].glob("*.*"))}
    texts["method.toml"] = _renamed(texts["method.toml"], name)
    # pytest takes no two test files of one name.
    texts[f"test_{name}.py"] = (resource_folder("templates") / "test_plugin.py").read_text(encoding="utf-8")
    try:
        _see_that_it_is_free(name, folder)
        plugin.mkdir(parents=True)
    except FileExistsError:
        raise MethodError(
            f"{plugin} exists already, and nothing is overwritten: choose another name, or another folder with --out."
        ) from None
    except (OSError, ValueError) as error:
        raise MethodError(f"The folder {plugin} cannot be made: {said_by(error)}.") from None
    for file, text in texts.items():
        (plugin / file).write_text(text, encoding="utf-8")
    return plugin


def _see_that_it_is_free(name: str, folder: Path) -> None:
    # Two methods of one name could not be run together.
    found = discover([folder] if folder.is_dir() else []).entries
    if name in found and found[name].folder != folder.absolute() / name:
        raise MethodError(f"There is a method {name!r} already, {found[name].home}: choose another name.")


def _renamed(card: str, name: str) -> str:
    """Return a card under another name, and with a title made of it."""
    title = re.sub(r"[_-]+", " ", name).strip().capitalize()
    card = re.sub(r'^name = ".*"$', f"name = {json.dumps(name)}", card, count=1, flags=re.MULTILINE)
    return re.sub(r'^title = ".*"$', f"title = {json.dumps(title)}", card, count=1, flags=re.MULTILINE)
