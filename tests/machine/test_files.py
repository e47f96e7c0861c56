"""Files: written whole or not at all, by one of many; read without following links; named as a file system allows."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
from pathlib import Path

import pytest

from marbench.errors import MarbenchError, StoreError
from marbench.machine.files import (
    find_files,
    read_file,
    safe_name,
    user_path,
    within,
    writable_folder,
    write_atomically,
    write_once,
)
from marbench.machine.locks import locked, locked_where_possible


def claim(path: str, number: int, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    won = write_once(Path(path), str(number).encode() * 1000)
    Path(f"{path}-{number}").write_text(str(won))


def test_of_many_processes_that_claim_a_file_exactly_one_wins_and_its_content_is_whole(tmp_path):
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(8)
    path = tmp_path / "new" / "spec.toml"
    path.parent.mkdir()
    processes = [context.Process(target=claim, args=(str(path), number, barrier)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    winners = [number for number in range(8) if Path(f"{path}-{number}").read_text() == "True"]
    assert len(winners) == 1
    assert path.read_bytes() == str(winners[0]).encode() * 1000
    assert not list(path.parent.glob(".*"))


def test_a_file_system_without_hard_links_has_exclusive_creation(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert write_once(tmp_path / "a", b"one")
    assert not write_once(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_link_is_never_claimed_through(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert not write_once(tmp_path / "link", b"mine")
    assert not (tmp_path / "elsewhere").exists()


def test_only_regular_files_of_bounded_size_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert read_file(tmp_path / "file") == read_file(tmp_path / "file", 5) == b"12345"
    for name, limit, why in (
        ("file", 4, "5 bytes"),
        ("link", 9, "a link"),
        ("dangling", 9, "a link"),
        ("pipe", 9, "no regular file"),
        ("folder", 9, "no regular file"),
        ("absent", 9, "No such file"),
    ):
        with pytest.raises(OSError, match=why):
            read_file(tmp_path / name, limit)


def test_a_search_follows_no_link_and_tells_of_what_has_the_name_of_a_file(tmp_path):
    for name in ("a/x.json", "b/y.json", "b/z.txt", "a/.hidden.json"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.json").write_text("")
    root = tmp_path / "root"
    (root / "c").symlink_to(tmp_path / "outside")
    (root / "b" / "link.json").symlink_to(tmp_path / "outside" / "secret.json")
    (root / "b" / "folder.json").mkdir()
    (root / "notes").write_text("no folder")
    found = find_files(root, "*/*.json")
    assert [str(path.relative_to(root)) for path in found.files] == ["a/x.json", "b/y.json"]
    assert {str(path.relative_to(root)) for path in found.strange} == {"c", "b/link.json", "b/folder.json"}
    assert find_files(tmp_path / "absent", "*/*.json").files == []
    # The root itself is the user's choice.
    (tmp_path / "alias").symlink_to(root)
    assert len(find_files(tmp_path / "alias", "*/*.json").files) == 2


def test_a_path_below_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert within(tmp_path, "a/b.txt") == tmp_path / "a" / "b.txt"
    with pytest.raises(StoreError, match="link is a link"):
        within(tmp_path, "link/a/b.txt")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("~no-such-user/x", "no such user"),
        ("a\0b", "cannot be the name"),
        ("n" * 300, "too long"),
        ("/".join(["n" * 200] * 30), "too long"),
    ],
)
def test_what_no_file_can_be_called_is_refused_in_one_line(text, why):
    with pytest.raises(MarbenchError, match=why) as caught:
        user_path(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_paths_of_users_are_what_they_say(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    assert user_path("runs/mini") == Path("runs/mini")
    assert user_path(os.fsdecode(b"\xff")) == Path(os.fsdecode(b"\xff"))


def test_names_are_short_visible_and_tell_labels_apart():
    labels = ["l" * 300, "l" * 299 + "m", "..", ".", "", ".hidden", "a", "\udcff"]
    names = [safe_name(label) for label in labels]
    assert len(set(names)) == len(labels)
    assert all(len(name) < 150 and not name.startswith(".") for name in names)


def test_a_read_only_file_system_is_told_of_and_not_a_traceback(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "unlink", "write_bytes", "open"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        writable_folder(tmp_path / "results")
    with pytest.raises(StoreError, match="Read-only file system"):
        write_atomically(tmp_path / "a", b"")
    with pytest.raises(StoreError, match="Read-only file system"):
        write_once(tmp_path / "a", b"")


def hold(folder: str, die: bool) -> None:
    with locked(Path(folder) / ".lock"):
        (Path(folder) / "held").write_text("")
        if die:
            os._exit(0)


def add_line(folder: str, count: int) -> None:
    for _ in range(count):
        with locked(Path(folder) / ".lock"):
            path = Path(folder) / "sum"
            path.write_text(str(int(path.read_text()) + 1))


def test_a_lock_is_for_one_at_a_time_and_gone_afterwards(tmp_path):
    (tmp_path / "sum").write_text("0")
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=add_line, args=(str(tmp_path), 50)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "sum").read_text() == "200"
    assert not (tmp_path / ".lock").exists()


def test_the_lock_of_a_dead_process_holds_nobody_up(tmp_path):
    process = multiprocessing.get_context("forkserver").Process(target=hold, args=(str(tmp_path), True))
    process.start()
    process.join(60)
    assert (tmp_path / "held").exists() and (tmp_path / ".lock").exists()
    with locked(tmp_path / ".lock", seconds=0.0):
        pass


def test_who_waits_too_long_for_a_lock_is_told(tmp_path):
    with (
        locked(tmp_path / ".lock"),
        pytest.raises(StoreError, match="Another process"),
        locked(tmp_path / ".lock", seconds=0.1),
    ):
        pass


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOLCK, "cannot be locked: No locks available"),
        (errno.ENOSYS, "cannot be locked: Function not implemented"),
        (errno.EAGAIN, "Another process"),
        (errno.ESTALE, "Another process"),
    ],
)
def test_a_file_system_without_locks_is_not_taken_for_another_process(tmp_path, monkeypatch, number, why):
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    with pytest.raises(StoreError, match=why), locked(tmp_path / ".lock", seconds=0.1):
        pass


def test_where_there_are_no_locks_work_may_go_on_without_but_not_beside_another(tmp_path, monkeypatch):
    path = tmp_path / ".lock"
    with locked_where_possible(path):
        assert path.exists()
        with pytest.raises(StoreError, match="Another process"), locked_where_possible(path, seconds=0.1):
            pass
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOTSUP, "Not supported")))
    with locked_where_possible(path, seconds=0.1):
        (tmp_path / "done").write_text("")
    assert [each.name for each in tmp_path.iterdir()] == ["done"]
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"), locked_where_possible(path):
        pass


def test_a_lock_is_not_taken_through_a_link(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"), locked(tmp_path / ".lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
