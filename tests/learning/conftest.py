"""Fixtures of the training tests; what they are made of is in `tiny_training`."""

from pathlib import Path

import pytest
from tiny_training import CARD, CODE, SPEC

from marbench.spec import Spec, load_spec


@pytest.fixture(scope="session")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "tiny.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="session")
def spec(spec_file: Path) -> Spec:
    return load_spec(spec_file)


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "tinynet").mkdir()
    (folder / "tinynet" / "method.toml").write_text(CARD)
    (folder / "tinynet" / "method.py").write_text(CODE)
    return folder


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_folders(_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep cases for the session and weights for the test, away from the user's folders."""
    monkeypatch.setenv("MARBENCH_CACHE", str(_cache))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("MARBENCH_WEIGHTS", raising=False)
