"""The same sound with another number of samples a second."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

ZEROS = 24  # of the sinc on each side of its middle
ROLLOFF = 0.95  # of half the lower rate: what is above fades
BETA = 12.0  # of Kaiser's window: what folds back is 100 dB lower
LARGEST = 2**24  # numbers in memory at a time


def resample(waves: Tensor, rate: int, new_rate: int) -> Tensor:
    """Samples at another rate: a sinc under Kaiser's window, one filter for each phase.

    Sample i of the result is at time ``i / new_rate``. What the lower of both rates cannot hold is
    taken out.

    Args:
        waves: ``[..., N]``, floating point.
        rate: samples a second there are, in Hz.
        new_rate: those that are wanted.

    Returns:
        ``[..., ceil(N * new_rate / rate)]`` of the same dtype; ``waves`` itself at the same rate.

    Raises:
        TypeError: waves that are not floating point.
        ValueError: rates that are no whole numbers above 0.

    Source: Smith and Gossett, "A Flexible Sampling-Rate Conversion Method" (1984).

    Example:
        >>> import torch
        >>> from fastcv.audio import resample
        >>> tone = torch.sin(2 * torch.pi * 440 * torch.arange(44100) / 44100)
        >>> lower = resample(tone, 44100, 16000)
        >>> expected = torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
        >>> lower.shape, bool((lower - expected)[100:-100].abs().max() < 1e-3)
        (torch.Size([16000]), True)
    """
    if not waves.is_floating_point():
        raise TypeError(f"waves must be floating point, got {waves.dtype}")
    for name, value in (("rate", rate), ("new_rate", new_rate)):
        if value != int(value) or value < 1:
            raise ValueError(f"{name} must be a whole number of Hz above 0, got {value}")
    divisor = math.gcd(int(rate), int(new_rate))
    down, up = int(rate) // divisor, int(new_rate) // divisor
    if down == up:
        return waves
    length = -(-waves.shape[-1] * up // down)
    cutoff = ROLLOFF * min(1.0, up / down)  # of half the old rate
    reach = math.ceil(ZEROS / cutoff)
    flat = waves.reshape(-1, waves.shape[-1])
    # As much behind as the last phase of the last step reads.
    padded = F.pad(flat, (reach, reach + down))
    if up * (2 * reach + down) <= LARGEST:
        filters = _filters(down, up, cutoff, reach).to(waves)
        found = F.conv1d(padded[:, None], filters[:, None], stride=down).transpose(1, 2).flatten(1)
    else:  # rates that share no large divisor, such as 44100 and 44101
        found = _one_by_one(padded, down, up, cutoff, reach, length)
    return found[:, :length].reshape(*waves.shape[:-1], length)


@functools.lru_cache(maxsize=16)
def _filters(down: int, up: int, cutoff: float, reach: int) -> Tensor:
    """``[up, 2 * reach + down]`` float64: the filter of each phase, over samples 1 apart."""
    # It is kept, whoever asks first: also where gradients are not wanted, or no memory.
    with torch.inference_mode(False), torch.device("cpu"):
        places = torch.arange(-reach, reach + down, dtype=torch.float64)
        phases = torch.arange(up).double()[:, None] * down / up
        return _weights(places - phases, cutoff, reach)


def _weights(away: Tensor, cutoff: float, reach: int) -> Tensor:
    """The windowed sinc at these distances, each row of sum 1: a constant stays the same."""
    inside = (1 - (away / reach).square()).clamp(min=0)
    window = torch.special.i0(BETA * inside.sqrt()) * (away.abs() <= reach)
    weights = torch.special.sinc(cutoff * away) * window
    return weights / weights.sum(dim=1, keepdim=True)


def _one_by_one(
    padded: Tensor, down: int, up: int, cutoff: float, reach: int, length: int
) -> Tensor:
    """Each sample with weights of its own; ``padded`` begins ``reach`` before the first."""
    width = 2 * reach + 1
    windows = padded.unfold(1, width, 1)  # a view
    found = []
    for part in torch.arange(length).split(max(1, LARGEST // width // len(padded))):  # type: ignore[no-untyped-call]  # torch's
        first = part * down // up
        phase = (part * down % up).double() / up
        away = torch.arange(-reach, reach + 1).double() - phase[:, None]
        weights = _weights(away, cutoff, reach).to(padded)
        found.append((windows[:, first.to(padded.device)] * weights).sum(dim=2))
    return torch.cat(found, dim=1)
