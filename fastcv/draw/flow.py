"""Flows as colours: the hue says which way, the strength how far."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

HUES = 360


def flow_picture(flow: Tensor, *, max_length: float | None = None) -> Image.Image:
    """A flow as a picture: white is still, red to the right, and on through yellow downwards.

    Args:
        flow: ``[2, H, W]`` as (x, y) in pixels, such as of ``YolactEdge.flow`` or
            ``data.flow_between``.
        max_length: the length, in pixels, that has the full colour; by default the longest in it.

    Returns:
        RGB, ``W`` wide. What is NaN or infinite is black.

    Raises:
        ValueError: another shape, or a length that is not above 0.

    Example:
        >>> import torch
        >>> from fastcv.draw import flow_picture
        >>> flow = torch.zeros(2, 1, 3)
        >>> flow[0] = torch.tensor([0.0, 4.0, -4.0])
        >>> [flow_picture(flow).getpixel((x, 0)) for x in range(3)]
        [(255, 255, 255), (255, 0, 0), (0, 255, 255)]
    """
    if flow.dim() != 3 or flow.shape[0] != 2:
        raise ValueError(f"flow must be [2, H, W], got {list(flow.shape)}")
    if max_length is not None and not max_length > 0:
        raise ValueError(f"max_length must be above 0, got {max_length}")
    x, y = flow.detach().double().cpu()
    finite = x.isfinite() & y.isfinite()
    x, y = x.where(finite, 0), y.where(finite, 0)
    length = torch.hypot(x, y)
    longest = max_length or float(length.max()) if length.numel() else 1.0
    strength = (length / (longest or 1.0)).clamp(max=1)[..., None]
    turn = torch.atan2(y, x) / (2 * math.pi) % 1
    wheel = torch.tensor([colorsys.hsv_to_rgb(i / HUES, 1, 1) for i in range(HUES)])
    pure = wheel[(turn * HUES).round().long() % HUES]
    mixed = (1 - strength * (1 - pure)) * finite[..., None]
    return Image.fromarray((255 * mixed).round().numpy().astype(np.uint8))
