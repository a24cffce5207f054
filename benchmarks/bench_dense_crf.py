"""dense_crf against pydensecrf, where that is installed, and against exact sums on a small crop.

pydensecrf builds from its repository with Cython below 3:
    pip install "cython<3" setuptools wheel && pip install --no-build-isolation pydensecrf
"""

import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch.nn import functional as F

import fastcv.ops as ops

LABELS, ITERATIONS = 21, 10
PEER = find_spec("pydensecrf") is not None
if not PEER:
    warnings.warn("pydensecrf is left out, not installed", stacklevel=1)


def problem(height, width):
    """A photograph, and energies as coarse as a segmenter of stride 16 gives them."""
    photograph = Image.fromarray(skimage.data.astronaut()).resize((width, height))
    image = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].contiguous()
    g = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, LABELS, height // 16, width // 16, generator=g) * 4
    return F.interpolate(coarse, (height, width), mode="bilinear"), image


def by_pydensecrf(unary, image):
    from pydensecrf.densecrf import DenseCRF2D

    _, labels, height, width = unary.shape
    field = DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(unary.reshape(labels, -1).numpy())
    field.addPairwiseGaussian(sxy=3, compat=3)
    field.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    return np.array(field.inference(ITERATIONS))


def by_exact_sums(unary, image):
    """Every pixel with every other; a Potts model's messages need no compatibility."""
    _, labels, height, width = unary.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([x, y]).reshape(2, -1).T.float()
    color = image[0].reshape(3, -1).T.float()
    kernel = 0
    for weight, features in ((3, place / 3), (10, torch.cat([place / 80, color / 13], 1))):
        k = torch.exp(-torch.cdist(features, features).square() / 2)
        root = k.sum(1).rsqrt()
        kernel = kernel + weight * k * root * root[:, None]
    energy = unary.reshape(labels, -1)
    q = torch.softmax(-energy, 0)
    for _ in range(ITERATIONS):
        q = torch.softmax(-energy + q @ kernel, 0)
    return q


@pytest.mark.skipif(not PEER, reason="pydensecrf is not installed")
def test_against_pydensecrf(compare, threads):
    unary, image = problem(375, 500)
    pixels = np.array(image[0].permute(1, 2, 0).contiguous())
    theirs = by_pydensecrf(unary, pixels).reshape(LABELS, 375, 500)
    assert np.abs(ops.dense_crf(unary, image)[0].numpy() - theirs).mean() < 0.01
    compare(
        "dense_crf",
        f"500 x 375, {LABELS} labels, {ITERATIONS} iterations",
        lambda: ops.dense_crf(unary, image),
        lambda: by_pydensecrf(unary, pixels),
        peer_name="pydensecrf",
        target=2,
    )


def test_against_exact_sums(compare, threads):
    unary, image = problem(48, 64)
    compare(
        "dense_crf",
        f"64 x 48, {LABELS} labels, {ITERATIONS} iterations",
        lambda: ops.dense_crf(unary, image),
        lambda: by_exact_sums(unary, image),
        peer_name="exact sums",
        target=5,
    )


def test_forward_and_backward(compare, threads):
    unary, image = problem(375, 500)
    leaf = unary.clone().requires_grad_()

    def both():
        return torch.autograd.grad(ops.dense_crf(leaf, image).square().sum(), leaf)

    compare(
        "dense_crf",
        f"500 x 375, {LABELS} labels, {ITERATIONS} iterations, forward and backward",
        both,
        lambda: ops.dense_crf(unary, image),
        peer_name="forward alone",
    )
