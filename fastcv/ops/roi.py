"""Fixed-size features of boxes: RoIAlign, RoIPool, and their position-sensitive forms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastcv.ops._roi import as_pair, as_rois, register_linear


def roi_align(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """RoIAlign: the mean of bilinear samples in every bin of every box.

    Args:
        input: ``[N, C, H, W]`` features, float64, float32, float16 or bfloat16; NCHW and
            channels_last are both read as they lie.
        boxes: ``[K, 5]`` as ``(image, x1, y1, x2, y2)``, or a list with one ``[L, 4]`` for each
            image, any float dtype; in units of ``input``'s pixels / ``spatial_scale``.
        output_size: bins as ``(height, width)``, or one number for both.
        spatial_scale: pixels of ``input`` per unit of ``boxes``.
        sampling_ratio: samples of a bin along each axis; 0 or less: one for every pixel begun.
        aligned: whether pixel 0 has its centre at 0.5 (exact) or at 0 (as the first detectors
            were trained, where boxes are also at least one pixel wide and high).

    Returns:
        ``[K, C, height, width]`` in the dtype and memory format of ``input``. Boxes with
        ``x2 < x1`` or ``y2 < y1`` (unless ``sampling_ratio > 0``), NaN or infinite corners give 0.
        Differentiable, twice, with respect to ``input``; deterministic on every device.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit; on the CPU, a box names an image
            that is not in the batch (on CUDA such a box gives 0).
        TypeError, ValueError: ``boxes`` is no tensor and no list of ``[L, 4]`` tensors, or
            ``output_size`` is no pair.

    Source: He et al., "Mask R-CNN" (2017), section 3.

    Example:
        >>> import torch, fastcv
        >>> features = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> boxes = torch.tensor([[0, 0.0, 0.0, 4.0, 4.0]])
        >>> fastcv.ops.roi_align(features, boxes, output_size=2, aligned=True)
        tensor([[[[ 2.5000,  4.5000],
                  [10.5000, 12.5000]]]])
    """
    height, width = as_pair("roi_align", output_size)
    rois = as_rois("roi_align", boxes, 4)
    return torch.ops.fastcv.roi_align(
        input, rois, spatial_scale, height, width, sampling_ratio, aligned
    )


register_linear("roi_align")
