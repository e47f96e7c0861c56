#!/usr/bin/env python3
"""Make the spectra of ``marbench/physics/*.csv``: tungsten, 12°, 2.8 mm Al, 70 to 140 kVp.

    pip install spekpy==2.5.4     # in an environment of its own: marbench itself needs no SpekPy
    python scripts/spectra.py     # prints what differs from the tables
    python scripts/spectra.py --write

G. Poludniowski, A. Omar, R. Bujila, P. Andreo, "SpekPy v2.0 — a software toolkit for modelling x-ray tube spectra",
Med. Phys. 48 (2021) 3630–3637.
"""

from __future__ import annotations

import argparse
from pathlib import Path

TUBE_VOLTAGES = (70, 80, 100, 120, 140)
ANODE_DEG, ALUMINIUM_MM, LOWEST_KEV = 12, 2.8, 20
FOLDER = Path(__file__).resolve().parents[1] / "marbench" / "physics"

HEAD = """\
# X-ray tube spectrum of marbench: photons per 1 keV bin centred on the energy, normalised to a sum of 1.
# Recipe (SpekPy 2.5.4, default physics "casim"): Spek(kvp={kvp}, th=12, targ="W", dk=0.5).filter("Al", 2.8),
# get_spectrum(diff=True); the two half-keV bins round every integer energy 20 ... {kvp} keV added.
# Tungsten anode, 12 degrees, 2.8 mm Al; photons below 20 keV left out, as the DuDoNet family of simulators does.
energy_kev,photons
"""


def photons_of(kvp: int) -> dict[int, float]:
    """Return the share of photons in each 1 keV bin."""
    import numpy as np
    import spekpy

    tube = spekpy.Spek(kvp=kvp, th=ANODE_DEG, targ="W", dk=0.5).filter("Al", ALUMINIUM_MM)
    energies, fluence = tube.get_spectrum(diff=True)
    counts = {kev: float(fluence[np.abs(energies - kev) < 0.5].sum()) for kev in range(LOWEST_KEV, kvp + 1)}
    return {kev: count / sum(counts.values()) for kev, count in counts.items()}


def table(kvp: int) -> str:
    """Return the text of one table."""
    return HEAD.format(kvp=kvp) + "".join(f"{kev},{share:.6e}\n" for kev, share in photons_of(kvp).items())


def main() -> None:
    """Compare, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write tables that differ or are missing")
    write = parser.parse_args().write
    for kvp in TUBE_VOLTAGES:
        path, text = FOLDER / f"w{kvp}_al2.8.csv", table(kvp)
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        print(f"{path.name}: {'the same' if same else 'written' if write else 'differs'}")
        if write and not same:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
