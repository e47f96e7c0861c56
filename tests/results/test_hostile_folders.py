"""Results folders from anyone: damaged, foreign, linked, absurd. What cannot be used is named, and nothing else."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from filled import fill, row
from PIL import Image

from marbench.errors import StoreError
from marbench.machine.toml import toml_value
from marbench.mask_files import decode_mask
from marbench.results.part_file import encode, table_of
from marbench.results.rows import Row
from marbench.results.store import Store, open_run
from marbench.spec import Spec, load_spec
from marbench.spec_file import read_spec, spec_toml

ABSURD: dict[str, tuple[object, ...]] = {
    "spec_hash": ("", "f" * 64),
    "protocol": (0, -1, 2**62),
    "method": ("two\nlines", "\u202egnp", "x" * 1001, "no\uffff", "no\U0010fffe", "no\ufdd0"),
    "case_id": ("", "a\x00b", "\u2028", "y" * 1001),
    "patient_id": ("\x1b[31m",),
    "size_group": (0, -5, 2**62, 1001),
    "case_index": (-2, 2**62),
    "metal_area_px": (-1, 2**62),
    "metal_area_mm2": (-1.0, 1e308, -1e308, float("inf")),
    "window_low": (1e308, float("-inf")),
    "status": ("", "fine", "OK"),
    "evidence": ("", "heard"),
    "seconds": (-1.0, float("inf"), 1e300),
    "peak_mb": (-1.0, 1e300),
    "attempt": (0, -1, 2**62),
    "message": ("m" * 100_001,),
}


@pytest.fixture
def folder(tmp_path: Path, tiny: Spec) -> Path:
    fill(tmp_path / "run", tiny, row(tiny, "li", "good", scores={"rmse_hu": 1.0}))
    return tmp_path / "run"


@pytest.mark.parametrize("column", ABSURD)
def test_rows_with_an_absurd_value_are_left_out_by_name_and_cost_no_other(folder, tiny, column):
    fill(folder, tiny, *(replace(row(tiny, "nmar", "bad"), **{column: value}) for value in ABSURD[column]))
    run = open_run(folder)
    assert run.rows["case_id"].tolist() == ["good"]
    left_out = [re.search(r"(\d+) of (\d+) rows are left out", problem) for problem in run.problems]
    assert all(int(each[2]) == 1 + len(ABSURD[column]) for each in left_out)
    assert sum(int(each[1]) for each in left_out) == len(ABSURD[column])
    assert all(column in problem or "refused" in problem for problem in run.problems)
    # For a run they are missing, and are made again.
    assert Store(folder, tiny).stored()[0]["case_id"].tolist() == ["good"]


@pytest.mark.parametrize("column", [name for name in ABSURD if name not in ("window_low", "metal_area_px", "seconds")])
def test_null_where_a_value_must_be_is_left_out(folder, tiny, column):
    if column in ("metal_area_mm2", "peak_mb"):
        pytest.skip("may be unknown")
    table = table_of("results", [row(tiny, "nmar", "bad").record()])
    at = table.column_names.index(column)
    table = table.set_column(at, column, pa.nulls(1, table[column].type))
    (folder / "results" / "null.parquet").write_bytes(encode("results", tiny.hash, 5, table))
    run = open_run(folder)
    assert run.rows["case_id"].tolist() == ["good"]
    assert "1 of 2 rows are left out" in run.problems[0]


@pytest.mark.parametrize("score", [np.inf, -np.inf, 1e308, -1e308])
def test_scores_that_no_image_has_are_left_out(folder, tiny, score):
    fill(folder, tiny, row(tiny, "nmar", "bad", scores={"rmse_hu": score}))
    run = open_run(folder)
    assert run.rows["method"].tolist() == ["li"]
    assert "rmse_hu" in run.problems[0]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rmse_hu", pa.array(["1.0"])),
        ("rmse_hu", pa.array([1])),
        ("psnr[x]", pa.array([[1.0]])),
        ("ssim\n[x]", pa.array([1.0])),
    ],
    ids=str,
)
def test_a_measure_of_another_type_costs_its_file(folder, tiny, name, values):
    table = table_of("results", [row(tiny, "nmar", "bad").record()]).append_column(name, values)
    (folder / "results" / "odd.parquet").write_bytes(encode("results", tiny.hash, 5, table))
    run = open_run(folder)
    assert run.rows["method"].tolist() == ["li"]
    assert "odd.parquet" in run.problems[0]


def test_a_row_for_a_case_that_could_not_be_made_belongs_to_no_method(folder, tiny):
    fill(folder, tiny, row(tiny, "", "torn", status="error", message="IM003.dcm is truncated", method_hash=""))
    run = open_run(folder)
    assert run.rows["case_id"].tolist() == ["good"]
    assert run.faults["case_id"].tolist() == ["torn"]
    assert run.problems == ["1 case could not be made, torn: IM003.dcm is truncated"]
    fill(folder, tiny, row(tiny, "li", "torn", attempt=2))
    assert open_run(folder).faults.empty and open_run(folder).problems == []


Damage = Callable[[Path], object]


def _fifo(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("nowhere")


def _folder(path: Path) -> None:
    path.mkdir(parents=True)


def _write(content: bytes) -> Damage:
    def damage(path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    return damage


ODD_FILES: dict[str, Damage] = {
    "empty": _write(b""),
    "zeros": _write(bytes(5000)),
    "garbage": _write(random.Random(0).randbytes(5000)),
    "pipe": _fifo,
    "link to nothing": _dangling,
    "folder": _folder,
}


@pytest.mark.parametrize("place", ["results/odd.parquet", "timing/odd.parquet", "hosts/odd.json", "methods/odd.json"])
@pytest.mark.parametrize("kind", ODD_FILES)
def test_files_that_are_none_are_named_and_left_alone(folder, place, kind):
    ODD_FILES[kind](folder / place)
    run = open_run(folder)
    assert run.rows["case_id"].tolist() == ["good"]
    (problem,) = run.problems
    assert Path(place).name in problem
    assert os.path.lexists(folder / place)


@pytest.mark.parametrize("name", ["results", "timing", "hosts", "methods", "images", "running"])
def test_a_folder_that_is_a_link_is_not_followed_and_not_written_to(folder, tiny, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere) if (folder / name).exists() else elsewhere.mkdir()
    (elsewhere / "host.json").write_text('{"cpu": "secret"}')
    (folder / name).symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    run = open_run(folder)
    assert run.hosts == {} and len(run.rows) == (0 if name == "results" else 1)
    assert name in ("images", "running") or any(name in problem and "link" in problem for problem in run.problems)
    with pytest.raises(StoreError, match="is a link"):
        Store(folder, tiny).prepare()
    assert sorted(elsewhere.iterdir()) == before


CARDS = [
    None,
    3,
    "text",
    [],
    {"label": 7},
    {"label": ["li"]},
    {"label": None},
    {"label": ""},
    {"label": "li", "method_hash": ["h"]},
    {"label": "li", "method_hash": 3},
    {"label": "x" * 5000},
]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: str(card)[:40])
def test_cards_that_are_none_are_named(folder, card):
    (folder / "methods").mkdir(exist_ok=True)
    (folder / "methods" / "odd.json").write_text(json.dumps(card))
    run = open_run(folder)
    assert run.cards == {} and len(run.rows) == 1
    assert "odd.json is skipped" in run.problems[0]


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a": NaN}', '{"label": "\\ud800"}', '{"label": "li", "year": 1e400}', "{", "\ufeff{}"],
    ids=["deep", "nan", "surrogate", "infinite", "open", "bom"],
)
def test_json_that_is_none_or_strange_is_named_or_made_harmless(folder, text):
    (folder / "methods").mkdir(exist_ok=True)
    (folder / "methods" / "odd.json").write_text(text, encoding="utf-8")
    run = open_run(folder)
    assert len(run.rows) == 1
    assert run.problems or json.dumps(run.cards, allow_nan=False).encode()


def test_a_card_keeps_known_keys_with_finite_numbers_and_clean_texts_only(folder, tiny):
    card = {
        "title": "A\x1b[31m title\u202e",
        "notes": "weights from /home/jane/doe_1975/net.pt",
        "year": 10**400,
        "values": {"atlas": "/data/clinic/DOE_JANE/atlas.npy", "deep": {"a": {"b": [1, 2.5, True, None]}}},
        "secret": "of no page",
    }
    Store(folder, tiny).write_method("li", {"method_hash": "h", **card})
    read = open_run(folder).cards["li"]
    assert read["title"] == "A title\N{REPLACEMENT CHARACTER}"
    assert read["notes"] == "weights from net.pt"
    assert read["year"] is None
    assert read["values"] == {"atlas": "atlas.npy", "deep": {"a": {"b": [1, 2.5, True, None]}}}
    assert "secret" not in read


def test_a_card_is_found_by_its_label_whatever_that_looks_like(folder, tiny):
    label = "li[atlas=/data/clinic/atlas.npy]"  # as runs of early versions have it
    fill(folder, tiny, row(tiny, label, "good")).write_method(label, {"method_hash": "h", "title": "Li"})
    assert open_run(folder).cards[label] == {"label": label, "method_hash": "h", "title": "Li"}


def test_a_host_is_described_by_known_keys_only(folder, tiny):
    Store(folder, tiny).write_host("abc", {"cpu": "Some CPU", "user": "jane", "hostname": "ward-7"})
    (folder / "hosts" / "..json").write_text('{"cpu": "x"}')
    (folder / "hosts" / "jane doe.json").write_text('{"cpu": "x"}')
    run = open_run(folder)
    assert run.hosts == {"abc": {"cpu": "Some CPU"}}
    assert len(run.problems) == 1 and "jane doe.json" in run.problems[0]


def test_what_a_host_is_described_by_is_what_is_read():
    from marbench.machine.host import describe_host
    from marbench.results.descriptions import HOST_KEYS

    assert set(describe_host()) == HOST_KEYS


def test_commands_of_any_bytes_are_read_as_text_without_paths(folder):
    (folder / "commands.txt").write_bytes(b"marbench run\n\xff\xfe\n\nmarbench run --plugins /home/jane/x\n")
    assert open_run(folder).commands == [
        "marbench run",
        "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
        "marbench run --plugins x",
    ]
    (folder / "commands.txt").unlink()
    (folder / "commands.txt").symlink_to("/etc/hostname")
    run = open_run(folder)
    assert run.commands == [] and "commands.txt" in run.problems[0]


@pytest.mark.parametrize("text", ["", "\0", "x = ", 'extends = "mini"', 'extends = "/etc/passwd"', "[" * 5000])
def test_a_spec_that_does_not_stand_alone_or_is_none_is_refused(folder, tiny, text):
    (folder / "spec.toml").write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        open_run(folder)
    with pytest.raises(StoreError, match="Choose another --out"):
        Store(folder, tiny)


def picture(side: int) -> str:
    """Return a mask of nothing else than metal, as a spec holds it: of 4096 × 4096 pixels it is 3 kB long."""
    buffer = io.BytesIO()
    Image.new("1", (side, side), 1).save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def own(*metals: dict[str, str]) -> str:
    """Return metals of one's own as a table of ``spec.toml`` lists them."""
    listed = (f'{{ id = "m{n}", pixel_cm = 0.001, masks = {toml_value(masks)} }}' for n, masks in enumerate(metals))
    return f"own = [{', '.join(listed)}]"


FILLING = {
    "a key of 10,000 parts": ("own = []", "a." * 10_000 + "a = 1", "a key has more than 10 parts"),
    "one metal of many pixels": ("own = []", own({"gold": picture(4096), "steel": picture(1)}), "16,777,217 pixels"),
    "many metals of many pixels": ("own = []", own(*[{"gold": picture(4096)}] * 17), "the masks have 285,212,672"),
    "many unknown keys": ("[metals]", "".join(f"a{n} = 1\n" for n in range(1000)) + "[metals]", "and 980 more faults"),
}


@pytest.mark.parametrize("kind", FILLING)
def test_a_spec_that_would_fill_the_memory_or_the_screen_is_refused_before_it_does(folder, kind):
    place, instead, told = FILLING[kind]
    text = (folder / "spec.toml").read_text()
    assert place in text
    (folder / "spec.toml").write_text(text.replace(place, instead))
    unpacked = decode_mask.cache_info().misses
    with pytest.raises(StoreError, match=re.escape(told)) as refused:
        open_run(folder)
    assert decode_mask.cache_info().misses == unpacked
    assert len(str(refused.value)) < 20_000


PLACES = {
    "anatomy.path": {"anatomy": {"source": "dicom", "path": "/"}},
    "anatomy.pattern": {"anatomy": {"source": "nifti", "path": "/", "pattern": "*"}},
    "recorded.path": {"recorded": {"format": "syndeeplesion", "path": "/"}},
    "recorded.mask.file": {"recorded": {"data": "a" * 64, "sinogram": {}, "mask": {"file": "etc/passwd.npy"}}},
}


@pytest.mark.parametrize("key", PLACES)
def test_a_spec_that_names_a_place_of_data_is_refused(tmp_path, tiny, key):
    """Whoever verifies an archive must not read a folder of theirs because of what stands in it."""
    spec = Spec.model_validate({**tiny.model_dump(by_alias=True), **PLACES[key]})
    bound = {name: section | {"data": "a" * 64} for name, section in PLACES[key].items()}
    text = spec_toml(Spec.model_validate({**tiny.model_dump(by_alias=True), **bound}))
    (tmp_path / "spec.toml").write_text(text, encoding="utf-8")
    assert read_spec(tmp_path) is not None  # as a run writes it
    for name, section in spec.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(bound)).items():
        text = re.sub(rf"\n\[{name}\]\n(.+\n)*", "\n", text)
        text += f"[{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in section.items())
    (tmp_path / "spec.toml").write_text(text, encoding="utf-8")
    assert load_spec(tmp_path / "spec.toml") == spec
    with pytest.raises(StoreError, match=f"names a file in .*{re.escape(key)}"):
        read_spec(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "folder", "link"])
def test_a_spec_that_is_no_file_is_refused(folder, tiny, tmp_path, kind):
    kept = tmp_path / "spec.toml"
    (folder / "spec.toml").rename(kept)
    if kind == "link":
        (folder / "spec.toml").symlink_to(kept)
    else:
        ODD_FILES[kind](folder / "spec.toml")
    with pytest.raises(StoreError):
        open_run(folder)
    with pytest.raises(StoreError):
        Store(folder, tiny).prepare()


def _mutations(dice: random.Random, tiny: Spec) -> Row:
    """Return a row in which one value, or some, are of their type and otherwise anything."""
    integers = (-(2**63), -1, 0, 1, 5, 2**31, 2**63 - 1)
    floats = (float("nan"), float("inf"), -1e308, -1.0, 0.0, 1e-300, 0.5, 1e39, 1e308)
    texts = ("", "ok", "li", "a" * 5000, "\x00", "\ud800", "<b>", "../..", "\u202e", "title,gold", "cpu")
    one = row(tiny, dice.choice(("li", "nmar", "m2")), f"c{dice.randrange(4)}", scores={"rmse_hu": dice.choice(floats)})
    record: dict[str, Any] = {}
    for name in dice.sample(sorted(one.record()), dice.randrange(4)):
        value = one.record()[name]
        choices: tuple[object, ...] = integers if isinstance(value, int) or name == "metal_area_px" else texts
        record[name] = dice.choice(floats) if isinstance(value, float) else dice.choice(choices)
    record.pop("rmse_hu", None)
    return replace(one, **record)


def test_pages_are_made_of_whatever_rows_are_left(tmp_path, tiny):
    """A short run of a fuzzer: rows of random values, all pages rendered."""
    from marbench.report.pages import render

    dice = random.Random(11)
    for number in range(4):
        rows = [_mutations(dice, tiny) for _ in range(30)]
        fill(tmp_path / str(number), tiny, row(tiny, "li", "c0", scores={"rmse_hu": 1.0}), *rows)
        assert render(tmp_path / str(number)).is_file()
