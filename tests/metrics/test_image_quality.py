"""PSNR and SSIM against scikit-image and by hand; brightness and fine detail by known pictures."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fastcv.metrics import evaluate_super_resolution, psnr, ssim
from fastcv.metrics.image_quality import fine_detail, luma
from fastcv.models.generative._translator import ImageTranslator


def pictures(channels, height=24, width=31, noise=0.1):
    rng = np.random.default_rng(channels)
    first = rng.random((2, channels, height, width))
    second = (first + noise * rng.normal(size=first.shape)).clip(0, 1)
    return torch.from_numpy(first), torch.from_numpy(second)


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_against_scikit_image(channels, scale):
    first, second = (scale * p for p in pictures(channels))
    found = psnr(second, first, data_range=scale), ssim(second, first, data_range=scale)
    for i in range(2):
        x, y = first[i].numpy(), second[i].numpy()
        assert float(found[0][i]) == pytest.approx(
            peak_signal_noise_ratio(x, y, data_range=scale), rel=1e-9
        )
        expected = structural_similarity(
            x, y, data_range=scale, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert float(found[1][i]) == pytest.approx(expected, rel=1e-9)


def test_the_window_is_in_the_picture_and_one_place_is_enough():
    first, second = pictures(1, 11, 11)
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets**2) / 4.5)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    for x, y, found in zip(
        first[:, 0].numpy(), second[:, 0].numpy(), ssim(first, second), strict=True
    ):
        mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
        var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
        covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
        expected = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
        expected /= (mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4)
        assert float(found) == pytest.approx(expected)


def test_equal_and_half_precision():
    first, second = pictures(3)
    assert psnr(first, first).isinf().all()
    torch.testing.assert_close(ssim(first, first), torch.ones(2).double())
    half = psnr(first.half(), second.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), psnr(first, second), atol=0.02, rtol=0)


def test_other_shapes():
    first, _ = pictures(3)
    for function in (psnr, ssim):
        for wrong in (first[:1], first[:, :1], first[0], first[..., 1:]):
            with pytest.raises(ValueError, match=r"must be \[B, C, H, W\] of one shape"):
                function(first, wrong)
    with pytest.raises(ValueError, match=r"must be 11x11 or larger, got \[10, 20\]"):
        ssim(torch.rand(1, 3, 10, 20), torch.rand(1, 3, 10, 20))


def test_brightness_is_that_of_ycbcr():
    first, _ = pictures(3)
    for image, y in zip(first, luma(first), strict=True):
        expected = rgb2ycbcr(image.permute(1, 2, 0).numpy())[..., 0]
        np.testing.assert_allclose(y[0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("pixels", "is_fine"), [(2, True), (4, True), (6, True), (12, False), (16, False)]
)
@pytest.mark.parametrize("turn", [0, 1])
def test_waves_by_their_length(pixels, is_fine, turn):
    wave = torch.sin(2 * torch.pi * (torch.arange(96.0) + 0.5) / pixels).expand(1, 1, 96, 96)
    wave = wave.rot90(turn, (2, 3))
    fade = torch.hann_window(96, periodic=True)
    energy = ((wave * fade * fade[:, None]) ** 2).mean()
    assert float(fine_detail(wave) / energy) == pytest.approx(float(pixels < 8), abs=0.02)


class Larger(ImageTranslator):
    """Repeats each pixel; ``shift`` is added."""

    def __init__(self, shift=0.0, scale=2):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, images):
        return images.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3) + self.shift


def test_evaluation_by_hand():
    torch.manual_seed(0)
    small = [torch.rand(3, 12, 14), torch.rand(3, 10, 20)]
    large = [image.repeat_interleave(2, 1).repeat_interleave(2, 2) for image in small]
    for image in large:  # at the edges it is far off, and they do not count
        image[:, :4] = image[:, -4:] = 0
        image[:, :, :4] = image[:, :, -4:] = 0
    exact = evaluate_super_resolution(Larger(), list(zip(small, large, strict=True)))
    assert exact["PSNR dB"] > 100 and exact["SSIM"] == pytest.approx(1)
    assert exact["fine detail"] == pytest.approx(1)
    grey = [(torch.full((3, 12, 12), 0.5), torch.full((3, 24, 24), 0.6))]
    found = evaluate_super_resolution(Larger(), grey)
    assert found["PSNR dB"] == pytest.approx(20 * np.log10(255 / 21.9), abs=1e-4)
    edges = evaluate_super_resolution(Larger(), list(zip(small, large, strict=True)), border=0)
    assert edges["PSNR dB"] < 20


def test_evaluation_of_what_does_not_fit():
    with pytest.raises(ValueError, match="data must have a picture"):
        evaluate_super_resolution(Larger(), [])
    data = [(torch.rand(3, 12, 12), torch.rand(3, 48, 48))]
    with pytest.raises(ValueError, match=r"large pictures' \[48, 48\] pixels, got \[24, 24\]"):
        evaluate_super_resolution(Larger(), data)
