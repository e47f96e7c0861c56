"""What pages and commands tell of where weights come from."""

from click.testing import CliRunner

from marbench.cli import main
from marbench.report.training import budget, training_facts, unequal_training


def begun(samples: int = 56_000, step: int = 163) -> dict[str, object]:
    start = {"label": "rdn", "spec": "dudonet2019_half", "sha256": "ab" * 32, "samples": samples}
    return {"trained": {"samples": 2400, "recipe": {"start": start}, "validation": {"step": step}}}


def test_weights_that_began_from_others_say_so() -> None:
    told = "weights for dudonet2019_half (56.0 k samples)"
    assert budget(begun()) == f"2.40 k samples, begun from {told}"
    assert dict(training_facts(begun()))["Begun from"] == told
    assert dict(training_facts(begun(step=0)))["Begun from"] == f"{told}; no step since was better"


def test_what_is_no_start_is_not_told_as_one() -> None:
    for recipe in ({}, {"start": None}, {"start": "mini"}, 3):
        card = {"trained": {"samples": 8, "recipe": recipe, "validation": {"step": 0}}}
        assert budget(card) == "8 samples"
        assert "Begun from" not in dict(training_facts(card))


def test_other_beginnings_are_named_where_methods_are_compared() -> None:
    random = {"trained": {"samples": 2400, "recipe": {"start": None}}}
    cards = {"rdn": begun(), "dudonet": begun(step=0), "cgan": begun(24_000), "acdnet": random, "li": {}}
    assert unequal_training(cards) == [
        "beginnings are not the same: weights for dudonet2019_half (56.0 k samples) (rdn, dudonet), "
        "weights for dudonet2019_half (24.0 k samples) (cgan), random networks (acdnet)"
    ]
    assert unequal_training({"rdn": begun(), "dudonet": begun()}) == []


def test_the_card_of_a_method_tells_where_its_weights_began() -> None:
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(main, ["show", "rdn"]).output
    line = next(line for line in shown.splitlines() if "weights rdn small dudonet2019" in line)
    assert "begun from weights for dudonet2019_half (56.0 k samples); no step since was better" in line
