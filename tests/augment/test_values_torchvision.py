"""Colours and tones against torchvision's, image by image with a number for each."""

import pytest
import torch
from torchvision.transforms.v2 import functional as peer

from fastcv import augment


@pytest.fixture
def images(device):
    """Of 8 bits, as pictures are; the last has a channel of one value and one that is all but."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(40, 200, (3, 3, 9, 11), generator=generator, dtype=torch.uint8)
    values[2, 0] = 77
    values[2, 1, 1:] = 90
    return values.to(device)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (augment.brightness, peer.adjust_brightness),
        (augment.contrast, peer.adjust_contrast),
        (augment.saturation, peer.adjust_saturation),
        (augment.sharpness, peer.adjust_sharpness),
    ],
)
def test_factors(images, ours, theirs):
    images = images / 255
    factors = torch.tensor([0.0, 0.6, 1.9])
    expected = torch.stack([theirs(i, f) for i, f in zip(images, factors.tolist(), strict=True)])
    torch.testing.assert_close(ours(images, factors), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(ours(images, 1.0), images, atol=1e-6, rtol=0)


def test_sharpness_of_a_tiny_image():
    image = torch.rand(1, 3, 2, 5)
    torch.testing.assert_close(augment.sharpness(image, 0.0)[0], peer.adjust_sharpness(image[0], 0))


def test_solarize(images):
    images = images / 255
    thresholds = torch.tensor([0.0, 0.5, 1.0])
    expected = [peer.solarize(i, t) for i, t in zip(images, thresholds.tolist(), strict=True)]
    assert torch.equal(augment.solarize(images, thresholds), torch.stack(expected))


def test_posterize(images):
    bits = torch.tensor([0, 3, 8])
    expected = [peer.posterize(i, b) for i, b in zip(images, bits.tolist(), strict=True)]
    found = augment.posterize(images / 255, bits)
    torch.testing.assert_close(found, torch.stack(expected) / 255, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        augment.posterize(images / 255, 2), peer.posterize(images, 2) / 255, atol=1e-6, rtol=0
    )


def test_autocontrast(images):
    images = images / 255
    expected = peer.autocontrast(images)
    torch.testing.assert_close(augment.autocontrast(images), expected, atol=1e-6, rtol=0)


def test_equalize(images):
    expected = peer.equalize(images.cpu()).to(images.device) / 255
    torch.testing.assert_close(augment.equalize(images / 255), expected, atol=1e-6, rtol=0)


def test_invert(images):
    images = images / 255
    assert torch.equal(augment.invert(images), peer.invert(images))


def test_a_number_for_each_image():
    with pytest.raises(ValueError, match=r"must be a number or \[3\], got \[2\]"):
        augment.brightness(torch.rand(3, 3, 4, 4), torch.ones(2))
