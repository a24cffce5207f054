"""Landmarks as heatmaps and as coordinates: codes, and heads that predict either."""

from fastcv.nn.landmarks.heads import CoordinateHead, HeatmapHead
from fastcv.nn.landmarks.heatmaps import decode, encode

__all__ = ["CoordinateHead", "HeatmapHead", "decode", "encode"]
