"""Complex masks: by the definition, there and back, and what they recover."""

import cmath
import math

import pytest
import torch

from fastcv.audio.complex_mask import compress, ideal_mask, uncompress


def test_the_ideal_mask_is_a_quotient():
    draw = torch.Generator().manual_seed(0)
    mixture, source = (torch.randn(5, 7, 2, generator=draw, dtype=torch.float64) for _ in range(2))
    mixture, source = torch.view_as_complex(mixture), torch.view_as_complex(source)
    masks = ideal_mask(mixture, source, epsilon=0)
    for m, y, s in zip(masks.flatten(), mixture.flatten(), source.flatten(), strict=True):
        assert cmath.isclose(m.item(), s.item() / y.item(), rel_tol=1e-12)
    torch.testing.assert_close(masks * mixture, source)
    assert (
        ideal_mask(torch.zeros(3, dtype=torch.cfloat), torch.ones(3, dtype=torch.cfloat))
        .eq(0)
        .all()
    )


def test_compressed_by_hand():
    values = [-300.0, -20.0, -1.0, 0.0, 0.25, 3.0, 40.0]
    mask = torch.complex(torch.tensor(values), torch.tensor(values[::-1]))
    got = compress(mask)
    assert got.shape == (7, 2) and got.abs().max() <= 10
    for value, real, imag in zip(values, got[:, 0], got.flip(0)[:, 1], strict=True):
        expected = 10 * (1 - math.exp(-0.1 * value)) / (1 + math.exp(-0.1 * value))
        assert real.item() == pytest.approx(expected, abs=1e-5)
        assert imag.item() == pytest.approx(expected, abs=1e-5)


def test_there_and_back():
    # Up to 60 a float32 tells apart what is 10 and what is almost 10.
    parts = torch.linspace(-60, 60, 101)
    mask = torch.complex(parts, parts.flip(0) / 3)
    torch.testing.assert_close(uncompress(compress(mask)), mask, rtol=2e-3, atol=1e-5)
    for outside in (10.0, -10.0, 1e6, -torch.inf):
        back = uncompress(torch.tensor([[outside, 0.0]]))
        assert back.real.isfinite().all() and 100 < back.real.abs().item() < 400
