"""How good samples are as a whole: how far from real data, and how unlike each other."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """The Fréchet distance of two sets of features, each taken for a normal distribution.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` of means and covariances. With Inception's
    features it is the FID; its value depends on whose features they are, so name them. It is
    larger for few samples than for many: compare equal numbers.

    Args:
        first: ``[N, D]``, a row for each sample.
        second: ``[M, D]``.

    Returns:
        0 or more, in the features' unit squared.

    Raises:
        ValueError: other shapes, fewer than two samples, or features that are not finite.

    Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium" (2017), equation 6; Dowson and Landau (1982).

    Example:
        >>> import torch
        >>> from fastcv.metrics import frechet_distance
        >>> features = torch.randn(100, 3)
        >>> round(frechet_distance(features, features + 2), 6)
        12.0
    """
    _check(first, second)
    (mean1, root1, trace1), (mean2, root2, trace2) = map(_statistics, (first, second))
    # Of the root of C1 C2 the trace is the sum of the singular values of C1^(1/2) C2^(1/2).
    common = torch.linalg.svdvals(root1 @ root2).sum()
    distance = (mean1 - mean2).square().sum() + trace1 + trace2 - 2 * common
    return max(0.0, float(distance))


def diversity(features: Tensor) -> float:
    """The mean distance of two samples: near 0 where a generator makes the same again and again.

    Args:
        features: ``[N, D]``, a row for each sample.

    Raises:
        ValueError: another shape, or fewer than two samples.

    Example:
        >>> import torch
        >>> from fastcv.metrics import diversity
        >>> diversity(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        5.0
    """
    _check(features, features)
    return float(torch.pdist(features.double()).mean())


def _statistics(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean ``[D]``, and of the covariance the root ``[D, D]`` and the trace."""
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    covariance = centred.T @ centred / (len(features) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    values = values.clamp(min=0)  # rounding may leave some below
    return mean, vectors * values.sqrt() @ vectors.T, values.sum()


def _check(first: Tensor, second: Tensor) -> None:
    for features in (first, second):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != first.shape[1]:
            raise ValueError(
                "features must be [N, D] of two samples or more, all of one D, got "
                f"{list(first.shape)} and {list(second.shape)}"
            )
        if not features.isfinite().all():
            raise ValueError("features must be finite, got a NaN or an infinity")
