import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import marbench
from marbench.anatomy.slices import Slice
from marbench.cases.digest import case_digest
from marbench.cases.export import export_cases
from marbench.cases.own_metals import MaskMetal, metals_of
from marbench.cases.recorded import RecordedCases
from marbench.cases.simulator import Simulator
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError, SpecError, StoreError
from marbench.geometry import ImageGrid
from marbench.mask_files import decode_mask, encode_mask, read_mask
from marbench.phantoms.metals import library
from marbench.spec import Spec, load_spec
from marbench.spec_file import read_spec, spec_toml

DOCS = Path(__file__).resolve().parents[2] / "docs" / "own_physics.md"
DISC = np.hypot(*np.mgrid[-1:1:61j, -1:1:61j]) < 0.8


def with_own(spec: Spec, *metals: dict[str, Any]) -> Spec:
    content = spec.model_dump(by_alias=True)
    content["metals"]["own"] = [{"pixel_cm": 0.05, **metal} for metal in metals]
    return Spec.model_validate(content)


def test_the_worked_example_of_the_manual_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = dict[str, list[str]]()
    for language, block in re.findall(r"```(\w+)\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL):
        blocks.setdefault(language, []).append(block)
    (tmp_path / "my-implants.toml").write_text(blocks["toml"][0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join(blocks["python"]), names)
    assert names["case"].info.materials == ("steel",)
    commands = [line.split()[1:] for line in blocks["bash"][0].splitlines()]
    results = [CliRunner(env={"COLUMNS": "200"}).invoke(main, command) for command in commands]
    assert [result.exit_code for result in results] == [0, 0, 0], results
    assert "stem (beta_titanium, cocr)" in results[0].output
    rows = marbench.read_run(tmp_path / "run")
    assert set(rows["status"]) == {"ok"}
    assert set(rows["materials"]) == {"beta_titanium,cocr", "platinum"}
    assert set(rows["metal_id"]) == {"stem", "coil"}
    page = (tmp_path / "run" / "report" / "explorer.html").read_text(encoding="utf-8")
    assert "beta_titanium" in page
    cases = RecordedCases(tmp_path / "cases")
    assert len(cases) == 4
    assert cases[0].info == Suite(tmp_path / "my-implants.toml")[0].info
    for text in (tmp_path / "run" / "spec.toml", tmp_path / "cases" / "spec.toml"):
        assert not re.search(r"stem\.png|head\.npy|coil\.nii", text.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "mask",
    [DISC, DISC.astype(np.uint8), DISC * np.uint8(255), DISC * np.int16(255), DISC * 1.0, DISC.astype(np.int64)],
    ids=lambda mask: f"{mask.dtype}-{mask.max()}",
)
def test_a_mask_means_the_same_in_any_type_and_file(mask: np.ndarray[Any, Any], tmp_path: Path) -> None:
    import nibabel

    np.save(tmp_path / "mask.npy", mask)
    assert np.array_equal(read_mask(tmp_path / "mask.npy"), DISC)
    if mask.dtype in (np.bool_, np.uint8):
        Image.fromarray(mask).save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png"), DISC)
        Image.fromarray(mask).convert("RGBA").save(tmp_path / "mask.PNG")
    if mask.dtype in (np.uint8, np.int16, np.float64):
        # Stored from right to left and from posterior to anterior, as RAS, with an empty slice beside it.
        stored = np.stack([mask.T[::-1, ::-1], np.zeros_like(mask)], axis=2)
        nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "mask.nii.gz")
        assert np.array_equal(read_mask(tmp_path / "mask.nii.gz"), DISC)
        content = bytearray((tmp_path / "mask.nii.gz").read_bytes())
        content[-6] ^= 1  # of the checksum
        (tmp_path / "mask.nii.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"mask\.nii\.gz: the file is damaged \(.*CRC"):
            read_mask(tmp_path / "mask.nii.gz")


def test_a_nifti_mask_is_shown_as_slices_are(tmp_path: Path) -> None:
    import nibabel

    stored = np.zeros((4, 6, 1), np.uint8)
    stored[0, 5, 0] = 1  # patient's left, anterior: the axes of this volume run to the right and to anterior
    nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "mask.nii")
    assert np.argwhere(read_mask(tmp_path / "mask.nii")).tolist() == [[0, 3]]
    nibabel.save(nibabel.Nifti1Image(stored, None), tmp_path / "unturned.nii")
    with pytest.raises(DataError, match=r"unturned\.nii: .* left and right are unknown; sform_code"):
        read_mask(tmp_path / "unturned.nii")


@pytest.mark.parametrize(
    ("pixel_mm", "fits"), [((1, 1), True), ((1.001, 1), True), ((0.5, 0.5), False), ((1, 2), False)]
)
def test_the_pixels_of_a_nifti_mask_are_those_that_the_benchmark_names(
    pixel_mm: tuple[float, float], fits: bool, tmp_path: Path
) -> None:
    import nibabel

    volume = nibabel.Nifti1Image(DISC[..., None].astype(np.uint8), np.diag([*pixel_mm, 1, 1]))
    nibabel.save(volume, tmp_path / "disc.nii")
    (tmp_path / "own.toml").write_text(
        'extends = "mini"\n[[metals.own]]\nid = "a"\npixel_cm = 0.1\nmasks = { gold = "disc.nii" }\n', encoding="utf-8"
    )
    if fits:
        assert load_spec(tmp_path / "own.toml").metals.own[0].pixel_cm == 0.1
    else:
        with pytest.raises(SpecError, match=r"own\.toml: .* of which pixel_cm = 0\.1 says something else"):
            load_spec(tmp_path / "own.toml")


@pytest.mark.parametrize("order", [1, -1])
def test_a_palette_is_looked_up_whatever_its_order(order: int, tmp_path: Path) -> None:
    labels = DISC.astype(np.uint8)
    picture = Image.fromarray(labels if order == 1 else 1 - labels, "P")
    picture.putpalette([0, 0, 0, 255, 255, 255][:: 1 if order == 1 else -1])
    picture.save(tmp_path / "grey.png")
    assert np.array_equal(read_mask(tmp_path / "grey.png"), DISC)
    # Labels in colours: which of them is metal is known where 0 is the dark background.
    picture.putpalette([0, 0, 0, 200, 0, 0] if order == 1 else [200, 0, 0, 0, 0, 0])
    picture.save(tmp_path / "colour.png")
    if order == 1:
        assert np.array_equal(read_mask(tmp_path / "colour.png"), DISC)
    else:
        with pytest.raises(DataError, match="save it in grey"):
            read_mask(tmp_path / "colour.png")


def test_grey_levels_of_an_antialiased_picture_are_fractions(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[0.0, pytest.approx(0.2), 1.0]]
    assert decode_mask(encode_mask(read_mask(tmp_path / "mask.png"))).tolist() == [[0.0, pytest.approx(0.2), 1.0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, 1, 2]]), "map of labels give one mask per material"),
        (np.array([[0.0, 1.5]]), "from 0 to 1.5"),
        (np.array([[-1, 1]]), "from -1 to 1"),
        (np.array([[np.nan, 1.0]]), "mask is boolean"),
        (np.array([[1j]]), "complex128"),
        (np.zeros((3, 3)), "empty"),
        (np.ones((3, 3, 3)), r"\(rows, columns\)"),
        (np.array(["a"]), "numbers or booleans"),
    ],
)
def test_what_is_no_mask_is_refused(values: np.ndarray[Any, Any], message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", values)
    with pytest.raises(DataError, match=message):
        read_mask(tmp_path / "mask.npy")


def test_files_that_hold_no_mask_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    (tmp_path / "pickled.npy").write_bytes(b"\x93NUMPY\x01\x00nonsense")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8) + np.array([255, 0, 0], np.uint8)).save(tmp_path / "red.png")
    cases = [("torn.png", "cannot be read"), ("pickled.npy", "cannot be read"), ("red.png", "no colours")]
    cases += [("none.npy", "No such file"), ("mask.jpg", r"\.png, \.npy, \.nii"), ("a\\u0000.png", "cannot be a path")]
    for name, message in cases:
        path = tmp_path / "own.toml"
        path.write_text(
            f'extends = "mini"\n[[metals.own]]\nid = "a"\npixel_cm = 0.1\nmasks = {{ gold = "{name}" }}\n',
            encoding="utf-8",
        )
        with pytest.raises(SpecError, match=rf"own\.toml: metals\.own\.0\.masks\.gold: .*{message}"):
            load_spec(path)


@pytest.mark.parametrize(
    ("metal", "message"),
    [
        ({"id": "a", "masks": {"gold": DISC, "steel": DISC}}, "masks overlap: .*2.00 times"),
        ({"id": "a", "masks": {"gold": DISC, "steel": ~DISC[:50]}}, "same shape"),
        ({"id": "a", "masks": {"gold": DISC, "Au": DISC}}, "'gold' is named twice"),
        ({"id": "a", "masks": {"unobtanium": DISC}}, "metals.own a: unknown material 'unobtanium'"),
        ({"id": "a", "masks": {"bone": DISC}}, "not made of bone"),
        ({"id": "a", "masks": {}}, "at least 1 item"),
        ({"id": "a", "masks": {"gold": DISC * 3}}, "mask is boolean"),
        ({"id": "a", "masks": {"gold": "data:image/png;base64,AAAA"}}, "damaged"),
        ({"id": "a", "masks": {"gold": "disc.png"}}, "named by its file in a spec file"),
        ({"id": "A b", "masks": {"gold": DISC}}, "id"),
        ({"id": "a", "masks": {"gold": DISC}, "pixel_cm": 1.0}, "47 cm wide and 47 cm high.*beyond the image"),
        ({"id": "a", "masks": {"gold": DISC}, "centre_cm": (0.0, 20.0)}, "beyond the image of 40.96"),
        ({"id": "a", "masks": {"gold": DISC}, "centre_cm": (0.0, 0.0), "site": "bone"}, "a site.*or centre_cm"),
    ],
)
def test_a_metal_that_cannot_be_is_refused(metal: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_own(load_spec("mini"), metal)


def test_many_metals_on_pictures_of_full_size_are_a_benchmark(tiny: Spec) -> None:
    mask = np.zeros((1024, 1024), np.float32)
    mask[500:520, 500:530] = 1
    spec = with_own(tiny, *({"id": f"m{number}", "masks": {"titanium": mask}} for number in range(17)))
    assert len(spec.metals.own) == 17


def test_metals_are_known_by_their_pixels_and_travel_with_the_benchmark(tmp_path: Path) -> None:
    mini = load_spec("mini")
    first = with_own(mini, {"id": "a", "title": "one", "masks": {"gold": DISC}})
    again = with_own(mini, {"id": "a", "title": "another", "masks": {"Au": DISC * 255}})
    buffer = io.BytesIO()
    Image.fromarray(DISC.astype(np.uint8) * 255).save(buffer, "png", compress_level=0)
    text = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    packed = with_own(mini, {"id": "a", "masks": {"gold": text}})
    anywhere = with_own(mini, {"id": "a", "masks": {"gold": DISC}, "site": "any"})
    assert first.hash == again.hash == packed.hash == anywhere.hash != mini.hash
    others = [{"masks": {"gold": DISC.T[1:]}}, {"masks": {"steel": DISC}}, {"pixel_cm": 0.04}, {"site": "bone"}]
    assert len({with_own(mini, {"id": "a", "masks": {"gold": DISC}, **other}).hash for other in others}) == 4
    (tmp_path / "spec.toml").write_text(spec_toml(first), encoding="utf-8")
    assert read_spec(tmp_path) == first
    (tmp_path / "spec.toml").write_text('[[metals.own]]\nmasks = { gold = "/secret.png" }\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"names a file in metals\.own\.0\.masks\.gold"):
        read_spec(tmp_path)


@pytest.mark.parametrize("pixel", [0.32, 0.1, 0.03])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (1.23, -2.71)])
def test_coverage_keeps_area_and_place_on_any_grid(pixel: float, centre: tuple[float, float]) -> None:
    step = 0.05
    metal = MaskMetal("disc", "", "any", centre, step / 0.1, {"gold": DISC.astype(np.float64)})
    grid = ImageGrid(int(12 / pixel), int(12 / pixel) + 1, pixel)
    area = metal.coverage(grid, 0.1, centre)["gold"]
    assert area.min() >= 0 and area.max() <= 1
    assert area.sum() * pixel**2 == pytest.approx(DISC.sum() * step**2, rel=1e-5)
    middle = (area.sum(axis=0) @ grid.x / area.sum(), area.sum(axis=1) @ grid.y / area.sum())
    assert middle == pytest.approx(centre, abs=0.01 * pixel)


def test_a_mask_on_its_own_grid_stays_as_it_is() -> None:
    values = np.random.default_rng(0).random((6, 9))
    metal = MaskMetal("noise", "", "any", (0.0, 0.0), 1.0, {"gold": values})
    assert np.allclose(metal.coverage(ImageGrid(6, 9, 0.1), 0.1, (0.0, 0.0))["gold"], values, atol=1e-6)


@pytest.mark.parametrize(("pixel", "columns"), [(0.036923, 15), (0.036923, -15), (0.32, 28)])
def test_a_shift_by_whole_pixels_touches_no_pixel_beside(pixel: float, columns: int) -> None:
    metal = MaskMetal("square", "", "any", (0.0, 0.0), 1.0, {"gold": np.ones((40, 40))})
    area = metal.coverage(ImageGrid(128, 128, pixel), pixel, (columns * pixel, 0.0))["gold"]
    assert np.count_nonzero(area) == 1600
    assert np.flatnonzero(area.any(axis=0)).tolist() == list(range(44 + columns, 84 + columns))


def test_own_metals_take_the_place_of_those_to_test_with_only(tiny: Spec) -> None:
    small, large = {"id": "small", "masks": {"gold": DISC}}, {"id": "large", "masks": {"steel": DISC}, "pixel_cm": 0.1}
    spec = with_own(tiny, small, large)
    assert [metal.id for metal in metals_of(spec, "test")] == ["large", "small"]
    assert metals_of(spec, "val") == library("val")
    suite = Suite(spec)
    assert repr(suite) == "<Suite 'tiny', test: 4 cases = 2 slices of 2 patients × 2 metals>"
    assert [(key.metal_id, key.size_group) for key in suite.case_keys[:2]] == [("large", 1), ("small", 3)]
    assert suite[0].info.metal_area_mm2 == pytest.approx(DISC.sum() * 1.0, rel=1e-4)


def test_the_order_in_which_masks_are_given_is_no_part_of_a_case(tiny: Spec) -> None:
    whole = tiny.model_copy(update={"metals": tiny.metals.model_copy(update={"pixels": "whole"})})
    orders = ("gold", "steel"), ("steel", "gold")
    suites = [Suite(with_own(whole, {"id": "a", "masks": dict.fromkeys(names, DISC * 0.5)})) for names in orders]
    assert suites[0].spec.hash == suites[1].spec.hash
    assert case_digest(suites[0][0]) == case_digest(suites[1][0])


def test_a_metal_with_a_place_lies_there_and_one_without_lies_in_the_body(tiny: Spec) -> None:
    fixed = with_own(tiny, {"id": "a", "masks": {"gold": DISC}, "centre_cm": (3.0, -2.0)})
    metal = Suite(fixed)[0].truth.metal[0].numpy()
    grid = tiny.grid
    rows, columns = np.nonzero(metal)
    assert abs(grid.x[columns].mean() - 3) < grid.pixel and abs(grid.y[rows].mean() + 2) < grid.pixel
    outside = Suite(with_own(tiny, {"id": "a", "masks": {"gold": DISC}, "centre_cm": (18.0, 18.0)}))
    with pytest.raises(DataError, match=r"'a' lies with 0% of its area in the body, at centre_cm = \[18\.0, 18\.0\]"):
        outside[0]
    # In the corner of a large picture, as a segmentation program saves it.
    corner = np.zeros((500, 500), bool)
    corner[:60, :60] = True
    placed = Suite(with_own(tiny, {"id": "a", "masks": {"gold": corner}, "site": "soft"}))[0]
    assert placed.info.metal_area_mm2 == pytest.approx(corner.sum() * 0.25, rel=1e-4)


def test_recorded_cases_of_own_metals_are_those_that_were_simulated(tiny: Spec, tmp_path: Path) -> None:
    import torch

    suite = Suite(with_own(tiny, {"id": "a", "masks": {"gold": DISC * 0.5, "316L": DISC * 0.5}}))
    export_cases(suite, tmp_path, 2)
    recorded = RecordedCases(tmp_path)
    assert recorded.spec == suite.spec
    assert recorded[1].info == suite[1].info and recorded[1].info.materials == ("gold", "steel")
    assert torch.equal(recorded[1].scan.sinogram, suite[1].scan.sinogram)


def test_metal_of_ones_own_attenuates_as_an_independent_integration_says(tmp_path: Path) -> None:
    """A plate of an alloy in air, scanned with 80 kVp by a detector that adds up energy; no photon noise."""
    import torch
    import xraydb

    path = tmp_path / "own.toml"
    path.write_text(
        'extends = "mini"\n[physics]\nspectrum = "w80_al2.8"\ndetector = "integrating"\nnoise = false\n'
        "scatter = 0\nphotons = 1e18\n[materials.alloy]\ndensity = 5\nfractions = { Ti = 74, Nb = 26 }\n",
        encoding="utf-8",
    )
    spec = load_spec(path)
    simulator = Simulator(spec)
    free = simulator.without_metal(Slice(np.full(spec.grid.shape, -1000, np.float32), (-160, 240), "air", "air"))
    plate = np.zeros(spec.grid.shape, bool)
    plate[60:66, 50:78] = True
    sinogram, trace = simulator.with_metal(free, {"alloy": plate}, np.random.default_rng(0))
    lengths = simulator.operators.project_mu(torch.from_numpy(plate.astype(np.float32)))[trace].double().numpy()

    table = np.loadtxt(Path(marbench.__file__).parent / "physics" / "w80_al2.8.csv", delimiter=",", skiprows=5)
    kev, weight = table[:, 0], table[:, 1] * table[:, 0]
    mu = 5 * (0.74 * xraydb.mu_elam("Ti", kev * 1000) + 0.26 * xraydb.mu_elam("Nb", kev * 1000))
    p = -np.log((weight * np.exp(-mu * lengths[:, None])).sum(axis=1) / weight.sum())
    seen = (lengths > 0.1) & (p < 25)
    assert seen.sum() > 500
    water = 0.1119 * xraydb.mu_elam("H", kev * 1000) + 0.8881 * xraydb.mu_elam("O", kev * 1000)
    water *= 0.192 / (0.1119 * xraydb.mu_elam("H", 70000) + 0.8881 * xraydb.mu_elam("O", 70000))
    centimetres = np.linspace(0, 50, 1001)
    hardened = -np.log((weight * np.exp(-water * centimetres[:, None])).sum(axis=1) / weight.sum())
    cubic = np.linalg.lstsq(np.stack([hardened, hardened**2, hardened**3], axis=1), 0.192 * centimetres, rcond=None)[0]
    corrected = cubic @ np.stack([p, p**2, p**3])
    assert sinogram[trace].numpy()[seen] == pytest.approx(corrected[seen], rel=1e-4)
