"""Boxes as offsets from other boxes, the numbers that detectors regress."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BoxCoder:
    """Centre offsets in units of the anchor's sides, and logarithms of the ratios of sides.

    Args:
        weights: factors of ``(dx, dy, dw, dh)``; they bring the targets to a spread near 1.
        max_log_ratio: ``dw`` and ``dh`` are cut here before they are exponentiated, so that an
            untrained network makes no infinite boxes.

    Source: Ren et al., "Faster R-CNN" (2015), equation 2; Girshick et al., "R-CNN" (2014),
        appendix C.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.box_coder import BoxCoder
        >>> anchor = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
        >>> deltas = BoxCoder().encode(torch.tensor([[5.0, 5.0, 15.0, 25.0]]), anchor)
        >>> deltas
        tensor([[0.5000, 0.2500, 0.0000, 0.0000]])
        >>> BoxCoder().decode(deltas, anchor)
        tensor([[ 5.,  5., 15., 25.]])
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    max_log_ratio: float = math.log(1000 / 16)

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Offsets of boxes from anchors.

        Args:
            boxes: ``[..., 4]`` as ``(x1, y1, x2, y2)``.
            anchors: ``[..., 4]`` likewise, one for each box.

        Returns:
            ``[..., 4]`` as ``(dx, dy, dw, dh)``.
        """
        wx, wy, ww, wh = self.weights
        x, y, w, h = _centre_and_size(boxes)
        ax, ay, aw, ah = _centre_and_size(anchors)
        deltas = [
            wx * (x - ax) / aw,
            wy * (y - ay) / ah,
            ww * (w / aw).log(),
            wh * (h / ah).log(),
        ]
        return torch.stack(deltas, dim=-1)

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """Boxes from offsets.

        Args:
            deltas: ``[..., 4]`` as ``(dx, dy, dw, dh)``.
            anchors: ``[..., 4]``, one for each row of ``deltas``.

        Returns:
            ``[..., 4]`` as ``(x1, y1, x2, y2)``.
        """
        wx, wy, ww, wh = self.weights
        ax, ay, aw, ah = _centre_and_size(anchors)
        dx, dy, dw, dh = deltas.unbind(-1)
        x = dx / wx * aw + ax
        y = dy / wy * ah + ay
        half_w = 0.5 * ((dw / ww).clamp(max=self.max_log_ratio).exp() * aw)
        half_h = 0.5 * ((dh / wh).clamp(max=self.max_log_ratio).exp() * ah)
        return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], dim=-1)


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h
