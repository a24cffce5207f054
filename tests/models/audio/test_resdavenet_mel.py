"""ResDAVEnet's front end: by definition in plain loops, and against librosa."""

import cmath
import math

import numpy as np
import pytest
import torch

from fastcv.models.audio.resdavenet_mel import padded_mels, resdavenet_mel


def a_sound(count=1200, seed=0):
    g = torch.Generator().manual_seed(seed)
    time = torch.arange(count) / 16000
    return 0.3 * torch.sin(2 * math.pi * 700 * time) + 0.05 * torch.randn(count, generator=g) + 0.2


def slaney_hz(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)


def slaney_mel(hz):
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def by_definition(wave, frames):
    """Decibels of some frames, as lists of 40, where the loudest is among them."""
    x = wave.double().tolist()
    mean = math.fsum(x) / len(x)
    x = [value - mean for value in x]
    x = [x[0]] + [x[i] - 0.97 * x[i - 1] for i in range(1, len(x))]
    window = [0.54 - 0.46 * math.cos(2 * math.pi * i / 399) for i in range(400)]
    low, high = slaney_mel(20.0), slaney_mel(8000.0)
    corners = [slaney_hz(low + (high - low) * i / 41) for i in range(42)]
    bands = []
    for t in frames:
        places = [t * 160 + i - 200 for i in range(400)]
        places = [abs(p) if p < len(x) else 2 * (len(x) - 1) - p for p in places]
        seen = [w * x[p] for w, p in zip(window, places, strict=True)]
        power = [
            abs(sum(s * cmath.exp(-2j * math.pi * k * i / 400) for i, s in enumerate(seen))) ** 2
            for k in range(201)
        ]
        row = []
        for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for k, energy in enumerate(power):
                hz = k * 40
                share = min((hz - left) / (middle - left), (right - hz) / (right - middle))
                total += max(0.0, share) * 2 / (right - left) * energy
            row.append(max(total, 1e-10))
        bands.append(row)
    loudest = max(map(max, bands))
    return [[max(10 * math.log10(e / loudest), -80.0) for e in row] for row in bands]


def test_by_definition():
    wave = a_sound(500)
    found = resdavenet_mel(wave)
    assert found.shape == (40, 4)
    # Decibels of float32 sums of some hundred products.
    assert np.allclose(found.T.numpy(), by_definition(wave, range(4)), atol=2e-3)


def test_as_librosa():
    librosa = pytest.importorskip("librosa", reason="pip install librosa==0.11.0")
    wave = a_sound(16000)
    x = wave.double().numpy()
    x = x - x.mean()
    x = np.append(x[0], x[1:] - 0.97 * x[:-1])
    spectra = librosa.stft(
        x, n_fft=400, hop_length=160, win_length=400, window=np.hamming, pad_mode="reflect"
    )
    bands = librosa.filters.mel(sr=16000, n_fft=400, n_mels=40, fmin=20) @ np.abs(spectra) ** 2
    expected = librosa.power_to_db(bands, ref=np.max)
    assert np.allclose(resdavenet_mel(wave).numpy(), expected, atol=2e-3)


def test_silence_is_as_loud_as_its_loudest():
    for wave in (torch.zeros(1000), torch.full((1000,), 0.25)):
        assert resdavenet_mel(wave).tolist() == [[0.0] * 7] * 40


def test_loudness_does_not_matter():
    wave = a_sound()
    assert torch.allclose(resdavenet_mel(wave), resdavenet_mel(wave / 8), atol=1e-3)


def test_padding_and_cutting():
    mels = [torch.randn(40, 5), torch.randn(40, 9)]
    padded, lengths = padded_mels(mels, 9)
    assert padded.shape == (2, 40, 9) and lengths.tolist() == [5, 9]
    assert torch.equal(padded[0, :, :5], mels[0]) and not padded[0, :, 5:].any()
    with pytest.warns(UserWarning, match="a sound of 9 frames is cut to 6, 0.06 s"):
        cut, lengths = padded_mels(mels, 6)
    assert torch.equal(cut[1], mels[1][:, :6]) and lengths.tolist() == [5, 6]


@pytest.mark.parametrize("shape", [(0,), (1,), (200,), (2, 500)])
def test_too_short(shape):
    with pytest.raises(ValueError, match=r"more than 200 samples at 16000 Hz, 12.5 ms, got"):
        resdavenet_mel(torch.zeros(shape))
