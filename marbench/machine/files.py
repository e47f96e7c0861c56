"""Files that are whole or absent: a temporary name, fsync, rename. And files that others left, read with distrust."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from marbench.errors import MarbenchError, StoreError
from marbench.machine.text import clean_line, said_by

__all__ = [
    "Found",
    "find_files",
    "holds",
    "read_file",
    "safe_name",
    "sha256_of",
    "user_path",
    "within",
    "writable_folder",
    "write_atomically",
    "write_once",
]

# With room for a temporary name and an ending; file systems allow 255 bytes.
_NAME_LIMIT = 120
# A pipe must not block, a link must not lead elsewhere; Windows knows neither flag.
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file so that a reader, or a kill at any moment, meets the whole of it or nothing.

    Parameters
    ----------
    durable : bool
        Whether it must survive a power cut right afterwards. False is faster, for files that can be made again.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    temporary = _temporary(path)
    try:
        _write(temporary, content, durable)
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _refusal(path, error) from error


def write_once(path: Path, content: bytes) -> bool:
    """Write a file that nobody has written before, whole or not at all; False if there is one, which stays.

    Of two processes that write one file at the same time exactly one succeeds.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    temporary = _temporary(path)
    try:
        _write(temporary, content, durable=True)
        try:
            os.link(temporary, path)  # unlike a rename, it never replaces anything
        except FileExistsError:
            return False
        except OSError:
            return _create(path, content)
        _sync_folder(path.parent)
        return True
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def writable_folder(folder: Path) -> None:
    """Create a folder where it is missing, and raise `StoreError` unless files can be written into it."""
    probe = folder / f".{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"marbench")
    except OSError as error:
        raise _refusal(folder, error) from error
    finally:
        # On a read-only file system even the removal of a file that is not there fails.
        with contextlib.suppress(OSError):
            probe.unlink()


def read_file(path: Path, limit: int = 2**26) -> bytes:
    """Return the content of a regular file of at most so many bytes.

    Raises
    ------
    OSError
        There is none, it is larger, or it is a link, a folder, a pipe or a device, which are not opened.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, and links are not followed") from None
        raise
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if about.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {about.st_size:,} bytes, more than {limit:,}")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(about.st_size)  # not the limit, for which Python would make room
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the digest of a file, which a process reads once as long as size and time stay; raises OSError."""
    state = path.stat()
    return _sha256_of(path, state.st_size, state.st_mtime_ns)


@cache
def _sha256_of(path: Path, _size: int, _changed: int) -> str:
    # A published data set has ten gigabytes.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def holds(path: Path, content: bytes) -> bool:
    """Tell whether there is a regular file of exactly these bytes."""
    try:
        return read_file(path, len(content)) == content
    except OSError:
        return False


@dataclass(frozen=True)
class Found:
    """What a search came to: regular files, in the order of their paths, and what has the name of one and is none."""

    files: list[Path] = field(default_factory=list)
    strange: dict[Path, str] = field(default_factory=dict)


def find_files(root: Path, pattern: str) -> Found:
    """Search a folder for regular files. No link is followed, neither to a file nor to a folder below ``root``.

    Parameters
    ----------
    pattern : str
        Relative to ``root``, ``*`` for a part of a name: ``results/*.parquet``. Hidden files are passed over.
    """
    *parents, last = pattern.split("/")
    found, folders = Found(), [root]
    for name in parents:
        folders = [Path(entry.path) for folder in folders for entry in _folders(folder, name, found.strange)]
    for folder in folders:
        for entry in _entries(folder, last, found.strange):
            if entry.is_symlink():
                found.strange[Path(entry.path)] = "it is a link, and links are not followed"
            elif entry.is_file(follow_symlinks=False):
                found.files.append(Path(entry.path))
            else:
                found.strange[Path(entry.path)] = "it is no regular file"
    found.files.sort()
    return found


def within(root: Path, name: str) -> Path:
    """Return the path of a file below a folder, named with ``/``; raise `StoreError` where a link would lead out."""
    path = root / name
    for parent in path.relative_to(root).parents[:-1]:
        if (root / parent).is_symlink():
            raise StoreError(f"{root / parent} is a link, which is not followed. Remove it, or choose another folder.")
    return path


def user_path(text: str) -> Path:
    """Return a path as a user wrote it, with ``~`` resolved; it need not exist.

    Raises
    ------
    MarbenchError
        No file can have this name here.
    """
    try:
        path = Path(text).expanduser()
        path.lstat()
    except RuntimeError:
        raise MarbenchError(f"{clean_line(text, 80)}: there is no such user's home folder.") from None
    except ValueError:  # a NUL character
        raise MarbenchError(f"{clean_line(text, 80)!r} cannot be the name of a file.") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise MarbenchError(f"{text[:40]}… is too long for the name of a file ({len(text)} characters).") from None
    return path


def safe_name(label: str) -> str:
    """Return a file name for a method's label: other characters than letters, digits, ``. _ -`` become ``_``.

    A short hash tells apart labels that would otherwise share a name.

    >>> safe_name("li"), safe_name("nmar[prior=raw]"), safe_name("..")
    ('li', 'nmar_prior_raw_-1c1f4e65', '__-5ec1f7e7')
    """
    name = re.sub(r"[^A-Za-z0-9._-]|^\.+", lambda match: "_" * len(match[0]), label)[:_NAME_LIMIT]
    if name == label and name:
        return name
    return f"{name}-{hashlib.sha256(label.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _temporary(path: Path) -> Path:
    # Unique, so that two processes never write into one file; hidden, so that no reader takes it for a part.
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _write(path: Path, content: bytes, durable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _create(path: Path, content: bytes) -> bool:
    """Create a file exclusively, on a file system without hard links: a kill may leave a part of it."""
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _folders(folder: Path, pattern: str, strange: dict[Path, str]) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(folder, pattern, strange):
        if entry.is_symlink():
            strange[Path(entry.path)] = "it is a link, and links are not followed"
        elif entry.is_dir(follow_symlinks=False):
            yield entry


def _entries(folder: Path, pattern: str, strange: dict[Path, str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if fnmatch.fnmatchcase(entry.name, pattern) and entry.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        strange[folder] = f"it cannot be read: {said_by(error)}"
        return []


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut. Windows cannot open folders, and needs no such thing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written: {said_by(error)}. Results that are already there are intact. "
        "Free space or mend the permissions and run the same command again, or choose another --out."
    )
