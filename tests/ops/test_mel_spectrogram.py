"""mel_spectrogram against sums in plain loops, and torch's transform; odd values, errors."""

import cmath
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import mel_spectrogram

# A transform of 400 samples near 1 rounds to about 1e-6 of its largest numbers.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
SIZES = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 16, 21, 25, 32, 49, 60, 128, 143, 202, 400, 1024]


def definition(wave, window, filters, hop, pad, pad_mode, power, floor):
    """Of one sound, from lists, by the sums that the contract has."""
    size, count = len(window), len(wave)

    def sample(i):
        if 0 <= i < count:
            return wave[i]
        if pad_mode == "constant":
            return 0.0
        return wave[-i] if i < 0 else wave[2 * (count - 1) - i]

    mel = [[] for _ in filters]
    for t in range(1 + (count + 2 * pad - size) // hop):
        frame = [window[n] * sample(t * hop - pad + n) for n in range(size)]
        spectrum = []
        for k in range(size // 2 + 1):
            turns = (cmath.exp(-2j * math.pi * k * n / size) for n in range(size))
            spectrum.append(abs(sum(x * turn for x, turn in zip(frame, turns, strict=True))))
        for band, weights in zip(mel, filters, strict=True):
            total = sum(w * x**power for w, x in zip(weights, spectrum, strict=True))
            band.append(total if floor is None else math.log(max(total, floor)))
    return mel


def random(batch, samples, size, bands, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    waves = torch.randn(batch, samples, generator=g, dtype=torch.float64)
    window = torch.rand(size, generator=g, dtype=torch.float64)
    filters = torch.rand(bands, size // 2 + 1, generator=g, dtype=torch.float64)
    filters[torch.rand(filters.shape, generator=g) < 0.3] = 0
    return waves.to(dtype), window.to(dtype), filters.to(dtype)


def by_torch(waves, window, filters, hop, pad=0, pad_mode="reflect", power=2):
    """In float64, by torch's own transform."""
    waves, window, filters = (t.double().cpu() for t in (waves, window, filters))
    if pad:
        waves = torch.nn.functional.pad(waves, (pad, pad), mode=pad_mode)
    spectrum = torch.fft.rfft(waves.unfold(1, len(window), hop) * window).abs() ** power
    return torch.einsum("mf,btf->bmt", filters, spectrum)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("pad", "pad_mode"), [(0, "reflect"), (6, "reflect"), (9, "constant")])
@pytest.mark.parametrize("floor", [None, 0.5])
def test_matches_the_definition(device, power, pad, pad_mode, floor):
    waves, window, filters = random(2, 37, 12, 4, torch.float64)
    options = {"pad": pad, "pad_mode": pad_mode, "power": power, "floor": floor}
    found = mel_spectrogram(*(t.to(device) for t in (waves, window, filters)), 5, **options)
    expected = [
        definition(wave, window.tolist(), filters.tolist(), 5, *options.values())
        for wave in waves.tolist()
    ]
    torch.testing.assert_close(found.cpu(), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("size", SIZES)
def test_windows_of_any_size(device, size, dtype):
    """Primes, powers, odd and even ones; more frames than a vector or a task has."""
    inputs = random(2, 70 * 3 + size, size, 3, dtype, seed=size)
    found = mel_spectrogram(*(t.to(device) for t in inputs), 3).cpu().double()
    expected = by_torch(*inputs, 3)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(found, expected, rtol=close, atol=close * expected.max().item())


def test_a_quiet_frame_beside_a_loud_one(device):
    """Each frame is transformed by itself: what is silent stays exactly 0."""
    wave = torch.zeros(1, 256, device=device)
    wave[:, 64:128] = 1000
    window, filters = (torch.ones(n, device=device) for n in ((32,), (1, 17)))
    found = mel_spectrogram(wave, window, filters, 32)[0, 0]
    assert (found == 0).tolist() == [True, True, False, False, True, True, True, True]


def test_logarithms(device):
    """In float32 to two units in the last place, over all that a float can be."""
    powers = torch.logspace(-36, 36, 289, dtype=torch.float64, device=device)
    waves = powers.sqrt().float()[None]
    one = torch.ones(1, device=device)
    found = mel_spectrogram(waves, one, one[None], 1, floor=1e-37)[0, 0]
    expected = (waves[0].double() ** 2).log()
    torch.testing.assert_close(found.double(), expected, rtol=3e-7, atol=3e-7)


def test_floor(device):
    wave = torch.tensor([[0.0, 1e-30, 1.0]], device=device)
    one = torch.ones(1, device=device)
    found = mel_spectrogram(wave, one, one[None], 1, floor=1e-5)
    expected = torch.tensor([[[1e-5, 1e-5, 1.0]]]).log()
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("floor", [None, 1e-5])
def test_nan_stays_in_its_frames(device, bad, floor):
    waves, window, filters = (t.to(device) for t in random(1, 200, 16, 2))
    expected = mel_spectrogram(waves, window, filters, 16, floor=floor)
    waves[0, 40] = bad  # of frame 2
    found = mel_spectrogram(waves, window, filters, 16, floor=floor)
    assert found[0, :, 2].isnan().all()
    found[0, :, 2] = expected[0, :, 2]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_strides_and_empty_batches(device):
    waves, window, filters = (t.to(device) for t in random(3, 120, 20, 4))
    expected = mel_spectrogram(waves, window, filters, 7, pad=10)
    strided = [torch.stack([t, t], -1)[..., 0] for t in (waves, window, filters)]
    torch.testing.assert_close(mel_spectrogram(*strided, 7, pad=10), expected, rtol=0, atol=0)
    assert mel_spectrogram(waves[:0], window, filters, 7).shape == (0, 4, 15)
    assert mel_spectrogram(waves, window, filters[:0], 7).shape == (3, 0, 15)


def test_same_bits_for_any_number_of_threads():
    waves, window, filters = random(2, 5000, 400, 20)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = mel_spectrogram(waves, window, filters, 160, pad=200, floor=1e-10)
        torch.set_num_threads(4)
        four = mel_spectrogram(waves, window, filters, 160, pad=200, floor=1e-10)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(one, four, rtol=0, atol=0)


# Runs this file's comparison in a process whose instruction set is another.
ISA_PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_mel_spectrogram import *
for dtype in TOLERANCE:
    for size in (9, 10, 60, 77):
        test_windows_of_any_size("cpu", size, dtype)
test_logarithms("cpu")
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


OP = torch.ops.fastcv.mel_spectrogram


def test_opcheck(device):
    inputs = (t.to(device).requires_grad_() for t in random(2, 30, 8, 3, torch.float64))
    opcheck(OP, (*inputs, 4, 3, True, False, 0.5))


@pytest.mark.parametrize(("power", "floor"), [(2, 0.0), (1, 0.0), (2, 0.5)])
def test_gradients(device, power, floor):
    inputs = [t.to(device).requires_grad_() for t in random(2, 30, 8, 3, torch.float64)]
    assert torch.autograd.gradcheck(
        lambda *three: OP(*three, 4, 3, True, power == 1, floor), inputs
    )


def test_gradient_of_one_input_alone(device):
    waves, window, filters = (t.to(device) for t in random(1, 30, 8, 3, torch.float64))
    waves.requires_grad_()
    mel_spectrogram(waves, window, filters, 4).sum().backward()
    assert waves.grad.abs().sum() > 0 and window.grad is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"waves": torch.zeros(50)}, "waves must have 2 dimensions"),
        ({"waves": torch.zeros(1, 50).half()}, "waves must be float64 or float32, got Half"),
        ({"window": torch.zeros(10).double()}, "window must have the dtype of waves"),
        ({"window": torch.zeros(0)}, "window must have 1 to 8192 samples, got 0"),
        ({"window": torch.zeros(8193)}, "window must have 1 to 8192 samples, got 8193"),
        ({"filters": torch.zeros(3, 5)}, r"filters must have shape \[M, W / 2 \+ 1\]"),
        ({"hop": 0}, "hop must be at least 1, got 0"),
        ({"pad": -1}, "pad must be at least 0, got -1"),
        ({"pad": 50}, "waves must be longer than pad to be mirrored, got 50 samples and 50"),
        ({"waves": torch.zeros(1, 9)}, "must have the 10 samples of window, got 9"),
        ({"floor": -1.0}, "floor must be 0 or at least 1e-37, got -1"),
    ],
)
def test_errors(change, sentence):
    given = {
        "waves": torch.zeros(1, 50),
        "window": torch.zeros(10),
        "filters": torch.zeros(3, 6),
        "hop": 5,
        **change,
    }
    with pytest.raises(RuntimeError, match=sentence):
        mel_spectrogram(**given)


def test_errors_of_names():
    inputs = random(1, 50, 10, 2)
    with pytest.raises(ValueError, match="pad_mode must be 'reflect' or 'constant', got 'wrap'"):
        mel_spectrogram(*inputs, 5, pad_mode="wrap")
    with pytest.raises(ValueError, match="power must be 1 or 2, got 3"):
        mel_spectrogram(*inputs, 5, power=3)
