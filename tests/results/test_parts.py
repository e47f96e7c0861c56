"""Merging parts: the rows stay the same, whatever else happens in the folder at that moment."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filled import fill, row, write_parts

from marbench.results import parts
from marbench.results.part_file import encode, read_pieces, table_of
from marbench.results.parts import MANY, read_parts, write_part
from marbench.results.store import Store, open_run
from marbench.spec import Spec

KILLS = int(os.environ.get("MARBENCH_TEST_KILLS", "5"))


def merge_for_ever(folder: str, spec_hash: str) -> None:
    parts.MANY = 3
    while True:
        read_parts(Path(folder) / "results", "results", spec_hash, merge=True)


def add_for_ever(folder: str, spec: Spec, name: str) -> None:
    """Add rows; every row that is safely written is named in a file of this process's own."""
    with (Path(folder) / f"written-{name}").open("a") as written:
        for number in range(10_000):
            case = f"{name}-{number}"
            write_part(Path(folder) / "results", "results", spec.hash, [row(spec, case=case).record()])
            written.write(f"{case}\n")
            written.flush()
            time.sleep(0.002)


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.results.store"])
    return context


def rows_of(folder: Path, spec: Spec, **options: bool) -> pd.DataFrame:
    read = read_parts(folder / "results", "results", spec.hash, **options)
    assert read.problems == []
    return read.table


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "results").iterdir())


def visible_files_of(folder: Path) -> list[str]:
    return [name for name in files_of(folder) if name.endswith(".parquet") and name[0] != "."]


@pytest.mark.parametrize("merging", [False, True])
def test_what_is_written_after_the_clock_was_put_back_is_newer_all_the_same(tmp_path, tiny, monkeypatch, merging):
    now = time.time_ns()
    fill(tmp_path, tiny, row(tiny, seconds=1.0))
    (tmp_path / "results" / f"{2**63 - 1}-foreign.parquet").touch()  # no time to write after
    monkeypatch.setattr(time, "time_ns", lambda: now - 2 * 3600 * 10**9)
    if merging:
        monkeypatch.setattr(parts, "MANY", 0)
        read_parts(tmp_path / "results", "results", tiny.hash, merge=True)
    fill(tmp_path, tiny, row(tiny, seconds=2.0))
    assert open_run(tmp_path).rows["seconds"].tolist() == [2.0]


def test_many_parts_become_one_and_the_rows_stay_in_their_order(tmp_path, tiny):
    cases = [f"c{number:03d}" for number in random.Random(1).sample(range(100), 100)]
    write_parts(tmp_path, tiny, cases)
    write_part(
        tmp_path / "results", "results", tiny.hash, [row(tiny, case="last", scores={"rmse_hu": 1.5}).record()] * 2
    )
    before = rows_of(tmp_path, tiny)
    assert before["case_id"].tolist() == [*cases, "last", "last"]
    assert len(files_of(tmp_path)) == 101
    pd.testing.assert_frame_equal(rows_of(tmp_path, tiny, merge=True), before)
    assert len(files_of(tmp_path)) == 1
    pd.testing.assert_frame_equal(rows_of(tmp_path, tiny), before)


def test_few_parts_are_left_alone(tmp_path, tiny):
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY)])
    before = files_of(tmp_path)
    rows_of(tmp_path, tiny, merge=True)
    assert files_of(tmp_path) == before


def test_merged_parts_are_merged_again_and_rows_that_came_between_keep_their_place(tmp_path, tiny):
    write_parts(tmp_path, tiny, [f"a{number}" for number in range(MANY)])
    piece = write_part(tmp_path / "results", "results", tiny.hash, [row(tiny, case="early").record()])
    early = tmp_path / "results" / piece.name
    content = early.read_bytes()
    early.unlink()  # another machine's, not to be seen here yet
    write_parts(tmp_path, tiny, [f"b{number}" for number in range(9)])
    rows_of(tmp_path, tiny, merge=True)
    assert len(files_of(tmp_path)) == 1
    early.write_bytes(content)
    expected = [*(f"a{n}" for n in range(MANY)), "early", *(f"b{n}" for n in range(9))]
    assert rows_of(tmp_path, tiny)["case_id"].tolist() == expected
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY)])
    assert rows_of(tmp_path, tiny, merge=True)["case_id"].tolist() == [*expected, *(f"c{n}" for n in range(MANY))]
    assert len(files_of(tmp_path)) == 1


def test_a_kill_between_writing_and_removing_doubles_nothing(tmp_path, tiny, monkeypatch):
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY + 1)])
    before = rows_of(tmp_path, tiny)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("killed")))
    rows_of(tmp_path, tiny, merge=True)
    monkeypatch.undo()
    assert len(files_of(tmp_path)) == MANY + 2
    pd.testing.assert_frame_equal(rows_of(tmp_path, tiny), before)
    pd.testing.assert_frame_equal(rows_of(tmp_path, tiny, merge=True), before)
    assert len(files_of(tmp_path)) == 1


@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (parts, "read_file")])
def test_nothing_is_removed_where_the_merged_part_cannot_be_written_or_read(tmp_path, tiny, monkeypatch, module, name):
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY + 1)])
    before, names = rows_of(tmp_path, tiny), files_of(tmp_path)
    monkeypatch.setattr(module, name, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    pd.testing.assert_frame_equal(rows_of(tmp_path, tiny, merge=True), before)
    assert files_of(tmp_path) == names


def test_files_that_cannot_be_used_survive_a_merge(tmp_path, tiny):
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY + 1)])
    (tmp_path / "results" / "foreign.parquet").write_bytes(b"mine")
    read = read_parts(tmp_path / "results", "results", tiny.hash, merge=True)
    assert len(read.table) == MANY + 1
    assert "foreign.parquet" in files_of(tmp_path) and len(files_of(tmp_path)) == 2


def test_rows_that_are_left_out_survive_a_merge(tmp_path, tiny):
    """What one release cannot use, another may."""
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY)])
    write_part(tmp_path / "results", "results", tiny.hash, [row(tiny, case="new", status="new status").record()])
    told = [read_parts(tmp_path / "results", "results", tiny.hash, merge=True).problems for _ in range(2)]
    assert len(files_of(tmp_path)) == 1
    assert told[0] == told[1] and "new status" in told[0][0]


def test_processes_that_merge_add_and_are_killed_lose_nothing_and_double_nothing(tmp_path, tiny, forks):
    """Two mergers and two writers at once; one of them is killed at a time, again and again."""
    fill(tmp_path, tiny)
    jobs = [(merge_for_ever, (str(tmp_path), tiny.hash)), (merge_for_ever, (str(tmp_path), tiny.hash))]
    jobs += [(add_for_ever, (str(tmp_path), tiny, name)) for name in ("x", "y")]
    dice = random.Random(3)
    running = [forks.Process(target=target, args=arguments) for target, arguments in jobs]
    for process in running:
        process.start()
    deaths, seen = 0, set()
    try:
        while deaths < KILLS or len(seen) < 30:
            time.sleep(dice.uniform(0.02, 0.25))
            victim = dice.randrange(2)  # a merger
            running[victim].kill()
            running[victim].join()
            assert running[victim].exitcode == -signal.SIGKILL
            deaths += 1
            target, arguments = jobs[victim]
            running[victim] = forks.Process(target=target, args=arguments)
            running[victim].start()
            written = {case for path in tmp_path.glob("written-*") for case in path.read_text().split()}
            rows = rows_of(tmp_path, tiny)["case_id"].tolist()
            assert len(rows) == len(set(rows)), "a row is there twice"
            assert written <= set(rows), "a row is lost"
            seen |= written
    finally:
        for process in running:
            process.kill()
            process.join()
    # Kills of writers may leave hidden halves; no reader takes them for parts.
    before = len(visible_files_of(tmp_path))
    rows = rows_of(tmp_path, tiny, merge=True)["case_id"].tolist()
    assert seen <= set(rows) and len(rows) == len(set(rows))
    assert len(visible_files_of(tmp_path)) == (1 if before > MANY else before)


def test_a_run_that_starts_on_many_parts_leaves_few(tmp_path, tiny):
    store = fill(tmp_path, tiny)
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY + 1)])
    assert len(store.stored()[0]) == MANY + 1
    assert len(files_of(tmp_path)) == 1
    write_parts(tmp_path, tiny, [f"d{number}" for number in range(MANY + 1)])
    assert len(store.run().rows) == 2 * MANY + 2
    assert len(files_of(tmp_path)) == 1


def test_a_long_run_merges_its_own_parts_on_the_way(tmp_path, tiny):
    store = fill(tmp_path, tiny)
    for number in range(3 * MANY):
        store.add(row(tiny, case=f"c{number}"))
        store.flush()
    assert len(files_of(tmp_path)) == 3
    assert rows_of(tmp_path, tiny)["case_id"].tolist() == [f"c{number}" for number in range(3 * MANY)]


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path, tiny):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    write_parts(tmp_path, tiny, [f"c{number}" for number in range(MANY + 1)])
    fill(tmp_path, tiny)
    (tmp_path / "results").chmod(0o500)
    assert len(Store(tmp_path, tiny).stored()[0]) == MANY + 1


@pytest.mark.parametrize(
    "about",
    [
        None,
        [],
        "text",
        {},
        {"kind": "results"},
        {"kind": "results", "spec_hash": None, "created": 1},
        {"kind": "results", "spec_hash": "HASH", "created": "yesterday"},
        {"kind": "results", "spec_hash": "HASH", "created": True},
        {"kind": "results", "spec_hash": "HASH", "created": 2**70},
        {"kind": ["results"], "spec_hash": "HASH", "created": 1},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": "many"},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["a.parquet", 1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["a.parquet", 1, -1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["a.parquet", 1, 7]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [[None, 1, 1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["../spec.toml", 1, 1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["/home/me/a.parquet", 1, 1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["..\\a.parquet", 1, 1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": [["notes.txt", 1, 1]]},
        {"kind": "results", "spec_hash": "HASH", "created": 1, "pieces": 3},
    ],
    ids=str,
)
def test_a_part_that_tells_nonsense_of_itself_is_named_and_left_alone(tmp_path, tiny, about):
    fill(tmp_path, tiny, row(tiny, case="good"))
    table = table_of("results", [row(tiny).record()])
    text = json.dumps(about).replace("HASH", tiny.hash)
    pq.write_table(table.replace_schema_metadata({"marbench": text}), tmp_path / "results" / "odd.parquet")
    read = read_parts(tmp_path / "results", "results", tiny.hash, merge=True)
    assert read.table["case_id"].tolist() == ["good"]
    (problem,) = read.problems
    assert "odd.parquet" in problem
    assert (tmp_path / "results" / "odd.parquet").is_file()


def test_a_flipped_bit_anywhere_is_seen_or_changes_nothing(tmp_path, tiny):
    path = fill(tmp_path, tiny, *(row(tiny, case=f"c{n}", scores={"rmse_hu": n / 7}) for n in range(20)))
    (path,) = (tmp_path / "results").glob("*.parquet")
    whole, reference = path.read_bytes(), rows_of(tmp_path, tiny)
    dice = random.Random(5)
    wrong = 0
    for _ in range(150):
        at = dice.randrange(len(whole) * 8)
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(bytes(damaged))
        read = read_parts(tmp_path / "results", "results", tiny.hash)
        if not read.problems and not read.table.equals(reference):
            # Names of measures and the time of creation stand in the footer, which has no checksum.
            columns = [name for name in reference if name in read.table]
            wrong += not read.table[columns].equals(reference[columns]) or len(columns) < len(reference.columns) - 1
    assert wrong == 0


def test_a_few_bytes_that_claim_to_be_gigabytes_are_refused(tmp_path, tiny):
    """A text of a megabyte a hundred thousand times: small on disk, since it is stored once."""
    record = row(tiny, message="x" * 1_000_000).record()
    table = table_of("results", [record])
    names = table.column_names
    indices = pa.array([0] * 100_000, pa.int32())
    columns = [
        pa.DictionaryArray.from_arrays(indices, table[name].combine_chunks())
        if pa.types.is_string(table[name].type)
        else table[name].combine_chunks().take(indices)
        for name in names
    ]
    about = json.dumps({"kind": "results", "spec_hash": tiny.hash, "created": 1})
    bomb = pa.table(columns, names=names)
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "bomb.parquet"
    pq.write_table(bomb.replace_schema_metadata({"marbench": about}), path, store_schema=True, compression="zstd")
    assert path.stat().st_size < 10_000_000
    # The Arrow schema would say that texts are dictionaries, which is refused by its type; Parquet alone does not.
    metadata = pq.read_metadata(path)
    assert metadata.num_rows == 100_000
    read = read_parts(tmp_path / "results", "results", tiny.hash)
    assert read.table.empty and "bomb.parquet" in read.problems[0]


def test_a_merged_part_reads_as_the_pieces_that_it_was_made_of(tmp_path, tiny):
    pieces = []
    for number in range(3):
        rows = [row(tiny, case=f"c{number}").record()] * number
        written = write_part(tmp_path / "results", "results", tiny.hash, rows)
        pieces += read_pieces(tmp_path / "results" / written.name, "results", tiny.hash)
    table = pa.concat_tables([piece.table for piece in pieces])
    merged = tmp_path / "merged.parquet"
    merged.write_bytes(encode("results", tiny.hash, 9, table, pieces))
    again = read_pieces(merged, "results", tiny.hash)
    assert [(piece.name, piece.created) for piece in again] == [(piece.name, piece.created) for piece in pieces]
    for one, other in zip(again, pieces, strict=True):
        pd.testing.assert_frame_equal(one.table.to_pandas(), other.table.to_pandas())
