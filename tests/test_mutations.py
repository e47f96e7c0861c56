"""The table of mutations fits the code that it changes."""

import mutation


def test_every_mutation_changes_one_place_and_has_tests() -> None:
    for each in mutation.mutations():
        source = (mutation.ROOT / each.file).read_text(encoding="utf-8")
        assert source.count(each.old) == 1, each.name
        assert all((mutation.ROOT / test).exists() for test in mutation.tests_of(each.file)), each.name
