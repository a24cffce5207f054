"""A picture that is bright where a map is high."""

from __future__ import annotations

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

DARKEST = 0.2  # of the picture, where nothing looks


def lit(picture: Image.Image, weights: Tensor) -> Image.Image:
    """The picture, the darker the less attention there is.

    Args:
        picture: RGB.
        weights: ``[h, w]``, of cells that cover the picture. The lowest is the darkest, whatever
            it is, and the highest has the picture's own light.

    Example:
        >>> import torch
        >>> from PIL import Image
        >>> from fastcv.draw.lit import lit
        >>> looked = lit(Image.new("RGB", (4, 1), "white"), torch.tensor([[0.25, 0.75]]))
        >>> [looked.getpixel((x, 0))[0] for x in range(4)]
        [51, 102, 204, 255]
    """
    size = picture.size[::-1]
    light = F.interpolate(weights[None, None].float().cpu(), size, mode="bilinear")[0, 0]
    light = light.nan_to_num(0.0)  # of a model that diverged: dark
    light = light - light.min()
    light = light / light.max().clamp(min=1e-12)
    mask = ((DARKEST + (1 - DARKEST) * light) * 255).round().byte().numpy()
    return Image.composite(picture, Image.new("RGB", picture.size), Image.fromarray(mask))
