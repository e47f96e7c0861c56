import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import Field

from marbench import score
from marbench.bench.campaign import prepare
from marbench.bench.options import RunOptions
from marbench.cases.scanner import operators_of
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import SpecError
from marbench.method.request import parse_methods
from marbench.physics import spectrum
from marbench.physics.materials import MATERIALS
from marbench.spec import Spec, builtin_specs, load_spec, refuse_borrowed_name
from marbench.spec_file import spec_toml
from marbench.spec_sections import GeometrySection, PhysicsSection, Section
from marbench.toolbox.interpolation import linear_interpolation

# Guards against a silent change of what a benchmark is. A change here means new numbers: raise PROTOCOL or the name.
GOLDEN_HASHES = {
    "dudonet2019": "163802df700db11001c3968710786424bc78f13e0431062f481c870c840b8e4e",
    "mini": "b13547e3c06a3e7be544c254311034ce15ca690edc368eaca10206f39c1d27e2",
    "adn2019": "40f1f16057e5f235d84e6d1aab41d66bc2cf21b847676b1d7791b6c57037bfa6",
    "aapm2024": "5c76e16745e38425d585f25b02d269ce3d2d5e2ee30b9f74103a826694f1b0d1",
    "cnnmar2018": "d9da57a48c28700b84230fac42677adf1817b9f7c7d9a1359dc82691b44ece6d",
    "dudonetpp2020": "5db8ecd23c0339330939b930ddd603c485dc5f6219aec690a40541ad386f81ba",
    "syndeeplesion": "304ba22dada219703c1db7b9f3656c3fb4d6465e6e0d8dc7da3c1500a7001974",
}

# What a benchmark that says nothing of it means. Another default is another meaning: raise PROTOCOL.
DEFAULTS = {
    "seed": 0,
    "physics": {
        "spectrum": "w120_al2.8",
        "detector": "counting",
        "reference_kev": 70.0,
        "water_attenuation": 0.192,
        "photons": 2e7,
        "scatter": 20.0,
        "noise": True,
        "electronic_noise": 0.0,
        "tissue": "water and bone",
        "crosstalk": 0.0,
        "low_signal": "one photon",
        "negative": "kept",
        "water_order": 3,
        "water_cm": 50.0,
    },
    "anatomy": {"source": "procedural", "fit": "physical", "scale": 1.0},
    "truth": {"image": "reconstruction", "noise": True},
    "metrics": {"conventions": ["dudonet2019"]},
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


def test_a_file_with_the_mark_of_windows_editors_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('extends = "mini"\nname = "dim"\n[physics]\nphotons = 1e5\n', encoding="utf-8-sig")
    assert load_spec(path).physics.photons == 1e5


def test_a_file_that_extends_another_gives_only_what_differs(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, 'extends = "mini"\nname = "dim"\n[physics]\nphotons = 1e5\n'))
    mini = load_spec("mini")
    assert spec.physics.photons == 1e5
    assert spec.geometry == mini.geometry
    assert spec.hash != mini.hash
    assert (spec.summary, bool(mini.summary)) == ("", True)


def test_a_benchmark_is_not_called_as_the_one_that_it_extends(tmp_path: Path) -> None:
    named = load_spec(write(tmp_path, 'extends = "mini"\nname = "dim"\n[physics]\nphotons = 1e5\n'))
    assert (named.name, named.title) == ("dim", "dim")
    refuse_borrowed_name(named)
    refuse_borrowed_name(load_spec(write(tmp_path, 'extends = "mini"\nsummary = "The same numbers."\n')))
    nameless = load_spec(write(tmp_path, 'extends = "mini"\n[physics]\nphotons = 1e5\n'))
    with pytest.raises(SpecError, match=r"called 'mini', but .* give it a name and a title of its own"):
        prepare(nameless, parse_methods("none"), tmp_path / "run", RunOptions())
    words = ["train", "rdn", "--spec", str(tmp_path / "own.toml"), "--steps", "1", "--out", str(tmp_path / "training")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and "called 'mini', but" in result.output, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["own.toml"]


BARE = """
name = "bare"
title = "bare"
[geometry]
views = 64
bins = 48
pitch_deg = 0.68
source_distance_cm = 105.85
[grid]
size = 32
pixel_cm = 1.28
[metals]
reference_pixel_cm = 0.098462
[split.test]
patients = 2
slices = 2
"""

DEFAULTS_SAID = """
[physics]
spectrum = "w120_al2.8"
reference_kev = 70
water_attenuation = 0.192
photons = 20000000
scatter = 20
noise = true
[anatomy]
source = "procedural"
fit = "physical"
scale = 1.0
[truth]
image = "reconstruction"
noise = true
[split.val]
patients = 0
slices = 0
"""


def test_the_defaults_are_guarded(tmp_path: Path) -> None:
    bare = load_spec(write(tmp_path, BARE)).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert {name: bare[name] for name in DEFAULTS} == DEFAULTS
    assert {
        key: bare["metals"][key] for key in ("material", "tissue_under_metal", "trace_threshold", "size_groups")
    } == {
        "material": "own",
        "tissue_under_metal": "removed",
        "trace_threshold": 0.0,
        "size_groups": 5,
    }


def test_a_default_that_is_said_is_the_same_benchmark(tmp_path: Path) -> None:
    bare, said = load_spec(write(tmp_path, BARE, "a.toml")), load_spec(write(tmp_path, BARE + DEFAULTS_SAID, "b.toml"))
    assert said.hash == bare.hash
    loud = BARE + DEFAULTS_SAID.replace("scatter = 20", "scatter = 21")
    assert load_spec(write(tmp_path, loud, "c.toml")).hash != bare.hash


class _Offset(GeometrySection):
    bin_offset: float = 0.0


class _Energy(PhysicsSection):
    blooming: float = 0.0


class _Motion(Section):
    breathing_cm: float = 0.0


class _NextRelease(Spec):
    """A release with more options: in a table that every file gives, in one that may be left out, and a new table."""

    geometry_section: _Offset = Field(alias="geometry")
    physics: _Energy = _Energy()
    motion: _Motion = _Motion()
    order: str = "slices"


@pytest.mark.parametrize("name", builtin_specs())
def test_an_option_that_is_added_with_a_default_changes_no_benchmark(name: str) -> None:
    content = load_spec(name).model_dump(by_alias=True, exclude_unset=True)
    assert _NextRelease.model_validate(content).hash == GOLDEN_HASHES[name]
    for table, key, value in (("geometry", "bin_offset", 0.25), ("physics", "blooming", 0.1)):
        content[table] = {**content.get(table, {}), key: value}
        assert _NextRelease.model_validate(content).hash != GOLDEN_HASHES[name]
        del content[table][key]
    assert _NextRelease.model_validate({**content, "motion": {"breathing_cm": 1.0}}).hash != GOLDEN_HASHES[name]
    assert _NextRelease.model_validate({**content, "order": "metals"}).hash != GOLDEN_HASHES[name]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tables of spectra in a folder where they may be changed."""
    folder = Path(shutil.copytree(Path(spectrum.__file__).parent, tmp_path / "physics"))
    monkeypatch.setattr(spectrum, "_FOLDER", folder)
    return folder / "w120_al2.8.csv"


def hash_of_mini_now() -> str:
    spectrum.load_spectrum.cache_clear()
    spectrum.spectrum_digest.cache_clear()
    return load_spec("mini").hash


def test_the_numbers_of_the_spectrum_belong_to_a_benchmark_and_their_layout_does_not(tables: Path) -> None:
    text = tables.read_text(encoding="utf-8")
    lines = text.splitlines()
    try:
        relaid = [f"# {line}" if line.startswith("#") else line.replace(",", " ,  ") for line in lines]
        tables.write_text("\r\n".join(relaid), encoding="utf-8")
        assert hash_of_mini_now() == GOLDEN_HASHES["mini"]
        energy, photons = lines[-1].split(",")
        tables.write_text("\n".join([*lines[:-1], f"{energy},{float(photons) * 1.001!r}"]), encoding="utf-8")
        assert hash_of_mini_now() != GOLDEN_HASHES["mini"]
    finally:
        tables.write_text(text, encoding="utf-8")
        assert hash_of_mini_now() == GOLDEN_HASHES["mini"]


@pytest.mark.parametrize(
    ("material", "changed"), [("gold", {"mini"}), ("bone", {"mini", "dudonet2019"}), ("water", None)]
)
def test_what_materials_are_made_of_belongs_to_the_benchmarks_that_have_them(
    material: str, changed: set[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = MATERIALS[material]
    monkeypatch.setitem(MATERIALS, material, type(old)(old.name, old.density * 1.01, old.fractions, old.source))
    looked_at = ("mini", "dudonet2019")
    others = {name for name in looked_at if load_spec(name).hash != GOLDEN_HASHES[name]}
    assert others == (changed or {*looked_at})


@pytest.mark.parametrize(
    ("constant", "procedural", "files"), [("PHANTOMS_VERSION", True, False), ("METALS_VERSION", True, True)]
)
def test_the_generators_belong_to_the_benchmarks_that_use_them(
    constant: str, procedural: bool, files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, 'extends = "mini"\n[anatomy]\nsource = "dicom"\npath = "here"\n')
    before = load_spec("mini").hash, load_spec(path).hash
    monkeypatch.setattr(f"marbench.spec.{constant}", 99)
    assert (load_spec("mini").hash != before[0], load_spec(path).hash != before[1]) == (procedural, files)


def test_texts_report_and_place_of_data_are_no_part_of_the_identity(tmp_path: Path) -> None:
    text = 'extends = "mini"\ntitle = "{0}"\nsummary = "{0}"\n[anatomy]\nsource = "dicom"\npath = "{0}"\n'
    text += "[report]\ngallery_slices = [{1}]\n"
    first = load_spec(write(tmp_path, text.format("here", 1)))
    second = load_spec(write(tmp_path, text.format("there", 2)))
    assert first.hash == second.hash
    assert first.hash != load_spec("mini").hash


def test_the_digest_of_its_data_is_part_of_the_identity(tmp_path: Path) -> None:
    text = 'extends = "mini"\n[anatomy]\nsource = "dicom"\ndata = "{}"\n'
    hashes = {load_spec(write(tmp_path, text.format(digit * 64))).hash for digit in "0a"}
    assert len(hashes) == 2
    with pytest.raises(SpecError, match=r"anatomy\.data"):
        load_spec(write(tmp_path, text.format("0" * 63)))
    with pytest.raises(SpecError, match=r"procedural.*neither path nor data"):
        load_spec(write(tmp_path, 'extends = "mini"\n[anatomy]\npath = "x"\n'))


def test_a_benchmark_that_is_not_bound_to_its_files_is_not_written(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, 'extends = "mini"\n[anatomy]\nsource = "dicom"\npath = "slices"\n'))
    with pytest.raises(SpecError, match="not bound to its data"):
        spec_toml(spec)


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
        ("[physics.bowtie]\nmatrial = 'water'\n", r"unknown key 'physics\.bowtie\.matrial'; did you mean 'material'"),
        ("phisics = 'unset'\n", "unknown key 'phisics'; did you mean 'physics'"),
        ("[physics]\nphoton = 'unset'\n", r"unknown key 'physics\.photon'; did you mean 'photons'"),
        ("[physics.bowtie]\nmatrial = 'unset'\n", r"key 'physics\.bowtie\.matrial'; did you mean 'material'"),
        ("[materials.alloy]\nformla = 'unset'\n", r"key 'materials\.alloy\.formla'; did you mean 'formula'"),
        ("[phisics]\nphotons = 'unset'\n", "unknown key 'phisics'; did you mean 'physics'"),
        ("[recorded]\nformt = 'files'\n", r"unknown key 'recorded\.formt'; did you mean 'format'"),
        ("[recorded.sinogram]\ntransposd = true\n", r"'recorded\.sinogram\.transposd'; did you mean 'transposed'"),
        ("[physics]\nscatter = true\n", "scatter = true: it takes a value, not true or false"),
        ("[geometry]\nviews = true\n", "views = true: it takes a value, not true or false"),
        ("[physics]\nphotons = 0.001\n", r"physics\.photons: .*greater than or equal to 1.*got 0\.001"),
        ("[physics]\nphotons = -1\n", r"physics\.photons: .*greater than or equal to 1.*got -1"),
        ("[physics]\nphotons = inf\n", r"physics\.photons"),
        ("[physics]\nspectrum = 'w140'\n", r"unknown spectrum 'w140'.*w120_al2\.8"),
        ("[metals]\nmaterial = 'titan'\n", "did you mean 'titanium'"),
        ("[metrics]\nconventions = ['dudonet']\n", "did you mean 'dudonet2019'"),
        ("[metrics]\nconventions = []\n", r"metrics\.conventions"),
        ("[anatomy]\nsource = 'dicm'\n", "'procedural', 'dicom', 'nifti' or 'deeplesion'"),
        ("[anatomy]\nsource = 'dicom'\n", "path is needed"),
        ("[geometry]\npitch_cm = 0.1\n", "takes pitch_deg"),
        ("[geometry]\nbins = 50\n", "the scan would be truncated"),
        ("[geometry]\nbins = 2\npitch_deg = 30\n", "2 bins .* apart are too few"),
        ("[geometry]\nbins = 100000\n", r"geometry\.bins: .*less than or equal to 20000"),
        ("[geometry]\nviews = 999999999\n", r"geometry\.views: .*less than or equal to 20000"),
        ("[geometry]\nstart_deg = nan\n", r"geometry\.start_deg: .*finite"),
        ("[geometry]\nstart_deg = inf\n", r"geometry\.start_deg"),
        ("[geometry]\nstart_deg = 1e300\n", r"geometry\.start_deg: .*360"),
        ("[geometry]\nsource_distance_cm = 25\n", "the source, 25 cm .* would pass through the image"),
        ("[geometry]\nsource_distance_cm = 1e308\n", r"geometry\.source_distance_cm"),
        ('[geometry]\ndetector = "flat"\npitch_cm = 0.3\ndetector_distance_cm = 200\n', 'pitch_deg = "unset"'),
        (
            '[geometry]\ndetector = "flat"\npitch_cm = 0.35\ndetector_distance_cm = 130\npitch_deg = "unset"\n',
            r"130 from the source, .* in front of it, which ends 134\.\d+ cm .* not from the isocentre",
        ),
        ("[grid]\nsize = 1000000\n", r"grid\.size: .*8192"),
        ("[grid]\npixel_cm = 1e-300\n", r"grid\.pixel_cm: .*0\.001"),
        ("[grid]\npixel_cm = 0.001\n", "reference_pixel_cm = 0.098462 .* times as wide as the image"),
        ("[metals]\nreference_pixel_cm = 1e-4\n", r"metals\.reference_pixel_cm: .*0\.001"),
        ("[metals]\nreference_pixel_cm = 1\n", "1 is the paper's: 0.0984615"),
        ("[metals]\nreference_pixel_cm = nan\n", r"metals\.reference_pixel_cm"),
        ("[metals]\nsize_groups = 9223372036854775808\n", r"metals\.size_groups"),
        ("[metals]\ntrace_threshold = inf\n", r"metals\.trace_threshold"),
        ("[grid]\nsize = 8\npixel_cm = 5.12\n", "52 times as wide as metals.reference_pixel_cm.* vanish"),
        ("[physics]\nphotons = 1e19\n", r"at most 1e\+18 photons can be counted: NumPy .*got 1e\+19"),
        ("[physics]\nphotons = nan\n", r"physics\.photons"),
        ("[physics]\nscatter = 1e30\n", "at most 1e\\+18 photons"),
        (
            "[physics]\nreference_kev = 100\nwater_attenuation = 0.192\n",
            "of water at reference_kev = 100, which is 0.170725",
        ),
        ("[physics]\nwater_attenuation = 0.25\n", "of water at reference_kev = 70, which is 0.192853"),
        ("[reconstruction]\nwindow = [[0, 2], [1, 2]]\n", r"reconstruction\.window: .* at f = 0 is 1.*Got 2"),
        ("[reconstruction]\nwindow = [[0, 0], [1, 1]]\n", r"reconstruction\.window: .* at f = 0 is 1.*Got 0"),
        ("[split]\ntest = { patients = 12, slices = 99999999999 }\n", r"split\.test\.slices.*1000000"),
        ("[split]\ntrain = { patients = 99999999999, slices = 1 }\n", r"split\.train\.patients.*100000"),
        ("seed = 9223372036854775808\n", "seed"),
        ("name = '" + "x" * 300 + "'\n", r"name: .*at most 64 characters.*\(302 characters\)"),
        ("a = " + "[" * 2000 + "\n", "not valid TOML|nested too deeply"),
        ("a = " + "9" * 5000 + "\n", "not valid TOML"),
        (".".join("a" * 3000) + " = 1\n", "nested too deeply|unknown key|not valid TOML"),
        ('[anatomy]\nsource = "dicom"\npath = "~nouser/ct"\n', "'~nouser/ct' cannot be a path"),
        ('[anatomy]\nsource = "dicom"\npath = "a\\u0000b"\n', "cannot be a path"),
        ('[anatomy]\nsource = "dicom"\npath = "' + "x" * 5000 + '"\n', "cannot be a path"),
        ('[anatomy]\nsource = "dicom"\npath = ""\n', r"anatomy\.path"),
        ("[geometry]\npitch_deg = 2.0\n", "below ±90°"),
        ("[split]\ntest = { patients = 'some', slices = 1 }\n", r"split\.test\.patients"),
        ("name = 'Two Words'\n", "name: expected lower-case letters, digits, _ and -, the first a letter or digit"),
        ('[anatomy]\nregions = "body"\n', r'anatomy\.regions: expected a list, as \["body"\] \(got \'body\'\)$'),
        ("[split]\ntest = 3\n", r"split\.test: expected a table, as { patients = 2, slices = 4 } \(got 3\)$"),
        ("[metrics]\nconventions = [3]\n", r"conventions\.0: Input should be a valid string \(got 3\)$"),
        ("photons = \n", "not valid TOML"),
    ],
)
def test_faults_are_named_with_file_key_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, 'extends = "mini"\n' + text)
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[geometry]\ndetector = "flat"\npitch_cm = 0.35\ndetector_distance_cm = 150\npitch_deg = "unset"\n',
        "[geometry]\nviews = 1e3\nstart_deg = -360\n",
        "[physics]\nphotons = 1e18\nscatter = 0\n",
        "[physics]\nwater_attenuation = 0.1929\n",
        "[metals]\nreference_pixel_cm = 0.02\nsize_groups = 1\n",
        '[grid]\npixel_cm = 0.25\n[anatomy]\nfit = "image"\n',
        "[grid]\npixel_cm = 0.31\n",
    ],
)
def test_what_a_scanner_could_be_is_accepted(tmp_path: Path, text: str) -> None:
    assert load_spec(write(tmp_path, 'extends = "mini"\n' + text)).hash != load_spec("mini").hash


@pytest.mark.parametrize(
    ("scan", "fits"),
    [("", True), ("arc_deg = 300", False), (f"angles_deg = {[360 / 256 * k for k in range(256)]}", False)],
)
def test_only_the_views_of_an_evenly_divided_circle_are_turned(tmp_path: Path, scan: str, fits: bool) -> None:
    text = f'extends = "mini"\n[geometry]\n{scan}\n[recorded]\npath = "here"\n[recorded.mask]\nfile = "{{case}}.npz"\n'
    text += '[recorded.sinogram]\nfile = "{case}.npy"\nturned_deg = '
    load_spec(write(tmp_path, f"{text}0\n"))
    path = write(tmp_path, f"{text}90\n")
    if fits:
        assert load_spec(path).recorded.sinogram.turned_deg == 90
        return
    with pytest.raises(SpecError, match=r"recorded\.sinogram\.turned_deg .*start_deg or angles_deg"):
        load_spec(path)


@pytest.mark.parametrize("name", ["a\0b", "~nouser/x.toml", "x" * 5000, "x" * 5000 + ".toml", "\udcff.toml", ""])
def test_what_cannot_be_a_path_is_refused_wherever_it_stands(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError):
        load_spec(name)
    if "\udcff" not in name:
        escaped = name.replace("\0", "\\u0000")
        with pytest.raises(SpecError):
            load_spec(write(tmp_path, f'extends = "{escaped}"\n'))


def test_an_inherited_key_can_be_taken_away(tmp_path: Path) -> None:
    below = 'extends = "mini"\n[anatomy]\nsource = "dicom"\npath = "ct"\n[physics]\nnoise = false\n'
    below += "[materials.alloy]\ndensity = 5\nfractions = { Ti = 3, Nb = 1 }\n"
    write(tmp_path, below, "a.toml")
    text = 'extends = "a.toml"\nphysics = "unset"\n[anatomy]\nsource = "procedural"\npath = "unset"\n[materials]\n'
    assert load_spec(write(tmp_path, text + 'alloy = "unset"\n')).hash == load_spec("mini").hash
    pure = load_spec(write(tmp_path, text + 'alloy.fractions.Nb = "unset"\n'))
    assert pure.materials["alloy"].fractions == {"Ti": 3}


@pytest.mark.parametrize(("kev", "water"), [(50, 0.226937), (60, 0.205874), (100, 0.170725), (120, 0.161353)])
def test_water_belongs_to_the_reference_energy(tmp_path: Path, kev: float, water: float) -> None:
    """µ of water in 1/cm after XCOM; without it 20 cm of water would count as another thickness."""
    spec = load_spec(write(tmp_path, f'extends = "mini"\n[physics]\nreference_kev = {kev}\n'))
    assert spec.physics.water_attenuation == water
    said = load_spec(write(tmp_path, f'extends = "own.toml"\n[physics]\nwater_attenuation = {water}\n', "said.toml"))
    assert said.hash == spec.hash


def test_a_written_benchmark_holds_only_numbers_that_toml_can_say(tmp_path: Path) -> None:
    for key, value in (("start_deg", math.nan), ("start_deg", math.inf)):
        content: dict[str, Any] = load_spec("mini").model_dump(by_alias=True, exclude_none=True)
        content["geometry"][key] = value
        with pytest.raises(ValueError, match="finite"):
            Spec.model_validate(content)


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


OTHER_SCANS = {
    "short": 'arc_deg = "short"\nclockwise = true',
    "shifted": "offset_bins = 0.25",
    "half fan, flat": """
        detector = "flat"
        pitch_deg = "unset"
        pitch_cm = 0.4
        detector_distance_cm = 190
        offset_bins = 60""",
    "list": f"views = 180\nangles_deg = {[2 * k + 0.5 * (k % 2) for k in range(180)]}",
    "soft": '[reconstruction]\nwindow = "hann"',
    "truncated": 'bins = 120\n[reconstruction]\ntruncation = "extrapolate"',
}


@pytest.mark.parametrize("text", OTHER_SCANS.values(), ids=OTHER_SCANS)
def test_other_scans_are_benchmarks_of_their_own_and_corrected_like_any(tmp_path, text):
    (tmp_path / "own.toml").write_text(f'extends = "mini"\nname = "own"\n[geometry]\n{text}\n')
    spec = load_spec(tmp_path / "own.toml")
    assert spec.hash != load_spec("mini").hash
    case = Suite(spec)[3]
    none, li = (score(image, case)["rmse_hu"] for image in (case.scan.image[0], linear_interpolated(case, spec)))
    assert li < 0.7 * none
    assert abs(float(case.truth.image[0][case.truth.image[0].abs() < 300].mean())) < 60  # tissue is tissue


def linear_interpolated(case, spec):
    repaired = linear_interpolation(case.scan.sinogram, case.scan.metal_trace)
    return operators_of(spec).reconstruct(repaired)[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("arc_deg = 180", r"turn by 179\.3° .* Use a larger arc_deg"),
        ("arc_deg = 0", "arc_deg"),
        ("views = 1", r"turn by 0\.0° .* Use more views"),
        ("views = 2", r"turn by 180\.0° .* Use more views"),
        ("offset_bins = 97", "at most 95.5 either way"),
        ("angles_deg = [0, 90]", "names 2 views; views is 256"),
        ("start_deg = 10\nangles_deg = [0, 90]", "takes neither start_deg nor arc_deg"),
        ("bins = 120", "reconstruction.truncation"),
        ('[reconstruction]\nwindow = "ham"', "window"),
    ],
)
def test_impossible_scans_are_refused_with_what_to_do(tmp_path, text, told):
    (tmp_path / "own.toml").write_text(f'extends = "mini"\nname = "own"\n[geometry]\n{text}\n')
    with pytest.raises(SpecError, match=told):
        load_spec(tmp_path / "own.toml")
