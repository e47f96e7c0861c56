"""Statistics against SciPy's own routines, closed forms and laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from marbench.report.stats import bootstrap_means, compare, holm, interval, paired_test, patient_means

RNG = np.random.default_rng(5)
PATIENTS = np.repeat(np.arange(12), 10)
VALUES = RNG.normal(30, 1, size=(4, 120)) + RNG.normal(0, 2, size=12)[PATIENTS]
VALUES += np.array([[0.0], [0.3], [-2.0], [0.0]])


def test_bootstrap_agrees_with_scipy_when_every_case_is_a_patient() -> None:
    values = RNG.normal(size=(1, 60))
    ours = interval(bootstrap_means(values, np.arange(60), 20_000, seed=1))[0]
    theirs = scipy_stats.bootstrap((values[0],), np.mean, n_resamples=20_000, method="percentile", rng=2)
    spread = theirs.confidence_interval.high - theirs.confidence_interval.low
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.03 * spread)


def test_bootstrap_over_patients_is_wider_than_over_cases_when_patients_differ() -> None:
    by_patient = np.ptp(interval(bootstrap_means(VALUES, PATIENTS))[0])
    by_case = np.ptp(interval(bootstrap_means(VALUES, np.arange(120)))[0])
    assert by_patient > 2 * by_case


def test_bootstrap_weighs_patients_by_their_cases() -> None:
    # One resample of one patient is that patient's mean; means over all resamples approach the mean over cases.
    values, patients = np.array([[1.0, 1.0, 1.0, 5.0]]), np.array([0, 0, 0, 1])
    samples = bootstrap_means(values, patients, 4000)
    assert set(np.unique(samples)) == {1.0, 2.0, 5.0}


def test_bootstrap_is_repeatable_and_independent_of_the_other_rows() -> None:
    together = bootstrap_means(VALUES, PATIENTS, 500)
    np.testing.assert_array_equal(together, bootstrap_means(VALUES, PATIENTS, 500))
    np.testing.assert_allclose(together[:, 2], bootstrap_means(VALUES[2:3], PATIENTS, 500)[:, 0], rtol=1e-13)


def test_bootstrap_in_blocks_covers_every_resample() -> None:
    many = np.arange(3000)
    samples = bootstrap_means(np.ones((1, 3000)), many, 1500)
    np.testing.assert_allclose(samples, 1.0)


def test_wilcoxon_p_values_are_scipys_on_patient_means_with_holm() -> None:
    p, _ = paired_test(VALUES, PATIENTS, best=1)
    means = VALUES.reshape(4, 12, 10).mean(axis=2)
    raw = [scipy_stats.wilcoxon(means[k], means[1]).pvalue for k in (0, 2, 3)]
    np.testing.assert_allclose(p[[0, 2, 3]], holm(np.array(raw)))
    assert p[1] == 1


def test_holm_matches_its_definition() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.02, 0.03, 0.5])), [0.04, 0.06, 0.06, 0.5])
    assert holm(np.array([0.9, 0.8])).max() == 1.0


def test_a_method_that_is_worse_in_every_patient_is_not_tied() -> None:
    result = compare(VALUES, PATIENTS, bootstrap_means(VALUES, PATIENTS))
    assert result.best == 1
    assert result.effect[2] == -1
    assert not result.tied[2]
    assert result.tied[1]
    assert result.rank[2] == 4
    assert tuple(result.rank_interval[2]) == (4, 4)


def test_equal_methods_share_the_rank_and_are_tied() -> None:
    values = np.stack([VALUES[0], VALUES[0], VALUES[2]])
    result = compare(values, PATIENTS, bootstrap_means(values, PATIENTS))
    assert result.rank.tolist() == [1, 1, 3]
    assert result.tied.tolist() == [True, True, False]
    assert result.difference[1] == 0
    np.testing.assert_array_equal(result.difference_interval[1], [0, 0])


def test_lower_is_better_reverses_the_order() -> None:
    samples = bootstrap_means(VALUES, PATIENTS)
    up, down = compare(VALUES, PATIENTS, samples), compare(-VALUES, PATIENTS, -samples, higher_is_better=False)
    np.testing.assert_array_equal(up.rank, down.rank)
    np.testing.assert_array_equal(up.p, down.p)


def test_infinite_scores_stay_infinite_and_do_not_poison_the_rest() -> None:
    values = VALUES.copy()
    values[0] = np.inf
    values[1, :3] = np.inf
    with np.errstate(all="raise"):
        result = compare(values, PATIENTS, bootstrap_means(values, PATIENTS, 2000))
    assert result.best == 0
    np.testing.assert_array_equal(result.mean_interval[0], [np.inf, np.inf])
    assert np.isfinite(result.mean_interval[2:]).all()
    assert result.rank.tolist()[:2] == [1, 1]


def test_patient_means_of_unequal_patients() -> None:
    np.testing.assert_allclose(patient_means(np.array([[1.0, 3.0, 10.0]]), np.array([0, 0, 1])), [[2.0, 10.0]])


@pytest.mark.parametrize("patients", [1, 2, 5])
def test_with_few_patients_nothing_is_called_different(patients: int) -> None:
    owner = np.repeat(np.arange(patients), 4)
    values = np.stack([np.arange(4.0 * patients), np.arange(4.0 * patients) - 9])
    assert compare(values, owner, bootstrap_means(values, owner, 100)).tied.all()
