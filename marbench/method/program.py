"""Methods outside Python: a program is handed scans as files, and gives images back as files."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from marbench.cases.case import Scan
from marbench.cases.export_formats import FORMATS
from marbench.cases.export_readme import readme
from marbench.cases.image_files import SUFFIXES, read_image, suffix_of
from marbench.errors import MethodError, nearest
from marbench.machine.interrupts import signal_name
from marbench.machine.text import said_by
from marbench.method.contract import Method

__all__ = ["ProgramMethod"]

_SAID = 500
_ARRAYS = {
    "image_hu": "image",
    "sinogram_line_integral": "sinogram",
    "metal_mask": "metal_mask",
    "metal_trace": "metal_trace",
}


class ProgramMethod(Method):
    """A method that a program outside Python works out. Subclasses say in `command` what is run.

    In every call the program finds its scans in one folder, written as ``marbench export`` does: the arrays of each,
    ``<scan>.json`` with their shapes and types (but beside ``npz``, which tells them), and ``README.txt`` with the
    geometry. In another folder it leaves an image for each, ``<scan>`` with any ending of
    `marbench.cases.image_files.SUFFIXES`, in HU. What it needs lies best in the plugin's folder: its files are part of
    what the method is, so that results of another version are not reused. Starting it counts as time of the method;
    where that is long, ``marbench export`` and ``marbench score`` take all cases at once.

    Attributes
    ----------
    form : str
        The format of the scans, one of `marbench.cases.export_formats.FORMATS`.
    """

    form: ClassVar[str] = "raw"

    def command(self, scans: Path, images: Path) -> Sequence[str | Path]:
        """Return the program and its arguments; it is run in the folder ``images``."""
        raise NotImplementedError(f"{type(self).__name__} must define command(self, scans, images)")

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Write the scans, run the program, and read its images.

        Raises
        ------
        MethodError
            The program is not there, fails, or leaves no image of a scan, or several.
        MemoryError
            It was killed, by the system or somebody else.
        DataError
            An image cannot be read, or has another shape.
        """
        if self.form not in FORMATS:
            raise MethodError(f"{type(self).__name__}.form: {self.form!r} is no format; {nearest(self.form, FORMATS)}")
        # What the program leaves running may still write there while it is taken away.
        with tempfile.TemporaryDirectory(prefix="marbench-", ignore_cleanup_errors=True) as place:
            scans, images = Path(place, "scans"), Path(place, "images")
            scans.mkdir()
            images.mkdir()
            names = [f"{number:04d}" for number in range(len(scan))]
            self._write(scan, names, scans)
            words = self.command(scans, images)
            if isinstance(words, str | Path):
                raise MethodError(f"command returns a list, the program and then each argument. Got {str(words)!r}")
            _run([str(word) for word in words], images, Path(place))
            found = [read_image(_image_of(name, images), self.context.grid.shape) for name in names]
        return torch.from_numpy(np.stack(found)).to(scan.image.device)

    def _write(self, scan: Scan, names: Sequence[str], folder: Path) -> None:
        spec, form = self.context.spec, FORMATS[self.form]
        (folder / "README.txt").write_text(readme(spec, self.form, truth=False), encoding="utf-8")
        # Of a case a method knows neither the id nor the patient: a program could look its truth up.
        unknown = {"patient_id": "", "slice_id": "", "window": (-1000.0, 1000.0)}
        for number, name in enumerate(names):
            arrays = {key: getattr(scan, own)[number].cpu().numpy() for key, own in _ARRAYS.items()}
            facts = {"case_id": name, "case_index": number, "format": self.form, "benchmark": spec.hash}
            files = form.encode(arrays, {**facts, **unknown, "pixel_cm": spec.grid.pixel})
            for suffix, content in files.items():
                (folder / f"{name}{suffix}").write_bytes(content)


def _run(command: Sequence[str], folder: Path, place: Path) -> None:
    """Run a program; what it says, into files in ``place``, is told where it fails."""
    files = place / "stderr", place / "stdout"
    try:
        # Not by pipes: what the program leaves running in the background would hold them open.
        with files[0].open("wb") as stderr, files[1].open("wb") as stdout:
            code = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, check=False
            ).returncode
    except OSError as error:
        raise MethodError(f"the program {command[0]} cannot be run: {said_by(error)}") from None
    if code:
        said = next(filter(None, map(_end_of, files)), "it said nothing")
        how = f"was ended by {signal_name(-code)}" if code < 0 else f"left with exit code {code}"
        if how.endswith("SIGKILL"):
            raise MemoryError(f"the program {command[0]} {how}, as the system does where memory runs out: {said}")
        raise MethodError(f"the program {command[0]} {how}: {said}")


def _end_of(file: Path) -> str:
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - 4 * _SAID))  # of UTF-8 at least so many characters
        return content.read().decode(errors="replace").strip()[-_SAID:]


def _image_of(name: str, folder: Path) -> Path:
    there = sorted(path.name for path in folder.iterdir())
    found = [file for file in there if suffix_of(file) and file[: -len(suffix_of(file))] == name]
    if len(found) > 1:
        raise MethodError(f"the program left {', '.join(found)}: leave one image a scan.")
    if found:
        return folder / found[0]
    raise MethodError(
        f"the program left no image {name} with {', '.join(SUFFIXES)}. It left {', '.join(there[:4]) or 'nothing'}."
    )
