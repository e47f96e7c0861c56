"""The most dangerous fault of scripts/faults.toml as a run of its own; the script plays all of them."""

from dataclasses import replace

import pytest
from faults import FAULTS, Outcome, Stage, differences
from running import run

from marbench.results.store import open_run

# One that kills its parent is among those of test_processes.py.
DANGEROUS = ("fork-returns",)


@pytest.mark.parametrize("name", DANGEROUS)
def test_no_plugin_changes_the_rows_of_others_the_exit_code_or_the_folder(name, tiny, tiny_file, tmp_path):
    fault = next(replace(fault, limit=1, page=False) for fault in FAULTS if fault.name == name)
    outcome = Stage(tmp_path, str(tiny_file)).play(fault)
    # The others as they are without it: in this process, which is no worse than one of their own.
    others = ",".join(method for method in fault.methods.split(",") if method != fault.x)
    run(tiny, tmp_path / "sound", others, tmp_path / name / "plugins", limit=1)
    rows = open_run(tmp_path / "sound").rows
    sound = Outcome(0, "", 0.0, rows, rows, [], [], page=False)
    assert differences(fault, outcome, sound, tmp_path) == []


def test_every_fault_has_a_name_a_line_and_an_expected_end():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 60
    for fault in FAULTS:
        assert fault.what
        assert fault.exit_code in (0, 1, 2)
        for name, content in fault.files().items():
            if name.endswith(".py") and fault.name not in ("file-syntax",):
                compile(content, f"{fault.name}/{name}", "exec")
