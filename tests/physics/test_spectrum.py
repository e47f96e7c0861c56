from pathlib import Path

import pytest

from marbench.errors import DataError, SpecError
from marbench.physics import spectrum
from marbench.physics.spectrum import canonical_spectrum, load_spectrum, parse_spectrum, spectra, weighted_spectrum
from marbench.spec import load_spec
from marbench.spec_file import read_spec, spec_toml

# keV; of SpekPy 2.5.4 in steps of 0.1 keV, from 19.5 keV on.
MEAN_KEV = {70: 40.163, 80: 43.664, 100: 49.888, 120: 55.157, 140: 59.840}


def test_the_120_kvp_spectrum_has_the_published_shape() -> None:
    spectrum = load_spectrum("w120_al2.8")
    assert spectrum.energies[0] == 20
    assert spectrum.energies[-1] == 120
    assert spectrum.photons.sum() == pytest.approx(1)
    # The table of the DuDoNet simulator has a mean of 55.12 keV.
    assert float(spectrum.photons @ spectrum.energies) == pytest.approx(55.12, abs=0.1)
    # The tungsten Kα lines at 58 and 59 keV stand out.
    assert spectrum.energies[spectrum.photons.argmax()] == 59


@pytest.mark.parametrize("kvp", MEAN_KEV)
def test_a_tube_spectrum_ends_at_its_voltage_and_hardens_with_it(kvp: int) -> None:
    spectrum = load_spectrum(f"w{kvp}_al2.8")
    assert (spectrum.energies[0], spectrum.energies[-1]) == (20, kvp)
    assert float(spectrum.photons @ spectrum.energies) == pytest.approx(MEAN_KEV[kvp], abs=0.03)
    # The K edge of tungsten is at 69.5 keV: 70 kV hardly excite a K line.
    share = dict(zip(spectrum.energies, spectrum.photons, strict=True))
    assert (share[59] > 1.3 * share[55]) == (kvp >= 80)


def test_every_shipped_table_can_be_named() -> None:
    assert set(spectra()) == {f"w{kvp}_al2.8" for kvp in MEAN_KEV}


def test_unknown_spectrum_is_refused() -> None:
    with pytest.raises(DataError, match=r"did you mean 'w120_al2\.8'"):
        load_spectrum("w120")


def test_an_integrating_detector_weights_a_photon_with_its_energy() -> None:
    weighted = weighted_spectrum(((30.0, 2.0), (60.0, 1.0)), "integrating")
    assert weighted.photons.tolist() == pytest.approx([0.5, 0.5])
    assert weighted_spectrum("w80_al2.8") is load_spectrum("w80_al2.8")


def test_a_table_of_two_columns_is_read_whatever_parts_them() -> None:
    text = "\ufeff# my tube\nkeV{0}photons\n\n30{0}1e3 # first\n40.5{0}0\n60{0}2000\n"
    tables = {parse_spectrum(text.lstrip("\ufeff").format(mark)) for mark in (",", ";", "\t", " , ", "  ")}
    assert tables == {((30.0, 1000.0), (40.5, 0.0), (60.0, 2000.0))}
    # A bin without photons says nothing, and may lie where none leave a tube.
    assert canonical_spectrum(parse_spectrum("1,0\n2,0\n30,1000\n60,2000\n")) == canonical_spectrum(tables.copy().pop())
    assert load_spectrum(next(iter(tables))).energies == (30.0, 60.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Got 0"),
        ("30,1\n20,1\n", "increase. Got 20 keV after 30"),
        ("30,1\n30,1\n", "increase"),
        ("30,1\n40,-1\n", "none below 0"),
        ("30,1\n40,nan\n", "finite"),
        ("30,1\n40,inf\n", "finite"),
        ("30,0\n", "at least one above"),
        ("30000,1\n", "between 10 and 200 keV. Got photons from 30000 .*in keV"),
        ("5,1\n8,2\n30,1\n", "Got photons from 5 to 8. Leave out the rows below 10 keV"),
        ("nan,1\n", "line 1|between 10"),
        ("30,1\n40\n", "Line 2 .* no pair of keV and photons: '40'"),
        ("30,1\n40,x\n", "Line 2"),
        ("20,5;0,1\n", "Line 1"),
        ("".join(f"{20 + k / 100},1\n" for k in range(3000)), "1 to 2000 pairs"),
    ],
)
def test_what_is_no_spectrum_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_spectrum(text)


@pytest.mark.parametrize(
    "value", ["5 keV", "500 keV", "70", "70 kV", [[30, 1], [40]], [[30, "1"]], [[30, True]], 70, []]
)
def test_what_names_no_spectrum_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        canonical_spectrum(value)


def own(folder: Path, spectrum: str, name: str = "own.toml") -> Path:
    path = folder / name
    path.write_text(f'extends = "mini"\n[physics]\nspectrum = {spectrum}\n', encoding="utf-8")
    return path


def test_a_table_of_ones_own_is_known_by_its_numbers_and_travels_with_the_benchmark(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "tube.csv").write_text("# secret tube of a person\n20,1\n60,2.5\n", encoding="utf-8")
    (tmp_path / "deep" / "other.CSV").write_text("keV;photons\n2e1; 1.0\n60; 2.50\n", encoding="utf-8")
    named = load_spec(own(tmp_path, '"tube.csv"'))
    elsewhere = load_spec(own(tmp_path, '"deep/other.CSV"', "second.toml"))
    said = load_spec(own(tmp_path, "[[20, 1], [60, 2.5]]", "third.toml"))
    assert named.hash == elsewhere.hash == said.hash != load_spec("mini").hash
    assert named.physics.beam.energies == (20.0, 60.0)
    run = tmp_path / "run"
    run.mkdir()
    (run / "spec.toml").write_text(spec_toml(named), encoding="utf-8")
    assert "tube" not in spec_toml(named)
    assert read_spec(run) == named
    (tmp_path / "tube.csv").write_text("20,1\n60,2.6\n", encoding="utf-8")
    assert load_spec(own(tmp_path, '"tube.csv"')).hash != named.hash


def test_a_file_that_is_no_spectrum_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("30,1\n20,1\n", encoding="utf-8")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\x00")
    for name, message in (("bad", "increase"), ("none", "No such file"), ("picture", "no text")):
        with pytest.raises(SpecError, match=rf"own\.toml: physics\.spectrum: .*{name}\.csv.*{message}"):
            load_spec(own(tmp_path, f'"{name}.csv"'))


def test_the_spec_of_a_results_folder_reads_no_file(tmp_path: Path) -> None:
    from marbench.errors import StoreError

    (tmp_path / "spec.toml").write_text('[physics]\nspectrum = "tube.csv"\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"names a file in physics\.spectrum"):
        read_spec(tmp_path)


def test_one_energy_has_one_name(tmp_path: Path) -> None:
    texts = ['"70 keV"', '"70.0keV"', '" 70  keV "', "[[70, 1]]", "[[70, 5]]", "[[60, 0], [70, 5.0], [80, 0]]"]
    specs = [load_spec(own(tmp_path, text)) for text in texts]
    assert {spec.physics.spectrum for spec in specs} == {"70 keV"}
    assert len({spec.hash for spec in specs}) == 1
    assert specs[0].hash != load_spec("mini").hash
    # To its last digit, and once more the same.
    for energy in (100.1234, 59.31824, 12.345678901234567, 199.99999999999997):
        name = canonical_spectrum([[energy, 3]])
        assert load_spectrum(name).energies == (energy,)
        assert canonical_spectrum(name) == canonical_spectrum(f"{energy} keV") == name
    assert canonical_spectrum("100.1234 keV") == "100.1234 keV"


def test_neither_the_scale_of_a_table_nor_bins_without_photons_are_another_spectrum(tmp_path: Path) -> None:
    table = [[30, 0.7], [45.5, 1.1], [60, 0.3]]
    hashes = {
        load_spec(own(tmp_path, str([[25, 0], *([energy, factor * one] for energy, one in table), [99, 0]]))).hash
        for factor in (1, 2, 3, 1 / 7, 1e-9, 1e12)
    }
    assert len(hashes) == 1
    canonical = canonical_spectrum(table)
    assert canonical_spectrum(canonical) == canonical
    expected, found = load_spectrum(tuple(map(tuple, table))), load_spectrum(canonical)
    assert found.energies == expected.energies and found.photons == pytest.approx(expected.photons, rel=1e-9)


@pytest.mark.parametrize("name", spectra())
def test_the_table_of_a_shipped_spectrum_is_that_spectrum(name: str, tmp_path: Path) -> None:
    shipped = Path(spectrum.__file__).parent / f"{name}.csv"
    copy = tmp_path / "mine.csv"
    copy.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_spec(own(tmp_path, '"mine.csv"')).physics.spectrum == name
    thrice = [[energy, 3 * photons] for energy, photons in parse_spectrum(shipped.read_text(encoding="utf-8"))]
    assert canonical_spectrum(thrice) == name
    assert canonical_spectrum([*thrice[:-1], [thrice[-1][0], 1.001 * thrice[-1][1]]]) != name


def test_the_detector_is_part_of_a_benchmark_only_where_it_integrates(tmp_path: Path) -> None:
    counting = load_spec(own(tmp_path, '"w120_al2.8"\ndetector = "counting"'))
    integrating = load_spec(own(tmp_path, '"w120_al2.8"\ndetector = "integrating"'))
    assert counting.hash == load_spec("mini").hash != integrating.hash
