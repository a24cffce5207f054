"""Landmarks as heatmaps and as coordinates: codes, and heads that predict either.

``encode`` and ``decode`` are the ops ``encode_heatmaps`` and ``decode_heatmaps``.
"""

from fastcv.nn.landmarks.heads import CoordinateHead, HeatmapHead
from fastcv.ops import decode_heatmaps as decode
from fastcv.ops import encode_heatmaps as encode

__all__ = ["CoordinateHead", "HeatmapHead", "decode", "encode"]
