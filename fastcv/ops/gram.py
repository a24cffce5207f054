"""The Gram matrix of feature maps: which channels are active together, wherever that is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gram_matrix(features: Tensor, normalize: bool = True) -> Tensor:
    """Inner products of all pairs of channels, over all pixels.

    Args:
        features: ``[B, C, H, W]``, float64, float32, float16 or bfloat16; NCHW and channels_last
            are both read as they lie.
        normalize: divide by ``C * H * W``.

    Returns:
        ``[B, C, C]`` in the dtype of ``features``, symmetric to the last bit. Sums are float32
        (float64 for float64 features). Differentiable, twice; the same bits at every run.

    Raises:
        RuntimeError: ``features`` has not 4 dimensions or is not floating point.

    Source: Johnson et al., "Perceptual Losses for Real-Time Style Transfer" (2016), equation 3;
        without ``normalize``, Gatys et al., "Image Style Transfer" (2016), equation 3.

    Example:
        >>> import torch, fastcv
        >>> features = torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]])
        >>> fastcv.ops.gram_matrix(features, normalize=False)
        tensor([[[5., 6.],
                 [6., 9.]]])
    """
    return torch.ops.fastcv.gram_matrix(features, normalize)


@torch.library.register_fake("fastcv::gram_matrix")
def _(features: Tensor, normalize: bool) -> Tensor:
    batch, channels = features.shape[:2]
    return features.new_empty(batch, channels, channels)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.normalize = inputs[1]


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    (features,) = ctx.saved_tensors
    b, c, h, w = features.shape
    both = grad + grad.mT
    nothing = both.new_zeros(1, 1, 1)
    # The scale goes into the product, where sums are wide: before it, float16 might not hold it.
    scale = 1 / max(c * h * w, 1) if ctx.normalize else 1.0
    if torch._prims_common.suggest_memory_format(features) == torch.channels_last:
        pixels = features.permute(0, 2, 3, 1).reshape(b, h * w, c)
        out = torch.baddbmm(nothing, pixels, both, beta=0, alpha=scale)
        return out.reshape(b, h, w, c).permute(0, 3, 1, 2), None
    out = torch.baddbmm(nothing, both, features.reshape(b, c, h * w), beta=0, alpha=scale)
    return out.reshape(b, c, h, w), None


torch.library.register_autograd("fastcv::gram_matrix", _differentiate, setup_context=_remember)
