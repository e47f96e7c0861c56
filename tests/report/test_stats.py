"""Statistics against SciPy's own routines, closed forms, enumeration and laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from marbench.report.stats import (
    EXACT_PATIENTS,
    RESAMPLES,
    bootstrap_means,
    can_differ,
    compare,
    comparisons,
    holm,
    interval,
    paired_test,
    ranks,
)

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


def test_p_values_are_those_of_all_exchanges_of_names_times_half_the_comparisons() -> None:
    # Patients of unequal numbers of cases; the reference counts in plain Python.
    patients = np.array([0, 0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6])
    values = np.random.default_rng(3).normal(size=(3, 12)) + np.array([[0.0], [1.5], [0.8]])
    raw = []
    for row in (0, 2):
        sums = [float((values[row] - values[1])[patients == patient].sum()) for patient in range(7)]
        flips = [sum(s * d for s, d in zip(signs, sums, strict=True)) for signs in itertools.product((1, -1), repeat=7)]
        raw.append(sum(abs(flip) >= abs(sum(sums)) - 1e-9 for flip in flips) / 2**7)
    p = paired_test(values, patients, best=1)
    np.testing.assert_allclose(p[[0, 2]], np.array(raw))
    assert p[1] == 1


def test_with_one_case_per_patient_the_test_is_scipys_permutation_test() -> None:
    values = np.random.default_rng(4).normal(size=(2, 9)) + np.array([[0.7], [0.0]])
    difference = values[0] - values[1]
    theirs = scipy_stats.permutation_test((difference,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert paired_test(values, np.arange(9), best=1)[0] == pytest.approx(theirs.pvalue)


def test_of_many_patients_a_seeded_drawing_comes_near_to_the_normal_limit() -> None:
    count = 60
    difference = np.random.default_rng(8).normal(0.3, 1, size=count)
    p = paired_test(np.stack([difference, np.zeros(count)]), np.arange(count), best=1)[0]
    assert count > EXACT_PATIENTS
    assert p == paired_test(np.stack([difference, np.zeros(count)]), np.arange(count), best=1)[0]
    # Under exchanges Σ s D has the variance Σ D².
    limit = 2 * scipy_stats.norm.sf(abs(difference.sum()) / np.sqrt((difference**2).sum()))
    assert p == pytest.approx(limit, abs=4 * np.sqrt(limit / RESAMPLES) + 0.005)
    # What was observed is one of the exchanges: p is never zero.
    assert paired_test(np.stack([np.ones(count), np.zeros(count)]), np.arange(count), 1)[0] == 1 / (1 + RESAMPLES)


def test_the_best_by_mean_is_never_significantly_worse() -> None:
    # Twelve patients; the first method is worse in eleven of them, and by far better in the one with most cases. A test
    # of signs or ranks of patient means calls it worse than the second, although its mean over all cases is higher.
    cases = [20, *[2] * 11]
    patients = np.repeat(np.arange(12), cases)
    advantage = np.where(patients == 0, 2.5, -0.6 - 0.01 * patients)
    values = np.stack([30 + advantage, np.full(len(patients), 30.0)])
    means = np.array([(np.bincount(patients, row) / cases) for row in values])
    assert scipy_stats.wilcoxon(means[0], means[1]).pvalue < 0.05
    result = compare(values, patients, bootstrap_means(values, patients))
    assert result.best == 0
    assert result.difference[1] < -0.5
    assert result.tied.all()
    assert result.p[1] > 0.3
    low, high = result.difference_interval[1]
    assert low < 0 < high
    assert result.ahead[1] == 11


def test_the_sign_of_the_difference_is_the_order_and_what_is_significant_lies_outside_of_its_interval() -> None:
    rng = np.random.default_rng(11)
    for _ in range(40):
        patients = np.sort(rng.integers(0, 10, size=60))
        patients = np.unique(patients, return_inverse=True)[1]
        values = rng.normal(size=(3, 60)) + rng.normal(0, 0.6, size=(3, 1)) + rng.normal(size=(3, 10))[:, patients]
        result = compare(values, patients, bootstrap_means(values, patients, 2000))
        assert result.rank[result.best] == 1
        assert (result.difference <= 0).all()
        assert list(np.argsort(result.rank)) == list(np.argsort(-result.difference))
        # Clear cases: borderline ones may differ, as two ways to the same question do.
        for index in np.flatnonzero(result.p < 0.01):
            assert result.difference_interval[index, 1] < 0


def test_holm_matches_its_definition() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.02, 0.03, 0.5])), [0.04, 0.06, 0.06, 0.5])
    assert holm(np.array([0.9, 0.8])).max() == 1.0


def test_a_method_that_is_worse_in_every_patient_is_not_tied() -> None:
    result = compare(VALUES, PATIENTS, bootstrap_means(VALUES, PATIENTS))
    assert result.best == 1
    assert result.ahead[2] == 0
    assert not result.tied[2]
    assert result.tied[1]
    assert result.rank[2] == 4
    assert tuple(result.rank_interval[2]) == (4, 4)
    # The smallest p of twelve patients, twice two to the minus twelfth, times half of three comparisons.
    assert result.p[2] == pytest.approx(1.5 * 2 * 0.5**12)


def test_ranks_are_scipys_along_the_last_axis_and_what_is_no_number_comes_last() -> None:
    means = RNG.integers(0, 5, size=(50, 7)).astype(float)
    np.testing.assert_array_equal(ranks(means), scipy_stats.rankdata(-means, method="min", axis=1))
    assert ranks(np.array([np.nan, 3.0, np.inf])).tolist() == [3, 2, 1]


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
    np.testing.assert_array_equal(up.ahead, down.ahead)


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
    assert not result.tied[2]


def test_infinities_of_both_signs_come_last() -> None:
    values = VALUES.copy()
    values[1, 0], values[1, 50] = np.inf, -np.inf
    result = compare(values, PATIENTS, bootstrap_means(values, PATIENTS, 100))
    assert result.rank[1] == 4
    assert ranks(np.array([1.0, np.nan, 2.0])).tolist() == [2, 3, 1]


@pytest.mark.parametrize("patients", [1, 2, 5])
def test_with_few_patients_nothing_is_called_different_and_that_is_said(patients: int) -> None:
    owner = np.repeat(np.arange(patients), 4)
    values = np.stack([np.arange(4.0 * patients), np.arange(4.0 * patients) - 9])
    result = compare(values, owner, bootstrap_means(values, owner, 100))
    assert result.tied.all()
    assert not result.decides


def test_the_more_methods_are_compared_the_more_patients_it_takes() -> None:
    for patients, methods in ((6, 2), (6, 4), (8, 13)):
        owner = np.arange(patients)
        values = np.ones((methods, patients))
        values[1:] = 0
        result = compare(values, owner, bootstrap_means(values, owner, 100))
        assert result.decides and not result.tied[1:].any()
        tests = comparisons(methods)
        assert can_differ(patients, tests) and not can_differ(patients - 1, tests)


def test_the_truly_best_method_is_seldom_told_apart_from_the_first_though_that_is_chosen() -> None:
    rng, owner, left_out, any_behind = np.random.default_rng(0), np.arange(10), 0, 0
    for _ in range(400):
        values = rng.normal(size=(8, 10))  # all are equally good, so that the first is chance
        p = paired_test(values, owner, int(values.mean(axis=1).argmax()))
        left_out += bool(p[0] < 0.05)
        any_behind += bool((p < 0.05).any())
    assert left_out <= 0.05 * 400
    assert any_behind > 0.05 * 400  # which is why no more is claimed


def test_a_case_of_which_no_method_has_a_number_counts_for_nothing() -> None:
    lacking = VALUES.copy()
    lacking[:, ::3] = np.nan
    have = np.arange(120) % 3 > 0
    samples = bootstrap_means(np.concatenate([lacking, VALUES]), PATIENTS)
    np.testing.assert_array_equal(samples[:, 4:], bootstrap_means(VALUES, PATIENTS))
    np.testing.assert_allclose(samples[:, :4], bootstrap_means(VALUES[:, have], PATIENTS[have]))
    one = compare(lacking, PATIENTS, samples[:, :4])
    other = compare(VALUES[:, have], PATIENTS[have], bootstrap_means(VALUES[:, have], PATIENTS[have]))
    for name in ("mean", "p", "ahead", "rank", "difference_interval"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), err_msg=name)


def test_drawings_of_patients_without_a_number_are_left_out_of_intervals() -> None:
    lacking = VALUES.copy()
    lacking[:, PATIENTS > 1] = np.nan
    samples = bootstrap_means(lacking, PATIENTS)
    # Nobody of two in twelve is drawn in (10/12)¹² of the drawings.
    assert np.isnan(samples).mean() == pytest.approx(0.112, abs=0.02)
    result = compare(lacking, PATIENTS, samples)
    known = ~np.isnan(samples[:, 0])
    np.testing.assert_array_equal(result.mean_interval, interval(samples[known]))
    assert np.isfinite(result.difference_interval).all()
    assert tuple(result.rank_interval[2]) == (4, 4)
    np.testing.assert_array_equal(interval(np.array([[np.nan, 1.0], [np.nan, np.nan]])), [[np.nan, np.nan], [1.0, 1.0]])


def test_patients_without_a_number_do_not_help_to_decide() -> None:
    lacking = VALUES.copy()
    lacking[:, PATIENTS > 2] = np.nan
    assert compare(VALUES, PATIENTS, bootstrap_means(VALUES, PATIENTS)).decides
    assert not compare(lacking, PATIENTS, bootstrap_means(lacking, PATIENTS)).decides
