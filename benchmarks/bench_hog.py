"""hog against scikit-image's."""

import skimage.data
import torch
from skimage.feature import hog as skimage_hog
from torch.nn import functional as F

import fastcv.ops as ops


def photograph(height, width):
    pixels = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)[None].float()
    return F.interpolate(pixels / 255, (height, width), mode="bilinear")


def test_hog(compare, threads):
    image = photograph(480, 640)
    pixels = image[0].permute(1, 2, 0).contiguous().numpy()
    compare(
        "hog",
        "640 x 480, RGB",
        lambda: ops.hog(image),
        lambda: skimage_hog(pixels, cells_per_block=(2, 2), channel_axis=-1),
        peer_name="scikit-image",
        target=20,
    )
