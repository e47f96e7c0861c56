"""What all tests share. The environment is set before torch is imported anywhere."""

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

# Spinning OpenMP threads cost 3–5× on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# As many test processes run as there are cores, and more threads would only wait for each other. Tests that look at
# threads ask for their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Patients of CT data are named by it; without it each test would make one for the user.
os.environ["MARBENCH_SALT"] = "the tests"

import torch

# Without a GPU, kernels run in Triton's interpreter, which has to be said before triton is imported. That the kernels
# compile is tested in a process of its own.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

from marbench.spec import Spec, load_spec

# Files that take long, the longest first: begun last, they would keep one process busy while the others have ended.
_LONG = (
    *(
        "test_manual",
        "test_pages_browser",
        "test_executors",
        "test_training",
        "test_kills",
        "test_edges",
        "test_resume",
    ),
    *("test_producers", "test_publishing", "test_faults", "test_gallery_browser", "test_check", "test_fuzz"),
    *("test_other_scans", "test_cases", "test_store", "test_starter", "test_continuing"),
)

_REAL_CT = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of all searches for garbage: before a call is timed, one takes 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """Folder of real CT slices (``abdomen``, ``head``), kept beside the checkout; the test skips where it is absent."""
    if not _REAL_CT.is_dir():
        pytest.skip(f"no real CT slices at {_REAL_CT}")
    return _REAL_CT


TINY = """
extends = "mini"
name = "tiny"
title = "tiny"

[geometry]
views = 64
bins = 48
pitch_deg = 0.68

[grid]
size = 32
pixel_cm = 1.28

# Looking for anatomical places takes longer than the rest of a case, and has tests of its own.
[metals]
placement = "any"

[split]
test = { patients = 2, slices = 2 }

[report]
gallery_slices = [1, 7]
"""

METHOD = """
import time
import numpy as np
import torch
from marbench import Method

class Plugin(Method):
    def reduce(self, scan):
        {body}
"""


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("specs") / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(tiny_file: Path) -> Spec:
    return load_spec(tiny_file)


@pytest.fixture
def other_defaults() -> Callable[[], AbstractContextManager[None]]:
    """Return what lets torch make float64 on a device without memory where nobody asks for anything else."""

    @contextmanager
    def switched() -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                yield
        finally:
            torch.set_default_dtype(before)

    return switched


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a method of `Path` fail for some names, and for what lies in folders of these names.

    As where a user may not read: root may read everything.
    """

    def refuse_names(method: str, *names: str) -> None:
        original = getattr(Path, method)

        def refuse(path: Path) -> object:
            if path.name in names or path.parent.name in names:
                raise PermissionError(13, "Permission denied", str(path))
            return original(path)

        monkeypatch.setattr(Path, method, refuse)

    return refuse_names


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    """Write a plugin whose ``reduce`` has this body (or whose file has this source); return the plugins' folder."""

    def write(name: str, body: str = "return scan.image", source: str | None = None) -> Path:
        folder = tmp_path / "plugins" / name
        folder.mkdir(parents=True, exist_ok=True)
        card = {"name": name, "title": name, "summary": "a test", "domain": "image"}
        toml = "".join(f"{key} = {json.dumps(value)}\n" for key, value in card.items())
        (folder / "method.toml").write_text(toml, encoding="utf-8")
        code = METHOD.format(body=body.replace("\n", "\n        ")) if source is None else source
        (folder / "method.py").write_text(code, encoding="utf-8")
        return folder.parent

    return write
