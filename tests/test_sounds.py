"""Sounds from files of every kind, from arrays, in blocks; broken ones in one sentence."""

import math
import struct
import sys

import numpy as np
import pytest
import torch

from fastcv.audio import resample
from fastcv.results import Audio
from fastcv.sounds import BrokenSoundError, Sound, read_sound, sound_blocks

KINDS = ["u1", "<i2", "i3", "<i4", "<f4", "<f8"]
STEP = {"u1": 2**-7, "<i2": 2**-15, "i3": 2**-23, "<i4": 2**-31, "<f4": 2**-24, "<f8": 0}


def wav(samples, rate, kind, extensible=False, before=b""):
    """A WAV file's bytes by its specification, of samples ``[N, C]`` in [-1, 1)."""
    if kind == "u1":
        content = (np.round(samples * 128) + 128).clip(0, 255).astype("u1").tobytes()
    elif kind == "i3":
        whole = np.round(samples * 2**23).astype("<i4")
        content = b"".join(struct.pack("<i", value)[:3] for value in whole.ravel())
    elif kind[1] == "i":
        scale = 2.0 ** (8 * int(kind[2]) - 1)
        content = np.round(samples * scale).clip(-scale, scale - 1).astype(kind).tobytes()
    else:
        content = samples.astype(kind).tobytes()
    channels, size = samples.shape[1], int(kind[-1])
    tag = 3 if "f" in kind else 1
    block = channels * size
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, 8 * size)
    if extensible:
        form = struct.pack("<H", 0xFFFE) + form[2:]
        form += struct.pack("<HHIH", 22, 8 * size, 0, tag) + bytes(14)
    chunks = before + b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def noise(n=1000, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (n, channels))


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_wav_files(tmp_path, kind, extensible):
    samples, path = noise(), tmp_path / "noise.wav"
    # A chunk of odd length, that is padded, stands before.
    path.write_bytes(wav(samples, 44100, kind, extensible, b"LIST\3\0\0\0abc\0"))
    sound = read_sound(path)
    assert sound.rate == 44100 and sound.samples.shape == (2, 1000)
    assert sound.samples.dtype == torch.float32 and sound.name == str(path)
    close = STEP[kind] + 2**-24
    torch.testing.assert_close(sound.samples.double().T.numpy(), samples, rtol=0, atol=close)


def test_every_step_of_16_bits_comes_back(tmp_path):
    whole = np.arange(-(2**15), 2**15, dtype="<i2")
    path = tmp_path / "steps.wav"
    path.write_bytes(wav((whole / 2.0**15)[:, None], 8000, "<i2"))
    assert torch.equal(read_sound(path).samples[0] * 2**15, torch.from_numpy(whole).float())


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_file_from_a_pipe(tmp_path, length):
    """Its length was not known when its header was written."""
    content = bytearray(wav(noise(50, 1), 8000, "<i2"))
    content[40:44] = struct.pack("<I", length)
    path = tmp_path / "pipe.wav"
    path.write_bytes(content)
    assert read_sound(path).samples.shape == (1, 50)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (wav(noise(1000, 1), 1000, "<i2")[:1044], r"cut off: 0\.50 s of 1\.00 s are there"),
        (wav(noise(9, 1), 1000, "<i2")[:30], "the file ends before its samples begin"),
        (b"RIFF\4\0\0\0WAVEdata\4\0\0\0abcd", "header does not say what its samples are"),
        (wav(noise(9, 1), 0, "<i2"), "1 channels of 16 bits at 0 Hz"),
    ],
    ids=["empty", "cut", "header alone", "no format", "no rate"],
)
def test_broken_files(tmp_path, content, sentence):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(
        BrokenSoundError, match=f"broken.wav cannot be read as a sound: .*{sentence}"
    ):
        read_sound(path)


def test_no_samples(tmp_path):
    path = tmp_path / "none.wav"
    path.write_bytes(wav(np.zeros((0, 1)), 8000, "<i2"))
    with pytest.raises(ValueError, match="has no samples"):
        read_sound(path)


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no sound .*missing\.wav"):
        read_sound(tmp_path / "missing.wav")
    with pytest.raises(FileNotFoundError, match="is a folder, not a sound"):
        read_sound(tmp_path)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_other_files(tmp_path, suffix):
    soundfile = pytest.importorskip("soundfile", reason="pip install soundfile")
    samples, path = noise(2000), tmp_path / f"noise.{suffix}"
    soundfile.write(path, samples, 16000)
    sound = read_sound(path)
    assert sound.rate == 16000 and sound.samples.shape == (2, 2000)
    if suffix == "flac":
        torch.testing.assert_close(sound.samples.double().T.numpy(), samples, rtol=0, atol=2**-15)
    blocks = list(sound_blocks(path, seconds=0.05))
    assert [block.samples.shape[1] for block in blocks] == [800, 800, 400]
    joined = torch.cat([block.samples for block in blocks], dim=1)
    torch.testing.assert_close(joined, sound.samples, rtol=0, atol=1e-5)


def test_no_sound_for_soundfile_either(tmp_path):
    pytest.importorskip("soundfile", reason="pip install soundfile")
    path = tmp_path / "text.flac"
    path.write_text("no sound at all")
    with pytest.raises(BrokenSoundError, match="cannot be read as a sound"):
        read_sound(path)


def test_blocks_are_the_whole(tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(wav(noise(1050), 1000, "i3"))
    blocks = list(sound_blocks(path, seconds=0.5))
    assert [block.samples.shape for block in blocks] == [(2, 500), (2, 500), (2, 50)]
    assert torch.equal(torch.cat([b.samples for b in blocks], dim=1), read_sound(path).samples)
    with pytest.raises(ValueError, match="seconds must be above 0, got 0"):
        next(sound_blocks(path, seconds=0))


@pytest.mark.parametrize("form", [torch.from_numpy, np.asarray])
def test_arrays(form):
    for samples, expected in (
        (np.array([0, 64, 255], "u1"), [-1, -0.5, 127 / 128]),
        (np.array([0, -(2**14)], "i2"), [0, -0.5]),
        (np.array([2**30], "i4"), [0.5]),
        (np.array([0.25, -1.5], "f8"), [0.25, -1.5]),
    ):
        sound = read_sound((form(samples), 8000))
        assert sound.samples.tolist() == [expected] and sound.samples.dtype == torch.float32
    assert read_sound((form(np.zeros((8, 100), "f4")), 192_000)).samples.shape == (8, 100)


@pytest.mark.parametrize(
    ("given", "kind", "sentence"),
    [
        (torch.zeros(9), TypeError, "needs its rate, too"),
        ((torch.zeros(9, 100, 2), 1), ValueError, r"\[C, N\] or \[N\], got \[9, 100, 2\]"),
        ((torch.zeros(100, 2), 1), ValueError, r"at most 64 channels, got \[100, 2\]: turn"),
        ((torch.zeros(0), 1), ValueError, "a tensor has no samples"),
        ((torch.zeros(9).bool(), 1), TypeError, "must be floating point, int16, int32 or uint8"),
        (([0.0], 1), TypeError, "must be a tensor or array, got list"),
        ((torch.zeros(9), 0), ValueError, "rate must be a whole number of Hz above 0, got 0"),
        ((torch.zeros(9), 1.5), ValueError, "rate must be a whole number of Hz above 0, got 1.5"),
        ((torch.zeros(9), "8k"), TypeError, "rate must be a number of Hz, got str"),
        (3, TypeError, r"a sound must be a file, \(samples, rate\) or a Sound, got builtins.int"),
    ],
)
def test_what_is_no_sound(given, kind, sentence):
    with pytest.raises(kind, match=sentence):
        read_sound(given)


def test_nan(tmp_path):
    samples = torch.zeros(2, 100)
    samples[1, 25] = math.nan
    with pytest.raises(ValueError, match=r"NaN or infinite, the first at 0\.250 s of channel 1"):
        read_sound((samples, 100))
    path = tmp_path / "nan.wav"
    path.write_bytes(wav(samples.T.numpy(), 100, "<f4"))
    with pytest.raises(ValueError, match=r"nan\.wav has samples that are NaN"):
        read_sound(path)


def test_clipped(recwarn):
    tone = torch.sin(torch.arange(4000) * 0.05)
    read_sound((tone * 0.9, 8000))
    assert not recwarn
    with pytest.warns(
        UserWarning, match="is clipped: at .* of its samples it is cut off at full scale"
    ):
        read_sound(((tone * 3).clamp(-1, 1), 8000))


def test_mono_and_rates():
    sound = Sound(torch.tensor([[1.0, 0.0], [0.0, 0.5]]), 2)
    assert sound.mono().tolist() == [0.5, 0.25] and sound.seconds == 1
    assert sound.at(2).samples is sound.samples


# Resampling: in tests/audio there are the filters; here what a sound has of it.
@pytest.mark.parametrize(("rate", "new"), [(44100, 16000), (16000, 44100), (8000, 8001), (3, 1)])
def test_length_and_a_constant(rate, new):
    waves = torch.ones(3, 1000, dtype=torch.float64)
    found = resample(waves, rate, new)
    assert found.shape == (3, math.ceil(1000 * new / rate))
    edge = math.ceil(30 * max(1, new / rate))
    middle = found[:, edge:-edge]
    torch.testing.assert_close(middle, torch.ones_like(middle), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("rate", "new"), [(44100, 16000), (16000, 22050), (48000, 8000)])
def test_tones(rate, new):
    """A tone stays where it is; one above half the new rate is 80 dB down."""
    times, later = torch.arange(rate).double() / rate, torch.arange(new).double() / new
    low, edge = 0.4 * min(rate, new), new // 20
    kept = resample(torch.sin(2 * math.pi * low * times), rate, new)
    expected = torch.sin(2 * math.pi * low * later)
    assert (kept - expected)[edge:-edge].abs().max() < 1e-4
    if new < rate:
        gone = resample(torch.sin(2 * math.pi * 0.55 * new * times), rate, new)
        assert gone[edge:-edge].abs().max() < 1e-4


@pytest.mark.parametrize("largest", [2**24, 0])
def test_resample_is_the_sum_itself(monkeypatch, largest):
    """From the definition: each sample by a windowed sinc about its time. Where there are too many
    phases for filters, too."""
    monkeypatch.setattr(sys.modules["fastcv.audio.resample"], "LARGEST", largest)
    rate, new, n = 7, 3, 40
    waves = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cutoff = 0.95 * new / rate
    reach = math.ceil(24 / cutoff)

    def weight(away):
        if abs(away) > reach:
            return 0.0
        window = np.i0(12 * math.sqrt(1 - (away / reach) ** 2)) / np.i0(12)
        return cutoff * np.sinc(cutoff * away) * window

    expected = []
    for i in range(math.ceil(n * new / rate)):
        at = i * rate / new
        everywhere = range(math.floor(at) - reach - 1, math.ceil(at) + reach + 2)
        total = sum(weight(k - at) for k in everywhere)
        expected.append(sum(weight(k - at) * float(waves[k]) for k in range(n)) / total)
    found = resample(waves, rate, new)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_resample_keeps_filters_for_all():
    """Those that were made without gradients, or without memory, serve those who want both."""
    with torch.inference_mode():
        resample(torch.zeros(90, dtype=torch.float64), 11, 13)
    with torch.device("meta"):
        assert resample(torch.zeros(90, dtype=torch.float64), 13, 11).device.type == "meta"
    waves = torch.randn(90, dtype=torch.float64, requires_grad=True)
    assert resample(resample(waves, 11, 13), 13, 11).square().sum().isfinite()
    assert torch.autograd.gradcheck(lambda w: resample(w, 11, 13), waves)


def test_a_wave_is_the_mean_at_a_rate():
    sound = Sound(torch.randn(2, 900, generator=torch.Generator().manual_seed(0)), 9000)
    torch.testing.assert_close(sound.wave(16000), sound.at(16000).mono())
    assert torch.equal(sound.wave(9000), sound.mono())


def test_resample_refuses():
    with pytest.raises(TypeError, match="waves must be floating point, got torch"):
        resample(torch.zeros(9, dtype=torch.int16), 2, 1)
    with pytest.raises(ValueError, match="new_rate must be a whole number of Hz above 0, got 0"):
        resample(torch.zeros(9), 2, 0)


def test_audio_is_saved_and_drawn(tmp_path):
    times = torch.arange(8000) / 8000
    stereo = torch.stack([torch.sin(2 * math.pi * 1000 * times), torch.zeros(8000)])
    made = Audio(stereo, 8000, name="a tone")
    path = tmp_path / "new" / "tone.wav"
    made.save(path)
    again = read_sound(path)
    assert again.rate == 8000
    torch.testing.assert_close(again.samples, stereo, rtol=0, atol=1 / 2**15)
    assert made.to_dict() == {
        "file": None, "name": "a tone", "rate": 8000, "seconds": 1.0, "channels": 2, "peak": 1.0,
    }  # fmt: skip
    made.save(tmp_path / "tone.json")
    made.save(tmp_path / "tone.png")
    assert made.draw().size == (800, 440)
    assert Audio(torch.zeros(1), 8000).draw().size == (800, 440)
    with pytest.raises(ValueError, match=r"must end in \.wav, \.json or an image's suffix, got"):
        made.save(tmp_path / "tone.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "tone.json", "tone.png"]


@pytest.mark.parametrize("samples", [torch.zeros(0), torch.zeros(1, 2, 3)])
def test_audio_refuses(samples):
    with pytest.raises(ValueError, match=r"samples must be \[C, N\] or \[N\], one or more"):
        Audio(samples, 8000)
