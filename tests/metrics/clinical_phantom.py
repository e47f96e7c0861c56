"""A slice of known places, 1 mm to a pixel: what regions and clinical measures are tested on."""

import numpy as np

SHAPE = (176, 176)
ROWS, COLUMNS = np.mgrid[:176, :176]


def disc(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


BODY = disc(88, 88, 80)
METAL = np.zeros(SHAPE, dtype=bool)
METAL[60:68, 100:108] = True
BONE, FAT, QUIET = disc(120, 60, 8), disc(130, 110, 7), disc(60, 50, 14)
STREAKS = (ROWS >= 60) & (ROWS < 68) & (COLUMNS >= 112) & (COLUMNS < 140)

# Everywhere but in one place, tissue has a texture that is no edge.
TEXTURE = 12.0 * (-1) ** (ROWS // 4 + COLUMNS // 4)
TRUTH = np.select([~BODY, BONE, FAT, QUIET], [-1000.0, 800.0, -60.0, 40.0], 40 + TEXTURE)
RAW = TRUTH + np.where(STREAKS, 300.0 * (-1) ** ROWS, 0) + np.where(QUIET, 0, 15.0) + 4000 * METAL
