"""DETR's transformer: an encoder over the image's cells, a decoder over object queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn._hooks import OwnHooks


class EncoderLayer(nn.Module):
    """Self-attention among the cells, then two linear layers for each; norms after the sums.

    Args:
        channels: numbers of a cell.
        heads: of the attention.
        feedforward: numbers between the two linear layers.
        dropout: of what each part adds, of the attention and between the linear layers.

    Positions are added to what is compared, not to what is passed on.

    Source: Carion et al., "DETR" (2020), figure 10.
    """

    def __init__(self, channels: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads, dropout, batch_first=True)
        self.linear1 = nn.Linear(channels, feedforward)
        self.linear2 = nn.Linear(feedforward, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, cells: Tensor, position: Tensor, padding: Tensor) -> Tensor:
        """``[B, N, channels]`` to the same; cells are left out where ``padding`` ``[B, N]`` is."""
        key = cells + position
        attended, _ = self.self_attn(key, key, cells, key_padding_mask=padding, need_weights=False)
        cells = self.norm1(cells + self.dropout(attended))
        hidden = self.dropout(F.relu(self.linear1(cells)))
        return self.norm2(cells + self.dropout(self.linear2(hidden)))


class DecoderLayer(nn.Module):
    """Self-attention among the queries, attention to the cells, then two linear layers.

    Args: as ``EncoderLayer``.

    Source: Carion et al., "DETR" (2020), figure 10.
    """

    def __init__(self, channels: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads, dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(channels, heads, dropout, batch_first=True)
        self.linear1 = nn.Linear(channels, feedforward)
        self.linear2 = nn.Linear(feedforward, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, found: Tensor, query: Tensor, cells: Tensor, position: Tensor, padding: Tensor
    ) -> Tensor:
        """``found`` ``[B, Q, channels]``, what is known of each query's object, to the same."""
        key = found + query
        attended, _ = self.self_attn(key, key, found, need_weights=False)
        found = self.norm1(found + self.dropout(attended))
        attended, _ = self.multihead_attn(
            found + query,
            cells + position,
            cells,
            key_padding_mask=padding,
            need_weights=False,
        )
        found = self.norm2(found + self.dropout(attended))
        hidden = self.dropout(F.relu(self.linear1(found)))
        return self.norm3(found + self.dropout(self.linear2(hidden)))


class Encoder(nn.Module):
    """Layers in a row."""

    def __init__(self, layers: list[EncoderLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, cells: Tensor, position: Tensor, padding: Tensor) -> Tensor:
        for layer in self.layers:
            cells = layer(cells, position, padding)
        return cells


class Decoder(nn.Module):
    """Layers in a row; returns the output of each, through one norm for all."""

    def __init__(self, layers: list[DecoderLayer], channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(channels)

    def forward(self, query: Tensor, cells: Tensor, position: Tensor, padding: Tensor) -> Tensor:
        found = torch.zeros_like(query)
        outputs = []
        for layer in self.layers:
            found = layer(found, query, cells, position, padding)
            outputs.append(self.norm(found))
        return torch.stack(outputs)


class Transformer(nn.Module):
    """Encoder and decoder; the keys of its state are facebookresearch/detr's.

    Args:
        channels: numbers of a cell and of a query.
        heads: of every attention.
        encoder_layers: how many.
        decoder_layers: how many.
        feedforward: numbers between the two linear layers of a layer.
        dropout: see ``EncoderLayer``.

    Source: Carion et al., "DETR" (2020), figure 10.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.transformer import Transformer
        >>> transformer = Transformer(16, heads=2, encoder_layers=1, decoder_layers=3)
        >>> cells, position = torch.rand(2, 16, 4, 5), torch.rand(2, 16, 4, 5)
        >>> padding = torch.zeros(2, 4, 5, dtype=torch.bool)
        >>> transformer(cells, position, padding, torch.rand(7, 16)).shape
        torch.Size([3, 2, 7, 16])
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        heads: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        feedforward: int = 2048,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if channels % heads != 0:
            raise ValueError(f"heads must divide the {channels} channels, got {heads}")
        config = (channels, heads, feedforward, dropout)
        self.encoder = Encoder([EncoderLayer(*config) for _ in range(encoder_layers)])
        self.decoder = Decoder([DecoderLayer(*config) for _ in range(decoder_layers)], channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, cells: Tensor, position: Tensor, padding: Tensor, query: Tensor) -> Tensor:
        """Each decoder layer's output for each query.

        Args:
            cells: ``[B, channels, H, W]``.
            position: the same shape.
            padding: ``[B, H, W]`` bool, true where there is no image.
            query: ``[Q, channels]``.

        Returns:
            ``[decoder_layers, B, Q, channels]``.
        """
        cells, position = (x.flatten(2).transpose(1, 2) for x in (cells, position))
        padding = padding.flatten(1)
        cells = self.encoder(cells, position, padding)
        return self.decoder(query.expand(len(cells), -1, -1), cells, position, padding)


@contextmanager
def recorded_attention(attention: nn.Module) -> Iterator[list[Tensor]]:
    """Weights ``[B, queries, keys]``, the mean of the heads, of this thread's calls in the block.

    Without it they are never in memory as a whole.

    Args:
        attention: a ``MultiheadAttention``.
    """
    weights: list[Tensor] = []

    def keep(_: Any, output: tuple[Tensor, Tensor]) -> None:
        weights.append(output[1].detach())

    with OwnHooks() as hooks:
        hooks.before(attention, lambda args, kwargs: (args, {**kwargs, "need_weights": True}))
        hooks.after(attention, keep)
        yield weights
