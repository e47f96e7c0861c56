"""A method that another program works out."""

import sys
from collections.abc import Sequence
from pathlib import Path

from marbench import ProgramMethod


class MyMethod(ProgramMethod):
    """The program finds scans in one folder, as ``marbench export`` writes them, and leaves images in another."""

    form = "raw"  # or "mat", "h5", "npz", "dicom"

    def command(self, scans: Path, images: Path) -> Sequence[str | Path]:
        """Return what is run: ``octave``, a program of C++, whatever lies in this folder or on the machine."""
        return [sys.executable, Path(__file__).with_name("program.py"), scans, images]
