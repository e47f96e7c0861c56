"""One file that holds a run, to be sent to somebody else; and how a file from anybody is unpacked.

::

    marbench.json         what is in it: name → SHA-256 and size; of pictures that were left out, their SHA-256
    spec.toml results/rows.parquet timing/calls.parquet hosts/… methods/… commands.txt slices.txt
    images/<case>/…       if asked for

It is a ZIP file with these members and no others: whatever else a ZIP may hold (links, folders, encrypted or nested
members, names that lead out) is refused before anything is written. Nothing in it is executed or unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import secrets
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marbench.errors import StoreError
from marbench.machine.text import clean_line, said_by
from marbench.report.gallery_store import Note
from marbench.report.submission import Submission
from marbench.spec import PROTOCOL
from marbench.version import __version__

__all__ = ["Manifest", "pack", "unpack"]

_MANIFEST = "marbench.json"
_SAFE = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
# Of each kind of member the most bytes that it unpacks to.
_MEMBERS = {
    rf"(?:{re.escape(_MANIFEST)})": 2**26,
    r"(?:spec\.toml|commands\.txt|slices\.txt)": 2**22,
    r"(?:results/rows|timing/calls)\.parquet": 2**30,
    rf"(?:hosts|methods)/{_SAFE}\.json": 2**22,
    rf"images/{_SAFE}/{_SAFE}\.npz": 2**26,
}
# Pictures and tables are packed in themselves: what unpacks to far more than the archive is none of ours.
_MOST, _RATIO, _FREE = 500_000, 20, 2**24

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """What an archive says that it holds.

    Attributes
    ----------
    format : int
        1.
    marbench : str
        The version that packed it.
    protocol : int
    spec_hash : str
    files : dict
        Name → SHA-256 and size.
    images : dict
        Name → SHA-256 of pictures that were left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1]
    marbench: Annotated[str, Field(max_length=100)]
    protocol: int
    spec_hash: Sha256
    files: dict[str, _File]
    images: dict[str, Sha256] = {}


def pack(run: Path, out: Path, images: bool = False, note: Note = lambda _: None) -> Manifest:
    """Write a run as one file, anew as `marbench.report.submission` does: nothing hidden travels along.

    Equal runs give equal archives.

    Parameters
    ----------
    run : Path
        A results folder.
    out : Path
    images : bool
        Whether to pack the stored pictures, too; otherwise their digests go.
    note : callable
        Is told what was left out.

    Raises
    ------
    StoreError
        There is no run of one benchmark, or ``out`` cannot be written.
    """
    submission = Submission.of(run)
    for problem in submission.benchmark.problems:
        note(problem)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        submission.write(folder, note)
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        kept = [name for name in names if images or not name.startswith("images/")]
        contents = {name: folder / name for name in kept}
        manifest = Manifest(
            format=1,
            marbench=__version__,
            protocol=PROTOCOL,
            spec_hash=submission.benchmark.spec_hash,
            files={name: _File(sha256=_sha256(path), bytes=path.stat().st_size) for name, path in contents.items()},
            images={name: _sha256(folder / name) for name in names if name not in contents},
        )
        _write(out, manifest, contents)
    return manifest


def _write(out: Path, manifest: Manifest, contents: Mapping[str, Path]) -> None:
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True)
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_member(_MANIFEST), text)
            for name, path in contents.items():
                archive.writestr(_member(name), path.read_bytes())
        temporary.replace(out)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {said_by(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # of 1980: equal runs give equal archives
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, (stat.S_IFREG | 0o644) << 16
    return info


def unpack(archive: Path, folder: Path) -> Manifest:
    """Unpack an archive into a new folder, and return what it says that it holds, which is what it holds.

    Raises
    ------
    StoreError
        It is no archive of marbench, is damaged, was changed, or is dangerous; the message says which, and nothing of
        it was written but members of allowed names and sizes into ``folder``.
    OSError
        The folder cannot be written, which is no fault of the archive.
    """
    with contextlib.ExitStack() as held:
        with _told_of_archive():
            kind = os.lstat(archive).st_mode
            if stat.S_ISDIR(kind):
                raise StoreError("it is a folder: `marbench pack` makes an archive of it")
            if not stat.S_ISREG(kind):
                raise StoreError("it is no regular file")
            opened = held.enter_context(zipfile.ZipFile(archive))
            members = _members(opened.infolist(), archive.stat().st_size)
            if _MANIFEST not in members:
                raise StoreError(f"it lacks {_MANIFEST}: marbench pack writes one")
            manifest = _manifest(_content(opened, members.pop(_MANIFEST)))
            if others := set(members) ^ set(manifest.files):
                raise StoreError(f"{clean_line(min(others), 100)} is in it and not listed, or listed and not in it")
        for name, info in members.items():
            with _told_of_archive():
                content = _content(opened, info)
                told = manifest.files[name]
                if len(content) != told.bytes or hashlib.sha256(content).hexdigest() != told.sha256:
                    raise StoreError(f"{name} was changed after it was packed (its SHA-256 is another)")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return manifest


@contextlib.contextmanager
def _told_of_archive() -> Iterator[None]:
    """Turn whatever goes wrong in reading an archive into a StoreError that says what is wrong with it."""
    try:
        yield
    except StoreError:
        raise
    except ValidationError as error:
        raise StoreError(f"{_MANIFEST} is none: {clean_line(str(error.errors()[0]['msg']), 200)}") from None
    except OSError as error:
        raise StoreError(f"it cannot be read: {said_by(error)}") from None
    except Exception as error:  # zipfile and zlib raise a dozen kinds, NotImplementedError and MemoryError among them
        said = clean_line(said_by(error), 200)
        raise StoreError(f"it is no ZIP file, or damaged: {said}") from None


def _members(infos: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name; StoreError where one is not what `pack` writes. Nothing has been unpacked yet."""
    if len(infos) > _MOST:
        raise StoreError(f"it has {len(infos):,} members")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        shown = clean_line(info.orig_filename, 100)
        limit = next((most for kind, most in _MEMBERS.items() if re.fullmatch(kind, info.orig_filename)), None)
        if limit is None or info.filename != info.orig_filename:
            raise StoreError(f"{shown!r} is no file of a run")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise StoreError(f"{shown} is a link, a device, or encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise StoreError(f"{shown} is packed in an unknown way")
        if info.file_size > limit:
            raise StoreError(f"{shown} would unpack to {info.file_size:,} bytes")
        members[info.filename] = info
    if len({name.lower() for name in members}) < len(infos):
        raise StoreError("a file is in it twice")
    if (total := sum(info.file_size for info in infos)) > _RATIO * size + _FREE:
        raise StoreError(f"it would unpack to {total:,} bytes, which is no run")
    ordered = sorted(infos, key=lambda info: info.header_offset)
    for one, following in itertools.pairwise(ordered):
        if one.header_offset + one.compress_size > following.header_offset:
            raise StoreError("its members overlap")
    return members


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as stream:
        return stream.read(info.file_size + 1)  # the CRC is compared at the end


def _manifest(content: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(content)
    except RecursionError:
        raise StoreError(f"{_MANIFEST} is none: it is nested without end") from None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
