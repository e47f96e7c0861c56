"""The kernels compile ahead of time for the GPUs that matter, on a machine without any."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from marbench.ct.triton import backprojection, joseph, rebinning

CONSTANTS = dict(
    GROUP=8, TILE_ROWS=8, TILE_COLUMNS=32, UNROLL=2, TAPS=6, BLOCK=64, RAYS=2, FAN=True, ARC_DETECTOR=True, CANDIDATES=3
)
FLOATS = {"fan", "out", "fraction", "parallel", "sinograms", "images", "table", "both", "sources"}
SCALARS = {"distance", "scale", "reach"}


def type_of(name):
    if name.isupper():
        return "constexpr"
    if name in FLOATS:
        return "*fp32"
    return "*i32" if name == "base" else "fp32" if name in SCALARS else "i32"


for kernel in (*rebinning.KERNELS, *backprojection.KERNELS, *joseph.KERNELS):
    constants = {name: CONSTANTS[name] for name in kernel.arg_names if name.isupper()}
    signature = {name: type_of(name) for name in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    for capability in (80, 90):
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_stages": 1})
        print(kernel.__name__, capability, len(compiled.asm["cubin"]), "atom" in compiled.asm["ptx"])
"""


def test_kernels_build_without_atomics(tmp_path: Path) -> None:
    pytest.importorskip("triton", minversion="3.6", reason='no triton here: pip install "marbench[triton]"')
    # In a process of its own: in this one the kernels may belong to the interpreter.
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = [line.split() for line in done.stdout.splitlines()]
    kernels = ("back_project", "back_project_adjoint", "project", "project_adjoint", "rebin", "rebin_adjoint")
    assert {tuple(line[:2]) for line in built} == set(itertools.product(kernels, ("80", "90")))
    assert all(int(size) > 0 and atomics == "False" for *_, size, atomics in built)
