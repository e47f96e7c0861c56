"""Draw one image as every convention compares it: ``python scripts/conventions.py --out docs/static/conventions.png``.

The grey values of a method's image, from the darkest to the brightest that the convention knows, its PSNR and SSIM.
What is left out is blue; what is set to 0, and counts, is black.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

import marbench
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.fidelity import Reference, ScoredImage
from marbench.metrics.published import PUBLISHED
from marbench.spec import load_spec

mpl.use("Agg")
import matplotlib.pyplot as plt

LEFT_OUT = (0.16, 0.36, 0.62)
COLUMNS = 4


def compared(image: np.ndarray, case: Case, name: str) -> np.ndarray:
    """Return the colours ``(rows, columns, 3)`` of what a convention looks at."""
    convention, truth = CONVENTIONS[name], case.known_truth
    reference = Reference(truth.image[0].numpy(), truth.metal[0].numpy(), case.info.window, case.scan.image[0].numpy())
    if name in PUBLISHED:
        return np.repeat(PUBLISHED[name].grey(ScoredImage(image, reference))[0][..., None], 3, axis=2)
    low, high = convention.window or case.info.window
    colours = np.repeat(np.clip((image - low) / (high - low), 0, 1)[..., None], 3, axis=2)
    colours[~(reference.body if convention.body else reference).valid] = LEFT_OUT
    return colours


def main() -> None:
    """Draw the case that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spec", default="mini", help="a benchmark")
    parser.add_argument("--case", type=int, default=0, help="its position")
    parser.add_argument("--method", default="li", help="whose image is scored")
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    options = parser.parse_args()
    spec = load_spec(options.spec)
    case = Suite(spec)[options.case]
    image = np.asarray(marbench.load_method(options.method, spec).method.reduce(case.scan))[0]
    scores = marbench.score(image, case, tuple(CONVENTIONS))
    names = [name for name in CONVENTIONS if name in PUBLISHED or f"psnr[{name}]" in scores]
    rows = -(-len(names) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2.6 * COLUMNS, 3.1 * rows), squeeze=False, facecolor="white")
    for cell, name in zip(axes.flat, names, strict=False):
        decibels = f"{scores[f'psnr[{name}]']:.1f} dB" if f"psnr[{name}]" in scores else "no PSNR"
        told = f"{decibels}, SSIM {scores[f'ssim[{name}]']:.3f}"
        print(f"{name}: {told}")
        cell.imshow(np.clip(compared(image, case, name), 0, 1), interpolation="nearest")
        cell.set_title(f"{name}\n{told}", fontsize=9)
    for cell in axes.flat:
        cell.set_axis_off()
    figure.tight_layout(pad=0.4)
    figure.savefig(options.out, dpi=90, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
