"""A run that is continued: what was in flight, what other data are, what is forced."""

import fcntl
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import run, table

from marbench.bench.campaign import prepare
from marbench.bench.options import RunOptions
from marbench.bench.plan import Shard
from marbench.cases.placement import Pose
from marbench.cases.suite import Suite
from marbench.errors import MethodError, StoreError
from marbench.method.request import parse_methods
from marbench.results.inflight import InFlight, forget_unfinished, unfinished
from marbench.results.part_file import table_of_frame
from marbench.results.parts import write_part
from marbench.results.pictures import load_image
from marbench.results.rows import Key
from marbench.results.store import Store, open_run


def leave_behind(folder, key, times):
    """Leave what processes leave that were killed during a call."""
    (folder / "running").mkdir(parents=True, exist_ok=True)
    for number in range(times):
        (folder / "running" / f"{number}.json").write_text(json.dumps([[key.method, key.method_hash, key.case_id]]))


def test_calls_in_flight_are_on_disk_while_their_process_lives_and_are_told_once_it_does_not(tmp_path):
    key, other = Key("a", "1", "c"), Key("b", "2", "c")
    with InFlight(tmp_path) as calls:
        calls.begin(key)
        calls.begin(other)
        calls.end(key)
        calls.begin(Key("b", "2", "d"))
        assert unfinished(tmp_path) == Counter()  # it is alive
    assert not (tmp_path / "running").exists()  # and it ended in order
    code = "import os, sys; from pathlib import Path; from marbench.results.inflight import InFlight, Key\n"
    code += "calls = InFlight(Path(sys.argv[1])).__enter__(); done = Key('a', '1', 'd')\n"
    code += "calls.begin(Key('a', '1', 'c')); calls.begin(done); calls.end(done); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert unfinished(tmp_path) == Counter({key: 1})
    forget_unfinished(tmp_path, {"a"}, {"c"})
    assert unfinished(tmp_path) == Counter()


def test_a_run_that_begins_is_recorded_though_others_end_at_that_moment(tmp_path, monkeypatch):
    make, lock, ends = Path.mkdir, fcntl.flock, [True, True]

    def mkdir(path, *arguments, **options):
        make(path, *arguments, **options)
        if ends and ends.pop():
            path.rmdir()

    def flock(file, how):
        if how == fcntl.LOCK_EX and ends and ends.pop():
            forget_unfinished(tmp_path, set(), set())
        lock(file, how)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(fcntl, "flock", flock)
    with InFlight(tmp_path):
        assert len(list((tmp_path / "running").iterdir())) == 1
    assert ends == [] and not (tmp_path / "running").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[[1]]", b"[[[],[],[]]]", b"\xff", b"null", b'{"a": 1}'])
def test_files_of_calls_that_are_damaged_are_passed_over(tmp_path, content):
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / "x.json").write_bytes(content)
    assert sum(unfinished(tmp_path).values()) <= 1


def test_a_method_during_whose_call_a_run_ended_gets_a_process_and_crashes_alone(tmp_path, tiny, plugin):
    # Inline it would end this very test.
    folder = plugin("deadly", "import os\nos._exit(1)")
    (fitted,) = (request.for_spec(tiny) for request in parse_methods("deadly", [folder]))
    case = Suite(tiny).case_keys[0].case_id
    leave_behind(tmp_path / "out", Key("deadly", fitted.hash, case), 1)
    rows = run(tiny, tmp_path / "out", "deadly,none", folder, limit=2, isolation="inline").rows
    assert rows.groupby("method")["status"].unique().map(list).to_dict() == {"deadly": ["crashed"], "none": ["ok"]}
    assert not (tmp_path / "out" / "running").exists()


def test_a_call_during_which_runs_end_again_and_again_is_given_up(tmp_path, tiny):
    (fitted,) = (request.for_spec(tiny) for request in parse_methods("li"))
    case = Suite(tiny).case_keys[1].case_id
    leave_behind(tmp_path / "out", Key("li", fitted.hash, case), 3)
    rows = run(tiny, tmp_path / "out", "li", limit=3).rows.set_index("case_id")
    assert rows.loc[case, "status"] == "crashed"
    assert "ended 3 times during this call" in rows.loc[case, "message"]
    assert Counter(rows["status"]) == {"ok": 2, "crashed": 1}


def test_a_call_during_which_runs_ended_is_tried_again_by_another_version(tmp_path, tiny):
    case = Suite(tiny).case_keys[1].case_id
    leave_behind(tmp_path / "out", Key("li", "a version before", case), 3)
    assert set(run(tiny, tmp_path / "out", "li", limit=3).rows["status"]) == {"ok"}


def test_a_run_keeps_what_others_ended_with(tmp_path, tiny):
    (fitted,) = (request.for_spec(tiny) for request in parse_methods("li"))
    case, beyond = (Suite(tiny).case_keys[place].case_id for place in (0, 15))
    left = {"own": ("li", fitted.hash, case), "older": ("li", "a version before", case), "empty": None}
    left |= {"loading": ("li", fitted.hash, ""), "shard": ("li", fitted.hash, beyond), "method": ("nmar", "1", case)}
    running = tmp_path / "out" / "running"
    running.mkdir(parents=True)
    for name, key in left.items():
        (running / f"{name}.json").write_text(json.dumps([key]) if key else "")
    run(tiny, tmp_path / "out", "li", limit=2, shard=Shard(1, 2))
    assert {path.stem for path in running.iterdir()} == {"loading", "shard", "method"}
    run(tiny, tmp_path / "out", "li", limit=2)
    assert {path.stem for path in running.iterdir()} == {"shard", "method"}


def test_force_runs_a_method_again_and_no_other(tmp_path, tiny):
    first = run(tiny, tmp_path, "none,li", limit=3)
    forced = run(tiny, tmp_path, "none,li", limit=3, force=("li",))
    assert (first.new, forced.new) == (6, 3)
    assert forced.rows.groupby("method")["attempt"].max().to_dict() == {"li": 2, "none": 1}
    pd.testing.assert_frame_equal(table(first.rows), table(forced.rows))
    with pytest.raises(MethodError, match=r"Got 'non'; did you mean 'none'"):
        run(tiny, tmp_path, "none,li", force=("non",))


@pytest.mark.parametrize(
    ("force", "labels"),
    [
        ("nmar", {"nmar", "nmar[prior=raw]"}),
        ("NMAR", {"nmar", "nmar[prior=raw]"}),
        ("nmar[ prior = raw ]", {"nmar[prior=raw]"}),
        ("nmar[prior=li]", {"nmar"}),
        ("nmar,li", {"nmar", "nmar[prior=raw]", "li"}),
        ("own.py:same", {"own.py:same"}),
    ],
)
def test_force_takes_methods_as_they_are_asked_for_and_of_a_name_alone_all(tmp_path, tiny, force, labels):
    (tmp_path / "own.py").write_text("def same(scan):\n    return scan.image\n")
    requests = parse_methods(f"nmar,nmar[prior=raw],{tmp_path / 'own.py'}:same,li")
    chosen = prepare(tiny, requests, tmp_path / "out", RunOptions(force=(force,)))
    assert set(chosen.options.force) == labels


@pytest.mark.parametrize("images", ["gallery", "none"])
def test_pictures_of_what_is_forced_are_made_again(tmp_path, tiny, plugin, images):
    # The same code in a world that has changed: another release of a package, say.
    other, out = tmp_path / "other", tmp_path / "out"
    folder = plugin("m", f"import os\nreturn scan.image + 100 * os.path.exists({str(other)!r})")
    run(tiny, out, "m,none", folder, images="gallery")
    drawn = set((out / "images").glob("*/m.npz"))
    other.touch()
    run(tiny, out, "m,none", folder, images=images, force=("m",))
    assert set((out / "images").glob("*/m.npz")) >= drawn
    for path in (out / "images").glob("*/m.npz"):
        change = load_image(path)[0] - load_image(path.with_name("none.npz"))[0]
        assert np.abs(change - 100).max() <= 1


def test_results_of_other_data_are_refused_by_the_case(tmp_path, tiny, monkeypatch):
    run(tiny, tmp_path, "none", limit=2)
    monkeypatch.setattr(Suite, "pose_of", lambda *_: Pose((0.0, 0.0)))
    case = Suite(tiny).case_keys[0].case_id
    with pytest.raises(StoreError, match=f"results of the case {case} made from other data"):
        run(tiny, tmp_path, "li", limit=2)


def test_rows_say_which_case_they_are_of_and_how_they_came_about(tmp_path, tiny):
    rows = run(tiny, tmp_path, "none,li", limit=12).rows
    assert rows.groupby("method")["case_index"].apply(sorted).map(list).tolist() == [list(range(12))] * 2
    assert rows.groupby("case_id")["case_digest"].nunique().max() == 1
    assert rows["case_digest"].nunique() == 12
    assert set(rows["evidence"]) == {"run here"}


def test_a_comment_in_a_plugin_changes_no_result(tmp_path, tiny, plugin):
    body = "return scan.image + float(np.random.rand())"
    folder = plugin("random", body)
    before = run(tiny, tmp_path / "out", "random", folder, limit=2)
    plugin("random", f"# a comment\n{body}")
    assert run(tiny, tmp_path / "out", "random", folder, limit=2).new == 0
    plugin("random", f"{body} + 0")  # other code, the same random numbers
    after = run(tiny, tmp_path / "out", "random", folder, limit=2)
    assert after.new == 2
    assert np.array_equal(before.rows["rmse_hu"], after.rows["rmse_hu"])


@pytest.mark.parametrize(("first", "second"), [(None, None), (Shard(1, 2), Shard(2, 2))])
def test_patients_that_another_salt_names_are_refused(tmp_path, tiny, monkeypatch, first, second):
    # The statistics count patients: under two names one would be two.
    run(tiny, tmp_path, "none", limit=12, shard=first)
    renamed = tuple(replace(key, patient_id="patient-0123456789ab") for key in Suite(tiny).case_keys)
    monkeypatch.setattr(Suite, "case_keys", renamed)
    with pytest.raises(StoreError, match=r"made with another salt\. Set MARBENCH_SALT"):
        run(tiny, tmp_path, "li", limit=12, shard=second)
    assert set(open_run(tmp_path).rows["method"]) == {"none"}


def reported(source, spec, folder, **changes):
    """Fill a folder with what somebody says of the rows of a run."""
    told = table_of_frame("results", open_run(source).rows.assign(evidence="reported", **changes)).to_pylist()
    Store(folder, spec).prepare()
    write_part(folder / "results", "results", spec.hash, told)


def test_what_is_only_reported_is_run_here_all_the_same(tmp_path, tiny, plugin):
    broken = tmp_path / "broken"
    folder = plugin("m", f"import os\nassert not os.path.exists({str(broken)!r})\nreturn scan.image")
    run(tiny, tmp_path / "theirs", "m", folder, limit=2)
    reported(tmp_path / "theirs", tiny, tmp_path / "both")
    broken.touch()
    finished = run(tiny, tmp_path / "both", "m", folder, limit=2)
    assert finished.new == 2 and set(finished.rows["status"]) == {"error"}
    assert run(tiny, tmp_path / "both", "m", folder, limit=2).new == 0


def test_what_is_only_reported_says_neither_which_data_nor_which_patient_a_case_is_of(tmp_path, tiny):
    run(tiny, tmp_path / "theirs", "li", limit=2)
    reported(tmp_path / "theirs", tiny, tmp_path / "both", case_digest="0000fffa" * 6, patient_id="somebody")
    assert run(tiny, tmp_path / "both", "none", limit=2).new == 2


def test_a_method_that_cannot_run_here_any_more_hides_no_results_nor_its_card(tmp_path, tiny, plugin):
    folder, out = plugin("m"), tmp_path / "out"
    first = run(tiny, out, "m,none", folder, limit=2)
    card, there = folder / "m" / "method.toml", open_run(out)
    whole = card.read_text()
    card.write_text(whole + 'requires = ["no_such_package"]\n')
    finished = run(tiny, out, "m,none", folder, limit=2)
    assert Counter(finished.rows["status"]) == {"ok": 2, "unavailable": 2}  # what was asked for now
    read = open_run(out)
    pd.testing.assert_frame_equal(read.rows, first.rows, check_dtype=False)
    assert read.cards == there.cards
    card.write_text(whole)
    plugin("m", "return scan.image + 1")
    assert run(tiny, out, "m", folder, limit=1).new == 1  # a version that runs is the one that counts
    assert len(open_run(out).rows) == 3 and open_run(out).cards["m"] != there.cards["m"]


def test_a_folder_that_was_filled_under_other_rules_is_not_continued(tmp_path, tiny):
    run(tiny, tmp_path, "none", limit=1)
    spec = tmp_path / "spec.toml"
    spec.write_text(spec.read_text().replace("# marbench protocol 1, hash ", "# marbench protocol 0, hash a"))
    with pytest.raises(StoreError, match=r"filled under protocol 0, .* Choose another --out"):
        run(tiny, tmp_path, "none", limit=2)


def test_a_shard_without_work_may_be_the_first_in_its_folder(tmp_path, tiny):
    finished = run(tiny, tmp_path / "run", "none", limit=4, shard=Shard(20, 20))
    assert finished.new == 0 and finished.rows.empty
    run(tiny, tmp_path / "run", "none", limit=4, shard=Shard(1, 20))
    assert len(open_run(tmp_path / "run").rows) == 4
