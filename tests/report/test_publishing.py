"""Publishing what comes from anyone: nothing of the machine leaks, links lead nowhere, what fails leaves nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synthetic_runs import METHODS, failed, write_run

from marbench.errors import StoreError
from marbench.report.figure import write_figure
from marbench.report.pages import render
from marbench.report.site import publish
from marbench.resources import resource_folder
from marbench.results.rows import Row
from marbench.results.store import open_run

DATE = "2026-01-02T10:00:00+00:00"
SECRETS = ("jane", "DOE_JANE", "4711815", "ward-7", "/data/", "/home/", "hospital", "secret")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def ids(site: Path) -> list[str]:
    return [record["id"] for record in json.loads((site / "index.json").read_text())["runs"]]


def unpacked(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder as a reader would see it: tables and archives opened."""
    found = {}
    for name, data in contents(folder).items():
        path = folder / name
        if path.suffix == ".parquet":
            data = repr((pq.read_table(path).to_pydict(), pq.read_schema(path).metadata)).encode()
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                data = b"".join(archive.read(member) for member in archive.namelist()) + archive.comment
        found[name] = name.encode() + data
    return found


def indiscreet(row: Row) -> Row:
    if row.method == "li" and row.size_group == 1:
        return failed(
            row,
            message="[Errno 2] No such file: '/data/hospital/DOE_JANE_1975/IM003.dcm'",
            trace='File "/home/jane/plugins/x.py", line 3\n  open("/data/hospital/DOE_JANE_1975/IM003.dcm")',
        )
    return row


@pytest.fixture
def run(tmp_path: Path) -> Path:
    cards = {"li": {"notes": "atlas in /data/hospital/atlas.npy", "user": "jane"}}
    folder = write_run(tmp_path / "DOE_JANE" / "run", METHODS[:3], slices=1, pictures=1, change=indiscreet, cards=cards)
    (folder / "hosts" / "host.json").write_text('{"cpu": "A CPU", "user": "jane", "hostname": "ward-7"}')
    commands = "marbench run --plugins /home/jane/plugins --spec '/data/DOE_JANE/own.toml'\n"
    (folder / "commands.txt").write_text(commands)
    (folder / "notes.txt").write_text("secret")
    (folder / "images" / "notes.npz").write_bytes(b"secret")
    (folder / "results" / ".secret.parquet").write_bytes(b"secret")
    for path in folder.glob("images/*/_case.npz"):
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b"secret"
    (folder / "report").mkdir()
    (folder / "report" / "mine.html").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with one run, and two more runs to publish; not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    publish([write_run(folder / "first", METHODS[:2], slices=1)], folder / "site", published=DATE)
    write_run(folder / "second", METHODS[1:3], spec="dudonet2019", slices=1)
    write_run(folder / "third", METHODS[:3], slices=1)
    return folder


def test_a_publication_tells_what_the_run_tells_and_names_no_person_folder_or_machine(run, tmp_path):
    publish([run], tmp_path / "site", published=DATE)
    for name, data in unpacked(tmp_path / "site").items():
        for secret in SECRETS:
            assert secret.encode() not in data, (name, secret)
    (copy,) = (tmp_path / "site" / "runs").iterdir()
    there, here = open_run(copy), open_run(run)
    assert there.commands == ["marbench run --plugins plugins --spec 'own.toml'"]
    assert "[Errno 2] No such file: 'IM003.dcm'" in there.rows["message"].tolist()
    assert there.rows.equals(here.rows)
    assert there.timings.equals(here.timings)
    assert there.cards == here.cards and there.hosts == here.hosts
    assert there.problems == []
    pictures = {path.relative_to(run) for path in run.glob("images/*/*.npz")}
    assert {path.relative_to(copy) for path in copy.glob("images/*/*.npz")} == pictures


def replace_by_link(folder: Path, elsewhere: Path) -> None:
    shutil.copytree(folder, elsewhere)
    (elsewhere / "config.json").write_text('{"cpu": "private key", "label": "x"}')
    shutil.rmtree(folder)
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize("names", [("hosts", "methods", "timing", "images"), ("images/*",)])
def test_folders_that_are_links_are_not_published(run, tmp_path, names):
    linked = [path for name in names for path in run.glob(name) if path.is_dir()]
    assert len(linked) == len(names)
    for number, folder in enumerate(linked):
        replace_by_link(folder, tmp_path / f"elsewhere-{number}")
    publish([run], tmp_path / "site", published=DATE)
    assert not [name for name, data in contents(tmp_path / "site").items() if b"private key" in data]
    (copy,) = (tmp_path / "site" / "runs").iterdir()
    assert not [path for folder in linked for path in (copy / folder.relative_to(run)).rglob("*") if path.is_file()]
    assert not [path for path in (tmp_path / "site").rglob("*") if path.is_symlink()]


def test_a_run_whose_results_are_a_link_is_not_published(run, tmp_path):
    replace_by_link(run / "results", tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="no results"):
        publish([run], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def _publish(run: str, site: str, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    publish([run], site, published=DATE)


def test_runs_that_are_published_at_the_same_time_are_all_there(tmp_path):
    runs = [write_run(tmp_path / f"run{number}", METHODS[: number + 1], slices=1) for number in range(3)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.report.site"])
    barrier = context.Barrier(3)
    processes = [context.Process(target=_publish, args=(str(run), str(tmp_path / "site"), barrier)) for run in runs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    assert len(set(ids(tmp_path / "site"))) == 3
    assert sorted(path.name for path in (tmp_path / "site" / "runs").iterdir()) == sorted(ids(tmp_path / "site"))
    assert {path.name for path in (tmp_path / "site").iterdir() if path.name.startswith(".")} == set()


def test_one_bad_run_among_several_publishes_none(built, tmp_path):
    shutil.copytree(built / "site", tmp_path / "site")
    bad = write_run(tmp_path / "bad", METHODS[:1], slices=1)
    before = contents(tmp_path / "site")
    (bad / "spec.toml").write_text("no benchmark")
    with pytest.raises(StoreError):
        publish([built / "third", bad], tmp_path / "site")
    assert contents(tmp_path / "site") == before


@pytest.mark.parametrize("step", [0, 2, 19])
def test_a_publication_that_fails_at_any_step_leaves_the_site_as_it_was(built, tmp_path, monkeypatch, step):
    """The system refuses the n-th move into place: run, leaderboard, assets, …, index."""
    shutil.copytree(built / "site", tmp_path / "site")
    before, new = contents(tmp_path / "site"), built / "third"
    moves = []
    replace_path = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if ".staging" in path.parts and path.suffix != ".tmp" and "old" not in path.parts:
            moves.append(target)
            if len(moves) == step + 1:
                raise OSError(5, "Input/output error")
        return replace_path(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="Nothing was published"):
        publish([new], tmp_path / "site", published=DATE)
    monkeypatch.undo()
    assert len(moves) == step + 1
    assert contents(tmp_path / "site") == before


def _die_at(run: str, site: str, step: int) -> None:
    """Publish, and die at the n-th move into place, as if the power went."""
    moves, replace_path = [], Path.replace

    def die(path: Path, target: Path) -> Path:
        if ".staging" in path.parts and path.suffix != ".tmp":
            moves.append(target)
            if len(moves) == step + 1:
                os._exit(9)
        return replace_path(path, target)

    Path.replace = die  # type: ignore[method-assign, assignment]
    publish([run], site, published=DATE)


@pytest.fixture(scope="module")
def with_third(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is in the site after the third run has been published, and nothing else has happened."""
    site = tmp_path_factory.mktemp("with-third") / "site"
    shutil.copytree(built / "site", site)
    publish([built / "third"], site, published=DATE)
    return contents(site)


@pytest.mark.parametrize("step", [0, 9])
def test_a_publication_that_is_killed_is_cleared_by_the_next(built, with_third, tmp_path, step):
    shutil.copytree(built / "site", tmp_path / "site")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.report.site"])
    process = context.Process(target=_die_at, args=(str(built / "second"), str(tmp_path / "site"), step))
    process.start()
    process.join(120)
    assert process.exitcode == 9
    assert len(ids(tmp_path / "site")) == 1, "the index is written last"
    publish([built / "third"], tmp_path / "site", published=DATE)
    assert contents(tmp_path / "site") == with_third


STATES = [
    "null",
    "[]",
    "3",
    "{",
    "[" * 100_000,
    '{"marbench_site": 1}x',
    '{"marbench_site": 2, "url": "", "benchmarks": {}, "runs": []}',
    '{"marbench_site": 1, "url": 3, "benchmarks": {}, "runs": []}',
    '{"marbench_site": 1, "url": "", "benchmarks": [], "runs": []}',
    '{"marbench_site": 1, "url": "", "benchmarks": {}, "runs": {}}',
    '{"marbench_site": 1, "url": "", "benchmarks": {}, "runs": [3]}',
    '{"marbench_site": 1, "url": "", "benchmarks": {}, "runs": [{"id": "../../precious-0123456789ab"}]}',
    '{"marbench_site": 1, "url": "", "benchmarks": {"../x": {}}, "runs": []}',
    '{"marbench_site": 1, "url": NaN, "benchmarks": {}, "runs": []}',
]


@pytest.mark.parametrize("text", STATES, ids=lambda text: text[:60])
def test_an_index_of_another_form_is_refused_and_left_alone(tmp_path, text):
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.json").write_text(text)
    with pytest.raises(StoreError, match="no index of a marbench site"):
        publish([run], tmp_path / "site")
    assert contents(tmp_path / "site") == {"index.json": text.encode()}


def test_fields_of_the_index_of_another_type_are_refused(tmp_path):
    publish([write_run(tmp_path / "run", METHODS[:1], slices=1)], tmp_path / "site", published=DATE)
    whole = json.loads((tmp_path / "site" / "index.json").read_text())
    again = write_run(tmp_path / "again", METHODS[:2], slices=1)
    record, (slug, board) = whole["runs"][0], next(iter(whole["benchmarks"].items()))
    odd: list[object] = [None, 3.5, [], {}, "x", True]
    for part, place in ((record, "runs"), (board, "benchmarks"), (record["entries"][0], "entries")):
        for key in part:
            refused = 0
            for value in odd:
                changed = {**part, key: value}
                state = json.loads(json.dumps(whole))
                if place == "runs":
                    state["runs"][0] = changed
                elif place == "benchmarks":
                    state["benchmarks"][slug] = changed
                else:
                    state["runs"][0]["entries"][0] = changed
                (tmp_path / "site" / "index.json").write_text(json.dumps(state))
                try:
                    publish([tmp_path / "absent"], tmp_path / "site")
                except StoreError as error:
                    refused += "no index of a marbench site" in str(error)
            assert refused >= 3, (place, key)
    (tmp_path / "site" / "index.json").write_text(json.dumps(whole))
    publish([again], tmp_path / "site", published=DATE)


def test_a_published_run_that_is_damaged_later_costs_only_itself(tmp_path):
    first, second = (write_run(tmp_path / str(n), METHODS[: n + 1], slices=1) for n in range(2))
    publish([first, second], tmp_path / "site", published=DATE)
    (tmp_path / "site" / "runs" / ids(tmp_path / "site")[0] / "spec.toml").unlink()
    notes: list[str] = []
    publish([write_run(tmp_path / "3", METHODS[:3], slices=1)], tmp_path / "site", published=DATE, note=notes.append)
    assert len(ids(tmp_path / "site")) == 3
    assert any("left out of its leaderboard" in note for note in notes)


@pytest.mark.parametrize("name", ["", "spec.toml", "results", "results/rows.parquet", "methods/li.json"])
def test_a_published_run_that_is_damaged_is_mended_by_its_publication_again(built, with_third, tmp_path, name):
    site = tmp_path / "site"
    shutil.copytree(built / "site", site)
    publish([built / "third"], site, published=DATE)
    lost = site / "runs" / ids(site)[-1] / name
    shutil.rmtree(lost) if lost.is_dir() else lost.write_bytes(lost.read_bytes()[:-9])
    publish([built / "third", built / "third"], site, published="2027-03-04T10:00:00+00:00")
    assert contents(site) == with_third


@pytest.mark.parametrize("lost", ["index.html", "images/*/_case.npz", "images/*/li.npz", "images"])
def test_the_page_and_pictures_of_a_published_run_are_mended_and_kept(tmp_path, lost):
    run, site = write_run(tmp_path / "run", METHODS[:2], slices=1, pictures=1), tmp_path / "site"
    publish([run], site, published=DATE)
    before = contents(site)
    (copy,) = (site / "runs").iterdir()
    for path in copy.glob(lost):
        shutil.rmtree(path) if path.is_dir() else path.unlink() if path.suffix == ".html" else damage(path)
    publish([run], site)
    assert contents(site) == before
    # By now the run has no pictures, and the site has them alone.
    shutil.rmtree(run / "images")
    (copy / "results" / "rows.parquet").unlink()
    publish([run], site)
    assert contents(site) == before


def test_a_link_in_the_site_is_not_followed(tmp_path):
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (tmp_path / "elsewhere").mkdir()
    for name in ("runs", "benchmarks", "assets", ".staging"):
        site = tmp_path / f"site-{name}"
        site.mkdir()
        (site / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="is a link"):
            publish([run], site)
        assert list((tmp_path / "elsewhere").iterdir()) == []


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["_case.npz", "li.npz"])
def test_damaged_pictures_are_named_and_the_rest_goes_on(tmp_path, name):
    run = write_run(tmp_path / "run", METHODS[:3], slices=1, pictures=1)
    (path,) = run.glob(f"images/*/{name}")
    damage(path)
    notes: list[str] = []
    report = render(run, note=notes.append)
    assert [note for note in notes if name in note] and len(notes) == 1
    assert name in (report.parent / "provenance.html").read_text()
    notes.clear()
    publish([run], tmp_path / "site", published=DATE, note=notes.append)
    assert any(name in note for note in notes)
    (copy,) = (tmp_path / "site" / "runs").iterdir()
    assert not list(copy.glob(f"images/*/{name}"))
    case = path.parent.name
    if name == "li.npz":
        write_figure(run, case, tmp_path / "figure.png")
        with pytest.raises(Exception, match=r"li\.npz"):
            write_figure(run, case, tmp_path / "figure.png", ["li"])
    else:
        with pytest.raises(StoreError, match=r"_case\.npz"):
            write_figure(run, case, tmp_path / "figure.png")


def test_a_manifest_deletes_only_what_this_program_wrote(tmp_path):
    """A contributed folder may name any file: its own, the user's, one outside, a folder."""
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("mine")
    report = run / "report"
    (report / "folder").mkdir(parents=True)
    (report / "own.txt").write_text("mine")
    (report / "link").symlink_to(tmp_path / "outside")
    names = ["own.txt", "folder", "link/precious", "absent", "a\0b"]
    manifest = {"kind": "marbench report 1", "files": dict.fromkeys(names, "0" * 64)}
    (report / "files.json").write_text(json.dumps(manifest))
    render(run)
    assert (report / "own.txt").read_text() == "mine" and (report / "folder").is_dir()
    assert (tmp_path / "outside" / "precious").read_text() == "mine"
    assert (report / "index.html").is_file()


FOREIGN_MANIFESTS = [["own.txt"], {"files": {"own.txt": 3}}, "own.txt", 3, None, {"kind": "marbench report 1"}]
FOREIGN_MANIFESTS += [{"kind": "marbench report 1", "files": {name: ""}} for name in ("../own.txt", "/etc/x", "", ".")]


def test_no_file_of_the_user_is_replaced(tmp_path):
    run, out = write_run(tmp_path / "run", METHODS[:2], slices=1), tmp_path / "mine"
    out.mkdir()
    (out / "methods.html").write_text("precious")
    (out / "assets").mkdir()
    shutil.copy(resource_folder("reports") / "assets" / "style.css", out / "assets")  # the user's, and the same as ours
    before = contents(out)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"methods.html was not written by marbench. Choose another folder"):
            render(run, out)
    assert contents(out) == before
    (out / "methods.html").unlink()
    render(run, out)
    (out / "methods.html").write_text("an earlier one, or of a rendering that was cut short")
    render(run, out)
    assert "precious" not in (out / "methods.html").read_text()


@pytest.mark.parametrize("manifest", FOREIGN_MANIFESTS, ids=str)
def test_a_folder_whose_files_json_is_of_another_kind_is_left_alone(tmp_path, manifest):
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    out = tmp_path / "out"
    out.mkdir()
    (out / "own.txt").write_text("mine")
    (out / "files.json").write_text(json.dumps(manifest))
    before = contents(out)
    with pytest.raises(StoreError, match="was not written by marbench"):
        render(run, out)
    assert contents(out) == before


@pytest.mark.parametrize("name", ["report", "report/assets", "report/gallery", "report/pictures", "report/explorer"])
def test_pages_are_not_written_through_links(tmp_path, name):
    run = write_run(tmp_path / "run", METHODS[:3], slices=1, pictures=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "style.css").write_text("mine")
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a link"):
        render(run)
    assert contents(elsewhere) == {"style.css": b"mine"}


def test_a_page_that_is_a_link_is_replaced_and_not_written_through(tmp_path):
    run = write_run(tmp_path / "run", METHODS[:1], slices=1)
    (tmp_path / "precious").write_text("mine")
    (run / "report").mkdir()
    (run / "report" / "index.html").symlink_to(tmp_path / "precious")
    render(run)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (run / "report" / "index.html").is_symlink()


def test_commands_on_pages_name_the_folder_as_it_is_below_runs(tmp_path):
    for parent, shown in (("runs", "runs/mini"), ("DOE_JANE", "mini")):
        run = write_run(tmp_path / parent / "mini", METHODS[:2], slices=1)
        report = render(run).parent
        assert f"marbench report {shown}<" in (report / "provenance.html").read_text()
        assert "DOE_JANE" not in "".join(path.read_text() for path in report.glob("*.html"))


def test_long_texts_and_odd_numbers_of_a_run_do_not_spoil_a_publication(tmp_path):
    def odd(row: Row) -> Row:
        if row.method == "none":
            return replace(row, scores={**row.scores, "rmse_hu": 3e38, "psnr[dudonet2019]": -700.0})
        return failed(row, message="x" * 90_000) if row.method == "li" else row

    run = write_run(tmp_path / "run", METHODS[:3], slices=1, change=odd)
    publish([run], tmp_path / "site", published=DATE)
    assert len(ids(tmp_path / "site")) == 1
