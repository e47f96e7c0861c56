import textwrap
from pathlib import Path

import pytest

from marbench.errors import MethodError, MethodUnavailable
from marbench.method.discovery import discover, methods
from marbench.method.request import load_method, parse_methods

CARD = 'name = "{name}"\ntitle = "A plugin"\nsummary = "For tests."\ndomain = "image"\n'
SOURCE = """
    from marbench import Method

    class Echo(Method):
        def reduce(self, scan):
            return scan.image
"""


def plugin(root: Path, name: str, source: str = SOURCE, card: str = "") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "method.toml").write_text(CARD.format(name=name) + card, encoding="utf-8")
    (folder / "method.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return folder


def test_shipped_methods_are_found_without_importing_them() -> None:
    cards = methods()
    assert {"none", "li", "nmar"} <= set(cards)
    assert cards["nmar"].year == 2010


def test_a_folder_of_plugins_and_a_plugin_folder_are_both_taken(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "echo")
    assert "echo" in discover([tmp_path])
    assert "echo" in discover([folder])
    assert load_method(parse_methods("echo", [tmp_path])[0], "mini").label == "echo"


def test_plugins_are_found_through_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "echo")
    monkeypatch.setenv("MARBENCH_PLUGINS", str(tmp_path))
    assert "echo" in methods()


def test_two_methods_of_one_name_are_an_error(tmp_path: Path) -> None:
    plugin(tmp_path / "mine", "li")
    with pytest.raises(MethodError, match="Two methods are called 'li'"):
        discover([tmp_path / "mine"])


def test_a_class_in_a_file_is_a_method(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(textwrap.dedent(SOURCE), encoding="utf-8")
    assert load_method(f"{path}:Echo", "mini").label == "echo"
    with pytest.raises(MethodError, match="did you mean 'Echo'"):
        load_method(f"{path}:Eco", "mini")
    with pytest.raises(MethodError, match="does not exist"):
        load_method(f"{tmp_path}/no.py:Echo", "mini")


def test_plugins_may_import_their_own_modules_but_not_each_others(tmp_path: Path) -> None:
    for name in ("first", "second"):
        source = SOURCE.replace(
            "from marbench import Method", "from marbench import Method\n    from .part import NAME"
        )
        folder = plugin(tmp_path, name, source.replace("class Echo", "WHO = NAME\n\n    class Echo"))
        (folder / "part.py").write_text(f'NAME = "{name}"\n', encoding="utf-8")
    loaded = [load_method(request, "mini") for request in parse_methods("first,second", [tmp_path])]
    import sys

    assert [sys.modules[type(one.method).__module__].WHO for one in loaded] == ["first", "second"]
    assert str(tmp_path) not in sys.path


def test_labels_name_only_what_differs_from_the_defaults() -> None:
    requests = parse_methods("nmar[prior=li], nmar[prior=raw],li")
    assert [request.label for request in requests] == ["nmar", "nmar[prior=raw]", "li"]
    assert requests[0].hash() != requests[1].hash()


def test_all_means_every_method() -> None:
    assert {request.label for request in parse_methods("all")} == set(methods())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmra", "did you mean 'nmar'"),
        ("nmar[prio=raw]", "has no parameter 'prio'; did you mean 'prior'"),
        ("nmar[prior=wild]", "'wild' is not allowed; Known: li, raw"),
        ("nmar[prior=raw", "is no method"),
        ("", "No method named"),
    ],
)
def test_wrong_requests_are_explained(text: str, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        parse_methods(text)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("domian = 'image'\n", "domian"),
        ("year = 'x'\n", "year"),
        ("[parameters.a]\nhelp = ''\n", r"parameters\.a\.default"),
    ],
)
def test_faults_of_a_card_are_named(tmp_path: Path, card: str, message: str) -> None:
    plugin(tmp_path, "echo", card=card)
    with pytest.raises(MethodError, match=message):
        discover([tmp_path])


@pytest.mark.parametrize(
    ("source", "card", "message"),
    [
        ("import no_such_package\n", "", "ModuleNotFoundError.*no_such_package"),
        ("raise RuntimeError('boom')\n", "", "RuntimeError: boom"),
        (SOURCE, 'requires = ["no_such_package"]\n', "pip install no_such_package"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_unavailable(tmp_path: Path, source: str, card: str, message: str) -> None:
    plugin(tmp_path, "broken", source, card)
    with pytest.raises(MethodUnavailable, match=message):
        load_method(parse_methods("broken", [tmp_path])[0], "mini")


def test_a_plugin_must_define_exactly_one_method(tmp_path: Path) -> None:
    plugin(tmp_path, "empty", "from marbench import Method\n")
    with pytest.raises(MethodError, match="exactly one subclass"):
        load_method(parse_methods("empty", [tmp_path])[0], "mini")


def test_the_hash_follows_the_files(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "echo")
    before = parse_methods("echo", [tmp_path])[0].hash()
    (folder / "method.py").write_text(textwrap.dedent(SOURCE) + "\n# changed\n", encoding="utf-8")
    assert parse_methods("echo", [tmp_path])[0].hash() != before


def test_a_preset_goes_to_those_of_all_methods_that_have_it() -> None:
    presets = {request.label: request.preset for request in parse_methods("all", preset="ablation")}
    assert presets["dudonet"] == "ablation"
    assert presets["rdn"] is presets["li"] is None
    with pytest.raises(MethodError, match="rdn has no preset 'ablation'"):
        parse_methods("rdn", preset="ablation")


def test_a_change_of_what_methods_share_makes_other_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (request,) = parse_methods("li")
    before = request.hash()
    shared = tmp_path / "classical.py"
    shared.write_text("# another interpolation")
    monkeypatch.setattr("marbench.method.discovery._SHARED", (shared,))
    assert request.hash() != before
