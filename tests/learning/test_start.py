import csv
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from tiny_training import recipe_for, request_for, silent

from marbench.cli.train import command
from marbench.errors import MethodError, SpecError
from marbench.learning.cases import BLOCK
from marbench.learning.checkpoints import save_checkpoint
from marbench.learning.feeder import default_workers
from marbench.learning.packing import bytes_per_case
from marbench.learning.ranks import launch
from marbench.learning.recipe import hold_to_recipe, pool_sizes
from marbench.learning.start import begin_with, named_start, start_and_name, starting_weights
from marbench.learning.trainer import Trainer
from marbench.learning.training import train
from marbench.method.learned import LearnedMethod, build_untrained
from marbench.method.request import context_for, instantiate, parse_methods
from marbench.method.weights import WeightsCard, WeightsFile, read_weights
from marbench.spec import Spec, load_spec


@pytest.fixture(scope="module")
def trained(plugins: Path, spec: Spec, _cache: Path, tmp_path_factory: pytest.TempPathFactory) -> WeightsFile:
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARBENCH_CACHE", str(_cache))
        request = request_for(plugins)
        return train(request, spec, recipe_for(request, spec, steps=2), out, installed=False, note=silent)


def test_a_training_begins_from_the_weights_it_is_given_and_its_card_says_so(
    trained: WeightsFile, plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    request = request_for(plugins)
    start = starting_weights(str(trained.path), request)
    recipe = recipe_for(request, spec, steps=1, start=named_start(start))
    networks = Trainer(request, spec, recipe, tmp_path / "looked at", launch("cpu"), start, silent).method.networks()
    for key, value in read_weights(trained).items():
        assert torch.equal(networks["net"].state_dict()[key.removeprefix("net.")], value), key
    file = train(request, spec, recipe, tmp_path / "run", start=start, installed=False, note=silent)
    expected = {"label": "tinynet", "spec": "tiny", "sha256": trained.card.sha256, "samples": 8}
    assert file.card.recipe["start"] == expected
    assert (file.card.steps, file.card.samples) == (1, 4)


def test_a_start_that_no_step_improves_upon_is_what_comes_out(
    trained: WeightsFile, plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    request = request_for(plugins)
    start = starting_weights(str(trained.path), request)
    # A thousand times the rates that are sound: whatever is learned is worse.
    recipe = recipe_for(request, spec, steps=4, start=named_start(start), learning_rate_factor=1e3)
    notes: list[str] = []
    file = train(request, spec, recipe, tmp_path / "run", start=start, installed=False, note=notes.append)
    assert file.card.validation["step"] == 0
    assert any(note.startswith("before the first step; validation") for note in notes)
    mine, its = read_weights(file), read_weights(trained)
    assert all(torch.equal(mine[key], its[key]) for key in its)


def test_a_training_goes_on_without_the_weights_it_began_from(
    trained: WeightsFile, plugins: Path, spec_file: Path, tmp_path: Path
) -> None:
    start, out = tmp_path / "start.safetensors", tmp_path / "out"
    for ending in (".safetensors", ".json"):
        shutil.copy(trained.path.with_suffix(ending), start.with_suffix(ending))
    words = ["tinynet", "--spec", str(spec_file), "--plugins", str(plugins), "--steps", "2", "--batch", "4"]
    words += ["--workers", "0", "--no-install", "--out", str(out), "--precision", "32-true", "--start-from", str(start)]
    assert CliRunner().invoke(command, words, catch_exceptions=False).exit_code == 0
    for ending in (".safetensors", ".json"):
        start.with_suffix(ending).unlink()
        done = CliRunner().invoke(command, words, catch_exceptions=False)
        assert done.exit_code == 0 and "going on after step 2" in done.output, done.output
    for checkpoint in (out / "checkpoints").iterdir():
        checkpoint.write_bytes(b"damaged")
    with pytest.raises(MethodError, match=r"no checkpoint can be read, and the weights .* are gone\. Bring these back"):
        CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_training_that_goes_on_takes_no_newer_weights_of_a_benchmark_for_those_it_began_from(
    trained: WeightsFile, plugins: Path, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARBENCH_WEIGHTS", str(trained.path.parent))
    now = named_start(trained)
    older = now | {"sha256": "0" * 64}
    for before, expected in ((None, (trained, now)), (now, (trained, now)), (older, (None, older))):
        assert start_and_name(str(spec_file), request_for(plugins), before) == expected


def test_a_command_that_failed_before_its_first_step_leaves_the_folder_to_others(
    trained: WeightsFile, plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    wide, small = request_for(plugins, preset="wide"), request_for(plugins)
    recipe = recipe_for(wide, spec, steps=1, start=named_start(trained))
    with pytest.raises(MethodError, match="do not fit the networks"):
        train(wide, spec, recipe, tmp_path, start=trained, installed=False, note=silent)
    save_checkpoint(tmp_path / "best", 0, {})
    (tmp_path / "best" / "mine.txt").touch()
    file = train(small, spec, recipe_for(small, spec, steps=1), tmp_path, installed=False, note=silent)
    assert file.card.preset == "small" and (tmp_path / "best" / "mine.txt").exists()
    with pytest.raises(SpecError, match="holds another training"):
        hold_to_recipe(tmp_path, recipe)


def test_learning_rates_are_multiplied_by_the_factor_of_the_recipe(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    request = request_for(plugins)
    factors = {}
    for factor in (1.0, 0.1):
        recipe = recipe_for(request, spec, steps=20, learning_rate_factor=factor)
        train(request, spec, recipe, tmp_path / str(factor), installed=False, note=silent)
        with (tmp_path / str(factor) / "losses.csv").open() as file:
            factors[factor] = [float(row["learning_rate_factor"]) for row in csv.DictReader(file)]
    assert 0 < max(factors[1.0]) <= 1
    assert factors[0.1] == pytest.approx([0.1 * each for each in factors[1.0]])


def test_a_folder_that_began_from_weights_takes_no_run_that_did_not(
    trained: WeightsFile, plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    request = request_for(plugins)
    save_checkpoint(tmp_path / "checkpoints", 1, {})
    hold_to_recipe(tmp_path, recipe_for(request, spec, start=named_start(trained)))
    with pytest.raises(SpecError, match=r"start is .*'tinynet'.* there, None here"):
        hold_to_recipe(tmp_path, recipe_for(request, spec))


def test_a_training_does_not_go_on_with_another_code_of_its_method(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    changed, out = tmp_path / "plugins", tmp_path / "out"
    shutil.copytree(plugins, changed)
    save_checkpoint(out / "checkpoints", 1, {})
    hold_to_recipe(out, recipe_for(request_for(changed), spec))
    code = changed / "tinynet" / "method.py"
    code.write_text(code.read_text() + "# A note.\n")
    hold_to_recipe(out, recipe_for(request_for(changed), spec))
    code.write_text(code.read_text().replace("nn.Dropout(0.2)", "nn.Dropout(0.3)"))
    with pytest.raises(SpecError, match=r"method_hash is \w{16} there, \w{16} here\. Choose another --out"):
        hold_to_recipe(out, recipe_for(request_for(changed), spec))


@pytest.mark.parametrize("setting", ["clip", "method_hash", "world_key", "validation_key"])
def test_a_training_does_not_go_on_where_a_setting_is_not_noted(
    setting: str, plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    recipe = replace(recipe_for(request_for(plugins), spec), world_key=16 * "a", validation_key=16 * "b")
    save_checkpoint(tmp_path / "checkpoints", 1, {})
    hold_to_recipe(tmp_path, recipe)
    stored = json.loads((tmp_path / "recipe.json").read_text())
    del stored[setting]
    (tmp_path / "recipe.json").write_text(json.dumps(stored))
    with pytest.raises(SpecError, match=f"{setting} is None there"):
        hold_to_recipe(tmp_path, recipe)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("nothing.safetensors", r"its card nothing.json cannot be read: No such file"),
        ("mini", "tinynet has no weights for this benchmark"),
        ("foreign.safetensors", "expected weights of tinynet, got dudonet"),
        ("broken.safetensors", "broken.json is no card of weights"),
    ],
)
def test_a_start_that_cannot_be_is_refused(
    named: str, expected: str, trained: WeightsFile, plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = WeightsCard(**trained.card.model_dump() | {"method": "dudonet", "label": "dudonet"})
    (tmp_path / "foreign.json").write_text(foreign.model_dump_json())
    (tmp_path / "broken.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MethodError, match=expected):
        starting_weights(named, request_for(plugins))


def test_a_benchmark_as_a_start_means_its_weights() -> None:
    request = parse_methods("dudonet", [], "small")[0]
    file = starting_weights("mini", request)
    assert (file.card.spec, file.card.label, file.card.preset) == ("mini", "dudonet", "small")


def test_weights_of_another_preset_serve_where_they_fit_and_are_named_where_they_do_not() -> None:
    fine = parse_methods("dudonet", [], "fine")[0]
    file = starting_weights("mini", fine)
    assert file.card.preset == "small"
    spec = load_spec("mini")
    for preset, fits in (("fine", True), ("base", False)):
        request = parse_methods("dudonet", [], preset)[0]
        method = instantiate(request)
        assert isinstance(method, LearnedMethod)
        build_untrained(method, context_for(request, spec))
        if fits:
            begin_with(method, file, None)
        else:
            told = r"dudonet-small-mini.safetensors \(preset small\): .*do not fit.* in adopt\(state\)"
            with pytest.raises(MethodError, match=told):
                begin_with(method, file, None)


def test_a_stage_without_the_weights_of_the_one_before_is_not_begun(tmp_path: Path) -> None:
    python, out = tmp_path / "python3", tmp_path / "out"
    python.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\n')  # trains, and leaves nothing
    python.chmod(0o755)
    script = Path(__file__).resolve().parents[2] / "scripts" / "train_dudonet2019.sh"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "RANKS": "1"}
    for method in ("dudonet", "cnnmar"):  # goes on at half the resolution, or does not
        ended = subprocess.run(["bash", script, out, method], env=environment, capture_output=True, text=True)
        assert ended.returncode != 0 and "safetensors" in ended.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split(" train ")[1].split()[0] for call in calls] == ["dudonet", "cnnmar"]
    assert all("--start-from mini" in call for call in calls)


def test_no_more_cases_are_simulated_than_a_training_draws(spec: Spec) -> None:
    assert pool_sizes(spec, "cpu", None, drawn=20 * 8)["pool_blocks"] == 3
    assert pool_sizes(spec, "cpu", 640, drawn=20 * 8)["pool_blocks"] == 10
    assert pool_sizes(spec, "cpu", None, drawn=10**6)["pool_blocks"] == pool_sizes(spec, "cpu")["pool_blocks"]


def test_pool_workers_and_cache_fit_into_what_is_left(
    spec: Spec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MARBENCH_CACHE", str(tmp_path))
    block = BLOCK * bytes_per_case(spec.geometry, spec.grid)
    (tmp_path / "training/world").mkdir(parents=True)
    (tmp_path / "training/world/000000.safetensors").write_bytes(bytes(block))  # there for the next method
    monkeypatch.setattr("marbench.learning.recipe.available_memory", lambda: 3.1 * 2 * block)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3.1 * 5 * block - block))
    assert pool_sizes(spec, "cpu") == {"pool_blocks": 2, "distinct_blocks": 5, "renewed_blocks": 2}
    monkeypatch.setattr("marbench.learning.feeder.usable_cores", lambda: 16)
    for gigabytes, ranks, expected in ((1e6, 1, 16), (1e6, 4, 4), (6, 1, 4), (6, 3, 1), (0.1, 1, 1)):
        monkeypatch.setattr("marbench.learning.feeder.available_memory", lambda left=gigabytes: left * 1e9)
        assert default_workers(ranks) == expected


def test_the_command_starts_from_a_file(trained: WeightsFile, plugins: Path, spec_file: Path, tmp_path: Path) -> None:
    words = ["tinynet", "--spec", str(spec_file), "--plugins", str(plugins), "--steps", "1", "--batch", "4"]
    words += ["--workers", "0", "--no-install", "--out", str(tmp_path / "out"), "--precision", "32-true"]
    done = CliRunner().invoke(command, [*words, "--start-from", str(trained.path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["start"]["sha256"] == trained.card.sha256


def test_a_training_goes_on_with_its_own_pool(plugins: Path, spec_file: Path, tmp_path: Path) -> None:
    words = ["tinynet", "--spec", str(spec_file), "--plugins", str(plugins), "--steps", "2", "--batch", "4"]
    words += ["--pool", "128", "--workers", "0", "--no-install", "--out", str(tmp_path), "--precision", "32-true"]
    CliRunner().invoke(command, words, catch_exceptions=False)
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert (recipe["pool_blocks"], recipe["renewed_blocks"], recipe["statistics_until"]) == (2, 2, 0.75)
    (tmp_path / "recipe.json").write_text(json.dumps({**recipe, "renewed_blocks": 1}))
    assert CliRunner().invoke(command, words).exit_code == 0
    with pytest.raises(SpecError, match="pool_blocks is 2 there, 1 here"):
        CliRunner().invoke(command, [*words, "--pool", "64"], catch_exceptions=False)


def test_a_training_goes_on_though_the_benchmark_has_newer_weights(
    plugins: Path, spec_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["tinynet", "--spec", str(spec_file), "--plugins", str(plugins), "--batch", "4", "--workers", "0"]
    words += ["--precision", "32-true"]
    assert CliRunner().invoke(command, [*words, "--steps", "1", "--out", str(tmp_path / "first")]).exit_code == 0
    # Its own weights are installed at its end, and are those of the benchmark from then on.
    again = [*words, "--steps", "2", "--start-from", str(spec_file), "--out", str(tmp_path / "second")]
    recipes = []
    for _ in range(2):
        done = CliRunner().invoke(command, again, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        recipes.append((tmp_path / "second" / "recipe.json").read_text())
    assert recipes[0] == recipes[1]
    with pytest.raises(SpecError, match="start is"):
        first = next((tmp_path / "second").glob("*.safetensors"))
        CliRunner().invoke(command, [*again[:-3], str(first), *again[-2:]], catch_exceptions=False)
