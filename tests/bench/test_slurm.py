"""A real SLURM with one node, which ``scripts/slurm_node.sh start`` has brought up on this machine."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from processes import kill_group, wait_until
from running import run, table

from marbench.results.store import open_run

CONFIGURATION = Path("/run/marbench-slurm/slurm.conf")
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "clusters.md"

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not CONFIGURATION.exists(), reason="no SLURM node here: scripts/slurm_node.sh start, as root"),
]


@pytest.fixture(autouse=True)
def slurm(monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(CONFIGURATION))
    yield
    wait_until(lambda: not _jobs(), seconds=60)  # whoever has asked for jobs ends them


def _jobs():
    return subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def test_the_recipe_of_the_guide_brings_up_workers_that_give_the_rows_of_one_machine(
    tiny, tiny_file, tmp_path, marbench
):
    pytest.importorskip("dask_jobqueue")
    recipe = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[1]
    here = {
        "cores=8": f"cores=1, python={sys.executable!r}, job_directives_skip=['--mem']",
        '"16GB"': '"1GB"',
        '"ib0"': '"lo"',
        '"port": 8786': '"port": 0',
        "minimum_jobs=0, maximum_jobs=20": "maximum_jobs=2",
    }
    for theirs, ours in here.items():
        assert recipe.count(theirs) == 1
        recipe = recipe.replace(theirs, ours)
    (tmp_path / "workers.py").write_text(recipe, encoding="utf-8")
    with (tmp_path / "workers.log").open("wb") as log:
        workers = subprocess.Popen(
            [sys.executable, "workers.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    try:
        address = workers.stdout.readline().decode().strip()
        assert address.startswith("tcp://127.0.0.1:"), (tmp_path / "workers.log").read_text()
        asked = ["--methods", "none,li", "--limit", 12, "--images", "none", "--no-report", "--dask", address]
        process = marbench(tmp_path / "log", "run", "--spec", tiny_file, *asked, "--out", tmp_path / "out")
        wait_until(lambda: _jobs() or process.poll() is not None)
        assert process.wait(300) == 0, (tmp_path / "log").read_text()
        assert "the run waits for them" in (tmp_path / "log").read_text()
        workers.terminate()
        workers.wait(60)
    finally:
        kill_group(workers)
        workers.stdout.close()
    undisturbed = run(tiny, tmp_path / "alone", "none,li", limit=12)
    pd.testing.assert_frame_equal(table(open_run(tmp_path / "out").rows), table(undisturbed.rows), check_exact=True)


def test_an_array_of_jobs_fills_a_folder_shard_by_shard(tiny, tiny_file, tmp_path):
    marbench_here = f"{sys.executable} -c 'from marbench.cli import main; main()'"
    asked = f"--spec {tiny_file} --methods none,li --limit 12 --images none --no-report --out {tmp_path / 'out'}"
    job = f"{marbench_here} run {asked} --workers 1 --shard $SLURM_ARRAY_TASK_ID/2"
    options = ["--array=1-2", "--wait", f"--output={tmp_path}/%a.log", f"--chdir={tmp_path}", f"--wrap={job}"]
    done = subprocess.run(["sbatch", *options], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, [path.read_text() for path in tmp_path.glob("*.log")]
    undisturbed = run(tiny, tmp_path / "alone", "none,li", limit=12)
    pd.testing.assert_frame_equal(table(open_run(tmp_path / "out").rows), table(undisturbed.rows), check_exact=True)
