"""Speech2Face's encoder: sizes, input, loss by hand, and that only the voice encoder learns."""

import cmath
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from fastcv.models.audio.speech2face import Speech2Face, least_frames


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    recogniser = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 6), nn.Dropout())
    return Speech2Face(features=6, width=2, recogniser=recogniser)


def test_parameters_by_hand():
    with torch.device("meta"):
        whole = Speech2Face()
    widths = [2, 64, 64, 128, 128, 128, 256, 512, 512, 512]
    convs = sum(16 * a * b + b + 2 * b for a, b in pairwise(widths))
    # 257 frequencies, seven times less 3, then halved twice: (236 - 4) // 2 + 1 = 117, then 57.
    dense = (512 * 57 + 1) * 4096 + (4096 + 1) * 4096
    assert sum(p.numel() for p in whole.parameters()) == convs + dense == 148_062_976


def test_spectrum_by_hand(model):
    wave = torch.randn(1, 96_000, generator=torch.Generator().manual_seed(0))
    spectrum = model.spectrum(wave)
    assert spectrum.shape == (1, 2, 598, 257)
    frame = [
        x * (0.5 - 0.5 * math.cos(2 * math.pi * i / 400))
        for i, x in enumerate(wave[0, 1600:2000].tolist())
    ]
    for k in (0, 7, 200):
        value = sum(x * cmath.exp(-2j * math.pi * k * i / 512) for i, x in enumerate(frame))
        assert spectrum[0, 0, 10, k].item() == pytest.approx(abs(value) ** 0.3, rel=1e-4)
        assert spectrum[0, 1, 10, k].item() == pytest.approx(cmath.phase(value), abs=1e-3)


def test_loss_by_hand_and_who_learns(model):
    spectra = torch.randn(3, 2, least_frames(), 257)
    targets = torch.randn(3, 6)
    output = model(spectra)
    expected = 0.0
    for a, b in zip(output.tolist(), targets.tolist(), strict=True):
        length = [math.sqrt(sum(x * x for x in v)) for v in (a, b)]
        expected += sum((x / length[0] - y / length[1]) ** 2 for x, y in zip(a, b, strict=True)) / 3
    assert model.loss(output, targets)["feature"].item() == pytest.approx(expected, rel=1e-4)
    faces = torch.rand(3, 3, 8, 8)
    before = {key: value.clone() for key, value in model.recogniser.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    first = model.train().loss(output, faces)["feature"]
    assert torch.equal(first, model.loss(output, faces)["feature"])  # no dropout of the frozen one
    first.backward()
    assert all(p.grad is None for p in model.recogniser.parameters())
    named = {k: p for k, p in model.named_parameters() if not k.startswith("recogniser")}
    assert all(p.grad is not None and p.grad.any() for p in named.values())
    optimizer.step()
    assert all(torch.equal(before[k], v) for k, v in model.recogniser.state_dict().items())
    model.zero_grad()


def test_refused(model):
    least = least_frames()
    with pytest.raises(ValueError, match=rf"spectra must be \[B, 2, {least} or more, 257\]"):
        model(torch.rand(1, 2, least - 1, 257))
    with pytest.raises(ValueError, match=r"waves must be \[B, 400 or more\]"):
        model.spectrum(torch.rand(1, 399))
    output = torch.rand(2, 6)
    for wrong, kind in ((None, TypeError), (torch.rand(2, 5), ValueError)):
        with pytest.raises(kind, match="targets must be"):
            model.loss(output, wrong)
