#!/usr/bin/env python3
"""Make ``marbench/physics/attenuation.npy``: µ/ρ of the elements at whole keV, as xraydb gives them.

    python scripts/attenuation.py

Rows are the elements from hydrogen to uranium, columns 10, 11 … 150 keV, values cm²/g in double precision.
"""

from __future__ import annotations

import numpy as np
import xraydb

from marbench.physics.composition import ELEMENTS, TABLE, TABLE_KEV


def main() -> None:
    """Write the table."""
    ev = 1000.0 * np.asarray(TABLE_KEV)
    np.save(TABLE, [xraydb.mu_elam(element, ev) for element in ELEMENTS])


if __name__ == "__main__":
    main()
