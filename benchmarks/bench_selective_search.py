"""selective_search against opencv-contrib's, felzenszwalb against its and scikit-image's.

opencv-contrib is left out where it is not installed, with a line that says so:
    pip install opencv-contrib-python-headless
"""

import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import skimage.data
import torch
from skimage.segmentation import felzenszwalb as skimage_felzenszwalb
from torch.nn import functional as F

import fastcv.ops as ops

OPENCV = find_spec("cv2") is not None
if not OPENCV:
    warnings.warn("opencv-contrib is left out, not installed", stacklevel=1)


def photograph():
    """``[3, 375, 500]`` uint8, the size of PASCAL VOC's."""
    pixels = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, (375, 500), mode="bilinear")[0].round().byte()


@pytest.mark.skipif(not OPENCV, reason="opencv-contrib is not installed")
@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_selective_search(compare, threads, mode):
    import cv2

    cv2.setNumThreads(threads)
    image = photograph()
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])

    def theirs():
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(pixels)
        getattr(search, f"switchToSelectiveSearch{mode.capitalize()}")()
        return search.process()

    assert len(theirs()) > 1000
    compare(
        "selective_search",
        f"500 x 375, {mode}",
        lambda: ops.selective_search(image, mode),
        theirs,
        peer_name="opencv-contrib",
        target=2,
    )


def test_felzenszwalb_against_scikit_image(compare, threads):
    image = photograph().float() / 255
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    compare(
        "felzenszwalb",
        "500 x 375, scale 100",
        lambda: ops.felzenszwalb(image),
        lambda: skimage_felzenszwalb(pixels, scale=100, sigma=0.8, min_size=100),
        peer_name="scikit-image",
        target=5,
    )
