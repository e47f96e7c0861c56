"""The stored images of a benchmark: which there are, and their arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marbench.errors import StoreError
from marbench.machine.files import find_files
from marbench.report.benchmark import Benchmark
from marbench.results.pictures import CASE_FILE, StoredCase, image_file, load_case, load_image

__all__ = ["Note", "StoredCase", "affordable", "read_case", "read_method", "stored_cases"]

MOST_BYTES = 78_000_000
"""Of stored pictures. As scripts, without the sinograms of cases that no rule names, they take half of it."""

Note = Callable[[str], None]
"""Who is told of a picture that cannot be used."""


def stored_cases(benchmark: Benchmark, note: Note = lambda _: None) -> dict[str, tuple[Path, ...]]:
    """Return case id → the folders with its images, the best proven run first. Links are not followed."""
    known = set(map(str, benchmark.rows["case_id"].unique())) - {""}
    found: dict[str, tuple[Path, ...]] = {}
    for run in reversed(benchmark.folders):
        files = find_files(run, f"images/*/{CASE_FILE}")
        for path, why in files.strange.items():
            note(f"{path.relative_to(run).as_posix()} is left out: {why}")
        for path in files.files:
            if path.parent.name not in known:
                continue
            if not zipfile.is_zipfile(path):  # torn; what is damaged otherwise is seen when it is read
                note(f"{path.parent.name}/{path.name} is torn and left out. The next run makes it again.")
            else:
                found[path.parent.name] = (*found.get(path.parent.name, ()), path.parent)
    return found


def affordable(pictures: Mapping[str, tuple[Path, ...]]) -> frozenset[str]:
    """Return the first cases whose pictures together leave the pages small enough to be sent around."""
    size, found = 0, set()
    for case, folders in pictures.items():
        size += sum(path.lstat().st_size for folder in folders for path in folder.glob("*.npz"))
        if size > MOST_BYTES:
            break
        found.add(case)
    return frozenset(found)


def read_case(folders: tuple[Path, ...], note: Note = lambda _: None) -> StoredCase | None:
    """Return what is stored of a case; None where nothing can be read."""
    for folder in folders:
        try:
            return load_case(folder / CASE_FILE)
        except StoreError as error:
            note(f"{error}. The next run makes it again.")
    return None


def read_method(
    folders: tuple[Path, ...], method: str, method_hash: str, shape: tuple[int, ...], note: Note
) -> NDArray[np.int16] | None:
    """Return a method's image in HU; None where there is none of this version of the method."""
    for folder in folders:
        path = folder / image_file(method)
        if not path.is_symlink() and not path.exists():
            continue
        try:
            image, version = load_image(path)
        except StoreError as error:
            note(f"{error}. The next run makes it again.")
            continue
        if version == method_hash and image.shape == shape:
            return image
    return None
