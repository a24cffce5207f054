"""Random numbers, always drawn on the CPU: the same for images on any device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor


def uniform(low: float, high: float, n: int, generator: Generator | None) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def chance(p: float, n: int, generator: Generator | None) -> Tensor:
    """True with probability ``p``."""
    return torch.rand(n, generator=generator) < p


def below(limits: Tensor, generator: Generator | None) -> Tensor:
    """A whole number from 0 to each limit, both included."""
    numbers = torch.rand(len(limits), generator=generator, dtype=torch.float64)
    return (numbers * (limits + 1)).floor().to(limits.dtype)


def beta(alpha: float, n: int, generator: Generator | None) -> Tensor:
    """Beta(alpha, alpha): numpy's, for torch's takes no generator."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, n)).float()


def boxes(
    area: tuple[float, float],
    aspect: tuple[float, float],
    n: int,
    size: tuple[int, int],
    generator: Generator | None,
) -> Tensor:
    """Boxes inside the image, ``[n, 4]`` int64, of a share of its area and a width to height."""
    height, width = size
    pixels = uniform(*area, n, generator) * height * width
    ratio = uniform(float(np.log(aspect[0])), float(np.log(aspect[1])), n, generator).exp()
    w = (pixels * ratio).sqrt().round().long().clamp(1, width)
    h = (pixels / ratio).sqrt().round().long().clamp(1, height)
    x, y = below(width - w, generator), below(height - h, generator)
    return torch.stack([x, y, x + w, y + h], dim=1)
