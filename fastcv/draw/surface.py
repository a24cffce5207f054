"""A surface on a picture: charts in their colours, and lines of equal U and V."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastcv.draw.canvas import Canvas, color_of

LINES = 8  # to a chart, along U and along V


def draw_surface(canvas: Canvas, iuv: Tensor) -> None:
    """Each chart in its colour, lighter towards V = 1, with a net of lines.

    Args:
        canvas: of the picture.
        iuv: ``[3, H, W]`` of the picture: I, which is 0 where there is nothing, U and V.
    """
    iuv = iuv.detach().float().cpu().nan_to_num()
    for dim in (1, 2):
        iuv = iuv.repeat_interleave(canvas.scale, dim)
    charts, uv = iuv[0].long(), iuv[1:].clamp(0, 1)
    colors = torch.tensor([color_of(i) for i in range(int(charts.max()) + 1)]).float()
    color = colors[charts] * (0.5 + 0.5 * uv[1])[..., None]
    squares = (uv * LINES).floor().clamp(max=LINES - 1)
    on_line = torch.zeros_like(charts, dtype=torch.bool)
    for values in (charts, *squares):
        on_line[1:] |= values[1:] != values[:-1]
        on_line[:, 1:] |= values[:, 1:] != values[:, :-1]
    picture = torch.from_numpy(np.array(canvas.picture)).float()
    color = torch.where(on_line[..., None], color * 0.5, color * 0.75 + picture * 0.25)
    drawn = torch.where((charts > 0)[..., None], color, picture).round().byte()
    canvas.picture.paste(Image.fromarray(drawn.numpy()))
