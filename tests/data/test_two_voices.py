"""Two voices: sums, loudness, mouths that follow, and a seed that decides all."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fastcv.data import SoundAndFaces, TwoVoices
from fastcv.data._additive_voice import Voice, speech_like


@pytest.fixture(scope="module")
def voices():
    return TwoVoices(3, rate=8000, seconds=1, face_size=16, seed=4)


def test_a_mixture_is_the_sum(voices):
    (wave, faces), sources = voices[1]
    made = voices.mixture(1)
    assert wave.shape == (8000,) and sources.shape == (2, 8000) and faces.shape == (2, 25, 16)
    assert made.openings.shape == (2, 25) and wave.dtype == sources.dtype == torch.float32
    assert torch.equal(sources.sum(0), wave) and torch.equal(made.wave, wave)
    assert wave.abs().max().item() == pytest.approx(0.9, abs=1e-5)
    power = sources.square().mean(1)
    assert power[0].item() == pytest.approx(power[1].item(), rel=1e-4)


def test_mouths_are_open_where_there_is_sound(voices):
    for i in range(3):
        made = voices.mixture(i)
        assert made.openings.min() >= 0 and made.openings.max() <= 1
        loud = made.sources.unflatten(1, (25, 320)).square().mean(2).sqrt()
        for k in range(2):
            own, others = (
                np.corrcoef(wave, made.openings[k])[0, 1] for wave in (loud[k], loud[1 - k])
            )
            assert own > 0.9 and own > others
            assert loud[k][made.openings[k] == 0].sum() == 0


def test_faces_tell_openings_and_persons(voices):
    (_, faces), _ = voices[0]
    opening = voices.mixture(0).openings[0]
    closed = (opening == 0).nonzero()[:, 0]
    assert len(closed) > 1 and torch.equal(faces[0, closed[0]], faces[0, closed[1]])
    assert not torch.equal(faces[0, closed[0]], faces[0, int(opening.argmax())])
    assert not torch.equal(faces[0], faces[1])


def test_the_seed_decides(voices):
    again = TwoVoices(9, rate=8000, seconds=1, face_size=16, seed=4)
    for a, b in zip(voices[2][0], again[2][0], strict=True):
        assert torch.equal(a, b)
    other = TwoVoices(9, rate=8000, seconds=1, face_size=16, seed=5)
    assert not torch.equal(voices[2][0].waves, other[2][0].waves)
    assert not torch.equal(voices[0][0].waves, voices[1][0].waves)


def test_a_batch_keeps_its_names(voices):
    batch, sources = next(iter(DataLoader(voices, 3)))
    assert isinstance(batch, SoundAndFaces) and sources.shape == (3, 2, 8000)
    assert batch.waves.shape == (3, 8000) and batch.faces.shape == (3, 2, 25, 16)


def test_a_voice_has_its_pitch_and_formants():
    voice = Voice(pitch=200, tract=1.0, range=0.0, tilt=-6)
    random = np.random.default_rng(0)
    wave, envelope = speech_like(voice, 16_000, 16_000, random)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(16_000)))
    assert envelope.min() >= 0 and envelope.max() <= 1
    # All of its power is near multiples of the pitch, as far as jitter lets it be.
    places = np.arange(len(spectrum))
    near = np.abs(places - 200 * np.round(places / 200)) < 40
    low = places < 1000
    assert (spectrum[near & low] ** 2).sum() > 0.9 * (spectrum[low] ** 2).sum()
    assert spectrum[7800:].max() < 1e-2 * spectrum.max()  # nothing is folded back


def test_three_seconds_at_16_khz():
    (wave, faces), sources = TwoVoices(1)[0]
    assert wave.shape == (48_000,) and faces.shape == (2, 75, 1792) and sources.shape == (2, 48_000)


@pytest.mark.parametrize(
    "wrong", [{"length": 0}, {"rate": 1000}, {"seconds": 0.01}, {"face_size": 0}]
)
def test_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least"):
        TwoVoices(**{"length": 1, **wrong})


def test_no_such_item(voices):
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"index must be 0 to 2, got {index}"):
            voices[index]
