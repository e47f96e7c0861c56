"""The most dangerous fault of scripts/faults.toml as a run of its own; the script plays all of them."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from faults import FAULTS, Outcome, Stage, differences, undisturbed

# One that kills its parent is among those of test_processes.py.
DANGEROUS = ("fork-returns",)

CHOSEN = {fault.name: replace(fault, limit=1, page=False) for fault in FAULTS if fault.name in DANGEROUS}


@pytest.fixture(scope="module")
def played(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """What came of every fault, and of a run without any; two at once."""
    stage = Stage(tmp_path_factory.mktemp("faults"), str(tiny_file))
    sound = replace(undisturbed(CHOSEN["fork-returns"]), name="undisturbed")
    with ThreadPoolExecutor(2) as pool:
        yield {fault.name: pool.submit(stage.play, fault) for fault in (sound, *CHOSEN.values())}


@pytest.mark.parametrize("name", DANGEROUS)
def test_no_plugin_changes_the_rows_of_others_the_exit_code_or_the_folder(name, played, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    assert differences(CHOSEN[name], played[name].result(), played["undisturbed"].result(), folder) == []


def test_every_fault_has_a_name_a_line_and_an_expected_end():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 60
    for fault in FAULTS:
        assert fault.what
        assert fault.exit_code in (0, 1, 2)
        for name, content in fault.files().items():
            if name.endswith(".py") and fault.name not in ("file-syntax",):
                compile(content, f"{fault.name}/{name}", "exec")
