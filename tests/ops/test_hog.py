"""hog against scikit-image's."""

import os
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import torch
from skimage.feature import hog as skimage_hog
from torch.library import opcheck

from fastcv.ops import hog

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# scikit-image adds in float32, whatever it is given.
TOLERANCE = {torch.float64: 5e-7, torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 4e-3}


def by_skimage(image, orientations=9, cell=8, block=2):
    return skimage_hog(
        image.double().permute(1, 2, 0).numpy(),
        orientations=orientations,
        pixels_per_cell=(cell, cell),
        cells_per_block=(block, block),
        block_norm="L2-Hys",
        channel_axis=-1,
        feature_vector=False,
    )


def noise(shape, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(shape[1])).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 3, 128, 64), {}),
        ((2, 1, 37, 50), {"orientations": 8, "cell": 6, "block": 3}),
        ((1, 2, 20, 21), {"orientations": 12, "cell": 5, "block": 1}),
        ((1, 4, 9, 9), {"orientations": 1, "cell": 1, "block": 2}),
        ((1, 1, 40, 40), {"orientations": 32, "cell": 10, "block": 2}),
    ],
)
def test_is_scikit_images(device, dtype, shape, options):
    images = noise(shape, dtype)
    want = np.stack([by_skimage(image, **options) for image in images])
    numbers = [options.get(key, default) for key, default in
               (("orientations", 9), ("cell", 8), ("block", 2))]  # fmt: skip
    got = hog(images.to(device), *numbers)
    assert got.dtype == dtype and list(got.shape) == list(want.shape)
    torch.testing.assert_close(
        got.cpu().double(), torch.from_numpy(want), rtol=0, atol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize("orientations", [2, 4, 8, 9])
def test_on_a_photograph_whose_gradients_lie_on_borders(device, orientations):
    """Bytes have few gradients, and many of them at whole eighths of a turn."""
    photograph = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)[
        :, 100:228, 150:278
    ]
    image = photograph.double()
    got = hog(image[None].to(device), orientations)[0].cpu()
    want = torch.from_numpy(by_skimage(image, orientations))
    torch.testing.assert_close(got, want, rtol=0, atol=TOLERANCE[torch.float64])


def test_any_strides_and_batches(device):
    images = noise((3, 3, 40, 48)).to(device)
    want = torch.cat([hog(images[i : i + 1]) for i in range(3)])
    assert torch.equal(hog(images), want)
    assert torch.equal(hog(images.contiguous(memory_format=torch.channels_last)), want)
    assert torch.equal(hog(images.mT.contiguous().mT), want)


def test_a_plain_picture_has_no_edges(device):
    assert torch.equal(
        hog(torch.ones(1, 3, 16, 16, device=device)).cpu(), torch.zeros(1, 1, 1, 2, 2, 9)
    )
    assert hog(torch.rand(0, 3, 16, 16, device=device)).shape == (0, 1, 1, 2, 2, 9)


def test_nan_stays_where_it_is(device):
    images = noise((1, 1, 32, 32))
    want = hog(images)
    images[0, 0, 0, 0] = float("nan")
    got = hog(images.to(device)).cpu()
    assert torch.equal(got[:, 1:, 1:], want[:, 1:, 1:])


def test_the_same_bits_for_any_number_of_threads():
    images, before = noise((2, 3, 100, 90), torch.float32), torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(hog(images))
    torch.set_num_threads(before)
    assert all(torch.equal(r, results[0]) for r in results)


def test_opcheck_and_compile(device):
    images = noise((1, 3, 24, 32), torch.float32).to(device)
    opcheck(torch.ops.fastcv.hog, (images, 9, 8, 2))
    compiled = torch.compile(lambda x: hog(x) * 2, fullgraph=True)
    assert torch.equal(compiled(images), hog(images) * 2)


ISA_PROGRAM = """
import torch
from fastcv.ops import hog
x = torch.rand(1, 3, 43, 45, generator=torch.Generator().manual_seed(0))
assert (hog(x) - hog(x.double())).abs().max() < 1e-5
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (torch.rand(3, 16, 16), {}, r"images must have shape \[B, C, H, W\]"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), {}, "images must be float64"),
        (torch.rand(1, 3, 15, 16), {}, "images must be at least 16 pixels high and wide"),
        (torch.rand(1, 3, 16, 16), {"orientations": 33}, "orientations must be 1 to 32, got 33"),
        (torch.rand(1, 3, 16, 16), {"cell_size": 0}, "cell_size must be at least 1, got 0"),
        (torch.rand(1, 3, 16, 16), {"block_size": 9}, "block_size must be 1 to 8, got 9"),
    ],
)
def test_errors(images, options, message):
    with pytest.raises(RuntimeError, match=message):
        hog(images, **options)
