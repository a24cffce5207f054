"""mel_spectrogram against torch's steps one by one, torchaudio and librosa: a minute at 16 kHz."""

import pytest
import torch

import fastcv.ops as ops

# W, hop and bands: speech recognition, torchaudio's defaults but for the hop, Tacotron 2's.
SIZES = [(400, 160, 80), (512, 160, 64), (1024, 256, 80)]
RATE, SECONDS = 16_000, 60


def bands(size, count):
    """Triangles that grow with the frequency, as [M, F]."""
    edges = torch.logspace(0, 1, count + 2).sub(1).div(9).mul(size // 2)
    bins = torch.arange(size // 2 + 1.0)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clamp(0)


def sound(device="cpu"):
    g = torch.Generator(device).manual_seed(0)
    return torch.randn(1, RATE * SECONDS, generator=g, device=device) / 10


def by_steps(waves, window, filters, hop):
    size = len(window)
    spectrum = torch.stft(waves, size, hop, window=window, return_complex=True)
    return filters @ spectrum.abs().square()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_mel_spectrogram(compare, threads, size):
    length, hop, count = size
    waves, window, filters = sound(), torch.hann_window(length), bands(length, count)
    compare(
        "mel_spectrogram",
        f"{SECONDS} s, window {length}, {count} bands",
        lambda: ops.mel_spectrogram(waves, window, filters, hop, pad=length // 2),
        lambda: by_steps(waves, window, filters, hop),
        peer_name="torch: stft and matmul",
        target=1.5,
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_against_torchaudio(compare, threads, size):
    torchaudio = pytest.importorskip("torchaudio", reason="pip install --no-deps torchaudio")
    length, hop, count = size
    theirs = torchaudio.transforms.MelSpectrogram(RATE, n_fft=length, hop_length=hop, n_mels=count)
    waves, window = sound(), theirs.spectrogram.window
    filters = theirs.mel_scale.fb.T.contiguous()
    compare(
        "mel_spectrogram, torchaudio's",
        f"{SECONDS} s, window {length}, {count} bands",
        lambda: ops.mel_spectrogram(waves, window, filters, hop, pad=length // 2),
        lambda: theirs(waves),
        peer_name="torchaudio",
        target=1.5,
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_against_librosa(compare, threads, size):
    librosa = pytest.importorskip("librosa", reason="pip install librosa")
    length, hop, count = size
    waves, window = sound(), torch.hann_window(length)
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=length, n_mels=count))
    samples = waves[0].numpy()
    compare(
        "mel_spectrogram, librosa's",
        f"{SECONDS} s, window {length}, {count} bands",
        lambda: ops.mel_spectrogram(
            waves, window, filters, hop, pad=length // 2, pad_mode="constant"
        )[0],
        lambda: torch.from_numpy(
            librosa.feature.melspectrogram(
                y=samples, sr=RATE, n_fft=length, hop_length=hop, n_mels=count
            )
        ),
        peer_name="librosa",
        target=5,
    )
