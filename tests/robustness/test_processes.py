"""Methods in processes of their own share a server, and nothing that one does to it is told of another."""

import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from running import run, table

INNOCENT = "return scan.image + torch.rand(scan.image.shape)"
CHANNEL = """
import json, socket, stat, struct
def say(header, arrays=(), data=b''):
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode): break
        except OSError: pass
    text = json.dumps({'header': header, 'arrays': arrays}).encode()
    socket.socket(fileno=os.dup(number)).sendall(struct.pack('!IQ', len(text), len(data)) + text + data)
    time.sleep(60)
"""

HOSTILE = {
    "x-kills-server": ("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "crashed"),
    "x-stops-server": ("os.kill(os.getppid(), signal.SIGSTOP); os._exit(3)", "crashed"),
    "x-kills-siblings": (
        "own = Path(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read_text().split()\n"
        "for pid in map(int, own):\n    if pid != os.getpid(): os.kill(pid, signal.SIGKILL)\nreturn scan.image",
        "ok",
    ),
    "x-shape": ("say({'call': 1}, [['image', 'float32', [0, 10**30]]])", "crashed"),
    "x-axes": ("say({'call': 1}, [['image', 'float32', [1] * 100]], bytes(4))", "crashed"),
    "x-types": ("say({'call': 1, 'failure': {'status': [], 'message': {}}})", "error"),
}


def test_what_a_method_does_to_its_server_or_answers_changes_no_other_row(tmp_path, tiny, plugin):
    alone = run(tiny, tmp_path / "alone", "y", plugin("y", INNOCENT), limit=1).rows
    for name, (body, _) in HOSTILE.items():
        source = "import os, signal, time\nfrom pathlib import Path\nfrom marbench import Method\n" + CHANNEL
        indented = body.replace("\n", "\n        ")
        source += f"class X(Method):\n    def reduce(self, scan):\n        {indented}\n"
        folder = plugin(name, source=source)
    # The innocent one is called after each of them.
    for name, (_, status) in HOSTILE.items():
        rows = run(tiny, tmp_path / name, f"{name},y", folder, limit=1).rows
        assert set(rows.loc[rows["method"] == name, "status"]) == {status}, rows["message"].tolist()
        pd.testing.assert_frame_equal(table(rows[rows["method"] == "y"]), table(alone), check_dtype=False)


@pytest.mark.parametrize("card", ["", f"python = {sys.executable!r}\n"])
def test_what_a_method_leaves_running_ends_with_it_and_with_no_other(tmp_path, tiny, plugin, card):
    note = tmp_path / "pids"
    body = (
        f"import os\nif os.path.exists({str(note)!r}):\n    os.kill(int(open({str(note)!r}).read()), 0)\n"
        "elif not os.fork():\n    os.setsid()\n    if not os.fork():\n"
        f"        open({str(note)!r}, 'a').write(f'{{os.getpid()}}\\n')\n        time.sleep(600)\n    os._exit(0)\n"
        f"while not os.path.exists({str(note)!r}): time.sleep(0.01)\nreturn scan.image"
    )
    plugins = plugin("leaves", body)
    with (plugins / "leaves" / "method.toml").open("a") as file:
        file.write(card)
    plugin("x-ends", "import os\nos._exit(3)")
    rows = run(tiny, tmp_path / "out", "leaves,x-ends", plugins, limit=2).rows
    own = rows[rows["method"] == "leaves"]
    assert set(own["status"]) == {"ok"}, own["message"].tolist()
    pids = [int(line) for line in note.read_text().split()]
    assert len(pids) == 1
    assert not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
