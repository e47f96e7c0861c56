"""Stored pictures: damaged, foreign and hostile ones are refused, and made again by the next run."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from running import run

from marbench.errors import StoreError
from marbench.machine.arrays import npz, read_npz
from marbench.results.images import Gallery
from marbench.results.pictures import (
    CASE_FILE,
    StoredCase,
    encode_case,
    encode_image,
    load_case,
    load_image,
)
from marbench.results.rows import Key

SHAPE = (40, 50)


def a_case() -> StoredCase:
    rng = np.random.default_rng(0)
    truth = rng.integers(-1000, 2000, SHAPE).astype(np.int16)
    return StoredCase(truth, truth + 1, truth > 1900, (-160.0, 240.0), truth, truth, truth > 0)


def test_a_case_and_an_image_come_back_as_they_were(tmp_path):
    case = a_case()
    (tmp_path / "case.npz").write_bytes(encode_case(case))
    again = load_case(tmp_path / "case.npz")
    assert again.window == case.window
    for name in ("truth", "uncorrected", "metal", "sinogram", "truth_sinogram", "metal_trace"):
        assert np.array_equal(getattr(again, name), getattr(case, name))
    (tmp_path / "li.npz").write_bytes(encode_image(case.truth, "li", "hash"))
    image, version = load_image(tmp_path / "li.npz")
    assert version == "hash" and np.array_equal(image, case.truth)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.zeros((0, 4)), np.array("ä"), np.array("")])
def test_arrays_of_every_order_and_of_no_size_are_read(tmp_path, array):
    (tmp_path / "a.npz").write_bytes(npz({"a": array}))
    read = read_npz(tmp_path / "a.npz")["a"]
    assert read.shape == array.shape and read.dtype == array.dtype and np.array_equal(read, array)


def header(shape: str, descr: str = "<i2") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


HOSTILE = {
    "no zip": b"PK\x03\x04 and no more",
    "empty": b"",
    "no array": archive(image=b"hello"),
    "more than there is": archive(image=header("(1000000, 1000000)")),
    "more than can be counted": archive(image=header("(9999999999, 9999999999, 9999999999)")),
    "negative": archive(image=header("(-1, -2)") + b"\0" * 4),
    "less than there is": archive(image=header("(1, 1)") + b"\0" * 400),
    "objects": archive(image=header("(1,)", "|O") + b"cos\nsystem\n(S'true'\ntR."),
    "records": archive(image=header("(1,)", "|V8") + b"\0" * 8),
    "deep header": archive(image=header("(" * 2000)),
    "code as shape": archive(image=header("__import__('os').getpid()")),
    "many members": archive(**{f"a{number}": header("(0,)") for number in range(100)}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_no_pictures_are_refused(tmp_path, name):
    (tmp_path / "li.npz").write_bytes(HOSTILE[name])
    for load in (load_image, load_case):
        with pytest.raises(StoreError, match=r"li\.npz"):
            load(tmp_path / "li.npz")


def test_a_file_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("image.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(StoreError, match="would unpack to"):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_a_directory_that_lies_about_the_size_does_not_help(tmp_path):
    """The central directory says 100 bytes; the member holds 64 MB of zeros."""
    path = tmp_path / "lie.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("image.npy", "w") as member:
        for _ in range(64):
            member.write(bytes(2**20))
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 100)
    path.write_bytes(bytes(content))
    tracemalloc.start()
    with pytest.raises(StoreError):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "absent"])
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    path, target = tmp_path / "li.npz", tmp_path / "target.npz"
    target.write_bytes(encode_image(a_case().truth, "li", "hash"))
    make = {"link": lambda: path.symlink_to(target), "pipe": lambda: __import__("os").mkfifo(path)}
    make |= {"folder": path.mkdir, "absent": lambda: None}
    make[kind]()
    with pytest.raises(StoreError):
        load_image(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"truth": np.zeros(SHAPE)},
        {"truth": np.zeros((3, 3), np.int16)},
        {"metal": np.zeros(SHAPE, np.int16)},
        {"truth": np.zeros((*SHAPE, 2), np.int16)},
        {"window": np.array([1.0, 1.0])},
        {"window": np.array([np.nan, 1.0])},
        {"window": np.array([-1e308, 1e308])},
        {"window": np.array(["a", "b"])},
        {"window": np.array(3.0)},
        {"metal_trace": np.zeros((1, 1), bool)},
        {"truth_sinogram": np.zeros(SHAPE)},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_case_of_other_arrays_is_refused(tmp_path, changes):
    (tmp_path / "case.npz").write_bytes(encode_case(a_case()))
    whole = read_npz(tmp_path / "case.npz")
    (tmp_path / "case.npz").write_bytes(npz({**whole, **changes}))
    with pytest.raises(StoreError, match=r"case\.npz cannot be used"):
        load_case(tmp_path / "case.npz")


def test_damage_anywhere_is_an_error_or_changes_nothing(tmp_path):
    """A short run of a fuzzer: bits flipped, bytes cut out, put in, repeated."""
    whole, path, dice = encode_image(a_case().truth, "li", "hash"), tmp_path / "li.npz", random.Random(2)
    image = a_case().truth
    for number in range(600):
        data, at = bytearray(whole), dice.randrange(len(whole))
        if number % 3 == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif number % 3 == 1:
            del data[at : at + dice.randrange(1, 50)]
        else:
            data[at:at] = dice.randbytes(dice.randrange(1, 50))
        path.write_bytes(bytes(data))
        try:
            read, version = load_image(path)
        except StoreError:
            continue
        assert np.array_equal(read, image) and version == "hash", number


def test_pictures_that_are_damaged_in_any_way_count_as_missing(tmp_path):
    key = Key("li", "hash", "case")
    folder = tmp_path / "images" / "case"
    folder.mkdir(parents=True)
    gallery = Gallery(tmp_path / "images", frozenset({"case"}))
    (folder / CASE_FILE).write_bytes(encode_case(a_case()))
    (folder / "li.npz").write_bytes(encode_image(a_case().truth, "li", "hash"))
    assert gallery.missing([key]) == set()
    for name in ("li.npz", CASE_FILE):
        whole = (folder / name).read_bytes()
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 0xFF
        for content in (b"", whole[:-30], bytes(damaged)):
            (folder / name).write_bytes(content)
            assert gallery.missing([key]) == {key}
        (folder / name).write_bytes(whole)
    assert gallery.missing([Key("li", "newer", "case")]) == {Key("li", "newer", "case")}


@pytest.mark.parametrize("name", [CASE_FILE, "none.npz"])
def test_the_next_run_makes_a_damaged_picture_again(tmp_path, tiny, name):
    run(tiny, tmp_path, "none", images="gallery")
    path = sorted((tmp_path / "images").glob(f"*/{name}"))[0]
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    path.write_bytes(bytes(damaged))
    run(tiny, tmp_path, "none", images="gallery")
    assert path.read_bytes() == whole


def test_pictures_are_not_written_through_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "case").symlink_to(tmp_path / "elsewhere")
    gallery = Gallery(tmp_path / "images", frozenset({"case"}))
    with pytest.raises(StoreError, match="is a link"):
        gallery.write({"case/li.npz": encode_image(a_case().truth, "li", "hash")})
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_run_keeps_its_pictures_where_they_are_whole(tmp_path: Path, tiny) -> None:
    run(tiny, tmp_path, "none", images="gallery")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "images").rglob("*.npz")}
    run(tiny, tmp_path, "none", images="gallery")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "images").rglob("*.npz")} == before
