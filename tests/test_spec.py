import math
from pathlib import Path

import pytest

from marbench.errors import SpecError
from marbench.spec import builtin_specs, load_spec

# Guards against a silent change of what a benchmark is. A change here means new numbers: raise PROTOCOL or the name.
GOLDEN_HASHES = {
    "dudonet2019": "ac201b3820e7dd21f830cac65de34767c9995dbd2eb68ebd32c77404de9fd960",
    "mini": "1d396b44ba6b72a035b6664214326bd41ada081f4a8bbf6ac6fc7036f48a2137",
}


@pytest.mark.parametrize("name", builtin_specs())
def test_identity_of_a_builtin_benchmark_is_guarded(name: str) -> None:
    assert load_spec(name).hash == GOLDEN_HASHES[name]


def test_dudonet2019_is_the_geometry_of_the_paper() -> None:
    spec = load_spec("dudonet2019")
    fan, grid = spec.geometry, spec.grid
    assert (grid.rows, grid.columns, grid.pixel) == (416, 416, 0.036923)
    assert grid.field_of_view[0] == pytest.approx(15.36, abs=1e-3)
    assert (fan.bins, fan.views, fan.detector) == (321, 320, "arc")
    assert fan.source_distance / grid.pixel == pytest.approx(1075, abs=0.1)
    assert [math.degrees(angle) for angle in fan.gamma[[0, -1]]] == pytest.approx([-16, 16])
    assert math.degrees(fan.beta[1] - fan.beta[0]) == pytest.approx(1.125)
    assert spec.physics.photons == 2e7


def write(folder: Path, text: str, name: str = "own.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_extends_another_gives_only_what_differs(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, 'extends = "mini"\nname = "dim"\n[physics]\nphotons = 1e5\n'))
    mini = load_spec("mini")
    assert spec.physics.photons == 1e5
    assert spec.geometry == mini.geometry
    assert spec.hash != mini.hash
    assert (spec.summary, bool(mini.summary)) == ("", True)


def test_texts_report_and_place_of_data_are_no_part_of_the_identity(tmp_path: Path) -> None:
    text = 'extends = "mini"\n[anatomy]\nsource = "dicom"\npath = "{}"\n[report]\ngallery_slices = [{}]\n'
    first = load_spec(write(tmp_path, text.format("here", 1)))
    second = load_spec(write(tmp_path, text.format("there", 2)))
    assert first.hash == second.hash
    assert first.hash != load_spec("mini").hash


def test_data_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, 'extends = "mini"\n[anatomy]\nsource = "dicom"\npath = "slices"\n'))
    assert spec.anatomy.path == str(tmp_path.resolve() / "slices")


def test_a_spec_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_spec("mini").physics.photons = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[phisics]\nphotons = 1\n", "unknown key 'phisics'; did you mean 'physics'"),
        ("[physics]\nphoton = 1\n", r"unknown key 'physics\.photon'; did you mean 'photons'"),
        ("[physics]\nphotons = -1\n", r"physics\.photons: .*greater than 0.*got -1"),
        ("[physics]\nphotons = inf\n", r"physics\.photons"),
        ("[physics]\nspectrum = 'w140'\n", r"unknown spectrum 'w140'.*w120_al2\.8"),
        ("[metals]\nmaterial = 'titan'\n", "did you mean 'titanium'"),
        ("[metrics]\nconventions = ['dudonet']\n", "did you mean 'dudonet2019'"),
        ("[metrics]\nconventions = []\n", r"metrics\.conventions"),
        ("[anatomy]\nsource = 'dicm'\n", "'procedural', 'dicom', 'nifti' or 'deeplesion'"),
        ("[anatomy]\nsource = 'dicom'\n", "path is needed"),
        ("[geometry]\npitch_cm = 0.1\n", "takes pitch_deg"),
        ("[geometry]\nbins = 50\n", "the scan would be truncated"),
        ("[geometry]\npitch_deg = 2.0\n", "below ±90°"),
        ("[split]\ntest = { patients = 'some', slices = 1 }\n", r"split\.test\.patients"),
        ("name = 'Two Words'\n", "name"),
        ("photons = \n", "not valid TOML"),
    ],
)
def test_faults_are_named_with_file_key_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, 'extends = "mini"\n' + text)
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(path)
    assert str(path) in str(caught.value)


def test_missing_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the key 'geometry' is missing"):
        load_spec(write(tmp_path, 'name = "bare"\ntitle = "bare"\n'))


def test_unknown_benchmark_suggests_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean 'mini'"):
        load_spec("mimi")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is a folder"):
        load_spec(tmp_path)


def test_circular_extension_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 'extends = "b.toml"\n', "a.toml")
    write(tmp_path, 'extends = "a.toml"\n', "b.toml")
    with pytest.raises(SpecError, match="circle"):
        load_spec(tmp_path / "a.toml")
