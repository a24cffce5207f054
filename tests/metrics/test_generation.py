"""The Fréchet distance against scipy's matrix root and a closed form; diversity by hand."""

import numpy as np
import pytest
import torch
from scipy import linalg

from fastcv.metrics import diversity, frechet_distance


def by_scipy(first, second):
    mean1, mean2 = first.mean(0), second.mean(0)
    cov1, cov2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = linalg.sqrtm(cov1 @ cov2)
    return ((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * root.real)


@pytest.mark.parametrize(("n", "m", "size"), [(50, 60, 2), (200, 40, 8), (500, 500, 33)])
def test_the_definition(n, m, size):
    rng = np.random.default_rng(size)
    mix1, mix2 = rng.normal(size=(2, size, size))
    first = rng.normal(size=(n, size)) @ mix1
    second = rng.normal(size=(m, size)) @ mix2 + rng.normal(size=size)
    found = frechet_distance(torch.from_numpy(first), torch.from_numpy(second))
    assert found == pytest.approx(by_scipy(first, second), rel=1e-8)
    back = frechet_distance(torch.from_numpy(second), torch.from_numpy(first))
    assert back == pytest.approx(found)


def test_of_two_lines():
    """In one dimension it is the squared difference of means and of deviations."""
    values = torch.tensor([[-1.0], [1.0]])
    deviation = 2**0.5
    found = frechet_distance(3 * values + 5, values)
    assert found == pytest.approx(25 + (3 * deviation - deviation) ** 2)


def test_of_the_same_and_of_fewer_samples_than_features():
    features = torch.randn(6, 20)  # its covariance has no inverse
    assert frechet_distance(features, features.flip(0)) == pytest.approx(0, abs=1e-6)
    moved = features.clone()
    moved[:, 3] += 2
    assert frechet_distance(features, moved) == pytest.approx(4, rel=1e-5)
    constant = torch.ones(4, 3)
    assert frechet_distance(constant, constant + 1) == pytest.approx(3)


def test_diversity():
    points = torch.tensor([[0.0, 0], [3, 4], [0, 0]])
    assert diversity(points) == pytest.approx(10 / 3)
    assert diversity(torch.ones(5, 2)) == 0


def test_what_is_no_set_of_features():
    good = torch.rand(4, 3)
    for wrong in (torch.rand(4), torch.rand(1, 3), torch.rand(4, 2), torch.rand(4, 3, 1)):
        with pytest.raises(ValueError, match=r"features must be \[N, D\] of two samples or more"):
            frechet_distance(good, wrong)
    with pytest.raises(ValueError, match="features must be finite"):
        frechet_distance(good, good * float("nan"))
    with pytest.raises(ValueError, match=r"features must be \[N, D\]"):
        diversity(torch.rand(1, 3))
