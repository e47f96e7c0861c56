"""How a machine is described; what its processor is called, on systems that are written for the test."""

import platform
import socket
from pathlib import Path

import pytest
import torch

from marbench.machine.host import _cpu_name, describe_host, host_id

ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\nprocessor\t: 1\nCPU part\t: 0xd0d\n"
X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) CPU: 2.20GHz\n\nmodel name\t: other\n"


@pytest.mark.parametrize(
    ("cpuinfo", "board", "name"),
    [
        (X86, None, "Intel(R) Xeon(R) CPU: 2.20GHz"),
        (ARM, "Raspberry Pi 4 Model B Rev 1.4\0", "Raspberry Pi 4 Model B Rev 1.4"),
        (ARM, None, "CPU implementer 0x41, CPU part 0xd0c"),
        ("", None, "aarch64"),
        (None, None, "aarch64"),
    ],
)
def test_linux_tells_processors_apart(tmp_path, monkeypatch, cpuinfo, board, name):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    for path, text in {"proc/cpuinfo": cpuinfo, "sys/firmware/devicetree/base/model": board}.items():
        if text is not None:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
    assert _cpu_name(tmp_path) == name


@pytest.mark.parametrize(("script", "name"), [("echo Apple M2 Pro", "Apple M2 Pro"), ("exit 1", "arm"), ("", "arm")])
def test_macos_tells_processors_apart(tmp_path: Path, monkeypatch, script, name):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        (tmp_path / "sysctl").write_text(f'#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && {script}\n')
        (tmp_path / "sysctl").chmod(0o755)
    assert _cpu_name(tmp_path) == name


def test_the_description_of_a_host_is_stable_and_names_no_one(monkeypatch):
    monkeypatch.setenv("USER", "jane-doe")
    host = describe_host()
    assert host_id(host) == host_id(describe_host())
    text = str(host)
    assert "jane-doe" not in text
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4
    assert host["packages"]["torch"] == torch.__version__
