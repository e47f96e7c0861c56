"""The observer of Annex GG: on noise without lesions it guesses, and finds those that are there in every cell."""

import numpy as np
import pytest

from marbench.errors import MetricError
from marbench.metrics.annex_gg import ANNEX_GG, grid, improvement, principal_channels

SIZE = 9
PLACE = np.arange(SIZE) - 4
LESION = (np.hypot(PLACE[:, None], PLACE) <= 2).astype(float)
CONTRASTS = np.array([0.0, 10.0, 80.0])


def ensemble(contrast=1.0, sigma=20.0, doses=4, seed=0):
    rng = np.random.default_rng(seed)
    absent = rng.normal(0, sigma, (doses, 10, SIZE, SIZE))
    present = rng.normal(0, sigma, (doses, len(CONTRASTS), 10, SIZE, SIZE))
    return present + contrast * CONTRASTS[:, None, None, None] * LESION, absent


def test_the_grid_is_that_of_the_annex() -> None:
    assert len(ANNEX_GG.doses) == 11 and ANNEX_GG.doses[-1] == 1
    assert (ANNEX_GG.contrasts[0], ANNEX_GG.contrasts[-1], len(ANNEX_GG.contrasts)) == (1.0, 1.06, 7)


def test_what_is_there_is_found_and_what_is_not_is_guessed() -> None:
    found = grid(*ensemble())
    assert found.areas.shape == (4, 3)
    none, faint, plain = found.areas.mean(axis=0)
    # Of 4 · 2 AUCs of 5 against 5 images each, whose deviation by chance is √(11 / 300) (Mann & Whitney): 3 errors.
    assert none == pytest.approx(0.5, abs=3 * np.sqrt(11 / 300 / 8))
    assert none < faint < plain and plain > 0.97
    assert found.interval[0] < found.auc < found.interval[1]
    erased = grid(*ensemble(contrast=0.0, seed=1))
    assert erased.auc == pytest.approx(0.5, abs=3 * np.sqrt(11 / 300 / 24))


def test_a_correction_that_helps_is_told_from_one_that_does_not() -> None:
    streaks, corrected = grid(*ensemble(sigma=120.0)), grid(*ensemble(sigma=20.0))
    gain, p = improvement(corrected, streaks)
    assert gain > 0.1 and p < 0.01
    assert improvement(streaks, corrected)[1] > 0.99
    assert improvement(streaks, streaks) == (0.0, 1.0)


def test_channels_are_the_directions_of_most_variance() -> None:
    rng = np.random.default_rng(2)
    pictures = rng.normal(0, (9.0, 1.0, 4.0), (500, 3))
    channels = principal_channels(pictures, 2)
    np.testing.assert_allclose(np.abs(channels), [[1, 0], [0, 0], [0, 1]], atol=0.05)


def test_what_is_no_grid_is_told() -> None:
    present, absent = ensemble()
    with pytest.raises(MetricError, match=r"four realisations.*\(4, 3, 10, 9, 9\) and \(3, 10, 9, 9\)"):
        grid(present, absent[1:])
