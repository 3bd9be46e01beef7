"""Tail mass, Hill index and Weibull shape from histograms: what theory says at the start, and stated errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic
import weightscope
from h5write import write
from scipy import integrate, stats
from scipy.special import ndtr
from weightscope import bins
from weightscope.hill import NORMAL_HILL, hill
from weightscope.tail_mass import tail_mass
from weightscope.weibull import NORMAL_K, NORMAL_SCALE, weibull

STD = np.array([5e-4, 0.011, 0.02, 0.0234, 0.03, 0.077, 0.5, 1.0])  # bins fall differently on each


def normal_counts(n: float = 1e9) -> np.ndarray:
    return np.diff(ndtr(bins.edges() / STD[:, None])) * n


def draws(shape: str, n: int = 20_000, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    draw = {
        "normal": rng.standard_normal(n),
        "heavy": rng.standard_t(3, n),
        "uniform": rng.uniform(-3, 3, n),
        "pareto": 0.5 * (1 + rng.pareto(3, n)),
    }[shape]
    return (0.02 * draw).astype(np.float32)


@pytest.mark.parametrize(("sigmas", "tolerance"), [(3, 0.02), (4, 0.04), (6, 0.08)])
def test_a_normal_start_has_the_tail_mass_of_the_normal_distribution(sigmas: float, tolerance: float) -> None:
    found = tail_mass(normal_counts(), sigmas * STD)
    expected = 2 * ndtr(-sigmas)
    assert found.value == pytest.approx(np.full(len(STD), expected), rel=tolerance)
    assert np.all(found.low <= expected * (1 + 1e-6))
    assert np.all(found.high >= expected * (1 - 1e-6))


@pytest.mark.parametrize("shape", ["normal", "heavy", "uniform", "pareto"])
@pytest.mark.parametrize("threshold", [1e-9, 0.001, 0.02, 0.0599, 0.0625, 0.2, 20.0])
def test_the_true_share_lies_in_the_bracket(shape: str, threshold: float) -> None:
    w = draws(shape)
    found = tail_mass(bins.count(w), np.array(threshold), 0, np.abs(w).max())
    true = (np.abs(w) > threshold).mean()
    assert found.low <= true <= found.high
    assert found.low <= found.value <= found.high


def test_overflow_counts_as_beyond_and_a_known_largest_weight_bounds_the_share() -> None:
    w = np.full(990, 0.5, dtype=np.float32)
    assert tail_mass(bins.count(w), np.array(1.0), 10).value == pytest.approx(0.01)
    assert tail_mass(bins.count(w), np.array(0.51), 0, 0.5).high == 0
    assert np.isnan(tail_mass(bins.count(w), np.array(0.0)).value)
    assert np.isnan(tail_mass(np.zeros(bins.BINS), np.array(0.1)).value)


def test_the_binomial_error_is_the_scatter_between_draws() -> None:
    found = [tail_mass(bins.count(draws("normal", seed=s)), np.array(0.0625)) for s in range(200)]
    scatter = np.std([one.value for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(scatter, rel=0.2)


def test_the_hill_index_of_a_normal_distribution_is_9() -> None:
    u = stats.norm.isf(0.005)
    mean_log = integrate.quad(lambda x: np.log(x / u) * stats.norm.pdf(x) / 0.005, u, 20)[0]
    assert pytest.approx(1 / mean_log, abs=5e-4) == NORMAL_HILL
    found = hill(normal_counts())
    assert found.value == pytest.approx(np.full(len(STD), NORMAL_HILL), rel=0.01)
    # Information lost to bins: a few per cent of the error of Hill's estimator.
    assert np.all(found.error >= found.value / np.sqrt(1e7))
    assert np.all(found.error < 1.05 * found.value / np.sqrt(1e7))


def test_hill_finds_the_index_of_a_pareto_law_with_the_error_it_states() -> None:
    found = [hill(bins.count(draws("pareto", seed=s))) for s in range(200)]
    index = np.array([one.value for one in found])
    assert index.mean() == pytest.approx(3.0, abs=0.06)
    assert np.mean([one.error for one in found]) == pytest.approx(index.std(), rel=0.15)


def test_weights_beyond_the_last_bin_leave_the_hill_index_as_it_is() -> None:
    w = draws("pareto", 200_000) * 200  # the outermost 0.2 % lie beyond 16
    beyond = np.abs(w) >= bins.HIGHEST
    assert 100 < beyond.sum() < 1000
    found = hill(bins.count(w[~beyond]), beyond.sum(), np.abs(w).max())
    assert found.value == pytest.approx(3.0, abs=4 * found.error)
    assert 0.06 < found.error < 0.12
    assert found.low < 3 < found.high


@pytest.mark.parametrize("shape", ["normal", "heavy", "pareto"])
def test_what_hill_gives_of_single_weights_lies_in_the_bracket(shape: str) -> None:
    w = draws(shape)
    found = hill(bins.count(w), 0, np.abs(w).max())
    ordered = np.sort(np.abs(w.astype(float)))[::-1]
    true = 1 / np.log(ordered[:200] / ordered[200]).mean()
    assert found.low <= true <= found.high
    assert found.value == pytest.approx(true, rel=0.06)


def test_too_small_a_tail_has_no_hill_index() -> None:
    assert np.isnan(hill(bins.count(draws("normal", 900))).value)
    assert np.isfinite(hill(bins.count(draws("normal", 1100))).value)
    assert np.isnan(hill(bins.count(draws("uniform"))).value)  # all of it in one bin
    assert np.isnan(hill(bins.count(np.full(5000, 0.5, dtype=np.float32))).value)


def test_the_weibull_law_of_a_normal_distribution_is_that_of_theory() -> None:
    p = 0.1 + 0.8 * (np.arange(100_000) + 0.5) / 100_000
    k, offset = np.polyfit(np.log(stats.halfnorm.ppf(p)), np.log(-np.log1p(-p)), 1)
    assert k == pytest.approx(NORMAL_K, abs=5e-5)
    assert np.exp(-offset / k) == pytest.approx(NORMAL_SCALE, abs=5e-5)
    found = weibull(normal_counts())
    assert found.k == pytest.approx(np.full(len(STD), NORMAL_K), abs=2e-4)
    assert found.scale / STD == pytest.approx(np.full(len(STD), NORMAL_SCALE), abs=2e-4)


@pytest.mark.parametrize("k", [0.8, 1.0, 1.3, 2.5])
def test_a_weibull_law_is_found_exactly(k: float) -> None:
    edge = bins.edges()
    folded = np.diff(-np.expm1(-((np.append(0.0, edge[bins.SIDE + 1 :]) / 0.02) ** k)))
    counts = np.concatenate([np.zeros(bins.SIDE), folded]) * 1e9
    found = weibull(counts)
    assert found.k == pytest.approx(k, rel=1e-3)
    assert found.scale == pytest.approx(0.02, rel=1e-3)
    assert found.r2 == pytest.approx(1.0, abs=1e-6)


def test_the_errors_of_the_weibull_law_are_the_scatter_between_draws() -> None:
    found = [weibull(bins.count(draws("normal", seed=s))) for s in range(200)]
    for name in ("k", "scale"):
        scatter = np.std([getattr(one, name) for one in found])
        assert np.mean([getattr(one, f"{name}_error") for one in found]) == pytest.approx(scatter, rel=0.2)


def test_a_body_in_the_middle_bin_or_beyond_the_last_has_no_weibull_law() -> None:
    w = draws("normal")
    w[:3000] = 0
    assert np.isnan(weibull(bins.count(w)).k)
    assert np.isnan(weibull(bins.count(draws("normal")), 5000).k)
    assert np.isnan(weibull(np.zeros(bins.BINS)).k)


def test_a_run_gives_one_dataset_with_units_and_the_start_as_theory_says(experiment: Path) -> None:
    run = weightscope.open(experiment)
    found = weightscope.tail_statistics(run)
    assert found["tail_mass"].dims == ("snapshot_step", "layer", "component", "sigma")
    assert all({"units", "long_name"} <= set(found[name].attrs) for name in found)
    start = found.isel(snapshot_step=0).sel(component="c_attn")
    for name, theory in (("weibull_k", NORMAL_K), ("hill", NORMAL_HILL)):
        assert np.all(np.abs(start[name] - theory) < 4 * start[f"{name}_error"] + 0.01 * theory), name
    end = found.isel(snapshot_step=-1).sel(component="c_attn", sigma=3.0)
    assert np.all(end["tail_mass"] > 10 * start["tail_mass"].sel(sigma=3.0))
    only = weightscope.tail_statistics(run, [-1])
    assert only["hill"].values[0] == pytest.approx(found["hill"].values[-1])


def test_heads_are_there_where_their_histograms_are(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=64, heads=2, steps=(0, 8))
    attrs, groups = synthetic.groups(truth)
    root = groups[""]
    root["head_histogram"] = np.repeat(root["histogram"][:, :, 1:4, None, :], 2, axis=3) // 2
    root["head_max"][:] = 20.0
    short = root["count"][:, :, 1:4, None] / 2 - root["head_histogram"].sum(axis=-1)
    found = weightscope.tail_statistics(weightscope.open(write(tmp_path / "heads.h5", attrs, groups)))
    assert found["head_hill"].dims == ("snapshot_step", "layer", "qkv", "head")
    without = weightscope.open(synthetic.experiment(tmp_path / "without.h5", truth))
    assert "head_hill" not in weightscope.tail_statistics(without)
    # What a head's histogram lacks lies beyond its last bin.
    lacking = found["head_tail_mass_low"].sel(sigma=6.0).values[0] * root["count"][0, :, 1:4, None] / 2
    assert (short[0] > 0).all()
    assert lacking == pytest.approx(short[0])
    root["nonfinite"][:] = 1
    unknown = weightscope.tail_statistics(weightscope.open(write(tmp_path / "nan.h5", attrs, groups)))
    assert np.isnan(unknown["head_hill"]).all()
