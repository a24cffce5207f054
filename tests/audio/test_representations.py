"""Spectra, bands and coefficients against sums in plain loops, and styles against libraries."""

import cmath
import math

import numpy as np
import pytest
import torch

from fastcv import audio

LIBROSA = "pip install librosa==0.11.0"
TORCHAUDIO = "pip install --no-deps torchaudio==2.11.0"
RATE = 16000


def noise(n=4000, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, generator=g, dtype=torch.float64).to(dtype) / 4


def dft(frame):
    """By its definition, the first half."""
    n = len(frame)
    return [
        sum(x * cmath.exp(-2j * math.pi * k * i / n) for i, x in enumerate(frame))
        for k in range(n // 2 + 1)
    ]


def test_power_spectrum():
    wave = noise(30)
    expected = [abs(x) ** 2 / 30 for x in dft(wave.tolist())]
    found = audio.power_spectrum(wave)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert audio.power_spectrum(torch.stack([wave, wave])).shape == (2, 16)


def test_time_is_lost():
    """A chirp up and the same down: one power spectrum, two spectrograms."""
    times = torch.arange(8000).double() / 8000
    up = torch.sin(2 * math.pi * (200 * times + 1500 * times**2))
    spectra = [audio.power_spectrum(wave) for wave in (up, up.flip(0))]
    torch.testing.assert_close(*spectra, rtol=1e-9, atol=1e-9)
    frames = [audio.spectrogram(wave, 8000) for wave in (up, up.flip(0))]
    assert (frames[0] - frames[1]).abs().max() > 0.5 * frames[0].max()


@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
@pytest.mark.parametrize(
    ("window", "n_fft"), [("hamming", None), ("hann", 32), ("rectangular", 25)]
)
def test_stft_by_its_definition(window, n_fft, pad_mode):
    """Frames of 25 samples, 10 apart, at 1 kHz."""
    wave, size = noise(64), n_fft or 25
    shape = {
        "hamming": [0.54 - 0.46 * math.cos(2 * math.pi * i / 25) for i in range(25)],
        "hann": [0.5 - 0.5 * math.cos(2 * math.pi * i / 25) for i in range(25)],
        "rectangular": [1.0] * 25,
    }[window]
    before = (size - 25) // 2
    shape = [0.0] * before + shape + [0.0] * (size - 25 - before)
    mode = {"reflect": "reflect", "constant": "constant"}[pad_mode]
    padded = np.pad(wave.numpy(), size // 2, mode=mode).tolist()
    frames = (len(padded) - size) // 10 + 1
    expected = torch.tensor(
        [dft([a * b for a, b in zip(shape, padded[10 * t :], strict=False)]) for t in range(frames)]
    ).T
    found = audio.stft(wave, 1000, window=window, n_fft=n_fft, pad_mode=pad_mode)
    # torch makes windows in float32.
    torch.testing.assert_close(found, expected.to(found), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("window", ["hamming", "hann"])
def test_back_again(rate, window):
    """Also of an odd number of samples, 551 at 22,050 Hz; ISTFT(STFT) is the identity."""
    waves = torch.stack([noise(9000), noise(9000, seed=1)])
    spectra = audio.stft(waves, rate, window=window)
    back = audio.istft(spectra, rate, window=window, length=9000)
    torch.testing.assert_close(back, waves, rtol=0, atol=1e-6)


def test_blocks_are_the_whole():
    wave = noise(3000)
    whole = audio.stft(wave, 8000, pad_mode="constant")
    for sizes in ([3000], [1] * 50 + [950, 2000], [7, 1500, 1493]):
        parts = list(audio.stft_blocks(wave.split(sizes), 8000))
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-10)
    one = torch.cat(list(audio.stft_blocks([wave[:1]], 8000)), dim=1)
    torch.testing.assert_close(one, audio.stft(wave[:1], 8000, pad_mode="constant"))
    assert list(audio.stft_blocks([], 8000)) == []


def test_frames_that_leave_samples_out():
    with pytest.raises(ValueError, match="200 samples, a new one every 200, leave samples out"):
        audio.stft(noise(), 8000, hop_ms=25, window="hann")
    audio.stft(noise(), 8000, hop_ms=25)  # Hamming's ends are not 0
    with pytest.raises(ValueError, match="every 400, leave samples out: take a shorter hop"):
        audio.stft(noise(), 8000, hop_ms=50)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: audio.stft(noise(0), 8000), "a sample or more, got \\[0\\]"),
        (lambda: audio.stft(noise().long(), 8000), "must be floating point, got torch.int64"),
        (lambda: audio.stft(noise(100), 8000), "longer than 100 samples to be mirrored, got 100"),
        (lambda: audio.stft(noise(), 8000, window="hat"), "window must be one of hamming, hann"),
        (lambda: audio.stft(noise(), 8000, window_ms=0), "window_ms must be a sample or more"),
        (
            lambda: audio.stft(noise(), 8000, n_fft=100),
            "at least the window's 200 samples, got 100",
        ),
        (lambda: audio.istft(noise(), 8000), "spectra must be complex"),
        (lambda: audio.istft(audio.stft(noise(), 8000), 16000), "have 201 frequencies, .* got 101"),
        (lambda: audio.mel_filters(16000, 400, 200), r"bands lie between .* fmin \(0\) and fmax"),
        (lambda: audio.mel_filters(8000, 400, 9, fmax=5000), "half the rate, got 0 and 5000"),
        (lambda: audio.mel_filters(8000, 400, 9, style="sox"), "one of librosa, torchaudio, htk"),
        (lambda: audio.mfcc(noise(), 8000, 129), "count must be 1 to 128 for 128 mels, got 129"),
        (lambda: audio.decibels(noise(), top_db=0), "must be above 0, got 1.0 and 0"),
        (lambda: audio.griffin_lim(-torch.ones(9, 3)), "magnitudes must be 0 or more, got -1"),
        (lambda: audio.griffin_lim(torch.ones(9, 3), hop=99), "leave samples out"),
        (lambda: audio.griffin_lim(torch.ones(9, 3), iterations=0), "at least 1 and momentum"),
    ],
)
def test_errors(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_mel_scales():
    """Slaney: 3 mels for 200 Hz up to 1 kHz, then 27 for a factor of 6.4. HTK: 1 kHz is 1000."""
    hz = torch.tensor([0.0, 200.0, 1000.0, 6400.0], dtype=torch.float64)
    torch.testing.assert_close(audio.hz_to_mel(hz), torch.tensor([0.0, 3, 15, 42]).double())
    assert float(audio.hz_to_mel(hz, "htk")[2]) == pytest.approx(1000, abs=0.02)
    for style in ("librosa", "htk"):
        torch.testing.assert_close(audio.mel_to_hz(audio.hz_to_mel(hz, style), style), hz)


def test_filters_by_hand():
    """Two HTK bands: triangles whose corners are at even steps of the mel scale."""
    corners = [700 * (10 ** (2840.0377 * i / 3 / 2595) - 1) for i in range(4)]  # 0 to 8000 Hz
    filters = audio.mel_filters(16000, 64, 2, style="htk")
    for number, band in enumerate(filters):
        left, middle, right = corners[number : number + 3]
        for k, weight in enumerate(band.tolist()):
            f = 250.0 * k
            height = min((f - left) / (middle - left), (right - f) / (right - middle))
            assert weight == pytest.approx(max(0.0, height), abs=1e-4)


def test_htk_coefficients_by_the_book():
    """Section 5.6: natural logarithms of bands of magnitudes, cosines, and the lifter."""
    wave, n, size, hop = noise(1200), 24, 400, 160
    shape = [0.54 - 0.46 * math.cos(2 * math.pi * i / size) for i in range(size)]
    filters = audio.mel_filters(RATE, size, n, style="htk").double()
    padded = np.pad(wave.numpy() * 2**15, size // 2)
    frame = np.array(shape) * padded[3 * hop : 3 * hop + size]
    logs = np.log(np.maximum(filters.numpy() @ np.abs(np.fft.rfft(frame)), 1))
    expected = [
        math.sqrt(2 / n)
        * sum(logs[j] * math.cos(math.pi * i / n * (j + 0.5)) for j in range(n))
        * (1 + 11 * math.sin(math.pi * i / 22))
        for i in range(1, 13)
    ]
    found = audio.mfcc(wave, RATE, 12, style="htk", n_fft=size, hop=hop, mels=n)[:, 3]
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-5, atol=1e-4)


def test_coefficients_are_cosines():
    wave = noise(3000)
    mel = audio.mel_spectrogram(wave, RATE, n_fft=512, mels=20)
    levels = (10 * mel.clamp(min=1e-10).log10()).numpy()
    levels = np.maximum(levels, levels.max() - 80)
    expected = np.zeros((5, mel.shape[1]))
    for k in range(5):
        scale = math.sqrt((1 if k == 0 else 2) / 20)
        for j in range(20):
            expected[k] += scale * levels[j] * math.cos(math.pi * k * (j + 0.5) / 20)
    found = audio.mfcc(wave, RATE, 5, n_fft=512, mels=20)
    torch.testing.assert_close(found, torch.from_numpy(expected))


def test_batches():
    waves = torch.stack([noise(3000), noise(3000, seed=1)])[None]
    options = {"n_fft": 512, "mels": 20}
    both = audio.mel_spectrogram(waves, RATE, **options)
    assert both.shape == (1, 2, 20, 24)
    torch.testing.assert_close(both[0, 1], audio.mel_spectrogram(waves[0, 1], RATE, **options))


def test_inverse_of_bands():
    """What comes back has the same bands, where no energy was below 0."""
    filters = audio.mel_filters(RATE, 512, 40).double()
    mel = filters @ torch.rand(257, 7, dtype=torch.float64)
    back = audio.invert_mel(mel, filters)
    assert back.shape == (257, 7) and (back >= 0).all()
    assert ((filters @ back - mel).abs() / mel).mean() < 0.1


def test_griffin_lim_comes_nearer():
    wave = torch.sin(2 * math.pi * 440 * torch.arange(8000) / 8000) * torch.linspace(0, 1, 8000)
    target = torch.stft(wave, 512, 128, window=torch.hann_window(512), return_complex=True).abs()

    def apart(**options):
        made = audio.griffin_lim(target, length=8000, **options)
        own = torch.stft(made, 512, 128, window=torch.hann_window(512), return_complex=True).abs()
        return float((own - target).norm() / target.norm())

    assert apart(iterations=32) < apart(iterations=8) < apart(iterations=1)
    assert apart(iterations=60) < 0.12 < apart(iterations=1)
    same = [audio.griffin_lim(target, iterations=3, seed=s) for s in (1, 1, 2)]
    assert torch.equal(same[0], same[1]) and not torch.equal(same[0], same[2])


def test_gradient():
    wave = noise(900).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda w: audio.mel_spectrogram(w, RATE, n_fft=64, hop=300, mels=4), wave
    )


# Against the libraries.


@pytest.mark.parametrize("n_fft", [400, 512, 2048])
@pytest.mark.parametrize("fmax", [None, 4000])
def test_equals_librosa(n_fft, fmax):
    librosa = pytest.importorskip("librosa", reason=LIBROSA)
    wave, mels = noise(8000, torch.float32), {400: 32, 512: 40, 2048: 128}[n_fft]
    options = {"n_fft": n_fft, "fmin": 20.0, "fmax": fmax}
    theirs = {"y": wave.numpy(), "sr": RATE, "hop_length": n_fft // 4, "n_mels": mels, **options}
    found = audio.mel_spectrogram(wave, RATE, mels=mels, **options)
    expected = torch.from_numpy(librosa.feature.melspectrogram(**theirs))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    found = audio.mfcc(wave, RATE, 13, mels=mels, **options)
    expected = torch.from_numpy(librosa.feature.mfcc(n_mfcc=13, **theirs))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)  # of some hundred dB
    spectra = torch.from_numpy(
        librosa.stft(wave.numpy(), n_fft=400, hop_length=160, window="hamming")
    )
    own = audio.stft(wave, RATE, pad_mode="constant")
    torch.testing.assert_close(own, spectra, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_fft", [400, 1024])
def test_equals_torchaudio(n_fft):
    transforms = pytest.importorskip("torchaudio", reason=TORCHAUDIO).transforms
    waves = torch.stack([noise(8000, torch.float32), noise(8000, torch.float32, 1) * 2])
    options = {"n_fft": n_fft, "hop_length": 160, "n_mels": 32, "f_min": 50.0, "f_max": 7000.0}
    own = {"n_fft": n_fft, "hop": 160, "mels": 32, "fmin": 50.0, "fmax": 7000.0}
    expected = transforms.MelSpectrogram(RATE, **options)(waves)
    found = audio.mel_spectrogram(waves, RATE, style="torchaudio", **own)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    expected = transforms.MFCC(RATE, n_mfcc=13, melkwargs=options)(waves)
    found = audio.mfcc(waves, RATE, 13, style="torchaudio", **own)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_htk_filters_equal_librosas():
    librosa = pytest.importorskip("librosa", reason=LIBROSA)
    expected = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=24, htk=True, norm=None)
    found = audio.mel_filters(RATE, 400, 24, style="htk")
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-4, atol=1e-6)


def test_griffin_lim_is_as_near_as_librosas():
    librosa = pytest.importorskip("librosa", reason=LIBROSA)
    target = np.abs(librosa.stft(noise(8000, torch.float32).numpy(), n_fft=512))

    def apart(wave):
        own = np.abs(librosa.stft(np.asarray(wave), n_fft=512))[:, : target.shape[1]]
        return np.linalg.norm(own - target[:, : own.shape[1]]) / np.linalg.norm(target)

    theirs = apart(librosa.griffinlim(target, n_iter=32, random_state=0))
    ours = apart(audio.griffin_lim(torch.from_numpy(target), iterations=32))
    assert ours < 1.05 * theirs
