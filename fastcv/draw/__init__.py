"""Pictures: of results, of metrics, of data, of layers."""

from fastcv.draw.bias import draw_bias
from fastcv.draw.canvas import Canvas, color_of
from fastcv.draw.classification import draw_confusion, draw_reliability
from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.flow import flow_picture
from fastcv.draw.modality import draw_modality_shares
from fastcv.draw.overlap import draw_overlap
from fastcv.draw.word_plane import draw_word_plane

__all__ = [
    "Canvas",
    "color_of",
    "contact_sheet",
    "draw_bias",
    "draw_confusion",
    "draw_modality_shares",
    "draw_overlap",
    "draw_reliability",
    "draw_word_plane",
    "flow_picture",
]
