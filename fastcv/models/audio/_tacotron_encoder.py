"""Tacotron 2's convolutions: of the encoder, which reads symbols, and of the postnet."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DROPOUT = 0.5  # section 2.2 and 2.3


def conv_norm(inputs: int, outputs: int, kernel: int, gain: str) -> nn.Sequential:
    """A convolution that keeps the length, and a batch norm.

    Args:
        gain: what follows, as ``nn.init.calculate_gain`` knows it.
    """
    conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(conv.weight, nn.init.calculate_gain(gain))  # type: ignore[arg-type]  # torch lists names as literals
    return nn.Sequential(conv, nn.BatchNorm1d(outputs))


class SymbolEncoder(nn.Module):
    """Three convolutions and an LSTM of both directions.

    Args:
        size: of a symbol's vector, before and after; half of it is each direction's.
        layers: convolutions.
        kernel: symbols that each sees, odd.

    Source: Shen et al., "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram
        Predictions" (2018), section 2.2.

    Example:
        >>> import torch
        >>> from fastcv.models.audio._tacotron_encoder import SymbolEncoder
        >>> encoder = SymbolEncoder(16)
        >>> encoder(torch.rand(2, 7, 16), torch.tensor([7, 4])).shape
        torch.Size([2, 7, 16])
    """

    def __init__(self, size: int = 512, layers: int = 3, kernel: int = 5) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            conv_norm(size, size, kernel, "relu") for _ in range(layers)
        )
        self.lstm = nn.LSTM(size, size // 2, batch_first=True, bidirectional=True)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """What each symbol means among its neighbours.

        Args:
            vectors: ``[B, N, size]``, of symbols.
            lengths: ``[B]`` int64, how many symbols count; the longest has N.

        Returns:
            ``[B, N, size]``; zeros behind each length.
        """
        maps = vectors.transpose(1, 2)
        for layer in self.convolutions:
            maps = F.dropout(F.relu(layer(maps)), DROPOUT, self.training)
        packed = nn.utils.rnn.pack_padded_sequence(
            maps.transpose(1, 2), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        self.lstm.flatten_parameters()
        read, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=vectors.shape[1]
        )
        return read


class Postnet(nn.Module):
    """Five convolutions that see frames before and after, and say what to add to each.

    Args:
        mels: bands of a frame.
        size: channels between.
        layers: convolutions.
        kernel: frames that each sees, odd.

    Source: Shen et al. (2018), section 2.2.

    Example:
        >>> import torch
        >>> from fastcv.models.audio._tacotron_encoder import Postnet
        >>> Postnet(8, 16)(torch.rand(2, 8, 11)).shape
        torch.Size([2, 8, 11])
    """

    def __init__(self, mels: int = 80, size: int = 512, layers: int = 5, kernel: int = 5) -> None:
        super().__init__()
        widths = [mels, *[size] * (layers - 1), mels]
        gains = [*["tanh"] * (layers - 1), "linear"]
        self.convolutions = nn.ModuleList(
            conv_norm(inputs, outputs, kernel, gain)
            for inputs, outputs, gain in zip(widths, widths[1:], gains, strict=False)
        )

    def forward(self, mels: Tensor) -> Tensor:
        """From ``[B, mels, T]`` to what is to be added, of the same shape."""
        *between, last = self.convolutions
        for layer in between:
            mels = F.dropout(torch.tanh(layer(mels)), DROPOUT, self.training)
        return F.dropout(last(mels), DROPOUT, self.training)
