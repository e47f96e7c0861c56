"""Results that take the place of earlier ones: as a whole, whatever comes between."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from marbench.errors import StoreError
from marbench.machine.locks import locked
from marbench.scans.swap import replacing

FIRST = {"index.html": "A", "measures.json": "A", "none.nii.gz": "A", **{f"li/IM{n}.dcm": f"A{n}" for n in range(4)}}
SECOND = {"index.html": "B", "measures.json": "B", "pictures/1.png": "B", **{f"li/IM{n}.dcm": f"B{n}" for n in (0, 1)}}


def write(out, files):
    with replacing(out) as output:
        for name, content in files.items():
            output.write(name, content)


def contents(out):
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "files.json")
    return {path.relative_to(out).as_posix(): path.read_text() for path in files}


def test_a_result_takes_the_place_of_the_earlier_one_and_files_of_others_stay(tmp_path):
    write(tmp_path, FIRST)
    (tmp_path / "li" / "IM3.dcm").write_text("changed since")
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, SECOND)
    assert contents(tmp_path) == SECOND | {"li/IM3.dcm": "changed since", "notes.txt": "mine"}
    write(tmp_path, FIRST)
    assert not (tmp_path / "pictures").exists()


def test_what_breaks_off_before_its_end_leaves_the_earlier_result(tmp_path):
    out = tmp_path / "out"
    for error in (KeyboardInterrupt, StoreError):
        with pytest.raises(error), replacing(out) as output:
            output.write("li/IM0.dcm", "B0")
            raise error
        assert not out.exists()
    write(out, FIRST)
    with pytest.raises(KeyboardInterrupt), replacing(out) as output:
        for name, content in SECOND.items():
            output.write(name, content)
        raise KeyboardInterrupt
    assert contents(out) == FIRST and len(list(out.iterdir())) == 5


class Killed(BaseException):
    """Stands for the end of a process, at which nothing is tidied up."""


@pytest.mark.parametrize("step", range(len(FIRST) + len(SECOND) + 1))
def test_whenever_it_is_killed_no_files_of_two_calls_lie_side_by_side(tmp_path, monkeypatch, step):
    write(tmp_path, FIRST)
    monkeypatch.setattr("marbench.scans.swap.shutil.rmtree", lambda *_, **__: None)
    left = iter(range(step))

    def until_killed(change):
        def counted(path, *rest):
            *_, target = path, *rest
            hidden = any(part.startswith(".") for part in target.relative_to(tmp_path).parts)
            if not hidden and next(left, None) is None:
                raise Killed
            return change(path, *rest)

        return counted

    monkeypatch.setattr("marbench.scans.swap._remove", lambda *_: None)
    for name in ("unlink", "replace"):
        monkeypatch.setattr(Path, name, until_killed(getattr(Path, name)))
    with pytest.raises(Killed):
        write(tmp_path, SECOND)
    monkeypatch.undo()
    found = {name: text for name, text in contents(tmp_path).items() if not name.startswith(".")}  # and no lock
    assert len({text[0] for text in found.values()}) <= 1
    assert "index.html" not in found or found in (FIRST, SECOND)
    third = {"index.html": "C", "measures.json": "C"}
    write(tmp_path, third)
    assert contents(tmp_path) == third


@pytest.mark.parametrize("name", ["index.html", "measures.json", "li/IM0.dcm"])
def test_files_of_somebody_else_are_not_replaced(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(StoreError, match=rf"{name} was not written by marbench\. Choose another --out"):
        write(tmp_path, SECOND)
    assert contents(tmp_path) == {name: "mine"}


def test_a_folder_or_link_in_the_way_is_told_before_anything_is_removed(tmp_path):
    out = tmp_path / "out"
    write(out, FIRST)
    (out / "pictures").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="pictures is a link"):
        write(out, SECOND)
    (out / "pictures").unlink()
    (out / "pictures").write_text("mine")
    with pytest.raises(StoreError, match=r"out cannot be written: (File exists|Not a directory)"):
        write(out, SECOND)
    assert contents(out) == FIRST | {"pictures": "mine"}


def test_two_calls_do_not_work_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("marbench.scans.swap._PATIENCE", 0.0)
    with locked(tmp_path / ".marbench-lock"), pytest.raises(StoreError, match="Another process"):
        write(tmp_path, FIRST)


def test_where_there_are_no_locks_a_result_is_written_without(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(tmp_path, FIRST)
    write(tmp_path, SECOND)
    assert contents(tmp_path) == SECOND


@pytest.mark.parametrize("when", ["before the work", "during the work"])
def test_a_folder_out_of_which_nothing_can_be_removed_is_told_before_anything_is(tmp_path, monkeypatch, when):
    write(tmp_path, FIRST)
    access = os.access  # root may write everywhere

    def colleague():
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "li" and access(path, mode))

    if when == "before the work":
        colleague()
    said = r"li cannot be written, and files of an earlier result are in it"
    with pytest.raises(StoreError, match=said), replacing(tmp_path) as output:
        assert when == "during the work"
        colleague()
        for name in ("index.html", "measures.json"):
            output.write(name, "B")
    assert contents(tmp_path) == FIRST
