"""Attention that knows where it has looked before."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LocationLayer(nn.Module):
    """What the weights so far look like around each symbol.

    Args:
        size: of what is said of each symbol.
        filters: of the convolution.
        kernel: symbols that it sees, odd.
    """

    def __init__(self, size: int, filters: int = 32, kernel: int = 31) -> None:
        super().__init__()
        self.location_conv = nn.Conv1d(2, filters, kernel, padding=kernel // 2, bias=False)
        self.location_dense = nn.Linear(filters, size, bias=False)
        nn.init.xavier_uniform_(self.location_conv.weight)
        nn.init.xavier_uniform_(self.location_dense.weight, nn.init.calculate_gain("tanh"))

    def forward(self, weights: Tensor) -> Tensor:
        """From weights ``[B, 2, N]``, the last and their sum, to ``[B, N, size]``."""
        return self.location_dense(self.location_conv(weights).transpose(1, 2))


class LocationAttention(nn.Module):
    """Scores ``v . tanh(query + memory + location)``, their softmax, and the memory's mean by it.

    Without the location a decoder that has read "a" cannot tell the first "a" of a text from the
    second: it would stay, or leap.

    Args:
        query_size: of what asks.
        memory_size: of what is looked at.
        size: of what is compared.

    Source: Chorowski et al., "Attention-Based Models for Speech Recognition" (2015), equations 8
        and 9; Shen et al. (2018), section 2.2, which adds up the weights of all steps.

    Example:
        >>> import torch
        >>> from fastcv.models.audio._location_attention import LocationAttention
        >>> attention = LocationAttention(6, 4, 5)
        >>> memory, counts = torch.rand(2, 7, 4), torch.arange(7) < torch.tensor([[7], [3]])
        >>> query, keys = torch.rand(2, 6), attention.memory_layer(memory)
        >>> context, weights = attention(query, memory, keys, torch.zeros(2, 2, 7), counts)
        >>> context.shape, weights[1, 3:].tolist()
        (torch.Size([2, 4]), [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, query_size: int, memory_size: int, size: int = 128) -> None:
        super().__init__()
        self.query_layer = nn.Linear(query_size, size, bias=False)
        self.memory_layer = nn.Linear(memory_size, size, bias=False)
        self.v = nn.Linear(size, 1, bias=False)
        self.location_layer = LocationLayer(size)
        for layer in (self.query_layer, self.memory_layer):
            nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain("tanh"))
        nn.init.xavier_uniform_(self.v.weight)

    def forward(
        self, query: Tensor, memory: Tensor, keys: Tensor, weights: Tensor, counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One look.

        Args:
            query: ``[B, query_size]``.
            memory: ``[B, N, memory_size]``.
            keys: ``memory_layer(memory)``, which is the same at each step.
            weights: ``[B, 2, N]``: of the last step, and the sum of all steps'.
            counts: ``[B, N]`` bool, false where there is padding.

        Returns:
            ``(context, weights)``: ``[B, memory_size]`` and ``[B, N]``, which sum up to 1.
        """
        asked = self.query_layer(query)[:, None] + self.location_layer(weights) + keys
        scores = self.v(torch.tanh(asked))[:, :, 0].masked_fill(~counts, -torch.inf)
        found = scores.softmax(dim=1)
        return (found[:, None] @ memory)[:, 0], found
