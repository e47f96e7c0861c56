"""Merged runs: the union, by the rule of a single folder, whole or not there; what is of another kind is refused."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from filled import fill, merge_slowly, row
from running import run, table

from marbench.cli import main
from marbench.errors import StoreError
from marbench.report.benchmark import gather
from marbench.results import merge
from marbench.results.images import Gallery
from marbench.results.merge import merge_runs
from marbench.results.part_file import encode, table_of
from marbench.results.pictures import StoredCase, encode_case, encode_image, load_case, load_image
from marbench.results.store import open_run
from marbench.spec import Spec

DIGESTS = ("0000000a" * 6, "0000fffa" * 6)


def other(tiny: Spec, **changes: object) -> Spec:
    return Spec.model_validate({**tiny.model_dump(by_alias=True), **changes})


def test_shards_of_two_machines_are_the_run_of_one(tmp_path, tiny):
    whole = run(tiny, tmp_path / "whole", "li", limit=4, images="all").rows
    run(tiny, tmp_path / "a", "li", limit=2, images="all")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for part in (tmp_path / "b" / "results").iterdir():
        part.unlink()
    run(tiny, tmp_path / "b", "li", limit=4, images="all")  # all of them: they overlap
    assert merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c") == []
    merged = open_run(tmp_path / "c")
    assert merged.problems == []
    pd.testing.assert_frame_equal(table(merged.rows), table(whole))
    pictures = sorted(path.relative_to(tmp_path / "c") for path in (tmp_path / "c" / "images").rglob("*.npz"))
    assert pictures == sorted(
        path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole" / "images").rglob("*.npz")
    )
    assert run(tiny, tmp_path / "c", "li", limit=5).new == 1  # it goes on there
    assert all(load_image(tmp_path / "c" / path) for path in pictures if path.name == "li.npz")


def test_the_newest_valid_attempt_of_every_key_counts_and_merging_again_changes_nothing(tmp_path, tiny):
    fill(tmp_path / "a", tiny, row(tiny, case="x", status="error"), row(tiny, case="y", seconds=1.0))
    fill(tmp_path / "b", tiny, row(tiny, case="x", seconds=2.0), row(tiny, case="y", status="oom", attempt=2))
    fill(tmp_path / "b", tiny, row(tiny, case="z", status="timeout"), row(tiny, "n", case="z"))
    for order, out in (("ab", "c"), ("ba", "d"), ("ca", "e"), ("ce", "f")):
        merge_runs([tmp_path / name for name in order], tmp_path / out)
    for out in "cdef":
        rows = open_run(tmp_path / out).rows
        assert rows[["method", "case_id", "status"]].values.tolist() == [
            ["m", "x", "ok"],
            ["m", "y", "ok"],
            ["m", "z", "timeout"],
            ["n", "z", "ok"],
        ]
    sizes = [len(merge.usable_pieces(tmp_path / out / "results", "results", tiny.hash)) for out in "cf"]
    assert sizes == [3, 3]


def test_runs_whose_patients_have_names_of_several_salts_are_not_merged(tmp_path, tiny):
    # Each method's own patients: of the merged rows none would tell that those of one case are the same one.
    for name, method in (("a", "m"), ("b", "n")):
        fill(tmp_path / name, tiny, row(tiny, method, case="x", patient_id=name), row(tiny, method, case=name))
    with pytest.raises(StoreError, match=r"a names the patient of the case x a, .*b b: .* another salt"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_part_that_says_the_last_time_there_is_can_be_merged(tmp_path, tiny):
    fill(tmp_path / "a", tiny, row(tiny, case="x"))
    fill(tmp_path / "b", tiny, row(tiny, case="z"))
    rows = table_of("results", [row(tiny, case="y").record()])
    (tmp_path / "b" / "results" / "last.parquet").write_bytes(encode("results", tiny.hash, 2**63 - 1, rows))
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert open_run(tmp_path / "c").rows["case_id"].tolist() == ["x", "y", "z"]


def test_of_attempts_that_each_folder_counts_anew_the_newest_counts(tmp_path, tiny):
    for name, attempt in (("a", 3), ("b", 1)):
        fill(tmp_path / name, tiny, row(tiny, attempt=attempt, host_id=name))
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    (beside,) = gather([open_run(tmp_path / "a"), open_run(tmp_path / "b")])
    for rows in (beside.rows, open_run(tmp_path / "c").rows):
        assert rows["host_id"].tolist() == ["b"]


def test_of_several_versions_the_one_of_the_last_run_counts_and_a_note_says_so(tmp_path, tiny):
    for name, version in (("a", "1"), ("b", "2")):
        fill(tmp_path / name, tiny, row(tiny, method_hash=version)).write_method("m", {"method_hash": version})
    (note,) = merge_runs([tmp_path / "b", tmp_path / "a"], tmp_path / "c")
    assert "m was run in several versions" in note and "1 rows of b" in note
    assert open_run(tmp_path / "c").rows["method_hash"].tolist() == ["1"]


def test_the_card_is_that_of_the_version_that_counts(tmp_path, tiny):
    # In b, m was only begun; in c and d another version was begun after the one that has rows.
    for name, method, version, card in (("a", "m", "1", "1"), ("b", "n", "1", "2"), ("c", "m", "3", "4")):
        store = fill(tmp_path / name, tiny, row(tiny, method, method_hash=version))
        store.write_method("m", {"method_hash": card, "title": f"M {card}"})
    fill(tmp_path / "d", tiny, row(tiny, method_hash="5"))  # the newest rows
    for order, version, title in (("ab", "1", "M 1"), ("ba", "1", "M 1"), ("dc", "3", None)):
        merge_runs([tmp_path / name for name in order], tmp_path / order)
        read = open_run(tmp_path / order)
        assert set(read.rows.loc[read.rows["method"] == "m", "method_hash"]) == {version}
        assert (read.cards["m"]["method_hash"], read.cards["m"].get("title")) == (version, title)


def test_what_was_run_here_counts_before_an_archive_that_is_named_last(tmp_path, tiny):
    for name, version, evidence in (("a", "1", "run here"), ("b", "1", "reported"), ("c", "2", "reported")):
        store = fill(tmp_path / name, tiny, row(tiny, method_hash=version, evidence=evidence))
        store.write_method("m", {"method_hash": version, "title": f"M of {name}"})
        store.write_host("h", {"cpu": f"of {name}"})
        shade = np.full((4, 4), ord(name), np.int16)
        case = StoredCase(shade, shade, shade == 0, (-100.0, 100.0), shade, shade, shade == 0)
        pictures = Gallery(tmp_path / name / "images", frozenset())
        pictures.write({"c/_case.npz": encode_case(case), "c/m.npz": encode_image(shade, "m", version)})
    for order in ("ab", "ba", "ac", "ca"):
        merge_runs([tmp_path / name for name in order], tmp_path / order)
        read = open_run(tmp_path / order)
        assert read.rows[["method_hash", "evidence"]].values.tolist() == [["1", "run here"]]
        assert (read.cards["m"]["title"], read.hosts["h"]["cpu"]) == ("M of a", "of a")
        assert (load_image(tmp_path / order / "images/c/m.npz")[0] == ord("a")).all()
        assert (load_case(tmp_path / order / "images/c/_case.npz").truth == ord("a")).all()


@pytest.mark.parametrize(
    ("here", "there", "counts"),
    [
        ({"x": "ok", "y": "ok"}, {"x": "unavailable", "y": "unavailable"}, "1"),
        ({"x": "error", "y": "error"}, {"x": "ok", "y": "unavailable"}, "2"),
        ({"x": "ok", "y": "error"}, {"x": "ok", "y": "ok"}, "2"),
        ({"x": "ok"}, {"x": "ok"}, "2"),
        ({"x": "ok", "y": "ok"}, {"x": "ok", "y": "error"}, "1"),
    ],
)
def test_a_version_with_more_results_counts_before_one_that_is_named_later(tmp_path, tiny, here, there, counts):
    for name, version, states in (("a", "1", here), ("b", "2", there)):
        rows = [row(tiny, case=case, status=status, method_hash=version) for case, status in states.items()]
        fill(tmp_path / name, tiny, *rows).write_method("m", {"method_hash": version})
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert set(open_run(tmp_path / "c").rows["method_hash"]) == {counts}


def test_a_method_that_was_only_reported_and_on_other_cases_is_kept_and_told_of(tmp_path, tiny):
    fill(tmp_path / "a", tiny, *(row(tiny, "li", f"c{number}") for number in range(10)))
    fill(tmp_path / "b", tiny, *(row(tiny, "y", f"d{number}", evidence="reported") for number in range(2)))
    (note,) = merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert note.startswith("In its report: 2 rows of y, only reported, left out")
    assert set(open_run(tmp_path / "c").rows["method"]) == {"li", "y"}


def test_runs_are_reported_as_the_one_that_they_are_merged_into(tmp_path, tiny):
    draw = random.Random(0)
    for number in range(20):
        names = [f"{number}{end}" for end in "abc"]
        for name in names:
            evidence = draw.choice(["run here", "recomputed from images", "reported"])
            # Of each case something is known.
            rows = [row(tiny, "none", case, host_id=name) for case in "xyz"]
            for method in "mn":
                version = draw.choice("12")
                told = {"method_hash": version, "evidence": evidence, "host_id": name, "attempt": draw.choice([1, 2])}
                for case in "xyz":
                    status = draw.choice(["ok", "ok", "error", "unavailable"])
                    rows.append(row(tiny, method, case, status=status, **told))
            store = fill(tmp_path / name, tiny, *rows)
            for one in rows:
                store.write_method(one.method, {"method_hash": one.method_hash, "title": name})
        draw.shuffle(names)
        runs = [open_run(tmp_path / name) for name in names]
        merge_runs([tmp_path / name for name in names], tmp_path / f"{number}")
        (beside,), (merged,) = gather(runs), gather([open_run(tmp_path / f"{number}")])
        pd.testing.assert_frame_equal(beside.rows, merged.rows)
        assert (beside.versions, beside.cards) == (merged.versions, merged.cards)


def refusal(tmp_path: Path) -> str:
    with pytest.raises(StoreError) as raised:
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name not in ("a", "b")) == []
    return str(raised.value)


def test_runs_of_another_benchmark_are_refused_by_what_differs(tmp_path, tiny):
    fill(tmp_path / "a", tiny, row(tiny))
    changed = other(tiny, seed=5, physics={**tiny.physics.model_dump(), "photons": 1e5})
    fill(tmp_path / "b", changed, row(changed))
    assert "it differs in seed, physics.photons" in refusal(tmp_path)


def test_runs_of_other_data_are_refused(tmp_path, tiny):
    for name, digit in (("a", "a"), ("b", "b")):
        spec = other(tiny, anatomy={"source": "dicom", "data": digit * 64})
        fill(tmp_path / name, spec, row(spec))
    assert "its CT slices are others (digest bbbbbbbbbbbb, not aaaaaaaaaaaa)" in refusal(tmp_path)


def test_runs_of_another_protocol_are_refused(tmp_path, tiny):
    for name in "ab":
        fill(tmp_path / name, tiny, row(tiny))
    path = tmp_path / "b" / "spec.toml"
    text = path.read_text()
    path.write_text(text.replace(f"# marbench protocol 1, hash {tiny.hash}", f"# marbench protocol 1, hash {'a' * 64}"))
    assert "was filled under the hash aaaaaaaaaaaa" in refusal(tmp_path)
    path.write_text(text.replace("# marbench protocol 1, hash ", "# marbench protocol 0, hash a"))
    assert "was filled under protocol 0, and this marbench has 1" in refusal(tmp_path)


def test_rows_whose_cases_are_others_are_refused(tmp_path, tiny):
    for name, digest in zip("ab", DIGESTS, strict=True):
        fill(tmp_path / name, tiny, row(tiny, name, case_digest=digest))
    said = refusal(tmp_path)
    assert f"The cases in {tmp_path / 'b'} were computed on other data" in said


def test_what_is_no_run_and_what_is_there_already_is_refused(tmp_path, tiny):
    fill(tmp_path / "a", tiny, row(tiny))
    with pytest.raises(StoreError, match="holds no results"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    with pytest.raises(StoreError, match="two runs at least"):
        merge_runs([tmp_path / "a"], tmp_path / "c")
    with pytest.raises(StoreError, match="is there already"):
        merge_runs([tmp_path / "a", tmp_path / "a"], tmp_path / "a")
    (tmp_path / "empty").mkdir()
    merge_runs([tmp_path / "a", tmp_path / "a"], tmp_path / "empty")
    assert len(open_run(tmp_path / "empty").rows) == 1


def test_a_full_disk_leaves_nothing(tmp_path, tiny, monkeypatch):
    for name in "ab":
        fill(tmp_path / name, tiny, row(tiny, name)).write_host("h", {"cpu": "x"})
    written = []

    def full(path: Path, content: bytes, durable: bool = True) -> None:
        written.append(path)
        if len(written) == 3:
            raise StoreError("No space left")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    monkeypatch.setattr(merge, "write_atomically", full)
    assert refusal(tmp_path) == "No space left"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_merge_leaves_no_folder_and_can_be_repeated(tmp_path, tiny, number):
    for name in "ab":
        fill(tmp_path / name, tiny, row(tiny, name)).write_host("h", {"cpu": "x"})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.results.merge"])
    process = context.Process(target=merge_slowly, args=(tmp_path,))
    process.start()
    while not list(tmp_path.glob(".c.*/spec.toml")):
        time.sleep(0.02)
    os.kill(int(str(process.pid)), number)
    process.join()
    assert process.exitcode != 0 and not (tmp_path / "c").exists()
    assert number == signal.SIGKILL or not list(tmp_path.glob(".c.*"))
    merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert len(open_run(tmp_path / "c").rows) == 2


def test_the_command_says_what_it_put_together(tmp_path, tiny):
    for name in "ab":
        fill(tmp_path / name, tiny, row(tiny, name))
    arguments = ["merge", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0 and "2 results of 2 methods on 1 cases" in result.output
    assert CliRunner().invoke(main, arguments).exit_code == 2
