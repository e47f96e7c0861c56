"""How long a folder of DICOM files takes to be indexed, and a slice to load: ``python benchmarks/dicom.py FOLDER``.

The goals on one idle core are 3 s for some 200 files and 60 ms a slice on a grid of 416 × 416 pixels.
"""

import argparse
import statistics
import time
from pathlib import Path

from marbench.anatomy.dicom import DicomFolder
from marbench.geometry import ImageGrid

GRID = ImageGrid(416, 416, 0.0369)


def main() -> None:
    """Print both as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    start = time.perf_counter()
    source = DicomFolder(parser.parse_args().folder, {"test": (None, None)}, seed=0)
    slices = [(patient, name) for patient, names in source.patients("test").items() for name in names]
    print(f"| slices | index, s | a slice, ms (median) |\n|--:|--:|--:|\n| {len(slices)} ", end="")
    print(f"| {time.perf_counter() - start:.2f} ", end="")
    seconds = []
    for patient, name in slices[:20]:
        start = time.perf_counter()
        source.load(patient, name, GRID)
        seconds.append(time.perf_counter() - start)
    print(f"| {1000 * statistics.median(seconds):.0f} |")


if __name__ == "__main__":
    main()
