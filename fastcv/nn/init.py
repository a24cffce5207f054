"""How parameters start."""

from __future__ import annotations

from torch import Tensor, nn


def fill(parameter: Tensor | nn.Module | None, value: float = 0.0) -> None:
    """``torch.nn.init.constant_``, for a weight or bias that is there.

    torch declares the parameters of its layers as optional, or as those of any module.

    Args:
        parameter: such as ``layer.bias``.
        value: of all its elements.

    Example:
        >>> from torch import nn
        >>> from fastcv.nn.init import fill
        >>> layer = nn.Linear(2, 3)
        >>> fill(layer.bias, 0.5)
        >>> layer.bias.tolist()
        [0.5, 0.5, 0.5]
    """
    assert isinstance(parameter, Tensor)
    nn.init.constant_(parameter, value)
