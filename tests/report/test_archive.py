"""Packed runs: what comes out is what went in; edited, swapped, broken and hostile ones are found; nothing escapes."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import re
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from filled import fill, row
from running import Notes, run, table

from marbench.bench.image_folder import score_folder
from marbench.bench.work import Result
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError, MarbenchError, StoreError
from marbench.machine.arrays import npz
from marbench.method.card import MethodCard
from marbench.metrics.measure import measures_of
from marbench.report import recomputation
from marbench.report.archive import pack
from marbench.report.benchmark import gather
from marbench.report.standings import standings
from marbench.report.verdict import Verdict
from marbench.report.verification import verify
from marbench.results.merge import merge_runs
from marbench.results.part_file import encode, read_pieces, table_of, table_of_frame
from marbench.results.pictures import CASE_FILE, encode_case, load_case
from marbench.results.rows import KEY_COLUMNS, TimingRow, metric_names
from marbench.results.store import Store, open_run
from marbench.spec import PROTOCOL, Spec, load_spec

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def packed(tiny: Spec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods that ran and one by its images, on four cases, with all pictures."""
    place = tmp_path_factory.mktemp("packed")
    run(tiny, place / "run", "none,li", limit=4, images="all")
    suite = Suite(tiny)
    (place / "images").mkdir()
    for case in (suite[index] for index in range(3)):
        np.save(place / "images" / f"{case.id}.npy", case.scan.image[0].numpy())
    card = MethodCard(name="mine", title="Mine", summary="", domain="image")
    score_folder(place / "images", suite, card, Store(place / "run", tiny), Notes(), images="all")
    pack(place / "run", place / "run.zip", images=True)
    return place / "run.zip"


@pytest.fixture(scope="module")
def files(packed: Path) -> Files:
    with zipfile.ZipFile(packed) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, files: Files, listed: bool = True) -> Path:
    """Write an archive; with a manifest that tells of its files whatever they are, as a forger would."""
    if listed:
        told = json.loads(files["marbench.json"])
        names = [name for name in files if name != "marbench.json"]
        told["files"] = {
            name: {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])} for name in names
        }
        files = {**files, "marbench.json": json.dumps(told).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def verdict_of(path: Path, cases: int = 0) -> tuple[Verdict, str]:
    verdict = verify(path, Notes(), cases)
    return verdict, "\n".join(f"{check.state} {check.what}: {check.words}" for check in verdict.checks)


def test_a_packed_run_is_verified_and_gives_the_same_leaderboard_to_the_last_digit(tmp_path, packed):
    verdict = verify(packed, Notes(), 2, tmp_path / "got")
    assert verdict.good and verdict.words == "Verified, but for methods."  # of the one by its images
    words = {check.what: check.words for check in verdict.checks}
    assert "li 4 of 20, mine 3 of 20, none 4 of 20" in words["coverage"]
    assert words["images"] == "11 of 11 results scored again"
    sent, got = open_run(packed.with_name("run")), open_run(tmp_path / "got")
    assert got.problems == [] and set(got.rows["evidence"]) == {"recomputed from images", "reported"}
    pd.testing.assert_frame_equal(table(got.rows).drop(columns="evidence"), table(sent.rows).drop(columns="evidence"))
    boards = [standings(gather([each])[0], "dudonet2019") for each in (sent, got)]
    assert repr(boards[0].scores) == repr(boards[1].scores)  # every digit, and NaN where there is none
    for name in ("places", "unranked", "coverage"):
        assert getattr(boards[0], name) == getattr(boards[1], name)


def test_scores_that_count_pixels_are_recognised_from_pictures_of_whole_hu(tmp_path):
    """A first further rounding happens to leave the bone of the LI image as large as it is."""
    content = load_spec("mini").model_dump(mode="json", by_alias=True, exclude_none=True)
    spec = Spec.model_validate(content | {"name": "counted", "metrics": {"conventions": ["clinical"]}})
    run(spec, tmp_path / "run", "li", limit=1, images="all")
    pack(tmp_path / "run", tmp_path / "run.zip", images=True)
    verdict, words = verdict_of(tmp_path / "run.zip")
    assert verdict.good and "ok images: 1 of 1 results scored again" in words, words
    # What readers see beside the images: a region elsewhere than the measures looked, other rays, another trace.
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        sent = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in sent if name.endswith(CASE_FILE))
    stored = load_case(tmp_path / "run" / name)
    assert stored.sinogram is not None and stored.metal_trace is not None
    for changes, words in (
        ({"regions": {"noise": np.roll(stored.regions["noise"], 5, axis=1)}}, "its region 'noise' is not where"),
        ({"sinogram": np.roll(stored.sinogram, 1, axis=0)}, "its picture is of another case"),
        ({"metal_trace": ~stored.metal_trace}, "its picture is of another case"),
    ):
        forged = {**sent, name: encode_case(replace(stored, **changes))}
        verdict, said = verdict_of(write(tmp_path / "forged.zip", forged))
        assert not verdict.good and words in said, said


def test_a_count_that_moves_by_rounding_one_way_is_recognised(monkeypatch):
    """No draw in between meets the threshold that all pixels pass together."""
    image = np.full((4, 4), 100.0, np.float32)

    class Counting:
        def score(self, image):
            return {"rmse_hu": float((image >= 100.4).sum())}

    told = {"method": "m", "case_id": "c", "rmse_hu": 16.0}
    assert recomputation._other_scores(image, told, Counting()) == ""
    assert "is said to be" in recomputation._other_scores(image, told | {"rmse_hu": 1e4}, Counting())


def test_a_run_whose_method_was_mended_can_be_packed(tmp_path, tiny):
    """The rows that the mended version replaces know no areas, and whole numbers beside them are read as floating."""
    suite, card = Suite(tiny), MethodCard(name="mine", title="Mine", summary="", domain="image")
    (tmp_path / "images").mkdir()
    for count in (1, 2):
        for case in (suite[index] for index in range(count)):
            np.save(tmp_path / "images" / f"{case.id}.npy", case.scan.image[0].numpy())
        score_folder(tmp_path / "images", suite, card, Store(tmp_path / "run", tiny), Notes(), images="none")
    run(tiny, tmp_path / "run", "none")
    for case in suite:
        np.save(tmp_path / "images" / f"{case.id}.npy", case.scan.image[0].numpy())
    score_folder(tmp_path / "images", suite, card, Store(tmp_path / "run", tiny), Notes(), images="none")
    pack(tmp_path / "run", tmp_path / "run.zip")
    assert verdict_of(tmp_path / "run.zip")[0].good


def test_two_archives_can_be_merged_and_an_archive_of_the_same_run_is_the_same(tmp_path, tiny, packed):
    run(tiny, tmp_path / "other", "nmar", limit=2)
    pack(tmp_path / "other", tmp_path / "other.zip")
    for name, archive in (("a", packed), ("b", tmp_path / "other.zip")):
        assert verify(archive, Notes(), 0, tmp_path / name).good
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert open_run(tmp_path / "c").rows.groupby("method").size().to_dict() == {
        "li": 4,
        "mine": 20,
        "nmar": 2,
        "none": 4,
    }
    pack(packed.with_name("run"), tmp_path / "again.zip", images=True)
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_without_pictures_their_digests_go_and_the_verdict_says_so(tmp_path, packed):
    manifest = pack(packed.with_name("run"), tmp_path / "small.zip")
    assert len(manifest.images) == 4 * 3 + 3 and (tmp_path / "small.zip").stat().st_size < 60_000
    verdict, said = verdict_of(tmp_path / "small.zip")
    assert verdict.good and "not checked images" in said and "images" in verdict.words


def edited(files: Files, change: Callable[[pd.DataFrame], object], spec_hash: str | None = None) -> Files:
    """Return the files with rows that were changed, in a table that is whole."""
    path, told = "results/rows.parquet", json.loads(files["marbench.json"])["spec_hash"]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "rows.parquet").write_bytes(files[path])
        (piece,) = read_pieces(Path(place) / "rows.parquet", "results", told)
    rows = piece.table.to_pandas()
    change(rows)
    return {**files, path: encode("results", spec_hash or told, 0, table_of_frame("results", rows))}


def set_score(rows: pd.DataFrame) -> None:
    rows.loc[(rows["method"] == "li") & (rows["case_index"] == 2), "psnr[dudonet2019]"] += 0.5


def swap_scores(rows: pd.DataFrame) -> None:
    names = [name for name in rows if "[" in name or name.startswith("rmse")]
    one, other = (rows.index[(rows["method"] == "li") & (rows["case_index"] == index)][0] for index in (0, 1))
    rows.loc[[one, other], names] = rows.loc[[other, one], names].to_numpy()


def rename_case(rows: pd.DataFrame) -> None:
    without_picture = rows.loc[rows["status"] != "ok", "case_id"].iloc[-1]
    rows["case_id"] = rows["case_id"].replace(without_picture, "an-easier-case")


def other_digest(rows: pd.DataFrame) -> None:
    rows.loc[rows["case_index"] == 0, "case_digest"] = "0000fffa" * 6


def drop_failures(rows: pd.DataFrame) -> None:
    rows.loc[rows["status"] != "ok", ["status", "message"]] = ["ok", ""]


def one_region(rows: pd.DataFrame) -> None:
    rows.loc[rows["method"] == "li", "region"] = "head"


EDITS = {
    "a score": (set_score, r"wrong images: li on .*psnr\[dudonet2019\] is said to be"),
    "scores of two cases": (swap_scores, "wrong images: li on "),
    "a case of another name": (rename_case, "wrong coverage: an-easier-case is no case of the benchmark"),
    "other data": (other_digest, "wrong cases: .* was given other data"),
    "failures made good": (drop_failures, "wrong plausibility: mine on .* = nan"),
    "an impossible score": (lambda rows: rows.__setitem__("ssim[dudonet2019]", 1.5), "wrong plausibility: .* = 1.5"),
    "the size of the metal": (lambda rows: rows.__setitem__("size_group", 5), "wrong coverage: .* another case"),
    "a measure of nobody": (
        lambda rows: rows.__setitem__("psnr[official]", 60.0),
        r"psnr\[official\] is no measure of",
    ),
    "the area of the metal": (
        lambda rows: rows.__setitem__("metal_area_mm2", rows["metal_area_mm2"] * 2),
        r"wrong cases: .* says metal_area_mm2 = [\d.]+, and it is ",
    ),
    "what the metal is": (lambda rows: rows.__setitem__("materials", "cheese"), "says materials = cheese, and it is "),
    "what one row says of a case": (one_region, "wrong plausibility: .*: region is .* in one row, and "),
    "another version": (lambda rows: rows.__setitem__("method_hash", "f" * 64), "wrong plausibility: .* its card"),
    "a patient for each case": (
        lambda rows: rows.__setitem__("patient_id", rows["case_id"]),
        "wrong coverage: .* is of another patient",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_rows_are_found_however_well_they_are_listed(tmp_path, files, name):
    change, message = EDITS[name]
    verdict, said = verdict_of(write(tmp_path / "a.zip", edited(files, change)))
    assert not verdict.good
    assert re.search(message, said), said
    assert verdict.words.startswith("Not verified: ")


def test_patients_that_another_salt_names_are_the_same_patients(tmp_path, files):
    few = {name: content for name, content in files.items() if not name.startswith("images/")}
    named = edited(few, lambda rows: rows.__setitem__("patient_id", "another-" + rows["patient_id"]))
    verdict, said = verdict_of(write(tmp_path / "a.zip", named), cases=0)
    assert verdict.good, said


def test_an_edited_score_without_pictures_is_found_where_the_method_is_at_hand(tmp_path, files):
    few = {name: content for name, content in files.items() if not name.startswith("images/")}
    changed = edited(few, lambda rows: rows.__setitem__("rmse_hu", rows["rmse_hu"] * 0.9))
    verdict, said = verdict_of(write(tmp_path / "a.zip", changed), cases=1)
    assert not verdict.good and "wrong methods: " in said


def test_swapped_pictures_are_found(tmp_path, files):
    names = sorted(name for name in files if name.endswith("/li.npz"))
    swapped = {**files, names[0]: files[names[1]], names[1]: files[names[0]]}
    verdict, said = verdict_of(write(tmp_path / "a.zip", swapped))
    assert not verdict.good and "wrong images: li on " in said
    truths = sorted(name for name in files if name.endswith("/_case.npz"))
    verdict, said = verdict_of(write(tmp_path / "b.zip", {**files, truths[0]: files[truths[1]]}))
    assert not verdict.good and "its picture is of another case" in said


def timed(spec: Spec, method: str, version: str) -> bytes:
    call = TimingRow(spec.hash, PROTOCOL, method, version, "", "c", 0, 1.0, 1.0, None, "cpu", "A CPU", 1, "h")
    return encode("timing", spec.hash, 0, table_of("timing", [call.record()]))


def test_what_has_no_rows_is_found_and_timings_of_what_has_are_none_of_it(tmp_path, tiny, files):
    case = next(name for name in files if name.endswith(f"/{CASE_FILE}"))
    version = json.loads(files["methods/li.json"])["method_hash"]
    card = {"label": "nmar", "title": "Better than all"}
    strays = {
        "a picture of a case": {f"images/nowhere/{CASE_FILE}": files[case]},
        "a picture of a method": {case.replace(CASE_FILE, "nmar.npz"): files[case.replace(CASE_FILE, "li.npz")]},
        "a card": {"methods/nmar.json": json.dumps(card).encode()},
        "timings": {"timing/calls.parquet": timed(tiny, "nmar", version)},
        "timings of another version": {"timing/calls.parquet": timed(tiny, "li", "f" * 64)},
    }
    for name, more in strays.items():
        verdict, said = verdict_of(write(tmp_path / "a.zip", {**files, **more}))
        assert not verdict.good and "wrong contents: " in said, (name, said)
    honest = {**files, "timing/calls.parquet": timed(tiny, "li", version)}
    verdict, said = verdict_of(write(tmp_path / "b.zip", honest))
    assert verdict.good and "ok contents" in said, said


def test_a_picture_that_no_result_went_with_is_left_out(tmp_path, files):
    """A run that was killed in between has one; nothing tells what it should score."""

    def lose(rows: pd.DataFrame) -> None:
        rows.loc[(rows["method"] == "li") & (rows["case_index"] == 2), ["status", *scores]] = ["oom", *[np.nan] * 5]

    scores = metric_names(load_spec("mini").metrics.conventions)
    verdict = verify(write(tmp_path / "a.zip", edited(files, lose)), Notes(), 0, tmp_path / "got")
    assert verdict.good
    assert [check.words for check in verdict.checks if check.what == "images" and check.state == "not checked"] == [
        "1 picture without a result, left out"
    ]
    assert len(list((tmp_path / "got" / "images").glob("*/li.npz"))) == 3


def test_nobody_knows_when_the_rows_of_an_archive_were_computed(tmp_path, packed):
    names = []
    for name in "ab":
        assert verify(packed, Notes(), 0, tmp_path / name).good
        names += [path.name for path in (tmp_path / name / "results").iterdir()]
        assert not open_run(tmp_path / name).created.any()
    assert len(set(names)) == 2 and all(re.fullmatch(r"0-[0-9a-f]{16}\.parquet", name) for name in names)


@pytest.mark.parametrize(
    ("told", "here", "expected"),
    [
        ("ok", "ok", ""),
        *((("ok", status, None)) for status in ("timeout", "oom", "crashed", "unavailable")),
        *((status, "ok", None) for status in ("timeout", "oom", "crashed", "unavailable", "error")),
        ("ok", "invalid", "m on c is said to be ok, and is invalid"),
        ("ok", "error", "m on c is said to be ok, and is error"),
        ("error", "error", ""),
    ],
)
def test_what_hangs_on_the_machine_makes_nothing_wrong(tiny, told, here, expected):
    scores = {"rmse_hu": 1.0} if here == "ok" else {}
    result = Result(row(tiny, status=here, scores=scores))
    assert recomputation._other_result(result, {"status": told, "rmse_hu": 1.0}) == expected


def test_a_method_that_diverges_is_no_forger(tmp_path, tiny, plugin):
    """Its scores lie beyond any picture's, and its picture is cut to what 16 bits hold: that proves nothing."""
    folder = plugin("mad", "return scan.image * torch.where(scan.image > 0, 1e30, 1.0)")
    run(tiny, tmp_path / "run", "mad,none", folder, limit=1, images="all")
    assert open_run(tmp_path / "run").rows.set_index("method").loc["mad", "rmse_hu"] > 1e20
    pack(tmp_path / "run", tmp_path / "run.zip", images=True)
    verdict = verify(tmp_path / "run.zip", Notes(), 0, tmp_path / "got")
    assert verdict.good, verdict.checks
    told = open_run(tmp_path / "got").rows.set_index("method")["evidence"]
    assert told.to_dict() == {"mad": "reported", "none": "recomputed from images"}


@pytest.mark.parametrize("forged", [False, True])
def test_a_changed_spec_is_found_even_where_all_hashes_were_made_to_fit(tmp_path, files, tiny, forged):
    text = files["spec.toml"].decode()
    changed = {**files, "spec.toml": text.replace("photons = 20000000.0", "photons = 90000000.0").encode()}
    assert changed["spec.toml"] != files["spec.toml"]
    if forged:
        physics = {**tiny.physics.model_dump(), "photons": 9e7}
        other = Spec.model_validate({**tiny.model_dump(by_alias=True), "physics": physics}).hash
        changed = edited(changed, lambda rows: rows.__setitem__("spec_hash", other), other)
        changed["marbench.json"] = json.dumps({**json.loads(files["marbench.json"]), "spec_hash": other}).encode()
    verdict, said = verdict_of(write(tmp_path / "a.zip", changed))
    assert not verdict.good and ("wrong cases: " if forged else "wrong benchmark: spec.toml has the hash") in said


def raw(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def member(name: str, mode: int = 0, **changes: object) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def added(name: str | zipfile.ZipInfo, content: bytes = b"x") -> Callable[[Path, Files], Path]:
    return lambda path, files: raw(path, *files.items(), (name, content))


def replaced(name: str, content: bytes) -> Callable[[Path, Files], Path]:
    return lambda path, files: write(path, {**files, name: content})


def manifest(**changes: object) -> Callable[[Path, Files], Path]:
    def forge(path: Path, files: Files) -> Path:
        told = {**json.loads(files["marbench.json"]), **changes}
        return write(path, {**files, "marbench.json": json.dumps(told).encode()}, listed="files" not in changes)

    return forge


def cut(path: Path, files: Files) -> Path:
    content = write(path, files).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def flipped_byte(path: Path, files: Files) -> Path:
    content = bytearray(write(path, files).read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    return path


def bytes_of(content: bytes) -> Callable[[Path, Files], Path]:
    return lambda path, _: path.write_bytes(content) and path


def lying_size(path: Path, files: Files) -> Path:
    """The directory says that a member is larger than any."""
    content = bytearray(write(path, files).read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2**31)
    path.write_bytes(content)
    return path


def overlapping(path: Path, files: Files) -> Path:
    """Two members lie in the same bytes, as in archives that unpack to more than they hold."""
    content = bytearray(write(path, files).read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    path.write_bytes(content)
    return path


def link_to_archive(path: Path, files: Files) -> Path:
    write(path.with_name("real.zip"), files)
    path.symlink_to(path.with_name("real.zip"))
    return path


HOSTILE: dict[str, Callable[[Path, Files], Path]] = {
    "traversal": added("../../escaped.txt"),
    "traversal inside": added("images/../../escaped.txt"),
    "absolute": added("/tmp/escaped.txt"),
    "drive": added("C:\\escaped.txt"),
    "backslashes": added("images\\..\\..\\escaped.npz"),
    "a script": added("results/run.py", b"open('escaped.txt', 'w')"),
    "a pickle": added("methods/li.pkl", b"cos\nsystem\n(S'touch escaped.txt'\ntR."),
    "a link": added(member("spec.toml.json", stat.S_IFLNK | 0o777), b"/etc/passwd"),
    "a link of an allowed name": added(member("methods/x.json", stat.S_IFLNK | 0o777), b"/etc/passwd"),
    "a device": added(member("methods/y.json", stat.S_IFCHR | 0o666)),
    "a folder": added("images/"),
    "hidden": added(".bashrc"),
    "control characters": added("images/\x1b[31m/li.npz"),
    "reordering": added("methods/\u202egnp.json"),
    "NUL": added(member("spec.toml", filename="spec.toml\x00.exe", orig_filename="spec.toml\x00.exe")),
    "not listed": added("methods/unlisted.json", b"{}"),
    "case twice": added("methods/LI.json"),
    "a bomb": added("methods/zeros.json", bytes(2**22 + 1)),
    "many small bombs": lambda path, files: raw(
        path, *files.items(), *((f"methods/zeros{n}.json", bytes(2**21)) for n in range(20))
    ),
    "a size that is a lie": lying_size,
    "overlapping members": overlapping,
    "cut": cut,
    "a flipped byte": flipped_byte,
    "empty": lambda path, _: path.touch() or path,
    "no archive": bytes_of(b"#!/bin/sh\ntouch escaped.txt\n"),
    "a tar": bytes_of(bytes(10240)),
    "no members": lambda path, _: raw(path),
    "a link to an archive": link_to_archive,
    "a folder instead": lambda path, _: path.mkdir() or path,
    "changed after packing": lambda path, files: write(
        path, {**files, "slices.txt": b"x", "commands.txt": b"y"}, False
    ),
    "a file is missing": lambda path, files: write(path, {k: v for k, v in files.items() if k != "spec.toml"}, False),
    "no manifest": lambda path, files: raw(path, *((k, v) for k, v in files.items() if k != "marbench.json")),
    "manifest of another format": manifest(format=2),
    "manifest with more": manifest(execute="rm -rf"),
    "manifest of other types": manifest(files=[1, 2]),
    "manifest without end": lambda path, files: write(path, {**files, "marbench.json": b"[" * 100_000}, False),
    "no spec": lambda path, files: write(path, {k: v for k, v in files.items() if k != "spec.toml"}),
    "spec of another file": replaced("spec.toml", b'extends = "/etc/passwd"\n'),
    "spec that is no TOML": replaced("spec.toml", b"\x00\xff"),
    "spec of many unknown keys": replaced("spec.toml", b"".join(b"a%d = 1\n" % number for number in range(100))),
    "rows that are none": replaced("results/rows.parquet", b"PAR1 no"),
    "a card of another type": replaced("methods/li.json", b"[[[[]]]]"),
    "a picture of objects": lambda path, files: write(
        path, {**files, min(name for name in files if name.endswith("/li.npz")): _objects()}
    ),
    "a picture of another shape": lambda path, files: write(
        path, {**files, min(name for name in files if name.endswith("/li.npz")): _picture(8)}
    ),
}


def _objects() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, image=np.array([print], dtype=object), method=np.array("li"), method_hash=np.array("h"))
    return buffer.getvalue()


def _picture(size: int) -> bytes:
    image = np.zeros((size, size), np.int16)
    return npz({"image": image, "method": np.array("li"), "method_hash": np.array("h")})


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_broken_archives_are_refused_with_a_reason_and_write_nowhere(tmp_path, files, name, monkeypatch):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    path = HOSTILE[name](inside / "a.zip", files)
    before = sorted(tmp_path.rglob("*"))
    verdict = verify(path, Notes(), 0, inside / "got")
    assert not verdict.good
    reasons = [check.words for check in verdict.checks if check.state == "wrong"]
    assert all(reasons) and all(reason.isprintable() and len(reason) < 500 for reason in reasons), reasons
    assert sorted(tmp_path.rglob("*")) == before and not Path("/tmp/escaped.txt").exists()


def test_a_benchmark_too_large_to_be_made_unasked_is_not_made(tmp_path, tiny, files):
    changed = files["spec.toml"].decode().replace("size = 32", "size = 8192").replace("1.28", "0.005").encode()
    other = Spec.model_validate({**tiny.model_dump(by_alias=True), "grid": {"size": 8192, "pixel_cm": 0.005}}).hash
    forged = edited({**files, "spec.toml": changed}, lambda rows: rows.__setitem__("spec_hash", other), other)
    forged["marbench.json"] = json.dumps({**json.loads(files["marbench.json"]), "spec_hash": other}).encode()
    verdict, said = verdict_of(write(tmp_path / "a.zip", forged))
    assert "not checked cases: a benchmark of (8192, 8192) pixels" in said and verdict.good


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path, packed, monkeypatch):
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"cannot be verified here: No space left on device\. That says nothing"):
        verify(packed, Notes(), 0)
    result = CliRunner().invoke(main, ["verify", str(packed)])
    assert result.exit_code == 2 and "wrong" not in result.output


def claimed(folder: Path, spec: Spec) -> Path:
    """Pack a result that says of the first case of a benchmark that all went well."""
    scores = {each.id: min(max(1.0, each.bounds[0]), each.bounds[1]) for each in measures_of(spec.metrics.conventions)}
    key = Suite(spec).case_keys[0]
    told = {name: getattr(key, name) for name in KEY_COLUMNS}
    fill(folder / "run", spec, row(spec, "li", key.case_id, **told, case_digest="0" * 16, scores=scores))
    pack(folder / "run", folder / "run.zip")
    return folder / "run.zip"


def test_a_case_that_cannot_be_made_is_no_case_that_went_well(tmp_path, tiny):
    metal = {"id": "a", "pixel_cm": 0.05, "masks": {"gold": np.ones((20, 20))}, "centre_cm": (18.0, 18.0)}
    metals = {**tiny.metals.model_dump(), "own": [metal]}
    outside = Spec.model_validate({**tiny.model_dump(by_alias=True), "metals": metals})
    verdict, said = verdict_of(claimed(tmp_path, outside), cases=1)
    assert not verdict.good
    assert re.search(r"wrong cases: \S+ cannot be made: the metal 'a' lies with 0% of its area in the body", said), said


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EIO, "Input/output error"), None])
def test_what_this_machine_cannot_make_is_no_fault_of_the_archive(tmp_path, tiny, monkeypatch, error):
    packed = claimed(tmp_path, tiny)

    def exhausted(suite: Suite, index: int) -> Case:
        if error is None:
            raise DataError("Input/output error") from OSError(errno.EIO)
        raise error

    monkeypatch.setattr(Suite, "__getitem__", exhausted)
    with pytest.raises(MarbenchError, match=r"cannot be made on this machine: .*(MemoryError|Input/output error)"):
        verify(packed, Notes(), 1)


def test_the_commands_print_the_verdict_and_leave_with_its_code(tmp_path, packed, files):
    def marbench(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*map(str, arguments)])
        return result.exit_code, result.output

    code, said = marbench("pack", packed.with_name("run"), "--out", tmp_path / "r.zip")
    assert code == 0 and "the digests, --images packs them" in said
    assert f"Check it with: marbench verify {tmp_path / 'r.zip'}\n" in said
    code, said = marbench("verify", tmp_path / "r.zip", "--cases", 0, "--out", tmp_path / "got")
    assert code == 0 and "Verified" in said and open_run(tmp_path / "got").rows["method"].nunique() == 3
    code, said = marbench("verify", write(tmp_path / "b.zip", edited(files, set_score)), "--cases", 0)
    assert code == 1 and "Not verified: images." in said
    assert marbench("verify", tmp_path / "nothing.zip")[0] == 2
    code, said = marbench("verify", packed.with_name("run"))
    assert code == 1 and "a folder: `marbench pack` makes an archive of it" in said
    assert marbench("verify", tmp_path / "r.zip", "--out", tmp_path / "got")[0] == 2
    with pytest.raises(StoreError, match="holds no results"):
        pack(tmp_path, tmp_path / "c.zip")
