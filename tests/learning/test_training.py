import errno
import fcntl
import itertools
import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from ship_weights import ship
from tiny_training import recipe_for, request_for, silent
from torch import nn
from training_processes import REQUEST, SECONDS, meeting_of, started

from marbench.cli.train import command
from marbench.errors import MarbenchError, MethodError, SpecError, StoreError
from marbench.learning.artefact import installed
from marbench.learning.checkpoints import load_checkpoint, save_checkpoint
from marbench.learning.curves import LearningCurves
from marbench.learning.optimisation import Optimisation, seed_of_step
from marbench.learning.ranks import launch
from marbench.learning.recipe import faster_precision
from marbench.learning.trainer import Trainer
from marbench.learning.training import train
from marbench.machine.forkserver import Child
from marbench.machine.interrupts import Interrupted
from marbench.machine.locks import locked
from marbench.method.discovery import discover
from marbench.method.images import InvalidImage
from marbench.method.learned import Batch, LearnedMethod, Objective
from marbench.method.request import load_method, parse_methods
from marbench.method.weights import WeightsCard, WeightsFile, read_weights
from marbench.spec import Spec, load_spec


@pytest.fixture(scope="session")
def undisturbed(plugins: Path, spec: Spec, _cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARBENCH_CACHE", str(_cache))
        request = request_for(plugins, REQUEST)
        train(request, spec, recipe_for(request, spec), out, installed=False, note=silent)
    return out


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Return a function that starts a training in a process of its own, which does not outlive the test."""
    processes: list[Child] = []

    def begin(target: str, *paths: Path, **environment: object) -> Child:
        processes.append(started(target, paths, environment))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()


# To average statistics calls the network, too: three times after step 15, four times after step 23.
@pytest.mark.parametrize(("call", "step"), [(13, 12), (28, 22), (33, 25)])
def test_a_run_that_was_killed_ends_like_one_that_was_not(
    call: int,
    step: int,
    plugins: Path,
    spec: Spec,
    spec_file: Path,
    undisturbed: Path,
    tmp_path: Path,
    start: Callable[..., Child],
) -> None:
    out = tmp_path / "run"
    process = start("alone", plugins, spec_file, out, TINYNET_STOP=f"{signal.SIGKILL:d} in step {call}")
    assert process.end(SECONDS) == signal.SIGKILL, process.output()
    _goes_on_as_if_it_had_not_been_stopped(step, plugins, spec, out, undisturbed)


@pytest.mark.parametrize(("where", "step"), [("in step 13", 13), ("in validation", 15)])
def test_a_run_that_the_system_asked_to_stop_ends_like_one_that_was_not(
    where: str, step: int, plugins: Path, spec: Spec, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A validation that was stopped is made up for."""
    out, lines, request = tmp_path / "run", list[str](), request_for(plugins, REQUEST)
    monkeypatch.setenv("TINYNET_STOP", f"{signal.SIGTERM:d} {where}")
    with pytest.raises(Interrupted):
        train(request, spec, recipe_for(request, spec), out, installed=False, note=lines.append)
    assert f"stopped after step {step}, which is saved" in lines[-1]
    assert not (out / "validation.csv").exists()
    _goes_on_as_if_it_had_not_been_stopped(step, plugins, spec, out, undisturbed)


def _goes_on_as_if_it_had_not_been_stopped(step: int, plugins: Path, spec: Spec, out: Path, undisturbed: Path) -> None:
    lines: list[str] = []
    request = request_for(plugins, REQUEST)
    file = train(request, spec, recipe_for(request, spec), out, installed=False, note=lines.append)
    assert f"going on after step {step}" in lines[0]
    for name in ("losses", "validation"):
        table, expected = (pd.read_csv(folder / f"{name}.csv").drop(columns="hours") for folder in (out, undisturbed))
        pd.testing.assert_frame_equal(table, expected, rtol=1e-5)
    others = _weights_in(undisturbed / file.path.name)
    for key, value in read_weights(file).items():
        torch.testing.assert_close(value, others[key], rtol=1e-3, atol=1e-4)


def _weights_in(file: Path) -> dict[str, torch.Tensor]:
    return read_weights(WeightsFile.of(file))


def test_over_its_last_quarter_a_training_keeps_the_statistics_of_its_norms(
    plugins: Path, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marbench.learning.trainer.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("marbench.learning.checkpoints.KEPT", 100)
    request = request_for(plugins)
    train(request, spec, recipe_for(request, spec, steps=8), tmp_path, installed=False, note=silent)
    states = [torch.load(path, weights_only=True) for path in sorted((tmp_path / "checkpoints").glob("*.pt"))]
    nets = [state["modules"]["net"] for state in states]
    moved = {
        key: [not torch.equal(one[key], next_one[key]) for one, next_one in itertools.pairwise(nets)]
        for key in ("0.weight", "1.running_mean")
    }
    assert [state["step"] for state in states] == list(range(9))
    assert moved["0.weight"] == [False] + [True] * 7  # the ramp of the learning rate begins at 0
    # After step 6 they are averaged anew, and stay.
    assert moved["1.running_mean"] == [True] * 6 + [False] * 2


def test_ranks_share_one_recipe_and_end_with_the_same_network(
    plugins: Path, spec_file: Path, undisturbed: Path, tmp_path: Path, start: Callable[..., Child]
) -> None:
    out, world, weights = tmp_path / "run", meeting_of(2), next(undisturbed.glob("*.safetensors"))
    ranks = [start("rank", plugins, spec_file, out, weights, **world, RANK=each, LOCAL_RANK=each) for each in range(2)]
    assert [process.end(SECONDS) for process in ranks] == [0, 0], [process.output() for process in ranks]
    card = WeightsCard.model_validate_json(next(out.glob("tinynet*.json")).read_bytes())
    assert (card.precision, card.steps, card.samples, card.hardware["ranks"]) == ("32-true", 6, 24, 2)
    first, second = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert first["precision"] == second["precision"] == "32-true"
    assert all(torch.equal(weight, second["weights"][name]) for name, weight in first["weights"].items())


def test_without_torchrun_a_task_of_a_cluster_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert launch("cpu").world_size == 1


def test_two_stages_killed_three_times_end_like_two_that_were_not(
    plugins: Path, spec_file: Path, tmp_path: Path, start: Callable[..., Child]
) -> None:
    """All ranks at once: within the half resolution, before the first checkpoint of the full one, and within that."""
    half = tmp_path / "half.toml"
    half.write_text(
        f'extends = "{spec_file}"\nname = "tiny_half"\n'
        "[geometry]\nviews = 16\nbins = 24\npitch_deg = 1.36\n[grid]\nsize = 20\npixel_cm = 2.048\n"
    )

    def stage(spec_file: Path, out: Path, *weights: Path, killed_in: int | None = None) -> Path:
        stop = {"TINYNET_STOP": f"{signal.SIGKILL:d} in step {killed_in}"} if killed_in else {}
        world, paths = meeting_of(2), (plugins, spec_file, out, *weights)
        ranks = [start("stage", *paths, **world, RANK=each, LOCAL_RANK=each, **stop) for each in range(2)]
        ends = [process.end(SECONDS) for process in ranks]
        assert ends == 2 * [signal.SIGKILL if killed_in else 0], [process.output() for process in ranks]
        return next(out.glob("*.safetensors"), out)

    whole = stage(spec_file, tmp_path / "whole", stage(half, tmp_path / "whole_half"))
    stage(half, tmp_path / "first", killed_in=4)
    first = stage(half, tmp_path / "first")
    stage(spec_file, tmp_path / "second", first, killed_in=1)
    stage(spec_file, tmp_path / "second", first, killed_in=3)
    found, expected = _weights_in(stage(spec_file, tmp_path / "second", first)), _weights_in(whole)
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)


def test_a_run_leaves_weights_a_card_curves_and_a_picture(undisturbed: Path, spec: Spec) -> None:
    card = WeightsCard.model_validate_json(next(undisturbed.glob("tinynet*.json")).read_bytes())
    assert (card.method, card.label, card.preset) == ("tinynet", REQUEST, "small")
    assert (card.spec, card.spec_hash, card.seed, card.steps, card.samples) == ("tiny", spec.hash, 3, 30, 120)
    assert card.recipe["mix"] == {"spec": 1.0}
    assert card.networks == {"net": 4 * 9 + 4 + 8 + 4 * 9 + 1}
    assert card.precision == "32-true"
    assert card.hours > 0
    assert card.hardware["device"] == "cpu"
    assert card.validation["cases"] == 4
    assert set(card.validation["scores"]) == set(card.validation["linear_interpolation"])
    for name in ("curves.png", "validation.png", "recipe.json", "weights.toml"):
        assert (undisturbed / name).stat().st_size > 0
    assert len(list((undisturbed / "checkpoints").glob("*.pt"))) <= 2
    losses = pd.read_csv(undisturbed / "losses.csv")
    assert list(losses["step"]) == [20]
    assert list(losses["net/one"]) == [1]  # of the steps that told it
    assert {"net/loss", "net/l1", "adversary/loss"} <= set(losses)


def test_what_the_command_trained_can_be_shipped(plugins: Path, spec_file: Path, tmp_path: Path) -> None:
    out, methods = tmp_path / "trained" / "tinynet", tmp_path / "methods"
    words = ["tinynet", "--spec", str(spec_file), "--plugins", str(plugins), "--steps", "4", "--batch", "4"]
    words += ["--workers", "0", "--no-install", "--out", str(out)]
    first = CliRunner().invoke(command, [*words, "--pool", "64", "--precision", "bf16-mixed"], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    # What the machine or the user decided the first time is kept.
    again = CliRunner().invoke(command, words, catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert "going on after step 4 (100% of the budget)" in again.output

    shutil.copytree(plugins, methods)
    for _ in range(2):
        ship(out, methods)
    (declared,) = discover([methods]).entries["tinynet"].card.weights
    assert (declared.file, declared.preset) == ("weights/tinynet-small-tiny.safetensors", "small")
    file = load_method(parse_methods("tinynet", [methods])[0], load_spec(spec_file)).fitted.found.file
    assert file is not None and file.card.precision == "bf16-mixed"


def test_installed_weights_are_what_the_method_then_runs_with(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    request = request_for(plugins)
    train(request, spec, recipe_for(request, spec, steps=4, validations=1), tmp_path / "run", note=silent)
    loaded = load_method(parse_methods("tinynet", [plugins])[0], spec)
    assert loaded.fitted.found.file is not None
    assert loaded.fitted.found.file.card.steps == 4
    assert not loaded.method.net.training


def test_weights_that_are_worse_than_those_installed_do_not_take_their_place(
    plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    request = request_for(plugins)

    def trained(name: str, factor: float) -> tuple[WeightsFile, str]:
        lines: list[str] = []
        recipe = recipe_for(request, spec, steps=8, validations=1, learning_rate_factor=factor)
        return train(request, spec, recipe, tmp_path / name, note=lines.append), lines[-1]

    good, told = trained("good", 1.0)
    assert told.startswith("installed in")
    there = installed(good)
    assert there is not None
    bad, told = trained("bad", 1e3)
    assert told.startswith(f"not installed: {there.path} is better, validation psnr")
    assert f"MARBENCH_WEIGHTS={tmp_path / 'bad'}" in told
    assert there.path.read_bytes() == good.path.read_bytes()
    # What is damaged, or was scored in another way, does not count.
    card, content = there.path.with_suffix(".json"), there.path.read_bytes()
    kept = json.loads(card.read_text())
    others = {"validation_key": "0" * 16}, {"validation_key": ""}
    for other in ({"networks": {"net": 1}}, *({"recipe": kept["recipe"] | setting} for setting in others)):
        card.write_text(json.dumps(kept | other))
        assert installed(good) is None
    # What other code scored is scored anew.
    card.write_text(json.dumps(kept | {"recipe": kept["recipe"] | {"method_hash": "0" * 64}, "validation": {}}))
    assert trained("bad", 1e3)[1] == told
    card.write_text(json.dumps(kept))
    unnoted = replace(good, card=good.card.model_copy(update={"recipe": {}}))
    assert installed(good) == there and installed(unnoted) is None
    there.path.write_bytes(content[:-1])
    assert installed(good) is None
    # As the note says.
    there.path.unlink()
    assert trained("bad", 1e3)[1].startswith("installed in")
    assert there.path.read_bytes() == bad.path.read_bytes()
    assert trained("good", 1.0)[1].startswith("installed in")
    # Nor do they take the place of another method's, whose file is called the same.
    card.write_text(json.dumps(kept | {"label": "tiny", "preset": "net-small"}))
    told = trained("bad", 1e3)[1]
    assert told.startswith(f"not installed: {there.path} holds the weights of tiny preset net-small. Set MARBENCH_WEI")


def test_two_trainings_do_not_share_a_folder(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    request = request_for(plugins)
    recipe = recipe_for(request, spec, steps=1)
    with locked(tmp_path / ".training.lock"), pytest.raises(StoreError, match="another training is at work in this"):
        train(request, spec, recipe, tmp_path, installed=False, note=silent)
    assert not (tmp_path / "recipe.json").exists()


def test_a_training_does_without_a_lock_where_there_are_none(
    plugins: Path, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    request = request_for(plugins)
    file = train(request, spec, recipe_for(request, spec, steps=1), tmp_path, installed=False, note=silent)
    assert file.path.is_file()
    assert not (tmp_path / ".training.lock").exists()


def test_a_training_goes_on_in_its_own_world_alone(
    plugins: Path, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for(plugins)
    recipe = recipe_for(request, spec, steps=1)
    train(request, spec, recipe, tmp_path, installed=False, note=silent)
    monkeypatch.setattr("marbench.learning.cases.POOL_VERSION", 99)
    with pytest.raises(SpecError, match=r"the cases are others: world_key is \w{16} there, \w{16} here\. Choose"):
        train(request, spec, recipe, tmp_path, installed=False, note=silent)


def test_a_folder_with_another_recipe_is_refused(plugins: Path, spec: Spec, undisturbed: Path) -> None:
    request = request_for(plugins, REQUEST)
    with pytest.raises(SpecError, match=r"another training: seed is 3 there, 4 here"):
        train(request, spec, recipe_for(request, spec, seed=4), undisturbed, installed=False, note=silent)


def test_a_step_that_is_not_finite_is_skipped(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    request = request_for(plugins, "tinynet[poison=3]")
    file = train(
        request, spec, recipe_for(request, spec, steps=8, validations=1), tmp_path, installed=False, note=silent
    )
    assert all(torch.isfinite(tensor).all() for tensor in read_weights(file).values())


def test_a_loss_that_stays_not_finite_stops_the_run(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    request = request_for(plugins, "tinynet[poison=0]")
    recipe = recipe_for(request, spec, validations=1)
    with pytest.raises(MarbenchError, match=r"loss of 'net' is nan .* 26 steps in a row"):
        train(request, spec, recipe, tmp_path, installed=False, note=silent)


class _Late(LearnedMethod):
    """Has nothing to learn in its first 30 steps."""

    def __init__(self) -> None:
        self.network, self.steps = nn.Linear(1, 1, bias=False), 0

    def networks(self) -> dict[str, nn.Module]:
        return {"line": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"sgd": torch.optim.SGD(self.network.parameters(), lr=1.0)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        self.steps += 1
        yield Objective("sgd", self.network.weight.sum() * float(self.steps > 30), {})


def test_an_optimiser_that_begins_later_is_not_held_at_the_zero_it_began_with() -> None:
    method = _Late()
    before = method.network.weight.detach().clone()
    optimisation = Optimisation(method, 4.0, nullcontext, lambda _: None)
    for _ in range(60):
        optimisation.step(None, 1.0)  # type: ignore[arg-type]
    torch.testing.assert_close(method.network.weight, before - 30)


def test_a_network_and_an_auxiliary_of_one_name_are_refused(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    shutil.copytree(plugins, tmp_path / "plugins")
    code = tmp_path / "plugins" / "tinynet" / "method.py"
    code.write_text(code.read_text().replace('return {"adversary"', 'return {"net"'))
    request = request_for(tmp_path / "plugins")
    recipe = recipe_for(request, spec)
    with pytest.raises(MethodError, match=r"networks\(\) and auxiliaries\(\) both name 'net'"):
        Trainer(request, spec, recipe, tmp_path / "run", launch("cpu"), None, silent)


def test_an_image_that_is_not_finite_gives_no_score_and_ends_no_training(
    plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    request, lines = request_for(plugins, "tinynet[blind=2]"), list[str]()
    recipe = recipe_for(request, spec, steps=8)
    file = train(request, spec, recipe, tmp_path, installed=False, note=lines.append)
    (line,) = [line for line in lines if "no score" in line]
    assert line.startswith("step 4, 50.0%") and "no score: validation case val-" in line and "values are NaN" in line
    assert list(pd.read_csv(tmp_path / "validation.csv")["step"]) == [8]
    assert file.card.validation["step"] == 8


def test_weights_whose_images_are_not_finite_are_refused_at_the_end(plugins: Path, spec: Spec, tmp_path: Path) -> None:
    request = request_for(plugins, "tinynet[blind=0]")
    with pytest.raises(InvalidImage, match=r"validation case val-.* values are NaN"):
        train(request, spec, recipe_for(request, spec, steps=4), tmp_path, installed=False, note=silent)
    assert list((tmp_path / "checkpoints").glob("*4.pt")) and not (tmp_path / "weights.toml").exists()


def test_the_draws_of_a_step_are_those_of_its_seed_step_and_rank() -> None:
    def drawn(*of: int) -> float:
        torch.manual_seed(seed_of_step(*of))
        return float(torch.rand(()))

    steps = [(seed, step, rank) for seed in (0, 1, 2**32 - 1) for step in (0, 1, 7) for rank in (0, 1)]
    assert len({drawn(*of) for of in steps}) == len(steps)
    assert drawn(1, 7, 0) == drawn(1, 7)


def test_a_gpu_that_emulates_bf16_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def old(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", old)
    assert faster_precision(torch.device("cuda")) == "32-true"


def test_what_does_not_learn_cannot_be_trained(spec: Spec, tmp_path: Path) -> None:
    request = parse_methods("li")[0]
    with pytest.raises(MethodError, match="li does not learn"):
        train(request, spec, recipe_for(request, spec), tmp_path, installed=False, note=silent)


def test_losses_of_skipped_steps_and_rows_cut_off_are_told_apart(tmp_path: Path) -> None:
    curves = LearningCurves(tmp_path)
    for step in (20, 40, 60):
        curves.add("losses", {"step": step, "loss": math.nan if step == 20 else 1.0})
    path = tmp_path / "losses.csv"
    path.write_text(path.read_text() + "4")
    curves.rewind(40)
    assert path.read_text() == "step,loss\n20,nan\n40,1.0\n"


def test_terms_of_a_loss_may_come_later_stay_away_and_be_called_as_one_likes(tmp_path: Path) -> None:
    curves = LearningCurves(tmp_path)
    rows = [{"a": 1.0}, {"a": 2.0, "b, c": 3.0}, {"b, c": 4.0}, {"a": 5.0}]
    for step, row in enumerate(rows):
        curves.add("losses", {"step": step, "samples": step} | {f"net/{name}": value for name, value in row.items()})
    curves.rewind(2)
    assert curves.read("losses").fillna(0).to_dict("list") == {
        "step": [0, 1, 2], "samples": [0, 1, 2], "net/a": [1, 2, 0], "net/b, c": [0, 3, 4],
    }  # fmt: skip


def test_steps_that_ranks_cannot_share_are_refused(
    plugins: Path, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = SimpleNamespace(world_size=3, global_rank=0, broadcast=lambda recipe: recipe)
    monkeypatch.setattr("marbench.learning.training.launch", lambda _: three)
    request = request_for(plugins)
    with pytest.raises(MarbenchError, match="3 ranks cannot share steps of 4 cases"):
        train(request, spec, recipe_for(request, spec), tmp_path, note=silent)


def test_a_checkpoint_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(MarbenchError, match=r"holds numpy\.\S+ could not be read again.* float\(x\) for a number"):
        save_checkpoint(tmp_path, 1, {"betas": (np.float64(0.9), 0.99)})
    assert not list(tmp_path.iterdir())


def test_that_a_training_could_not_go_on_is_told_after_its_first_step(
    plugins: Path, spec: Spec, tmp_path: Path
) -> None:
    shutil.copytree(plugins, tmp_path / "plugins")
    code = tmp_path / "plugins" / "tinynet" / "method.py"
    code.write_text(code.read_text().replace("lr=1e-2", "lr=1e-2, betas=(np.float64(0.9), 0.99)"))
    request, out = request_for(tmp_path / "plugins"), tmp_path / "run"
    with pytest.raises(MarbenchError, match="could not be read again"):
        train(request, spec, recipe_for(request, spec), out, installed=False, note=silent)
    assert not (out / "losses.csv").exists()  # which has a row after 20 steps


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"step": step, "weight": torch.ones(10)})
    paths = sorted(tmp_path.glob("*.pt"))
    assert [path.stem[-1] for path in paths] == ["2", "3"]
    for length in (200, 0):
        paths[-1].write_bytes(paths[-1].read_bytes()[:length])
        lines: list[str] = []
        state = load_checkpoint(tmp_path, lines.append)
        assert state is not None
        assert state["step"] == 2
        assert "damaged" in lines[0]


def test_a_checkpoint_with_one_bit_in_another_state_is_damaged(tmp_path: Path) -> None:
    weight = torch.linspace(1, 2, 400)
    save_checkpoint(tmp_path, 1, {"step": 1, "weight": weight})
    (path,) = tmp_path.glob("*.pt")
    whole = path.read_bytes()
    places = [whole.index(weight.numpy().tobytes()), *range(0, len(whole), 7)]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        lines: list[str] = []
        state = load_checkpoint(tmp_path, lines.append)
        if state is None:
            assert "is damaged and left out: " in lines[0]
        else:  # what lies between the entries
            assert state["step"] == 1 and torch.equal(state["weight"], weight)
        assert place != places[0] or state is None


def test_what_a_killed_run_left_of_later_steps_gives_way_to_what_was_saved_since(tmp_path: Path) -> None:
    for step in (5, 9, 7):
        save_checkpoint(tmp_path, step, {"step": step})
    assert load_checkpoint(tmp_path, silent) == {"step": 7}
    assert sorted(int(path.stem) for path in tmp_path.glob("*.pt")) == [5, 7]


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"step": 1, "trap": Trap()}, tmp_path / "0000000001.pt")
    assert load_checkpoint(tmp_path, silent) is None
    assert not (tmp_path / "sprung").exists()
