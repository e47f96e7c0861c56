"""What a method is made of, as one hash: results of another hash are results of another method.

Counted are the content of every file of the plugin (code without comments and docstrings), the modules of
`marbench.toolbox` and the local packages that it imports, in turn with what these import, and the name and version of
the other packages that it imports, weights, parameters and the files that these name. Prose and caches do not count,
nor does anything of marbench that it does not import. What marbench itself stands on (torch, numpy and their like) is
described by a run's hosts.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import sys
import sysconfig
import tokenize
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from marbench.machine.files import sha256_of
from marbench.method.card import ParameterValue

__all__ = ["code_digest", "code_without_prose", "fingerprint", "is_uncounted", "local_packages", "own_files"]

_PACKAGE = Path(__file__).resolve().parents[1]
_TOOLBOX = "marbench.toolbox"
# Written by tools beside the code; none of them is part of it. Other files whose names begin with a dot are a plugin's.
_CACHES = re.compile(
    r"__pycache__|.*\.(pyc|pyo|egg-info|dist-info)|venv|node_modules"
    r"|\.(git|github|hg|svn|venv|tox|nox|idea|vscode|eggs|cache|[a-z]+_cache|hypothesis|ipynb_checkpoints|coverage)"
    r"|\.(git(ignore|attributes|modules|keep)|editorconfig|pre-commit-config\.yaml|python-version|DS_Store|directory)"
    r"|\._.*|\.#.*|\.nfs.*|\..*\.sw[a-z]"  # of macOS, Emacs, NFS and Vim, while a file is open
)
# What stands at the head of a run, and of a training. A plugin may have files of these names.
_OUTPUTS = {"spec.toml": b"# marbench protocol", "recipe.json": b'"spec_hash": "'}
_HEAD = 4096
_PROSE = re.compile(r"(readme|licen[cs]e|notice|changelog|citation|authors|contributing)(\..*)?|.*\.(md|rst)", re.I)


def fingerprint(
    module: Path,
    folder: Path | None,
    parameters: Mapping[str, ParameterValue],
    requires: Sequence[str] = (),
    weights_sha256: str = "",
    weights: Sequence[Path] = (),
    files: Mapping[str, Path] | None = None,
) -> str:
    """Return the SHA-256 of a method, 16 hex digits.

    Parameters
    ----------
    module : Path
        The file that defines the method.
    folder : Path or None
        The plugin's folder, all of whose files count; None for a single file.
    parameters : mapping
        The value of every parameter: of the card nothing else decides results but what it requires.
    requires : sequence of str
        Requirements, as pip takes them.
    weights_sha256 : str
        Of the weights that are used.
    weights : sequence of Path
        Those that are used and those that the card declares: they and their cards do not count as files. All other
        weights in the folder do, for they are used, if at all, without being asked for.
    files : mapping, optional
        Those that parameters name, wherever they lie.
    """
    digest = hashlib.sha256(repr(sorted(parameters.items())).encode())
    digest.update(repr((requires, weights_sha256)).encode())
    # Whoever names a folder of weights may write it in another way than that of the plugin.
    apart = {os.path.realpath(path) for file in weights for path in (file, file.with_suffix(".json"))}
    there = [(module.name, module)] if folder is None else own_files(folder)
    own = [(name, path) for name, path in there if os.path.realpath(path) not in apart]
    for name, path in own:
        digest.update(f"\0{name}\0".encode("utf-8", "surrogateescape"))
        digest.update(_content(path))
    for name, content in _imported([path for _, path in own if path.suffix == ".py"], folder):
        digest.update(f"\0{name}\0".encode())
        digest.update(content)
    for name, path in sorted((files or {}).items()):
        digest.update(f"\0{name}\0".encode())
        digest.update(_whole(path))
    return digest.hexdigest()[:16]


def code_digest(module: Path, folder: Path | None) -> str:
    """Return a digest of a method's own code alone: of other files a method may write some itself while it runs."""
    own = [(module.name, module)] if folder is None else list(own_files(folder))
    digest = hashlib.sha256()
    for name, path in own:
        if path.suffix == ".py":
            digest.update(f"\0{name}\0".encode("utf-8", "surrogateescape"))
            digest.update(_content(path))
    return digest.hexdigest()


def local_packages(module: Path, folder: Path | None) -> set[str]:
    """Return the packages on the path, not installed, that count with a method because its code imports them."""
    own = [module] if folder is None else [path for _, path in own_files(folder) if path.suffix == ".py"]
    return {name for name, _ in _imported(own, folder) if not name.startswith("marbench.") and _local_files(name)}


def is_uncounted(name: str, path: Path, home: Path, local: Container[str]) -> bool:
    """Tell whether a module that a method has loaded may change without that the method counts as another.

    Parameters
    ----------
    name, path : str and Path
        The module, and its file.
    home : Path
        The plugin's folder, or its single file.
    local : container of str
        As `local_packages` returned before the method was loaded: it may have put folders on the path since.
    """
    top = name.partition(".")[0]
    if top in local or top in _distributions():
        return False
    counted = {home, home.resolve(), _PACKAGE, *_installed_folders()}
    return counted.isdisjoint(place for each in (path, path.resolve()) for place in (each, *each.parents))


def code_without_prose(source: str) -> str:
    """Return Python code without comments, docstrings and blank lines; code that does not parse stays as it is.

    >>> code_without_prose("def f(x):  # doubles\\n    'Double.'\\n\\n    return 2 * x\\n")
    'def f(x):\\n    return 2 * x'
    """
    # As Python itself reads a file; then all that follows counts the same lines.
    source = io.StringIO(source, newline=None).read()
    try:
        spans = [*_comments(source), *_docstrings(ast.parse(source))]
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return source
    lines = [line.encode() for line in _lines(source)]
    for (row, start), (end_row, end) in sorted(spans, reverse=True):
        # Columns of the syntax tree count bytes.
        lines[row - 1 : end_row] = [lines[row - 1][:start] + lines[end_row - 1][end:]]
    return "\n".join(line.decode().rstrip() for line in lines if line.strip())


Span = tuple[tuple[int, int], tuple[int, int]]


def _lines(source: str) -> list[str]:
    # Not str.splitlines: a form feed, say, ends no line of Python.
    return source.split("\n")


def _comments(source: str) -> Iterator[Span]:
    lines = _lines(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            start = len(lines[row - 1][:column].encode())
            yield (row, start), (row, start + len(token.string.encode()))


def _docstrings(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                assert first.end_lineno is not None and first.end_col_offset is not None  # of parsed code
                yield (first.lineno, first.col_offset), (first.end_lineno, first.end_col_offset)


def own_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (relative name, path) of a folder's files that count. Links are what they lead to, each folder once."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen or (Path(root) != folder and (_is_output(Path(root)) or _is_environment(Path(root)))):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _CACHES.fullmatch(name))
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file() and not _uncounted(path):
                yield path.relative_to(folder).as_posix(), path


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file()  # PEP 405; whatever it is called


def _is_output(folder: Path) -> bool:
    """Tell whether marbench itself fills a folder, with a run or a training: what it holds came of the method."""
    for name, mark in _OUTPUTS.items():
        with suppress(OSError), (folder / name).open("rb") as file:
            if mark in file.read(_HEAD):
                return True
    return False


def _uncounted(path: Path) -> bool:
    """Tell whether a file says nothing about results, or is counted apart: the card."""
    return path.name == "method.toml" or bool(_CACHES.fullmatch(path.name) or _PROSE.fullmatch(path.name))


def _content(path: Path) -> bytes:
    """Return what counts of a file: all of it, of code what runs."""
    if path.suffix != ".py":
        return _whole(path)
    raw = path.read_bytes()
    try:
        return code_without_prose(raw.decode()).encode()
    except UnicodeDecodeError:
        return raw


def _whole(path: Path) -> bytes:
    try:
        return bytes.fromhex(sha256_of(path))
    except OSError as error:  # the plugin will not read it either; what it is counts as long as it is so
        return f"unreadable: {error.errno}".encode()


def _imported(sources: Iterable[Path], home: Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of what code imports from outside its own folder, in a fixed order, each once."""
    found: dict[str, bytes] = {}
    waiting = {name for path in sources for name in _imports(path)}
    seen: set[str] = set()
    while waiting:
        name = min(waiting)
        waiting.discard(name)
        seen.add(name)
        content, files = _describe(name, home)
        if content is not None:
            found[name] = content
        waiting |= {each for path in files for each in _imports(path)} - seen
    yield from sorted(found.items())


def _describe(name: str, home: Path | None) -> tuple[bytes | None, list[Path]]:
    """Return what counts of a module, None for nothing, and the files whose imports count too."""
    top = name.partition(".")[0]
    if top == "marbench":
        path = _own_module(name)
        return (None, []) if path is None else (_content(path), [path])
    if top in sys.stdlib_module_names or _is_foundation(top):
        return None, []
    if home is not None and ((home / f"{top}.py").is_file() or (home / top).is_dir()):
        return None, []  # counted with the folder
    files = _local_files(top)
    if files:
        digest = hashlib.sha256()
        for relative, path in files:
            digest.update(f"\0{relative}\0".encode("utf-8", "surrogateescape"))
            digest.update(_content(path))
        return digest.digest(), [path for _, path in files if path.suffix == ".py"]
    versions = [f"{each}=={importlib.metadata.version(each)}" for each in sorted(set(_distributions().get(top, ())))]
    return ",".join(versions).encode(), []


def _own_module(name: str) -> Path | None:
    """Return the file of a toolbox module; other parts have a version."""
    if not name.startswith(_TOOLBOX):
        return None
    path = _PACKAGE.joinpath(*name.split(".")[1:])
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def _local_files(top: str) -> list[tuple[str, Path]]:
    """Return the files of a package that is not installed but found on the path, e.g. by PYTHONPATH."""
    try:
        spec = importlib.util.find_spec(top)  # of a top-level name nothing is imported
    except (ImportError, ValueError, AttributeError):
        return []
    origin = Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    place = Path(folders[0]) if folders else origin
    if place is None or any(_is_below(place, each) for each in _installed_folders()):
        return []
    if folders:
        return [pair for folder in folders for pair in own_files(Path(folder))]
    return [(place.name, place)]


def _imports(path: Path) -> set[str]:
    """Return the absolute names that a file imports, anywhere in it: modules, and names in packages of the toolbox."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    tops = {name.partition(".")[0] for name in names}
    return {name for name in names if name.startswith("marbench.")} | (tops - {"marbench"})


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _is_foundation(top: str) -> bool:
    """Tell whether a top-level name belongs to what marbench itself requires, which every method may use."""
    # Most are called as their distribution is; to learn of the others, all that is installed is read.
    return _plain(top) in _required() or any(_plain(name) in _required() for name in _distributions().get(top, ()))


@cache
def _required() -> frozenset[str]:
    try:
        required = importlib.metadata.requires("marbench") or []
    except importlib.metadata.PackageNotFoundError:
        required = _project_dependencies()
    return frozenset(
        _plain(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]) for text in required if "extra ==" not in text
    )


def _project_dependencies() -> list[str]:
    """Return what marbench requires as its project file says, of a checkout on the path; nothing without one."""
    try:
        project = tomllib.loads((_PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        required: list[str] = project["dependencies"] if project["name"] == "marbench" else []
    except (OSError, ValueError, KeyError):
        return []
    return required


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


@cache
def _installed_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib"))


def _is_below(path: Path, folder: Path) -> bool:
    return folder in path.resolve().parents
