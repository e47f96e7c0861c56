"""A published site: permalinks, newest valid entries, history, feeds; plain files that build upon each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
from click.testing import CliRunner
from synthetic_runs import METHODS, Synthetic, failed, write_run

from marbench.cli.publish import command
from marbench.errors import StoreError
from marbench.report.site import publish

FIRST, SECOND = "2026-01-02T10:00:00+00:00", "2026-03-04T10:00:00+00:00"


def _state(site: Path) -> dict:  # type: ignore[type-arg]
    return dict(json.loads((site / "index.json").read_text()))


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def first_run() -> dict[str, bytes]:
    """The files of the run that was published first, as they were then."""
    return {}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, first_run: dict[str, bytes]) -> Path:
    """Two benchmarks; of `mini` a run, and a later one with a new method, a better `nmar` and a worse, broken `li`."""
    folder = tmp_path_factory.mktemp("site")
    mini = write_run(folder / "mini", slices=2, pictures=1)
    paper = write_run(folder / "paper", METHODS[:3], spec="dudonet2019", slices=2)
    later = write_run(
        folder / "later",
        [Synthetic("nmar", 29, version="new"), Synthetic("newnet", 35, 0.03, 9), Synthetic("li", 5, version="bad")],
        slices=2,
        change=lambda row: failed(row) if row.method == "li" and row.size_group == 1 else row,
    )
    publish([mini], folder / "site", published=FIRST)
    first_run |= _contents(folder / "site" / "runs")
    publish([paper, later], folder / "site", published=SECOND, url="https://mar.example.org/site/")
    return folder / "site"


def test_every_benchmark_has_its_leaderboard_and_every_run_its_permalink(site: Path) -> None:
    state = _state(site)
    assert sorted(board["name"] for board in state["benchmarks"].values()) == ["dudonet2019", "mini"]
    assert len(state["runs"]) == 3
    index = (site / "index.html").read_text()
    for record in (*state["benchmarks"].values(), *state["runs"]):
        assert (site / record["path"]).is_file()
        assert f'href="{record["path"]}"' in index


def test_the_newest_valid_entry_of_each_method_is_shown(site: Path) -> None:
    state = _state(site)
    (mini,) = [board for board in state["benchmarks"].values() if board["name"] == "mini"]
    shown = {entry["method"]: entry for entry in mini["entries"]}
    assert set(shown) == {*(method.label for method in METHODS), "newnet"}
    assert shown["nmar"]["method_hash"] == "new"
    assert shown["newnet"]["rank"] == 1
    # The later li failed on some cases: the earlier, valid one stays.
    assert shown["li"]["method_hash"] != "bad"
    assert shown["li"]["rank"] is not None


def test_replaced_and_broken_entries_stay_in_the_history(site: Path) -> None:
    state = _state(site)
    marked = {
        (entry["method"], entry["method_hash"]): entry["current"]
        for run in state["runs"]
        if run["benchmark"].startswith("mini")
        for entry in run["entries"]
    }
    assert marked["nmar", "new"] and not marked["li", "bad"]
    assert not marked["nmar", f"{2:016x}"]
    (mini,) = [board for board in state["benchmarks"].values() if board["name"] == "mini"]
    history = (site / mini["path"]).with_name("entries.html").read_text()
    assert history.count(">replaced") == 2
    assert "incomplete" in history
    assert "2026-01-02" in history and "2026-03-04" in history


def test_publishing_the_same_run_again_changes_nothing(site: Path) -> None:
    before = _contents(site)
    publish([site.parent / "mini", site.parent / "later"], site, published="2027-01-01T00:00:00+00:00")
    assert _contents(site) == before


def test_a_permalink_survives_later_publications(site: Path, first_run: dict[str, bytes]) -> None:
    now = _contents(site / "runs")
    assert first_run and {name: now.get(name) for name in first_run} == first_run
    assert not any(path.suffix == ".tmp" for path in site.rglob("*"))


def test_pages_and_pictures_are_stored_once_for_each_benchmark(site: Path) -> None:
    (run,) = {Path(name).parts[0] for name in _state_runs_with(site, "images")}
    html = (site / "runs" / run / "index.html").read_text()
    assert "40 of 200 cases" not in html and "20 of 200 cases" in html
    assert 'href="results/rows.parquet"' in html and f"marbench report runs/{run}" in html
    assert not [path for path in (site / "runs").rglob("*") if path.suffix in (".js", ".png", ".css")]
    assert [path.name for path in (site / "runs" / run).glob("*.html")] == ["index.html"]
    assert len(list(site.rglob("gallery.html"))) == 1
    (share,) = site.rglob("share.jpg")
    assert f'content="https://mar.example.org/site/{share.relative_to(site)}"' in (
        share.with_name("index.html").read_text()
    )
    assert f'src="{share.relative_to(site)}"' in (site / "index.html").read_text()


def _state_runs_with(site: Path, folder: str) -> list[str]:
    return [name for name in _contents(site / "runs") if Path(name).parts[1] == folder]


def test_the_history_draws_complete_entries_alone(site: Path) -> None:
    (mini,) = [board for board in _state(site)["benchmarks"].values() if board["name"] == "mini"]
    html = (site / mini["path"]).with_name("entries.html").read_text()
    wide = html.split('<svg class="wide"')[1].split("</svg>")[0]
    told = re.findall(r'href="../../(runs/[^"]+)" aria-label="([^,]+), published (\S+): PSNR ([\d.]+) dB"', wide)
    expected = [
        (record["path"], entry["title"], record["published"][:10], f"{entry['scores']['psnr[dudonet2019]']:.2f}")
        for record in _state(site)["runs"]
        for entry in record["entries"]
        if record["benchmark"] == mini["slug"] and entry["good"] == mini["cases"]
    ]
    assert sorted(told) == sorted(expected) and len(told) == 8
    board = (site / mini["path"]).read_text()
    assert 'data-column="published">2026-03-04<' in board and 'data-column="published">2026-01-02<' in board


def test_a_part_that_is_published_later_takes_no_place_of_the_whole(tmp_path: Path) -> None:
    whole = write_run(tmp_path / "whole", METHODS[:2], slices=2)
    part = write_run(tmp_path / "part", METHODS[:2], slices=2, change=lambda r: r if r.slice_id == "s00000" else None)
    publish([whole, part], tmp_path / "site", published=FIRST)
    records = _state(tmp_path / "site")["runs"]
    assert [{entry["current"] for entry in record["entries"]} for record in records] == [{True}, {False}]
    (history,) = (tmp_path / "site").glob("benchmarks/*/entries.html")
    assert history.read_text().count("10/20") == 2 and history.read_text().count("incomplete") == 2


def test_publications_at_the_same_dates_give_the_same_bytes(site: Path, tmp_path: Path) -> None:
    again = tmp_path / "site"
    publish([site.parent / "mini"], again, published=FIRST)
    publish(
        [site.parent / "paper", site.parent / "later"], again, published=SECOND, url="https://mar.example.org/site/"
    )
    assert _contents(again) == _contents(site)


def test_the_feed_lists_runs_newest_first(site: Path) -> None:
    atom = "{http://www.w3.org/2005/Atom}"
    feed = xml.parse(site / "feed.xml").getroot()
    assert [item.findtext(f"{atom}updated") for item in feed.iter(f"{atom}entry")] == [SECOND, SECOND, FIRST]
    assert feed.findtext(f"{atom}updated") == SECOND and feed.findtext(f"{atom}id")
    for record, item in zip(reversed(_state(site)["runs"]), feed.iter(f"{atom}entry"), strict=True):
        (link,) = item.iter(f"{atom}link")
        assert link.get("href") == f"https://mar.example.org/site/{record['path']}"
        assert item.findtext(f"{atom}id") == f"urn:marbench:run:{record['id']}"


def test_one_method_on_one_case_is_told_in_the_singular_and_as_a_part(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:1], slices=1, change=lambda row: row if row.metal_id == "m00" else None)
    page = publish([run], tmp_path / "site", published=FIRST)
    assert "1 method, 1 of 200 cases ·" in page.read_text()
    for deeper in page.parent.glob("*/*/*.html"):
        assert "A part of the benchmark" in deeper.read_text(), deeper
    assert "1 method on 1 case." in page.with_name("feed.xml").read_text()


def test_every_link_of_the_site_leads_to_a_file_of_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#]+)', page.read_text()):
            if not target.startswith("http"):
                file = (page.parent / target).resolve()
                assert file.is_file() and file.is_relative_to(site.resolve()), (page, target)


def test_the_command_prints_where_the_site_is_and_follows_no_link_out_of_a_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"cpu": "do not publish"}')
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (run / "hosts" / "link.json").symlink_to(secret)
    (run / "private.txt").write_text("do not publish")
    result = CliRunner().invoke(command, [str(run), "--site", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "site" / "index.html") in result.output
    assert not [name for name, data in _contents(tmp_path / "site").items() if b"do not publish" in data]


def test_an_index_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.json").write_text('{"name": "another project"}')
    with pytest.raises(StoreError, match="no index of a marbench site"):
        publish([run], tmp_path / "site")
    assert list((tmp_path / "site").iterdir()) == [tmp_path / "site" / "index.json"]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    empty = write_run(tmp_path / "run", METHODS[:1], slices=1, change=lambda row: None)
    with pytest.raises(StoreError, match="no results"):
        publish([empty], tmp_path / "site")
