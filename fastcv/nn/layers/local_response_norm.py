"""Local response normalisation with its paper's constants."""

from __future__ import annotations

from torch import nn


def local_response_norm(
    size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> nn.LocalResponseNorm:
    """Each value over ``(k + alpha * sum of squares over size channels around it) ** beta``.

    torch's layer has ``alpha / size`` where the paper has ``alpha`` (the mean of squares, as in
    Caffe), so it is given ``alpha * size`` here.

    Args:
        size: channels, of which the value's own is the middle.
        alpha: of the sum of squares.
        beta: the exponent.
        k: keeps the divisor from zero.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
        (2012), section 3.3, whose constants are the defaults.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.local_response_norm import local_response_norm
        >>> x = torch.full((1, 5, 1, 1), 100.0)
        >>> float(local_response_norm()(x)[0, 2]), 100 / (2 + 1e-4 * 5 * 100**2) ** 0.75
        (23.236..., 23.236...)
    """
    return nn.LocalResponseNorm(size, alpha * size, beta, k)
