"""A convolution whose weights differ from place to place."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyConnected2d(nn.Module):
    """A 3x3 convolution that keeps the size, with a kernel of its own at every place.

    Args:
        inputs: channels in.
        outputs: channels out.
        size: height and width of the maps.

    Source: darknet's ``[local]`` layer, whose order of weights this has.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.locally_connected import LocallyConnected2d
        >>> layer = LocallyConnected2d(4, 6, size=(5, 5))
        >>> layer(torch.rand(2, 4, 5, 5)).shape, layer.weight.shape
        (torch.Size([2, 6, 5, 5]), torch.Size([25, 6, 36]))
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        places = size[0] * size[1]
        self.size = size
        self.weight = nn.Parameter(torch.empty(places, outputs, inputs * 9))
        self.bias = nn.Parameter(torch.zeros(outputs, *size))
        nn.init.normal_(self.weight, std=(2 / (inputs * 9)) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, height, width]`` to ``[N, outputs, height, width]``."""
        patches = F.unfold(x, 3, padding=1)  # [N, inputs * 9, places]
        made = torch.einsum("pok,nkp->nop", self.weight, patches)
        return torch.unflatten(made, 2, self.size) + self.bias
