from pathlib import Path

import pytest
import torch
from pydantic import Field

from marbench.errors import MethodError
from marbench.method.card import DeclaredWeights
from marbench.method.discovery import discover, methods
from marbench.method.request import parse_methods
from marbench.method.weights import assign_weights, declared_files, misfit, training_command
from marbench.spec import Spec, load_spec
from marbench.spec_sections import GeometrySection, PhysicsSection

SHIPPED = [(name, weights) for name, card in methods().items() for weights in card.weights]


def test_the_command_that_trains_names_folders_as_a_user_would_and_in_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, mini = "marbench train mynet --plugins 'my plugins/mynet' --spec mini --hours 2", load_spec("mini").hash
    assert training_command("mynet", "mini", mini, None, tmp_path / "my plugins" / "mynet") == command
    assert training_command("dudonet", "mini", mini, None) == "marbench train dudonet --spec mini --hours 2"
    # Another benchmark of that name.
    assert training_command("dudonet", "mini", "0" * 64, None) == "marbench train dudonet --spec FILE --hours 2"


def test_only_marbench_itself_may_leave_out_what_a_card_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, problems = discover().entries["dudonet"].card, list[str]()
    assert declared_files(tmp_path / "dudonet", card.weights, problems) == []
    assert len(problems) == len(card.weights)
    # As a wheel does.
    monkeypatch.setattr("marbench.method.weights.resource_folder", lambda name: tmp_path)
    problems.clear()
    assert declared_files(tmp_path / "dudonet", card.weights, problems) == [] == problems


class _Offset(GeometrySection):
    bin_offset: float = 0.0


class _Energy(PhysicsSection):
    crosstalk: float = 0.0


class _NextRelease(Spec):
    geometry_section: _Offset = Field(alias="geometry")
    physics: _Energy = _Energy()


@pytest.mark.parametrize(("name", "weights"), SHIPPED)
def test_an_option_that_is_added_with_a_default_parts_no_weights_from_their_benchmark(
    name: str, weights: DeclaredWeights
) -> None:
    chosen = ",".join(f"{key}={value}" for key, value in weights.parameters.items())
    request = parse_methods(f"{name}[{chosen}]", preset=weights.preset)[0]
    content = load_spec(weights.spec).model_dump(by_alias=True, exclude_unset=True)
    later = _NextRelease.model_validate(content)
    found = request.for_spec(later).found.file
    assert found is not None and found.card.sha256 == weights.sha256
    # Not by the hash alone: the same scan of other patients, too.
    patients = later.model_copy(update={"seed": 1})
    assert request.for_spec(patients).found.file == found
    assert misfit(found.card, patients) == 1
    moved = later.geometry_section.model_copy(update={"bin_offset": 0.25})
    assert request.for_spec(later.model_copy(update={"geometry_section": moved})).found.file is None
    blurred = later.physics.model_copy(update={"crosstalk": 0.1})
    assert misfit(found.card, later.model_copy(update={"physics": blurred})) == 2


def test_tensors_that_do_not_fit_the_networks_are_refused() -> None:
    networks = {"net": torch.nn.Linear(2, 3)}
    good = {"net.weight": torch.zeros(3, 2), "net.bias": torch.zeros(3)}
    assign_weights(networks, good, "m")
    for state, message in (
        ({"net.bias": good["net.bias"]}, "net.weight is missing"),
        ({**good, "other.bias": torch.zeros(1)}, "other.bias is unknown"),
        ({**good, "net.weight": torch.zeros(3, 4)}, r"net.weight is \(3, 4\) instead of \(3, 2\)"),
        ({**good, "net.bias": torch.ones(3).char()}, "net.bias has torch.int8 instead of torch.float32"),
        ({**good, "net.bias": torch.ones(3).bool()}, "net.bias has torch.bool instead"),
        ({**good, "net.bias": torch.ones(3).cfloat()}, "net.bias has torch.complex64 instead"),
    ):
        with pytest.raises(MethodError, match=message):
            assign_weights(networks, state, "m")
