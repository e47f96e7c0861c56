"""Patients' published names, and the secret that makes them."""

import hashlib
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from marbench.anatomy.pseudonyms import patient_label
from marbench.errors import DataError


@pytest.fixture
def salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the salt, in a home of the test's own."""
    monkeypatch.delenv("MARBENCH_SALT")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "marbench" / "salt"


def test_a_label_is_the_same_for_the_same_person_and_salt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    label = patient_label("4711815")
    assert re.fullmatch("patient-[0-9a-f]{12}", label)
    assert patient_label("4711815") == label != patient_label("4711816")
    monkeypatch.setenv("MARBENCH_SALT", "another")
    assert patient_label("4711815") != label


def test_a_label_is_no_digest_that_anyone_can_make() -> None:
    """Of seven digits the id would be found from a digest without a salt by trying all of them."""
    label = patient_label("4711815").removeprefix("patient-")
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        assert label not in hashlib.new(algorithm, b"4711815").hexdigest()


def test_the_salt_is_made_once_for_its_owner_alone(salt: Path) -> None:
    first = patient_label("a")
    assert len(salt.read_bytes()) == 32
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert patient_label("a") == first
    assert list(salt.parent.iterdir()) == [salt]
    salt.unlink()
    assert patient_label("a") != first


def test_processes_that_make_the_salt_at_once_agree(salt: Path) -> None:
    code = "from marbench.anatomy.pseudonyms import patient_label; print(patient_label('a'))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate(timeout=60)[0] for process in running}) == 1
    assert list(salt.parent.iterdir()) == [salt]


@pytest.mark.parametrize("content", [b"", b"x" * 31])
def test_a_damaged_salt_is_not_taken(salt: Path, content: bytes) -> None:
    salt.parent.mkdir()
    salt.write_bytes(content)
    with pytest.raises(DataError, match=f"should hold the 32 bytes .* it holds {len(content)}"):
        patient_label("a")


def test_where_no_salt_can_be_kept_the_error_says_what_to_do(salt: Path) -> None:
    salt.parent.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="set MARBENCH_SALT to a secret text"):
        patient_label("a")
