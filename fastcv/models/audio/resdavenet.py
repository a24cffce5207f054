"""ResDAVEnet's ear: a residual network along time, with codebooks between its layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.layers.frame_jitter import FrameJitter
from fastcv.nn.layers.vector_quantizer import VectorQuantizer

WIDTHS = (128, 128, 256, 512, 1024)  # of the first convolution and of the four layers
DEPTHS = (2, 2, 2, 2)  # blocks of a layer
KERNEL = 9
JITTER, JITTERED = 0.12, (1, 2)  # the places behind which frames jitter


class Heard(NamedTuple):
    """What ``ResDAVEnet`` makes of sounds.

    Args:
        frames: ``[B, D, T / 16]``.
        lengths: ``[B]`` int64: how many of them are each sound's own, 1 or more; None: all.
        codes: ``[B, T_n]`` int64 of each place n that has a codebook.
        commitment: of those places, a scalar each.
    """

    frames: Tensor
    lengths: Tensor | None
    codes: dict[int, Tensor]
    commitment: dict[int, Tensor]

    def vectors(self) -> Tensor:
        """``[B, D]``: the mean of each sound's own frames."""
        if self.lengths is None:
            return self.frames.mean(dim=2)
        own = own_frames(self.lengths, self.frames.shape[2]).to(self.frames)
        return (self.frames * own[:, None]).sum(dim=2) / own.sum(dim=1, keepdim=True)


class SpeechBlock(nn.Module):
    """Two convolutions along time and a way past them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _along_time(inputs, outputs, kernel, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _along_time(outputs, outputs, kernel)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            past = _along_time(inputs, outputs, 1, stride)
            self.downsample = nn.Sequential(past, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + past)


class ResDAVEnet(nn.Module):
    """From log mel spectrograms to a vector every 160 ms.

    Places 1 to 5 are behind the first convolution and behind each of the four layers. Each may have
    a codebook: the frames behind it are the codebook's. Keys are those of the published code.

    Args:
        mels: bands.
        widths: channels at the five places.
        depths: blocks of the four layers.
        kernel: frames that a convolution sees.
        codebooks: codes at the five places; 0: frames pass as they are.
        jitter: of frames behind places 1 and 2 in training; see ``FrameJitter``.
        decay, commitment: of the codebooks; see ``VectorQuantizer``.

    Raises:
        ValueError: another number of widths, depths or codebooks.

    Example:
        >>> import torch
        >>> from fastcv.models.audio.resdavenet import ResDAVEnet
        >>> net = ResDAVEnet(widths=(4, 4, 8, 8, 16), codebooks=(0, 32, 16, 0, 0)).eval()
        >>> heard = net(torch.randn(2, 40, 64), torch.tensor([64, 40]))
        >>> heard.frames.shape, heard.lengths, heard.codes[3].shape
        (torch.Size([2, 16, 4]), tensor([4, 2]), torch.Size([2, 16]))
    """

    def __init__(
        self,
        *,
        mels: int = 40,
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        kernel: int = KERNEL,
        codebooks: Sequence[int] = (0,) * len(WIDTHS),
        jitter: float = JITTER,
        decay: float = 0.99,
        commitment: float = 1.0,
    ) -> None:
        super().__init__()
        places = len(WIDTHS)
        if [len(widths), len(depths), len(codebooks)] != [places, places - 1, places]:
            raise ValueError(
                f"widths, depths and codebooks must be {places}, {places - 1} and {places} numbers,"
                f" got {list(widths)}, {list(depths)} and {list(codebooks)}"
            )
        if min(codebooks) < 0:
            raise ValueError(f"codebooks must be 0 or more codes each, got {list(codebooks)}")
        self.batchnorm1 = nn.BatchNorm2d(1).requires_grad_(False)  # of the keys; it does nothing
        self.conv1 = nn.Conv2d(1, widths[0], (mels, 1), bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        for i, depth in enumerate(depths, 1):
            blocks = [
                SpeechBlock(widths[i - (b == 0)], widths[i], kernel, 2 if b == 0 else 1)
                for b in range(depth)
            ]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.codebooks = {n: codes for n, codes in enumerate(codebooks, 1) if codes}
        for n, codes in self.codebooks.items():
            book = VectorQuantizer(codes, widths[n - 1], decay=decay, commitment=commitment)
            setattr(self, f"quant{n}", book)
        self.jitter = FrameJitter(jitter)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                seen = math.prod(module.kernel_size) * module.out_channels
                nn.init.normal_(module.weight, std=math.sqrt(2 / seen))

    def forward(self, mels: Tensor, lengths: Tensor | None = None) -> Heard:
        """What is heard in spectrograms.

        Args:
            mels: ``[B, mels, T]``.
            lengths: ``[B]`` int64: frames that are each sound's own. What lies behind them is
                heard, but neither codebooks nor vectors learn from it. None: all are.

        Raises:
            ValueError: spectrograms or lengths of another shape.
        """
        bands = self.conv1.kernel_size[0]
        if mels.ndim != 3 or mels.shape[1] != bands:
            raise ValueError(f"mels must be [B, {bands}, T], got {list(mels.shape)}")
        if lengths is not None and lengths.shape != mels.shape[:1]:
            raise ValueError(f"lengths must be [{len(mels)}], got {list(lengths.shape)}")
        codes: dict[int, Tensor] = {}
        commitment: dict[int, Tensor] = {}
        x = F.relu(self.bn1(self.conv1(mels[:, None])))
        for n in range(1, len(WIDTHS) + 1):
            if n > 1:
                x = self.get_submodule(f"layer{n - 1}")(x)
            if n in self.codebooks:
                here = own_lengths(lengths, stride_of(n))
                own = None if here is None else own_frames(here, x.shape[-1]).to(x.device)
                found = self.get_submodule(f"quant{n}")(x[:, :, 0], own)
                x = found.frames[:, :, None]
                codes[n], commitment[n] = found.codes, found.commitment
            if n in JITTERED:
                x = self.jitter(x)
        return Heard(x[:, :, 0], own_lengths(lengths, stride_of(n)), codes, commitment)


def stride_of(place: int) -> int:
    """Frames of the spectrogram for one frame at a place."""
    return int(2 ** (place - 1))


def own_lengths(lengths: Tensor | None, stride: int) -> Tensor | None:
    """How many frames are a sound's own where there is one of ``stride``: 1 or more."""
    return None if lengths is None else (lengths // stride).clamp(min=1)


def own_frames(lengths: Tensor, count: int) -> Tensor:
    """``[B, count]`` bool: which frames are each sound's own."""
    return torch.arange(count, device=lengths.device) < lengths[:, None]


def _along_time(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, (1, kernel), (1, stride), padding=(0, kernel // 2), bias=False
    )
