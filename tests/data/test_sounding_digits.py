"""SoundingDigits: what it says of a clip, against its pixels and its samples."""

import numpy as np
import pytest
import torch

from fastcv.data import SoundingDigits
from fastcv.data._timbres import AMBIENCES, TIMBRES
from fastcv.data.sounding_digits import STEP, _strikes

SMALL = {"size": (64, 64), "digit_size": (20.0, 36.0), "frames": 6, "max_digits": 3}
QUIET = 0.06  # a ground's loudest sample: its level is 0.012 at most, but crackle has peaks


@pytest.fixture(scope="module")
def items():
    data = SoundingDigits("val", length=12, **SMALL)
    return [data[i] for i in range(len(data))]


def test_items(items):
    for clip, target in items:
        assert clip.frames.shape == (6, 3, 64, 64) and clip.frames.dtype == torch.float32
        assert clip.waves.shape == (16000,) and clip.waves.dtype == torch.float32
        assert clip.waves.isfinite().all() and 0 < clip.waves.abs().max() <= 1
        assert target["masks"].shape == (6, 64, 64) and target["masks"].dtype == torch.bool
        assert len(target["objects"]) == 6
    assert len({int(target["label"]) for _, target in items}) > 3
    assert {int(target["place"]) for _, target in items} == {0, 1, 2}


def test_the_key_is_the_sounding_digits_mask(items):
    for _, target in items:
        if target["label"] < 0:
            assert target["id"] == 0 and not target["masks"].any() and len(target["strikes"]) == 0
            continue
        for mask, objects in zip(target["masks"], target["objects"], strict=True):
            (row,) = (objects["ids"] == target["id"]).nonzero()[0].tolist()
            assert torch.equal(mask, objects["masks"][row]) and mask.any()
            assert objects["labels"][row] == target["label"] + 1


def test_what_sounds_moves(items):
    for _, target in items:
        if target["label"] >= 0:
            row = int(target["id"]) - 1
            places = torch.stack([frame["places"][row] for frame in target["objects"]])
            assert (places != places[0]).any()


def test_it_is_loud_after_each_strike_only(items):
    for clip, target in items:
        if target["label"] < 0:
            assert clip.waves.abs().max() < QUIET * 4
            continue
        starts = [round(float(t) * 16000) for t in target["strikes"]]
        assert starts[0] == 0 and starts == sorted(starts)
        for start in starts:
            if start < 14000:
                assert clip.waves[start : start + 2000].abs().max() > 2 * QUIET / 3


def test_the_way_decides_the_strikes():
    """Of a digit that goes 10 pixels a frame: at 0, and after 12, 24 and 36 pixels."""
    assert STEP == 12
    found = _strikes([0.0, 10, 20, 30, 40])  # a frame is a fifth of a second
    assert found == pytest.approx([0, 12 / 10 / 5, 24 / 10 / 5, 36 / 10 / 5])
    assert _strikes([0.0, 0, 0, 12.5, 12.5]) == pytest.approx([0, (2 + 12 / 12.5) / 5])


def test_muted_clips_have_the_same_frames(items):
    muted = SoundingDigits("val", length=12, muted=True, **SMALL)
    for i in (0, 5):
        clip, target = muted[i]
        assert torch.equal(clip.frames, items[i][0].frames)
        assert target["label"] == -1 and not target["masks"].any()
        assert clip.waves.abs().max() <= items[i][0].waves.abs().max() + QUIET


def test_items_depend_on_their_place_alone(items):
    data = SoundingDigits("val", length=12, **SMALL)
    clip, target = data[7]
    assert torch.equal(clip.waves, items[7][0].waves)
    assert torch.equal(clip.frames, items[7][0].frames) and target["label"] == items[7][1]["label"]
    for split, seed in (("val", 1), ("test", 0)):
        other = SoundingDigits(split, seed=seed, length=12, **SMALL)
        assert not torch.equal(other[7][0].waves, clip.waves)
    with pytest.raises(IndexError):
        data[12]


def spectrum(wave):
    """Shares of the power in 40 bands up to 8 kHz."""
    power = np.abs(np.fft.rfft(wave))[: 40 * 200].reshape(40, 200) ** 2
    return power.sum(1) / power.sum()


@pytest.mark.parametrize("digit", range(10))
def test_timbres(digit):
    t = np.arange(16000) / 16000
    for pitch in (220.0, 660.0):
        wave = TIMBRES[digit](t, pitch, np.random.default_rng(0))
        assert wave.shape == t.shape and np.isfinite(wave).all() and np.abs(wave).max() > 0.1
        # It fades.
        assert np.abs(wave[-2000:]).max() < 0.5 * np.abs(wave).max()


def test_chirps_differ_in_time_alone():
    """The lecture's pair: nearly one spectrum, but up and down in time."""
    t = np.arange(16000) / 16000
    up, down = (TIMBRES[digit](t, 300.0, None) for digit in (7, 8))
    crossings = [
        [int((np.diff(np.sign(part)) != 0).sum()) for part in (wave[:800], wave[2000:2800])]
        for wave in (up, down)
    ]
    assert crossings[0][0] < crossings[0][1] and crossings[1][0] > crossings[1][1]


def test_ambiences():
    t = np.arange(16000) / 16000
    bands = [spectrum(make(t, np.random.default_rng(1))) for make in AMBIENCES]
    for a in range(3):
        for b in range(a):
            assert np.abs(bands[a] - bands[b]).sum() > 0.2


def test_wrong_arguments():
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'all'"):
        SoundingDigits("all")
    with pytest.raises(ValueError, match="max_speed must be 0 to 1000"):
        SoundingDigits("val", max_speed=-1)
