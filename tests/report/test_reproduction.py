import csv
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from marbench.cli.reproduce import command
from marbench.errors import StoreError
from marbench.method.discovery import methods
from marbench.report import reproduction
from marbench.report.reproduction import published_tables, reproduce, write_reproduction
from marbench.results.store import Run
from marbench.spec import Spec, load_spec

PUBLISHED = Path(reproduction.__file__).with_name("published.toml")
PSNR, SSIM = "psnr[dudonet2019]", "ssim[dudonet2019]"


def _run(scores: dict[str, float], folder: Path = Path(), timings: dict[str, float] | None = None) -> Run:
    rows = [
        {
            "method": method,
            "patient_id": f"p{group % 2}",
            "case_id": f"c{group}",
            "size_group": group,
            "status": "ok",
            PSNR: base + group,
            SSIM: 0.5,
        }
        for method, base in scores.items()
        for group in range(1, 6)
    ]
    timed = [
        {
            "method": method,
            "seconds": seconds,
            "case_id": "c",
            "host_id": "h",
            "device": "cpu",
            "device_name": "A <b>CPU</b>",
            "threads": 2,
            "parameters": 100,
            "peak_mb": 10.0,
        }
        for method, value in (timings or {}).items()
        for seconds in (value, 2 * value, 3 * value)
    ]
    return Run(folder, load_spec("mini"), pd.DataFrame(rows), pd.DataFrame(timed), {}, {}, [], [])


def test_ours_stand_beside_the_papers_numbers() -> None:
    result = reproduce(_run({"li": 20.0, "nmar": 22.0, "dudonet": 30.0}), "table2")
    psnr = result.comparisons[0]
    rows = {label: entries for _, label, entries in psnr.rows}
    assert psnr.measure == PSNR
    assert [entry.ours for entry in rows["li"]] == [21.0, 22.0, 23.0, 24.0, 25.0, 23.0]
    assert rows["li"][0].paper == 20.20
    assert rows["li"][0].difference == pytest.approx(0.8)
    assert rows["dudonet"][5].paper == 33.51
    assert all(math.isnan(entry.ours) for entry in rows["rdn"])
    assert any("Not in this run: cgan, rdn, cnnmar" in note for note in result.notes)
    assert any("is another one" in note for note in result.notes)
    run, paper = _run({"li": 20.0, "nmar": 22.0}), load_spec("dudonet2019")
    for spec, is_told in ((paper, False), (paper.model_copy(update={"seed": 1}), True)):
        notes = reproduce(replace(run, spec=spec), "table2").notes
        assert any("is another one" in note for note in notes) == is_told


def test_the_order_is_compared_pair_by_pair() -> None:
    agreeing = reproduce(_run({"li": 20.0, "nmar": 22.0, "dudonet": 30.0}), "table2").comparisons[0].agreement
    assert agreeing == ((3, 3),) * 6
    swapped = reproduce(_run({"li": 23.0, "nmar": 22.0, "dudonet": 30.0}), "table2").comparisons[0].agreement
    assert swapped == ((2, 3),) * 6


@pytest.mark.parametrize("pair", [("li", "nmar"), ("rdn", "cnnmar")])
def test_methods_that_are_level_here_have_nobody_s_order(pair: tuple[str, str]) -> None:
    """The better one is in the lower row of the paper's table, and in the upper one."""
    assert reproduce(_run(dict.fromkeys(pair, 20.0)), "table2").comparisons[0].agreement == ((0, 1),) * 6


def test_only_cases_that_all_methods_solved_are_averaged() -> None:
    run = _run({"li": 20.0, "nmar": 22.0})
    failed = (run.rows["method"] == "li") & (run.rows["case_id"] == "c5")
    run.rows.loc[failed, "status"] = "error"
    result = reproduce(run, "table2")
    rows = {label: entries for _, label, entries in result.comparisons[0].rows}
    assert rows["nmar"][5].ours == 22.0 + 2.5
    assert math.isnan(rows["nmar"][4].ours)
    assert any("means over 4 cases" in note for note in result.notes)
    assert any("groups hold 1, 1, 1, 1, 0 cases: our averages are of all cases" in note for note in result.notes)
    assert not any("groups hold" in note for note in reproduce(_run({"li": 20.0, "nmar": 22.0}), "table2").notes)


def test_a_case_without_a_number_of_one_method_drops_for_all() -> None:
    steady = [1.0 + k / 100 for k in range(12)]
    run = _patients({"li": [0.0] * 12, "dudonet": steady})
    run.rows.loc[(run.rows["method"] == "dudonet") & (run.rows["case_id"] == "c3-2"), PSNR] = math.nan
    result = reproduce(run, "table2")
    assert any("means over 59 cases" in note for note in result.notes)
    rows = {label: entries for _, label, entries in result.comparisons[0].rows}
    assert rows["dudonet"][1].ours == pytest.approx(30.0 + np.mean([*steady[:3], *steady[4:]]))
    (claim,) = result.claims
    assert claim.verdict == "supported" and claim.p == 2 * 0.5**12
    assert claim.ours == pytest.approx((5 * sum(steady) - steady[3]) / 59)


def test_groups_that_are_not_the_papers_are_not_compared_and_all_cases_count() -> None:
    run = _run({"li": 20.0, "nmar": 22.0})
    content = run.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    run = replace(run, spec=Spec.model_validate(content | {"metals": {**content["metals"], "size_groups": 10}}))
    run.rows["size_group"] *= 2
    result = reproduce(run, "table2")
    rows = {label: entries for _, label, entries in result.comparisons[0].rows}
    assert [math.isnan(entry.ours) for entry in rows["li"]] == [True] * 5 + [False]
    assert rows["li"][5].ours == 23.0
    assert any("Of its 10 groups" in note for note in result.notes)
    claims = {(claim.better, claim.worse): claim for claim in reproduce(run, "literature").claims}
    assert claims["nmar", "li"].where == "all groups" and claims["nmar", "li"].ours == pytest.approx(2.0)


def test_the_ablation_takes_the_whole_method_as_its_last_row() -> None:
    labels = [label for _, label, _ in reproduce(_run({"dudonet": 30.0}), "table1").comparisons[0].rows]
    assert labels == [*(f"dudonet[variant={letter}]" for letter in "ABCDEF"), "dudonet"]


def _patients(advantage: dict[str, list[float]]) -> Run:
    """Return a run of one case per patient and size group; every method adds its list, patient by patient, to 30 dB."""
    rows = [
        {
            "method": method,
            "patient_id": f"p{patient}",
            "case_id": f"c{patient}-{group}",
            "size_group": group,
            "status": "ok",
            PSNR: 30.0 + value * (1 if method != "dudonet[variant=B]" or group >= 4 else -1),
            SSIM: 0.5,
        }
        for method, values in advantage.items()
        for patient, value in enumerate(values)
        for group in range(1, 6)
    ]
    return Run(Path(), load_spec("mini"), pd.DataFrame(rows), pd.DataFrame(), {}, {}, [], [])


def test_what_the_paper_says_is_tested_on_patients(tmp_path: Path) -> None:
    steady, mixed = [1.0 + k / 100 for k in range(12)], [(-1.0) ** k * (1 + k / 100) for k in range(12)]
    run = _patients(
        {
            "dudonet": steady,
            "dudonet[variant=A]": [0.0] * 12,
            "dudonet[variant=B]": steady,  # better than A on small metal alone
            "dudonet[variant=C]": mixed,
            "dudonet[variant=E]": [2 * value for value in steady],
        }
    )
    result = reproduce(run, "table1")
    claims = {(claim.better[-2], claim.worse[-2]): claim for claim in result.claims}
    both, image, consistency, pyramid = (claims[pair] for pair in (("E", "C"), ("C", "B"), ("e", "E"), ("B", "A")))
    assert both.verdict == "supported"
    assert both.paper == pytest.approx(32.96 - 31.45, abs=0.01)
    assert image.verdict == "open"
    assert consistency.verdict == "contradicted"
    assert consistency.ours == pytest.approx(-np.mean(steady))
    assert consistency.interval is not None
    assert consistency.interval[0] < consistency.ours < consistency.interval[1] < 0
    assert pyramid.verdict == "supported"
    assert pyramid.where == "groups 4, 5"
    assert pyramid.ours == pytest.approx(np.mean(steady))
    # Twelve patients of one sign: the smallest p there is, times the number of claims at most.
    assert both.p is not None and 2 * 0.5**12 <= both.p <= 4 * 2 * 0.5**12
    assert not any("too few" in note for note in result.notes)
    html, _, table = write_reproduction(result, tmp_path)
    assert html.read_text().count("supported</td>") == 2
    verdicts = [row["verdict"] for row in csv.DictReader(table.read_text().splitlines())]
    assert verdicts == ["supported", "open", "contradicted", "supported"]


def test_what_other_papers_say_is_tested_where_both_methods_were_run(tmp_path: Path) -> None:
    steady = [1.0 + k / 100 for k in range(12)]
    run = _patients({"li": [0.0] * 12, "nmar": steady, "cgan": [-value for value in steady]})
    result = reproduce(run, "literature")
    assert result.comparisons == ()
    assert [(claim.better, claim.worse, claim.verdict) for claim in result.claims] == [
        ("nmar", "li", "supported"),
        ("cgan", "li", "contradicted"),
    ]
    assert result.claims[0].paper == "27.51 to 25.47 (Lin 2019)"
    assert not any("another one" in note for note in result.notes)
    html, table = write_reproduction(result, tmp_path)
    assert "<td>27.51 to 25.47 (Lin 2019)</td>" in html.read_text()
    assert next(csv.DictReader(table.read_text().splitlines()))["paper"] == "27.51 to 25.47 (Lin 2019)"


@pytest.mark.parametrize(("patients", "methods", "intervals", "tests"), [
    (5, ["nmar"], False, False), (6, ["nmar"], True, True), (6, ["nmar", "cgan"], True, False),
])  # fmt: skip
def test_of_too_few_patients_nothing_is_said(
    patients: int,
    methods: list[str],
    intervals: bool,
    tests: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of five no difference of two methods can be significant, of six none of several."""
    steady = [1.0 + k / 100 for k in range(patients)]
    run = _patients({"li": [0.0] * patients, **dict.fromkeys(methods, steady)})
    result = reproduce(run, "literature")
    assert len(result.claims) == len(methods)
    for claim in result.claims:
        assert (claim.interval is not None, claim.p is not None) == (intervals, tests)
        assert claim.verdict == ("supported" if tests else "–")
        assert claim.ours == pytest.approx(np.mean(steady))
    told = f"{patients} patients are too few to tell whether a claim holds."
    assert (told in result.notes) is not tests
    html, table = write_reproduction(result, tmp_path)
    page = html.read_text()
    assert (told in page) is not tests and ("<td>–</td>" in page) is not tests
    for line in csv.DictReader(table.read_text().splitlines()):
        assert line["patients"] == str(patients)
        assert (line["low"] != "", line["p"] != "") == (intervals, tests)
    monkeypatch.setattr("marbench.results.store.open_run", lambda folder: run)
    words = ["literature", "--run", str(tmp_path), "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(command, words, catch_exceptions=False).output
    assert (told in shown) is not tests and "nan" not in shown


def test_a_draw_is_shown_and_not_tested_and_costs_the_others_nothing(tmp_path: Path) -> None:
    steady = [1.0 + k / 100 for k in range(12)]
    run = _patients({"li": [0.0] * 12, "nmar": steady, "dicdnet": [0.0] * 12, "indudonet": steady})
    result = reproduce(run, "literature")
    tested, draw = result.claims
    assert (tested.p, tested.verdict) == (2 * 0.5**12, "supported")
    assert (draw.better, draw.worse, draw.p, draw.verdict) == ("indudonet", "dicdnet", None, "–")
    assert draw.interval is not None and draw.interval[0] > 0
    assert not any("too few" in note for note in result.notes)
    html, _ = write_reproduction(result, tmp_path)
    assert html.read_text().count("<td>–</td><td>–</td>") == 1


def test_every_method_of_which_papers_speak_is_shipped() -> None:
    published = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))
    spoken = {claim[side] for claim in published["literature"]["claims"] for side in ("better", "worse")}
    assert spoken <= set(methods())


def test_claims_of_methods_that_were_not_run_are_left_out() -> None:
    assert [claim.worse for claim in reproduce(_run({"li": 20.0, "dudonet": 30.0}), "table2").claims] == ["li"]
    assert reproduce(_run({"li": 20.0, "nmar": 30.0}), "table2").claims == ()


def test_times_are_medians_with_the_ratio_that_the_paper_claims(tmp_path: Path) -> None:
    result = reproduce(_run({"li": 1.0}, timings={"rdn": 0.4, "dudonet": 0.1}), "table3")
    rows = {label: entries[0] for _, label, entries in result.comparisons[0].rows}
    assert rows["rdn"].ours == 0.8
    assert any("4.00 times as fast as RDN-CT; in the paper 3.86" in note for note in result.notes)
    html, *_ = write_reproduction(result, tmp_path)
    assert "A &lt;b&gt;CPU" in html.read_text()


def test_times_are_of_the_machine_that_timed_most_of_the_table() -> None:
    first = _run({"li": 1.0}, timings={"rdn": 0.4, "dudonet": 0.1})
    later = _run({"li": 1.0}, timings={"dudonet": 0.7, "tv": 3.0, "zeng": 3.0}).timings
    later = later.assign(host_id="another", device_name="Another CPU")
    run = replace(first, timings=pd.concat([first.timings, later], ignore_index=True))
    result = reproduce(run, "table3")
    rows = {label: entries[0].ours for _, label, entries in result.comparisons[0].rows}
    assert (rows["rdn"], rows["dudonet"]) == (0.8, 0.2)
    assert any("medians on A <b>CPU</b> (cpu), 2 threads" in note for note in result.notes)
    # Of two that timed as many the newer one counts.
    both = pd.concat([first.timings, first.timings.assign(seconds=1.0, threads=4)], ignore_index=True)
    result = reproduce(replace(run, timings=both), "table3")
    rows = {label: entries[0].ours for _, label, entries in result.comparisons[0].rows}
    assert (rows["rdn"], rows["dudonet"]) == (1.0, 1.0)


def test_the_training_of_our_networks_is_told_beside_them(tmp_path: Path) -> None:
    run = _run({"li": 20.0, "dudonet": 30.0})
    assert reproduce(run, "table2").training == {}
    run.cards["dudonet"] = {"trained": {"samples": 384000, "hours": 1.5}}
    html, table, _ = write_reproduction(reproduce(run, "table2"), tmp_path)
    assert html.read_text().count(">384 k samples, 1.5 h</td>") == 1
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["training"] for row in rows if row["method"] == "dudonet"} == {"384 k samples, 1.5 h"}


def test_methods_that_were_not_trained_alike_are_named() -> None:
    run = _run({"dudonet[variant=A]": 20.0, "dudonet[variant=B]": 20.0, "dudonet": 30.0})
    trained = {"preset": "ablation", "samples": 16000, "spec_hash": "a" * 64}
    for label in ("dudonet[variant=A]", "dudonet[variant=B]", "dudonet"):
        run.cards[label] = {"trained": trained}
    assert not any("with care" in note for note in reproduce(run, "table1").notes)
    run.cards["dudonet"] = {"trained": {"preset": "small", "samples": 36000, "spec_hash": "b" * 64}}
    presets, samples, definitions = (note for note in reproduce(run, "table1").notes if "with care" in note)
    rows = "aaaaaaaa (dudonet[variant=A], dudonet[variant=B]), bbbbbbbb (dudonet)"
    assert f"definitions of the benchmark are not the same: {rows}" in definitions
    assert "presets are not the same: ablation (dudonet[variant=A], dudonet[variant=B]), small (dudonet)" in presets
    assert "samples are not the same: 16.0 k (dudonet[variant=A], dudonet[variant=B]), 36.0 k (dudonet)" in samples


def test_the_published_averages_are_the_means_of_their_groups() -> None:
    # The paper's groups are of equal size; its averages are rounded. One row of its Table 1 and two of Table 2 are
    # off by a hundredth more.
    for table in ("table1", "table2"):
        for comparison in reproduce(_run({"dudonet": 30.0}), table).comparisons:
            for _, _, entries in comparison.rows:
                *groups, average = (entry.paper for entry in entries)
                assert sum(groups) / 5 == pytest.approx(average, abs=0.011 if comparison.digits == 2 else 2e-4)


def test_the_command_prints_and_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marbench.results.store.open_run", lambda folder: _run({"li": 20.0, "dudonet": 30.0}, folder))
    result = CliRunner().invoke(command, ["table2", "--run", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 of 1" in result.output
    with (tmp_path / "reproduce" / "table2.csv").open(encoding="utf-8") as file:
        assert file.read(1) == "\ufeff"  # without it Excel takes UTF-8 for something else
        records = list(csv.DictReader(file))
    assert len(records) == 2 * 6 * 6
    assert {record["column"] for record in records} >= {"average", "1 (large)"}


def test_unknown_tables_and_empty_runs_are_refused() -> None:
    assert published_tables() == ("literature", "table1", "table2", "table3")
    with pytest.raises(StoreError, match=r"did you mean 'table2'"):
        reproduce(_run({"li": 20.0}), "tabel2")
    with pytest.raises(
        StoreError, match=r"marbench run --spec mini --out \. --methods li,nmar,cgan,rdn,cnnmar,dudonet$"
    ):
        reproduce(_run({"other": 20.0}), "table2")
    with pytest.raises(StoreError, match=r"--methods 'dudonet\[variant=A\],.*,dudonet' --preset ablation$"):
        reproduce(_run({"other": 20.0}), "table1")
    with pytest.raises(StoreError, match="no timings"):
        reproduce(_run({"li": 20.0}), "table3")
