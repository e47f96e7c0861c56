"""The pages as files: complete, escaped, repeatable, without a word to the network, and fast."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.dataset as dataset
import pytest
from click.testing import CliRunner
from synthetic_runs import METHODS, Synthetic, failed, write_run

from marbench.cli import main
from marbench.errors import StoreError
from marbench.report.benchmark import gather
from marbench.report.entries import entries
from marbench.report.formats import number
from marbench.report.pages import PAGES, render
from marbench.results.rows import Row
from marbench.results.store import open_run
from marbench.version import __version__

HOSTILE = "<img src=x onerror=alert(1)>"
BREAKOUT = '</script><script>alert("2")</script>{{ 7 * 7 }}'


class _Page(HTMLParser):
    """Elements with their attributes, and the cells of tables as texts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def _text(report: Path, page: str) -> str:
    return unescape((report / f"{page}.html").read_text())


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def fail(row: Row) -> Row:
        return failed(row, message="no convergence") if row.method == "li" and row.size_group == 2 else row

    return render(write_run(tmp_path_factory.mktemp("report") / "run", change=fail, pictures=2)).parent


def test_printed_means_equal_a_recomputation_by_pandas(report: Path) -> None:
    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    html = (report / "index.html").read_text()
    board = html.split('data-convention="dudonet2019"')[1].split("</table>")[0]
    for method in ("dudonet", "dudonet[variant=F]", "none"):
        row = board.split(f'data-method="{method}"')[1].split("</tr>")[0]
        for group in range(6):
            chosen = frame[(frame["method"] == method) & ((frame["size_group"] == group) | (group == 0))]
            cell = row.split(f'data-group="{group}"')[1].split("</td>")[0]
            printed = re.findall(r'data-value="([^"]*)">([^<]*)<', cell)
            for (full, text), (column, digits) in zip(
                printed, [("psnr[dudonet2019]", 2), ("ssim[dudonet2019]", 4), ("rmse_hu", 1)], strict=True
            ):
                assert float(full) == pytest.approx(chosen[column].mean(), rel=1e-12)
                assert text == f"{chosen[column].mean():.{digits}f}"


def test_sums_for_filters_equal_a_recomputation_by_pandas(report: Path) -> None:
    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    html = (report / "index.html").read_text()
    data = json.loads(html.split('id="board-data">')[1].split("</script>")[0])["cells"]
    thorax = [k for k, (region, materials, group) in enumerate(data["strata"]) if region == "thorax" and group == 5]
    sums, counts = data["sums"]["rmse_hu"]["nmar"], data["counts"]["rmse_hu"]["nmar"]
    chosen = frame[(frame["method"] == "nmar") & (frame["region"] == "thorax") & (frame["size_group"] == 5)]
    assert sum(sums[k] for k in thorax) / sum(counts[k] for k in thorax) == pytest.approx(chosen["rmse_hu"].mean())
    # Of what there is, not of what somebody managed.
    assert sum(data["cases"][k] for k in thorax) == chosen["case_id"].nunique()
    assert sum(data["cases"]) == frame["case_id"].nunique()
    for method, good in data["good"].items():
        assert sum(good) == (frame[frame["method"] == method]["status"] == "ok").sum()


def test_every_page_forbids_the_network_and_inline_code(report: Path) -> None:
    assert {"index.html", "statistics.html", "timing.html", "methods.html", "provenance.html"} <= {
        path.name for path in _pages(report)
    }
    for path in _pages(report):
        page = _Page(path)
        (policy,) = [meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
        assert "default-src 'none'" in str(policy["content"])
        assert "unsafe" not in str(policy["content"])
        for tag, attributes in page.elements:
            assert "style" not in attributes, (path, tag)
            assert not [name for name in attributes if name.startswith("on")], (path, tag)
        for script in page.all("script"):
            assert script.get("src") or script.get("type") == "application/json"


def test_only_citations_point_to_the_network_and_every_file_that_is_named_exists(report: Path) -> None:
    for path in _pages(report):
        for tag, attributes in _Page(path).elements:
            for name in ("src", "href"):
                target = attributes.get(name)
                if not target:
                    continue
                if re.match(r"[a-z]+:|//", target):
                    assert tag == "a" and "noopener" in str(attributes.get("rel")), (path, target)
                elif not target.startswith("#"):
                    assert (path.parent / target.partition("#")[0]).is_file(), (path, target)
    for path in (report / "assets").iterdir():
        assert b"http" not in path.read_bytes(), path


def test_links_to_cards_hit_their_anchors(report: Path) -> None:
    anchors = {str(attributes.get("id")) for _, attributes in _Page(report / "methods.html").elements}
    linked = re.findall(r'methods\.html#([^"]+)"', (report / "index.html").read_text())
    assert linked
    assert set(linked) <= anchors


def test_rendering_twice_gives_the_same_bytes(report: Path) -> None:
    before = _contents(report)
    render(report.parent)
    assert _contents(report) == before


def test_the_place_of_the_run_does_not_change_the_bytes(report: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(report.parent, tmp_path / "elsewhere" / "run", ignore=shutil.ignore_patterns("report"))
    assert _contents(render(moved).parent) == _contents(report)


def test_a_later_rendering_takes_away_what_it_no_longer_shows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:2], slices=2, pictures=1)
    report = render(run).parent
    assert list(report.glob("pictures/*/*.png"))
    own = report / "notes.txt"
    own.write_text("the user's own")
    shutil.rmtree(run / "images")
    render(run)
    assert not (report / "pictures").exists()
    assert own.read_text() == "the user's own"


def test_a_foreign_manifest_deletes_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    (run / "report").mkdir()
    (run / "report" / "files.json").write_text(json.dumps(["../../precious.txt"]))
    with pytest.raises(StoreError, match="not written by marbench"):
        render(run)
    assert precious.exists()


def test_what_plugins_and_results_say_is_escaped(tmp_path: Path) -> None:
    def poison(row: Row) -> Row:
        row = replace(row, region=HOSTILE, materials=BREAKOUT, case_id=row.case_id + BREAKOUT)
        return failed(row, message=BREAKOUT, trace=HOSTILE) if row.size_group == 1 and row.method != "li" else row

    card = dict.fromkeys(("title", "summary", "cite", "notes", "licence", "domain", "year"), HOSTILE + BREAKOUT)
    card |= {"parameters": {HOSTILE: {"default": BREAKOUT, "choices": HOSTILE, "help": 7}}, "weights": HOSTILE}
    run = write_run(
        tmp_path / "run",
        [Synthetic(HOSTILE, 30), Synthetic(BREAKOUT, 31), Synthetic("li", 25)],
        slices=2,
        change=poison,
        cards={HOSTILE: card, BREAKOUT: {"cite": 'javascript:alert(1) http://x/"onclick=alert(1)', "values": 3}},
    )
    host = run / "hosts" / "evil.json"
    host.write_text(json.dumps({HOSTILE: [BREAKOUT], "cpu": {"a": HOSTILE}}))
    (run / "commands.txt").write_text(BREAKOUT + "\n")
    report = render(run).parent
    for path in _pages(report):
        page = _Page(path)
        assert not [image for image in page.all("img") if image.get("src") == "x"]
        assert not [link for link in page.all("a") if str(link.get("href")).startswith("javascript")]
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert all(script.get("src") or script.get("type") == "application/json" for script in page.all("script"))
        assert "49" not in page.texts
    assert HOSTILE in "".join(_Page(report / "methods.html").texts)


def test_strange_numbers_are_shown_as_what_they_are(tmp_path: Path) -> None:
    def change(row: Row) -> Row | None:
        if row.size_group == 4:
            return None
        if row.method == "li":
            return replace(row, scores={**row.scores, "rmse_hu": 3e38, "psnr[dudonet2019]": -700.0})
        return failed(row) if row.method == "none" else row

    report = render(write_run(tmp_path / "run", slices=3, change=change)).parent
    html = (report / "index.html").read_text()
    assert not re.search(r">\s*-?(nan|inf|None|NaN|Infinity)\s*<", html)
    json.loads(html.split('id="board-data">')[1].split("</script>")[0], parse_constant=lambda name: pytest.fail(name))
    for path in _pages(report):
        assert not re.search(r'="-?(nan|inf)"', path.read_text())


def test_one_method_alone_has_intervals_and_no_axis_of_differences(tmp_path: Path) -> None:
    html = _text(render(write_run(tmp_path / "run", METHODS[1:2], slices=7, patients=7)).parent, "statistics")
    assert re.search(r"<small>[\d.]+ to [\d.]+</small>", html)
    assert 'class="tick"' not in html and 'class="zero"' not in html


def test_one_of_anything_is_told_in_the_singular(tmp_path: Path) -> None:
    only = {"slices": 1, "change": lambda row: row if row.metal_id == "m00" else None, "pictures": 1}
    alone = render(write_run(tmp_path / "alone", METHODS[1:2], **only)).parent
    other = write_run(tmp_path / "other", METHODS[1:2], spec="dudonet2019", **only)
    several = render([tmp_path / "alone", other], tmp_path / "several").parent
    assert "1 method, 1 case ·" in (several / "index.html").read_text()
    for path in (*_pages(alone), *_pages(several)):
        assert not re.search(r"(?<![\d.,])1 (cases|methods|patients)\b", path.read_text()), path


@pytest.mark.parametrize("value", [1e30, 1e38, -1e30])
def test_numbers_beyond_reason_are_short(tmp_path: Path, value: float) -> None:
    def change(row: Row) -> Row:
        return replace(row, scores=dict.fromkeys(row.scores, value)) if row.method == "li" else row

    report = render(write_run(tmp_path / "run", METHODS[:3], slices=7, patients=7, change=change)).parent
    for path in _pages(report):
        assert not [text for text in _Page(path).texts if re.search(r"\d{20}", text)], path
        assert not re.search(r'="-?(nan|inf)"', path.read_text())
    assert f">{number(value)}<" in (report / "index.html").read_text()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda row: None, id="no rows"),
        pytest.param(lambda row: failed(row, "unavailable"), id="nothing but failures"),
        pytest.param(lambda row: row if row.case_id.endswith("_m00") else None, id="one group, one patient"),
    ],
)
def test_poor_results_still_make_pages(tmp_path: Path, change: object) -> None:
    report = render(write_run(tmp_path / "run", slices=1, change=change)).parent  # type: ignore[arg-type]
    assert "<h1>" in (report / "index.html").read_text()


def test_a_part_of_the_benchmark_is_called_so_on_every_page(tmp_path: Path) -> None:
    part, whole = (
        _pages(render(write_run(tmp_path / str(slices), METHODS[:2], slices=slices, pictures=1)).parent)
        for slices in (2, 20)
    )
    assert len(part) == len(PAGES)
    for path in part:
        assert path.read_text().count("These results cover 20 of 200 cases.") == 1, path
    assert not [path for path in whole if "A part of the benchmark" in path.read_text()]
    assert ", 20 of 200 cases), convention" in next(path for path in part if path.stem == "provenance").read_text()


def test_failures_are_told_with_their_trace(report: Path) -> None:
    html = (report / "methods.html").read_text()
    assert "40 × error" in html
    assert "no convergence" in html
    assert "Traceback …" in html
    index = (report / "index.html").read_text()
    assert "160/200" in index
    assert "LI</a> is not ranked: 40 error: ValueError: no convergence" in index


def test_the_training_of_the_weights_that_were_used_is_told(tmp_path: Path) -> None:
    trained = {
        "samples": 384000,
        "hours": 1.52,
        "sha256": "ab" * 32,
        "hardware": {"name": "A <GPU>"},
        "recipe": {"batch": 8},
    }
    cards = {"dudonet": {"trained": trained}, "cnnmar": {"trained": {"samples": "many", "hours": HOSTILE, "recipe": 3}}}
    report = render(write_run(tmp_path / "run", slices=1, cards=cards)).parent
    html = (report / "methods.html").read_text()
    assert "384 k samples, 1.5 h, on A &lt;GPU&gt;" in html
    assert f"SHA-256 {'ab' * 32}" in html
    assert "batch 8" in html


def test_a_method_without_its_weights_is_learned_and_a_timed_one_without_parameters_is_not(tmp_path: Path) -> None:
    presets = {"presets": {"small": {"width": 16}}}
    run = write_run(
        tmp_path / "run",
        METHODS[:4],
        slices=1,
        change=lambda row: failed(row, "unavailable") if row.method == "cnnmar" else row,
        cards={"nmar": presets, "cnnmar": presets},
    )
    benchmark = gather([open_run(run)])[0]
    never_timed = replace(benchmark, timings=benchmark.timings[benchmark.timings["method"] != "cnnmar"])
    assert {label: entry.kind for label, entry in entries(never_timed).items()} == {
        "none": "classical",
        "li": "classical",
        "nmar": "classical",
        "cnnmar": "learned",
    }


def test_commands_on_the_pages_work_when_they_are_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = render(write_run(tmp_path / "runs" / "my run", METHODS[:3], pictures=18)).parent
    monkeypatch.chdir(tmp_path)
    done = set()
    for page in ("explorer", "provenance"):
        for text in re.findall(r'<pre class="command"[^>]*>(marbench [a-z]+ [^<]*)</pre>', _text(report, page)):
            words = shlex.split(text)[1:]
            if words[0] in ("figure", "report", "reproduce"):
                result = CliRunner().invoke(main, words)
                assert result.exit_code == 0, (text, result.output)
                done.add(words[0])
    assert done == {"figure", "report", "reproduce"}
    assert list(tmp_path.glob("*.png"))
    case = re.search(r"marbench figure 'runs/my run' --case (\S+) --out", _text(report, "explorer"))
    assert case and (report.parent / "images" / case[1]).is_dir()
    gallery = json.loads((report / "gallery.html").read_text().split('id="gallery-data">')[1].split("</script>")[0])
    assert {item["id"] for item in gallery["cases"]} == {
        path.name for path in (tmp_path / "runs" / "my run" / "images").iterdir()
    }


def test_the_gallery_s_commands_name_what_ran_here_with_its_preset(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        if row.method == METHODS[0].label:
            return replace(row, evidence="recomputed from images")
        return replace(row, preset="small") if row.method == METHODS[1].label else row

    report = render(write_run(tmp_path / "run", METHODS[:3], change=change, pictures=2)).parent
    commands = re.findall(r'<pre class="command"[^>]*>(marbench [^<]*)</pre>', _text(report, "gallery"))
    asked = {shlex.split(text)[shlex.split(text).index("--methods") + 1]: text for text in commands if " run " in text}
    assert set(asked) == {METHODS[1].label, METHODS[2].label}
    assert "--preset small" in asked[METHODS[1].label] and "--preset" not in asked[METHODS[2].label]


def test_every_line_of_a_chart_has_a_look_and_a_name_of_its_own(tmp_path: Path) -> None:
    methods = [Synthetic(f"m{at:02d}", 20 + at / 2, role="baseline" if at in (2, 10) else "") for at in range(32)]
    titles = {method.label: {"title": f"{'降低伪影' * 6}{method.label}"} for method in methods}
    page = render(write_run(tmp_path / "run", methods, slices=2, cards=titles)).read_text(encoding="utf-8")
    css = (tmp_path / "run" / "report" / "assets" / "style.css").read_text(encoding="utf-8")
    for width in ("wide", "narrow"):
        drawing = page.split(f'<svg class="{width}"')[1].split("</svg>")[0]
        looks = re.findall(r'<g class="rank-line (c\d) (d\d)">', drawing)
        assert len(set(looks)) == 32
        assert {f".{stroke} {{ --dash:" in css for _, stroke in looks if stroke != "d0"} == {True}
        names = re.findall(r'<text x="([\d.]+)" y="[\d.]+">([^<]+)</text></g>', drawing)
        whole = float(re.findall(r'viewBox="0 0 (\d+)', f"viewBox{drawing.split('viewBox', 1)[1]}")[0])
        # A wide character of 12 px is 12 px wide.
        assert all(float(x) + 12 * sum(sign > "z" for sign in name[:-1]) <= whole for x, name in names)


def test_several_benchmarks_get_folders_of_their_own(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, METHODS[:2], spec=name, slices=1) for name in ("mini", "dudonet2019")]
    index = render(runs, tmp_path / "out")
    links = re.findall(r'href="([^"]+/index\.html)"', index.read_text())
    assert len(links) == 2
    assert all((index.parent / link).is_file() for link in links)


def test_several_runs_need_a_place_for_their_pages(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, METHODS[:1], slices=1) for name in "ab"]
    with pytest.raises(StoreError, match="--out"):
        render(runs)
    with pytest.raises(StoreError, match="no results"):
        render(tmp_path / "absent")


def test_results_are_cited_with_the_version_that_made_them(tmp_path: Path) -> None:
    hosts = {"none": "old", "li": "older"}
    run = write_run(
        tmp_path / "run", METHODS[:2], slices=20, change=lambda row: replace(row, host_id=hosts[row.method])
    )
    for name, version in (("old", "0.10"), ("older", "0.9"), ("replaced", "0.1")):
        (run / "hosts" / f"{name}.json").write_text(json.dumps({"packages": {"marbench": version}}))
    page = _text(render(run).parent, "provenance")
    assert ">marbench 0.9 / 0.10, benchmark mini" in page and "filled the results, with marbench 0.9 / 0.10:" in page
    assert f"renders these pages from them, here with marbench {__version__}:" in page


def test_commands_on_pages_of_several_runs_name_those_that_hold_what_they_need(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "runs" / "a", METHODS[:2], slices=2, pictures=1),
        write_run(tmp_path / "runs" / "b", METHODS[2:3], slices=2),
    ]
    report = render(runs, tmp_path / "out").parent
    explorer, again = _text(report, "explorer"), "marbench report runs/a runs/b --out report"
    assert "marbench figure runs/a --case p000-s00000_m00 --out" in explorer and "; one of them is drawn by" in explorer
    assert f"{again}<" in _text(report, "gallery") and f"{again}<" in _text(report, "provenance")
    bare = _text(render(runs[1:], tmp_path / "bare").parent, "explorer")
    assert "kept the images of 0 of these 20 cases." in bare and "marbench figure" not in bare


def test_methods_are_called_by_their_titles_and_alike_ones_by_their_labels_too(tmp_path: Path) -> None:
    cards = {
        "li": {"title": "Twin"},
        "nmar": {"title": "Twin", "url": "https://example.org/code", "bibtex": "@misc{x}"},
    }
    run = write_run(tmp_path / "run", METHODS[:4], slices=2, pictures=1, cards=cards)
    report = render(run).parent
    for name in ("index", "statistics", "timing", "explorer", "gallery", "methods"):
        texts = " ".join(_Page(report / f"{name}.html").texts)
        assert "CNNMAR" in texts and "Twin (li)" in texts and "Twin (nmar)" in texts, name
    links = {str(link.get("href")) for link in _Page(report / "index.html").all("a")}
    assert {"https://doi.org/10.1118/1.3484090", "https://example.org/code"} <= links
    assert "@misc{x}" in (report / "methods.html").read_text()
