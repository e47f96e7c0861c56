"""A published site: permalinks, newest valid entries, history, feeds; plain files that build upon each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two benchmarks; of `mini` a run, and a later one with a new method, a better `nmar` and a worse, broken `li`."""
    folder = tmp_path_factory.mktemp("site")
    mini = write_run(folder / "mini", slices=2)
    paper = write_run(folder / "paper", METHODS[:3], spec="dudonet2019", slices=2)
    later = write_run(
        folder / "later",
        [Synthetic("nmar", 29, version="new"), Synthetic("newnet", 35, 0.03, 9), Synthetic("li", 5, version="bad")],
        slices=2,
        change=lambda row: failed(row) if row.method == "li" and row.size_group == 1 else row,
    )
    publish([mini], folder / "site", published=FIRST)
    publish([paper, later], folder / "site", published=SECOND)
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
    assert history.count("replaced") == 2
    assert "incomplete" in history
    assert "2026-01-02" in history and "2026-03-04" in history


def test_publishing_the_same_run_again_changes_nothing(site: Path) -> None:
    before = _contents(site)
    publish([site.parent / "mini", site.parent / "later"], site, published="2027-01-01T00:00:00+00:00")
    assert _contents(site) == before


def test_a_permalink_survives_later_publications(site: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:2], slices=1)
    publish([run], tmp_path / "site", published=FIRST)
    record = _state(tmp_path / "site")["runs"][0]
    before = _contents(tmp_path / "site" / "runs" / record["id"])
    publish([write_run(tmp_path / "other", METHODS[1:3], slices=2)], tmp_path / "site", published=SECOND)
    assert _contents(tmp_path / "site" / "runs" / record["id"]) == before
    assert not any(path.suffix == ".tmp" for path in (tmp_path / "site").rglob("*"))


def test_publications_at_the_same_dates_give_the_same_bytes(site: Path, tmp_path: Path) -> None:
    again = tmp_path / "site"
    publish([site.parent / "mini"], again, published=FIRST)
    publish([site.parent / "paper", site.parent / "later"], again, published=SECOND)
    assert _contents(again) == _contents(site)


def test_the_feed_lists_runs_newest_first(site: Path, tmp_path: Path) -> None:
    feed = json.loads((site / "feed.json").read_text())
    assert [item["date_published"] for item in feed["items"]] == [SECOND, SECOND, FIRST]
    publish([site.parent / "mini"], tmp_path / "site", published=FIRST, url="https://mar.example.org/site/")
    (item,) = json.loads((tmp_path / "site" / "feed.json").read_text())["items"]
    assert item["url"].startswith("https://mar.example.org/site/runs/mini-")


def test_every_link_of_the_site_leads_to_a_file_of_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#]+)', page.read_text()):
            if not target.startswith("http"):
                file = (page.parent / target).resolve()
                assert file.is_file() and file.is_relative_to(site.resolve()), (page, target)


def test_links_out_of_a_submitted_folder_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"cpu": "do not publish"}')
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (run / "hosts" / "link.json").symlink_to(secret)
    (run / "private.txt").write_text("do not publish")
    publish([run], tmp_path / "site", published=FIRST)
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


def test_the_command_prints_where_the_site_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    result = CliRunner().invoke(command, [str(run), "--site", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "site" / "index.html") in result.output
