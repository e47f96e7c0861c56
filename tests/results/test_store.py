import errno
import json
import multiprocessing
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filled import claim, fill, keep_commands, row
from running import Notes, run, table

from marbench.errors import StoreError
from marbench.machine.files import safe_name, write_atomically
from marbench.results.rows import TimingRow, metric_names
from marbench.results.store import Store, open_run
from marbench.spec import PROTOCOL, Spec, builtin_specs, load_spec
from marbench.spec_file import spec_toml


@pytest.mark.parametrize("name", builtin_specs())
def test_the_spec_of_a_folder_is_the_spec_of_the_run(name, tmp_path):
    spec = load_spec(name)
    path = tmp_path / "spec.toml"
    path.write_text(spec_toml(spec), encoding="utf-8")
    assert load_spec(path) == spec


def test_of_the_place_of_ct_data_nothing_is_published_and_a_digest_stands_for_them(tmp_path, tiny):
    anatomy = {"source": "dicom", "path": "/home/jane/scans", "data": "0" * 64}
    spec = Spec.model_validate({**tiny.model_dump(by_alias=True), "anatomy": anatomy})
    (tmp_path / "spec.toml").write_text(spec_toml(spec), encoding="utf-8")
    assert "jane" not in spec_toml(spec) and "scans" not in spec_toml(spec)
    assert load_spec(tmp_path / "spec.toml").hash == spec.hash


def test_a_folder_of_other_ct_data_is_refused_by_name(tmp_path, tiny):
    def spec(digit: str) -> Spec:
        anatomy = {"source": "dicom", "data": digit * 64}
        return Spec.model_validate({**tiny.model_dump(by_alias=True), "anatomy": anatomy})

    Store(tmp_path, spec("a")).prepare()
    with pytest.raises(StoreError, match=r"its CT slices are others \(digest aaaaaaaaaaaa there, bbbbbbbbbbbb here\)"):
        Store(tmp_path, spec("b"))


def test_rows_come_back_as_they_were_and_metrics_are_nan_where_there_is_none(tmp_path, tiny):
    scores = dict(zip(metric_names(tiny.metrics.conventions), np.arange(5.0), strict=True))
    fill(tmp_path, tiny, row(tiny, case="a", scores=scores), row(tiny, case="b", status="error", message="ä: \x00 ‘"))
    rows = open_run(tmp_path).rows.set_index("case_id")
    assert rows.loc["a", list(scores)].to_dict() == scores
    assert rows.loc["b", list(scores)].isna().all()
    assert rows.loc["b", "message"] == "ä: \N{REPLACEMENT CHARACTER} ‘"  # nothing that a terminal would act upon
    assert all(rows[name].dtype == np.float64 for name in scores)


def test_an_empty_run_has_all_columns(tmp_path, tiny):
    fill(tmp_path, tiny)
    read = open_run(tmp_path)
    assert len(read.rows) == len(read.timings) == 0
    assert {"method", "status", *metric_names(tiny.metrics.conventions)} <= set(read.rows.columns)


def test_the_newest_attempt_counts_and_a_success_before_all(tmp_path, tiny):
    fill(tmp_path, tiny, row(tiny, case="a", status="error", attempt=1), row(tiny, case="b", status="error", attempt=1))
    fill(tmp_path, tiny, row(tiny, case="a", seconds=1.0, attempt=2), row(tiny, case="b", status="oom", attempt=2))
    fill(tmp_path, tiny, row(tiny, case="a", status="timeout", attempt=3))
    rows = open_run(tmp_path).rows
    assert rows[["case_id", "status", "attempt"]].values.tolist() == [["a", "ok", 2], ["b", "oom", 2]]


def test_what_was_run_here_counts_before_what_is_only_said(tmp_path, tiny):
    for attempt, evidence in enumerate(("run here", "recomputed from images", "reported"), 1):
        fill(tmp_path, tiny, row(tiny, case="a", evidence=evidence, attempt=attempt))
    fill(tmp_path, tiny, row(tiny, case="b", status="error"), row(tiny, case="b", evidence="reported"))
    rows = open_run(tmp_path).rows
    assert rows[["case_id", "status", "evidence"]].values.tolist() == [["a", "ok", "run here"], ["b", "ok", "reported"]]


def test_the_version_on_the_card_counts_and_without_a_card_the_newest(tmp_path, tiny):
    store = fill(tmp_path, tiny, row(tiny, method_hash="1"), row(tiny, method_hash="2"))
    assert open_run(tmp_path).rows["method_hash"].tolist() == ["2"]
    store.write_method("m", {"method_hash": "1", "name": "m"})
    read = open_run(tmp_path)
    assert read.rows["method_hash"].tolist() == ["1"]
    assert read.cards["m"]["name"] == "m"


@pytest.mark.parametrize(
    ("before", "now", "counts"), [("ok", "unavailable", "1"), ("ok", "error", "2"), ("error", "unavailable", "2")]
)
def test_a_version_of_which_nothing_ran_hides_no_results(tmp_path, tiny, before, now, counts):
    store = fill(tmp_path, tiny, row(tiny, method_hash="1", status=before), row(tiny, method_hash="2", status=now))
    store.write_method("m", {"method_hash": "2"})
    assert open_run(tmp_path).rows["method_hash"].tolist() == [counts]
    assert store.run({"m": "2"}).rows["status"].tolist() == [now]  # whoever asks for that version


def test_whether_a_version_before_an_idle_one_is_complete_the_cases_of_all_methods_tell(tmp_path, tiny):
    rows = [row(tiny, "n", "z"), row(tiny, case="x", method_hash="1")]
    rows += [row(tiny, case=case, method_hash="2", evidence="reported") for case in "xy"]
    store = fill(tmp_path, tiny, *rows, row(tiny, case="x", method_hash="3", status="unavailable"))
    store.write_method("m", {"method_hash": "3"})
    read = open_run(tmp_path).rows
    assert set(read.loc[read["method"] == "m", "method_hash"]) == {"1"}


def test_unusable_files_are_named_and_left_alone_and_cost_no_other_rows(tmp_path, tiny):
    fill(tmp_path, tiny, row(tiny, case="a"))
    results = tmp_path / "results"
    whole = next(results.glob("*.parquet")).read_bytes()
    other = Spec.model_validate({**tiny.model_dump(by_alias=True), "seed": 1})
    fill(tmp_path / "other", other, row(other, case="z"))
    foreign = next((tmp_path / "other" / "results").glob("*.parquet")).read_bytes()
    (results / "other.parquet").write_bytes(foreign)
    (results / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (results / "empty.parquet").write_bytes(b"")
    (results / "folder.parquet").mkdir()
    pq.write_table(pa.table({"method": ["li"], "status": ["ok"]}), results / "plain.parquet")
    claims = pa.table({"method": ["li"]}).replace_schema_metadata(
        {"marbench": json.dumps({"kind": "results", "spec_hash": tiny.hash, "created": 1})}
    )
    pq.write_table(claims, results / "columns.parquet")
    (results / "notes.txt").write_text("mine")
    before = sorted(path.name for path in results.iterdir())
    read = open_run(tmp_path)
    assert read.rows["case_id"].tolist() == ["a"]
    for name, why in {
        "other": "another benchmark",
        "cut": "skipped",
        "empty": "skipped",
        "folder": "skipped",
        "plain": "not written by marbench",
        "columns": "expected the column",
    }.items():
        assert any(f"{name}.parquet" in problem and why in problem for problem in read.problems), (name, read.problems)
    assert len(read.problems) == 6
    assert sorted(path.name for path in results.iterdir()) == before


def test_rows_of_a_corrupt_file_are_computed_again(tmp_path, tiny):
    reference = run(tiny, tmp_path, limit=4).rows
    part = next((tmp_path / "results").glob("*.parquet"))
    lost = pq.read_metadata(part).num_rows
    part.write_bytes(part.read_bytes()[:100])
    notes = Notes()
    finished = run(tiny, tmp_path, limit=4, progress=notes)
    assert finished.new == lost > 0
    assert part.name in notes.notes[0]
    pd.testing.assert_frame_equal(table(finished.rows), table(reference))


def test_a_folder_of_another_benchmark_is_refused(tmp_path, tiny):
    fill(tmp_path, tiny)
    with pytest.raises(StoreError, match=r"holds results of the benchmark 'tiny' \(hash .*another --out"):
        Store(tmp_path, load_spec("mini"))


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("# marbench protocol 0, hash a", "was filled under protocol 0, and this marbench has 1"),
        ("# marbench protocol 1, hash a", "was filled under the hash a"),
        ("# by hand", ""),
    ],
)
def test_a_folder_of_an_older_protocol_or_of_older_tables_is_refused(tmp_path, tiny, stated, told):
    fill(tmp_path, tiny)
    path = tmp_path / "spec.toml"
    path.write_text(path.read_text().replace("# marbench protocol 1, hash ", stated))
    if not told:
        Store(tmp_path, tiny)
        return
    with pytest.raises(StoreError, match=rf"{told}.*Choose another --out"):
        Store(tmp_path, tiny)


def test_a_file_in_place_of_the_folder_is_refused_before_any_work(tmp_path, tiny):
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        run(tiny, tmp_path / "out")
    with pytest.raises(StoreError, match="cannot be written"):
        run(tiny, tmp_path / "out" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_is_refused_before_any_work(tmp_path, tiny):
    tmp_path.chmod(0o500)
    notes = Notes()
    with pytest.raises(StoreError, match="mend the permissions"):
        run(tiny, tmp_path / "out", progress=notes)
    assert notes.stretches == {}


def test_a_full_disk_says_so_keeps_what_is_there_and_the_rest_follows_later(tmp_path, tiny, monkeypatch):
    kept = run(tiny, tmp_path, limit=4).rows
    fsync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        run(tiny, tmp_path, limit=8)
    monkeypatch.setattr(os, "fsync", fsync)
    assert not list(tmp_path.rglob(".*"))  # nothing half written is left
    read = open_run(tmp_path)
    assert read.problems == []
    pd.testing.assert_frame_equal(table(read.rows), table(kept))
    assert len(run(tiny, tmp_path, limit=8).rows) == 8


def test_an_atomic_write_replaces_the_whole_file(tmp_path):
    path = tmp_path / "a" / "b.bin"
    for content in (b"long content", b"short"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_safe_names_are_safe_and_tell_labels_apart():
    labels = ["li", "nmar[prior=raw]", "nmar[prior_raw]", "nmar_prior_raw_", "a/b", "a\\b", "../x", "ä", "a b"]
    names = [safe_name(label) for label in labels]
    assert len(set(names)) == len(labels)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") for name in names)
    assert safe_name("li") == "li"


def test_a_folder_without_a_run_says_how_to_make_one(tmp_path):
    with pytest.raises(StoreError, match="marbench run --out"):
        open_run(tmp_path)


def test_a_run_is_read_as_a_table_with_documented_columns(tmp_path, tiny):
    import marbench

    fill(tmp_path, tiny, row(tiny, case="a", scores={"rmse_hu": 1.0}), row(tiny, case="b", status="error"))
    rows = marbench.read_run(tmp_path)
    assert isinstance(rows, pd.DataFrame)
    pd.testing.assert_frame_equal(rows, open_run(tmp_path).rows)
    documented = str(marbench.read_run.__doc__)
    assert all(name in documented for name in rows.columns if "[" not in name)
    (tmp_path / "results" / "odd.parquet").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"odd\.parquet is skipped"):
        marbench.read_run(str(tmp_path))


def test_timings_of_a_method_without_rows_are_there(tmp_path, tiny):
    timing = {"preset": "", "case_id": "c", "repeat": 0, "seconds": 1.0, "peak_mb": 1.0, "parameters": None}
    timing |= {"device": "cpu", "device_name": "A CPU", "threads": 2, "host_id": "h"}
    store = fill(tmp_path, tiny, row(tiny, "li", method_hash="1"))
    for method, version in (("li", "1"), ("li", "0"), ("nmar", "5"), ("nmar", "6")):
        store.add_timings([TimingRow(tiny.hash, PROTOCOL, method, version, **timing)])
    found = open_run(tmp_path).timings
    assert set(zip(found["method"], found["method_hash"], strict=True)) == {("li", "1"), ("nmar", "6")}
    store.write_method("nmar", {"method_hash": "5"})
    found = open_run(tmp_path).timings
    assert set(zip(found["method"], found["method_hash"], strict=True)) == {("li", "1"), ("nmar", "5")}


def test_the_newest_timing_on_a_machine_counts(tmp_path, tiny):
    store = fill(tmp_path, tiny)
    common = {"preset": "", "repeat": 0, "peak_mb": 1.0, "parameters": None, "device_name": "A CPU", "threads": 2}
    for seconds, device, host in ((1.0, "cpu", "h"), (2.0, "cuda", "h"), (3.0, "cpu", "i"), (4.0, "cpu", "h")):
        told = {**common, "seconds": seconds, "device": device, "host_id": host}
        store.add_timings([TimingRow(tiny.hash, PROTOCOL, "li", "1", case_id=case, **told) for case in "ab"])
    assert open_run(tmp_path).timings["seconds"].tolist() == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]


def test_of_two_processes_that_claim_a_folder_for_two_benchmarks_one_is_told(tmp_path, tiny):
    other = Spec.model_validate({**tiny.model_dump(by_alias=True), "seed": 1})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.results.store"])
    for number in range(3):
        folder, barrier = tmp_path / str(number), context.Barrier(2)
        processes = [context.Process(target=claim, args=(str(folder), spec, barrier)) for spec in (tiny, other)]
        for process in processes:
            process.start()
        codes = [process.join(60) or process.exitcode for process in processes]
        assert sorted(codes) == [0, 3]
        assert open_run(folder).spec.hash == (tiny if codes[0] == 0 else other).hash


def test_a_row_that_took_long_is_written_at_once_and_one_that_did_not_with_others(tmp_path, tiny):
    store = Store(tmp_path, tiny)
    store.prepare()
    store.add(row(tiny, case="quick", seconds=0.1))
    assert open_run(tmp_path).rows.empty
    store.add(row(tiny, case="slow", seconds=3600.0))
    assert set(open_run(tmp_path).rows["case_id"]) == {"quick", "slow"}


def test_a_command_is_kept_once_it_has_brought_something(tmp_path, tiny):
    store = Store(tmp_path, tiny)
    store.prepare()
    store.write_command("marbench run --methods li")
    assert open_run(tmp_path).commands == []
    store.add(row(tiny))
    store.flush()
    assert open_run(tmp_path).commands == ["marbench run --methods li"]
    fill(tmp_path, tiny)
    assert open_run(tmp_path).commands == ["marbench run --methods li"]


def test_of_processes_that_share_a_folder_all_commands_are_kept(tmp_path, tiny):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.results.store"])
    barrier = context.Barrier(6)
    processes = [context.Process(target=keep_commands, args=(str(tmp_path), tiny, n, barrier)) for n in range(6)]
    for process in processes:
        process.start()
    assert [process.join(60) or process.exitcode for process in processes] == [0] * 6
    assert sorted(open_run(tmp_path).commands) == sorted(f"marbench run {n} {m}" for n in range(6) for m in range(5))
    assert not list(tmp_path.glob(".*"))


def test_rows_with_text_that_no_file_can_hold_are_stored_all_the_same(tmp_path, tiny):
    fill(tmp_path, tiny, row(tiny, status="error", message=os.fsdecode(b"\xff: no such file")))
    assert open_run(tmp_path).rows["message"].tolist() == ["\N{REPLACEMENT CHARACTER}: no such file"]
