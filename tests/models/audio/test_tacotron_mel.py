"""Tacotron 2's frames: by hand, against librosa, and back to sound."""

import cmath
import math

import pytest
import torch

from fastcv.models.audio.tacotron_mel import TacotronMel

LIBROSA = "pip install librosa==0.11.0"


@pytest.fixture(scope="module")
def front_end():
    return TacotronMel()


@pytest.fixture(scope="module")
def wave():
    """A voice-like sound: overtones of a gliding pitch."""
    times = torch.arange(22_050) / 22_050
    cycles = 120 * times + 40 * times.square()
    return sum(torch.sin(2 * math.pi * k * cycles) / k for k in range(1, 20)) * 0.2


def test_a_frame_by_hand(front_end, wave):
    mel = front_end(wave[None])
    assert mel.shape == (1, 80, 22_050 // 256 + 1)
    around = wave[40 * 256 - 512 : 40 * 256 + 512].tolist()
    windowed = [x * (0.5 - 0.5 * math.cos(2 * math.pi * i / 1024)) for i, x in enumerate(around)]
    turn = [cmath.exp(-2j * math.pi * i / 1024) for i in range(1024)]
    for band in (0, 30, 79):
        total = 0.0
        for k in front_end.filters[band].nonzero()[:, 0].tolist():
            value = sum(x * turn[i * k % 1024] for i, x in enumerate(windowed))
            total += front_end.filters[band, k].item() * abs(value)
        assert mel[0, band, 40].item() == pytest.approx(math.log(max(total, 1e-5)), abs=1e-3)


def test_silence_is_the_floor(front_end):
    assert front_end(torch.zeros(2, 2000)).eq(math.log(1e-5)).all()


def test_against_librosa(front_end, wave):
    librosa = pytest.importorskip("librosa", reason=LIBROSA)
    filters = librosa.filters.mel(sr=22_050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    torch.testing.assert_close(front_end.filters, torch.from_numpy(filters), atol=1e-6, rtol=1e-4)
    spectrum = librosa.stft(
        wave.numpy(), n_fft=1024, hop_length=256, window="hann", pad_mode="reflect"
    )
    expected = torch.from_numpy(filters) @ torch.from_numpy(spectrum).abs()
    # As magnitudes: a logarithm makes much of the rounding of quiet ones.
    got = front_end(wave[None])[0].exp()
    torch.testing.assert_close(got, expected.clamp(min=1e-5), atol=1e-4, rtol=1e-4)


def test_there_and_back(front_end, wave):
    mel = front_end(wave[None])[0]
    made = front_end.invert(mel, iterations=30)
    assert made.shape == (mel.shape[1] * 256,) and made.abs().max() <= 1
    again = front_end(made[None])[0][:, : mel.shape[1]]
    loud = mel > mel.max() - 5  # where there is something to be heard
    # Half of the loud cells within 1.3 dB; noise of the same level is more than 4 dB off.
    assert (again - mel)[loud].abs().median() < 0.15
    noise = front_end(torch.randn_like(made)[None])[0][:, : mel.shape[1]]
    noise += mel[loud].mean() - noise[loud].mean()
    assert (noise - mel)[loud].abs().median() > 0.5
    assert torch.equal(front_end.invert(mel, iterations=3), front_end.invert(mel, iterations=3))
    assert front_end.invert(mel[:, :1], iterations=2).shape == (256,)


def test_refused(front_end):
    for wrong in (torch.rand(600), torch.rand(1, 512)):
        with pytest.raises(ValueError, match=r"waves must be \[B, 513 or more\]"):
            front_end(wrong)
