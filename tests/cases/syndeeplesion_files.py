"""Files in the format of the SynDeepLesion data set, made by marbench's own simulator."""

from pathlib import Path

import h5py
import numpy as np
import torch

from marbench.cases.case import Case
from marbench.physics.hounsfield import hu_to_mu
from marbench.toolbox.interpolation import linear_interpolation


def theirs(rays: torch.Tensor | np.ndarray) -> np.ndarray:
    """Return a sinogram as they keep it: views from 90° on, bins the other way."""
    array = np.asarray(rays)[0]
    return np.flip(np.roll(array, -array.shape[0] // 4, axis=0), 1)


def write_slice(folder: Path, cases: list[Case]) -> None:
    """Write the cases of one slice, metal 0 first."""
    folder.mkdir(parents=True)
    truth = cases[0].known_truth
    with h5py.File(folder / "gt.h5", "w") as file:
        file["image"] = file["poly_CT"] = hu_to_mu(truth.image[0]).numpy()
        file["poly_sinogram"] = theirs(truth.sinogram)
    for number, case in enumerate(cases):
        interpolated = linear_interpolation(case.scan.sinogram, case.scan.metal_trace)
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file["ma_CT"] = hu_to_mu(case.scan.image[0]).numpy()
            file["ma_sinogram"], file["LI_sinogram"] = theirs(case.scan.sinogram), theirs(interpolated)
            file["metal_trace"] = theirs(case.scan.metal_trace).astype(np.uint8)


def write_syndeeplesion(root: Path, slices: dict[str, list[Case]]) -> Path:
    """Write cases by ``patient/slice``; all slices have the masks of the first one."""
    for name, cases in slices.items():
        write_slice(root / "test_640geo" / name, cases)
    first = next(iter(slices.values()))
    np.save(
        root / "testmask.npy", np.stack([case.scan.metal_mask[0].numpy() for case in first], axis=2).astype(np.uint8)
    )
    return root
