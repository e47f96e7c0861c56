"""Programs outside Python as methods: what they are handed, what they give back, and how they fail."""

import os
import re
import shutil
import signal
import time

import pytest
import torch

from marbench import ProgramMethod, collate
from marbench.cases.export_formats import FORMATS
from marbench.conformance.specimens import Specimens
from marbench.errors import MarbenchError, MethodError
from marbench.method.contract import Context

COPY = 'for f in "$0"/*.image_hu.raw; do n=$(basename "$f" .image_hu.raw); cp "$f" "$1/$n.raw"; done'


@pytest.fixture(scope="module")
def scan(tiny):
    return collate(Specimens.of(tiny, patients=1).cases).scan


@pytest.fixture
def method(tiny):
    """Return a function that makes a method of a shell's command; it keeps the files that it was handed."""

    def make(script, form="raw", program="sh"):
        class Program(ProgramMethod):
            def command(self, scans, images):
                self.handed = {path.name: path.read_bytes() for path in scans.iterdir()}
                self.place = scans.parent
                return [program, "-c", script, scans, images]

        Program.form = form
        made = Program()
        made.load(Context(tiny, torch.device("cpu"), None))
        return made

    return make


def test_a_program_is_handed_every_scan_of_a_batch_and_its_images_are_taken_back(method, scan):
    copy = method(COPY)
    assert torch.equal(copy.reduce(scan), scan.image)
    assert len(scan) == 2 and {"0000.json", "0001.json", "README.txt", "0001.metal_trace.raw"} <= set(copy.handed)
    assert not any("truth" in name or b"truth" in content for name, content in copy.handed.items())
    assert not copy.place.exists()


@pytest.mark.parametrize("form", FORMATS)
def test_scans_are_written_in_every_format(method, scan, form):
    for package in {"h5": ["h5py"], "dicom": ["pydicom"]}.get(form, []):
        pytest.importorskip(package)
    made = method("exit 1", form)
    with pytest.raises(MarbenchError):
        made.reduce(scan)
    assert any(name.startswith("0001") and name.endswith(FORMATS[form].suffix) for name in made.handed)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no licence >&2; exit 3", "sh left with exit code 3: no licence"),
        ("exit 1", "exit code 1: it said nothing"),
        ("kill -TERM $$", "sh was ended by SIGTERM: it said nothing"),
        ('touch "$1"/0000.raw "$1"/0000.npy', "left 0000.npy, 0000.raw: leave one image a scan"),
        ("true", "left no image 0000 with .npy, .*It left nothing"),
        ('touch "$1"/0000.txt', "left no image 0000 .*It left 0000.txt"),
        ('printf 1234 > "$1"/0000.raw', "0000.raw: expected 4096 bytes"),
        ('ln -s /etc/hostname "$1"/0000.npy', "0000.npy: .*links are not followed"),
    ],
)
def test_a_program_that_fails_says_how(method, scan, script, message):
    with pytest.raises(MarbenchError, match=message):
        method(script).reduce(scan)


def test_a_program_that_is_killed_has_run_out_of_memory(method, scan):
    with pytest.raises(MemoryError, match="sh was ended by SIGKILL, as the system does where memory runs out: much"):
        method("echo much >&2; kill -KILL $$").reduce(scan)


def test_what_a_program_leaves_running_is_not_waited_for(method, scan, tmp_path):
    began = time.monotonic()
    assert torch.equal(method(f"sleep 60 & echo $! > {tmp_path}/pid; {COPY}").reduce(scan), scan.image)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 30


def test_what_cannot_be_run_is_named(method, scan):
    assert shutil.which("no-such-program") is None
    with pytest.raises(MarbenchError, match="no-such-program cannot be run: No such file"):
        method("", program="no-such-program").reduce(scan)
    with pytest.raises(MarbenchError, match=re.escape("did you mean 'raw'? Known: dicom, h5, mat, npz, raw")):
        method("", form="rew").reduce(scan)
    with pytest.raises(NotImplementedError, match="ProgramMethod must define command"):
        ProgramMethod.command(ProgramMethod(), "", "")


def test_a_command_in_one_string_is_refused(method, scan):
    made = method(COPY)
    made.command = lambda scans, images: f"sh -c '{COPY}' {scans} {images}"
    with pytest.raises(MethodError, match="command returns a list"):
        made.reduce(scan)
