"""How near a picture is to another: PSNR, SSIM, and whether its fine detail is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.data.protocols import SizedDataset

LUMA = (65.481, 128.553, 24.966)  # of red, green and blue: ITU-R BT.601 in 16 to 235
WINDOW, SIGMA = 11, 1.5  # of SSIM, section III.B
K1, K2 = 0.01, 0.03


def psnr(predictions: Tensor, targets: Tensor, *, data_range: float = 1.0) -> Tensor:
    """The peak signal-to-noise ratio of each picture, in decibels.

    Args:
        predictions: ``[B, C, H, W]``.
        targets: of the same shape.
        data_range: the greatest difference that two values can have, such as 1 or 255.

    Returns:
        ``[B]``; infinite where the pictures are equal.

    Raises:
        ValueError: shapes that differ.

    Example:
        >>> import torch
        >>> from fastcv.metrics import psnr
        >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
        tensor([20.])
    """
    _check(predictions, targets, 1)
    error = (predictions.double() - targets.double()).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(data_range**2 / error)).to(predictions.dtype)


def ssim(predictions: Tensor, targets: Tensor, *, data_range: float = 1.0) -> Tensor:
    """The structural similarity of each picture: the mean over places and channels.

    A place's neighbourhood is an 11 x 11 Gaussian with a deviation of 1.5 pixels. Only places whose
    neighbourhood lies in the picture count.

    Args:
        predictions: ``[B, C, H, W]``, of 11 x 11 pixels at least.
        targets: of the same shape.
        data_range: the greatest difference that two values can have, such as 1 or 255.

    Returns:
        ``[B]``, 1 where the pictures are equal.

    Raises:
        ValueError: shapes that differ, or pictures that are too small.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity"
        (2004), equations 6 and 13 to 17, without the correction of the sample covariance.

    Example:
        >>> import torch
        >>> from fastcv.metrics import ssim
        >>> picture = torch.rand(1, 3, 16, 16)
        >>> ssim(picture, picture)
        tensor([1.])
    """
    _check(predictions, targets, WINDOW)
    x, y = predictions.double(), targets.double()
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return (numerator / denominator).mean(dim=(1, 2, 3)).to(predictions.dtype)


def luma(images: Tensor) -> Tensor:
    """The brightness ``[B, 1, H, W]`` of images ``[B, 3, H, W]`` in [0, 1], from 16 to 235.

    Articles on super-resolution measure on it: it is Y of YCbCr, with a ``data_range`` of 255.

    Example:
        >>> import torch
        >>> from fastcv.metrics.image_quality import luma
        >>> luma(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten()
        tensor([ 16., 235.])
    """
    weights = images.new_tensor(LUMA)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True) + 16


def fine_detail(images: Tensor, *, finest: float = 8.0) -> Tensor:
    """The energy of the finest waves of each picture: a blurred one has little.

    Args:
        images: ``[B, C, H, W]``.
        finest: waves shorter than so many pixels count. A picture made four times smaller holds
            none under 8 pixels, so what a 4x model shows of them it has made up.

    Returns:
        ``[B]``: the mean over pixels and channels of the squares of those waves. The picture is
        faded out to its edges first, which are no detail.

    Example:
        >>> import torch
        >>> from fastcv.metrics.image_quality import fine_detail
        >>> stripes = torch.arange(32).remainder(2).float().expand(1, 1, 32, 32)
        >>> bool(fine_detail(stripes) > 100 * fine_detail(torch.ones(1, 1, 32, 32)))
        True
    """
    height, width = images.shape[2:]
    fade = torch.hann_window(height, dtype=images.dtype, device=images.device)[:, None]
    fade = fade * torch.hann_window(width, dtype=images.dtype, device=images.device)
    centred = images - images.mean(dim=(2, 3), keepdim=True)
    spectrum = torch.fft.fft2(centred * fade, norm="ortho").abs().square()
    frequency = torch.hypot(
        torch.fft.fftfreq(height, device=images.device)[:, None],
        torch.fft.fftfreq(width, device=images.device),
    )
    return (spectrum * (frequency > 1 / finest)).mean(dim=(1, 2, 3))


def evaluate_super_resolution(
    model: Any, data: SizedDataset, *, border: int = 4
) -> Mapping[str, float]:
    """How well a model enlarges pictures of which the large ones are known.

    Args:
        model: has ``predict``, from a picture to ``results.Generated``.
        data: items are ``(small, large)``, ``[3, h, w]`` and ``[3, s * h, s * w]`` in [0, 1].
        border: rows and columns at each edge that do not count.

    Returns:
        ``PSNR dB`` and ``SSIM``, the means over pictures of those on ``luma``; ``fine detail``,
        that of all predictions over that of all targets: 1 is right, less is blurred.

    Raises:
        ValueError: no data, or predictions of another size than the large pictures.

    Example:
        >>> import torch
        >>> from fastcv.metrics import evaluate_super_resolution
        >>> from fastcv.models.generative._translator import ImageTranslator
        >>> class Bicubic(ImageTranslator):
        ...     scale = 4
        ...     def forward(self, images):
        ...         return torch.nn.functional.interpolate(images, scale_factor=4, mode="bicubic")
        >>> data = [(torch.full((3, 8, 8), 0.5), torch.full((3, 32, 32), 0.6))]
        >>> found = evaluate_super_resolution(Bicubic(), data)
        >>> f"{found['PSNR dB']:.2f}"
        '21.32'
    """
    if len(data) == 0:
        raise ValueError("data must have a picture, it has none")
    totals = dict.fromkeys(("psnr", "ssim", "made", "true"), 0.0)
    for i in range(len(data)):
        small, large = data[i]
        (made,) = model.predict(small)
        pictures = made.pictures.to(large)
        if pictures.shape[2:] != large.shape[1:]:
            raise ValueError(
                f"predictions must be of the large pictures' {list(large.shape[1:])} pixels, got "
                f"{list(pictures.shape[2:])}"
            )
        inside = slice(border, -border or None)
        y, target = (luma(p)[:, :, inside, inside] for p in (pictures, large[None]))
        totals["psnr"] += float(psnr(y, target, data_range=255))
        totals["ssim"] += float(ssim(y, target, data_range=255))
        totals["made"] += float(fine_detail(y)) * y.numel()
        totals["true"] += float(fine_detail(target)) * y.numel()
    return {
        "PSNR dB": totals["psnr"] / len(data),
        "SSIM": totals["ssim"] / len(data),
        "fine detail": totals["made"] / totals["true"] if totals["true"] else math.nan,
    }


def _blur(images: Tensor) -> Tensor:
    """The means of the neighbourhoods that lie in the picture."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    across = F.conv2d(images, kernel, groups=images.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=images.shape[1])


def _check(predictions: Tensor, targets: Tensor, smallest: int) -> None:
    shape = list(predictions.shape)
    if predictions.shape != targets.shape or len(shape) != 4:
        raise ValueError(
            "predictions and targets must be [B, C, H, W] of one shape, got "
            f"{shape} and {list(targets.shape)}"
        )
    if min(shape[2:]) < smallest:
        raise ValueError(f"pictures must be {smallest}x{smallest} or larger, got {shape[2:]}")
