"""What a picture shows of a sound: columns by hand, tones where they belong, any length."""

import math

import numpy as np
import pytest
import torch

from fastcv.draw.sound import COLUMNS, KINDS, columns_of, draw_sound


def tone(hz, rate, n):
    return torch.sin(2 * math.pi * hz * torch.arange(n) / rate)


def test_columns_of_the_waveform():
    """Each has the least and the greatest of its samples, however the sound comes."""
    wave = torch.randn(5230, generator=torch.Generator().manual_seed(0))
    for sizes in (5230, 1, 999):
        columns = columns_of(wave.split(sizes), 8000, 5230)
        assert len(columns.low) == COLUMNS
        for column in (0, 1, 500, 999):
            own = [x for i, x in enumerate(wave.tolist()) if i * COLUMNS // 5230 == column]
            assert float(columns.low[column]) == min(own)
            assert float(columns.high[column]) == max(own)
    assert columns.seconds == 5230 / 8000


def test_columns_of_energy():
    """A tone of 1 kHz, then one of 3 kHz: the loudest frequency of each half."""
    wave = torch.cat([tone(1000, 16000, 160_000), tone(3000, 16000, 160_000)])
    columns = columns_of(wave.split(50_000), 16000, len(wave))
    assert columns.energy.shape == (201, COLUMNS)
    found = columns.energy.argmax(dim=0) * 40  # Hz
    assert (found[5:495] == 1000).all() and (found[505:995] == 3000).all()


def test_a_piece_by_itself_is_the_whole():
    wave = torch.randn(9000, generator=torch.Generator().manual_seed(0))
    whole, parts = (columns_of(wave.split(n), 8000, 9000) for n in (9000, 700))
    torch.testing.assert_close(whole.energy, parts.energy)


@pytest.mark.parametrize(("n", "rate"), [(1, 8000), (50, 3), (3000, 192_000), (20_000, 8000)])
def test_every_kind_of_any_sound(n, rate):
    pytest.importorskip("matplotlib", reason="pip install matplotlib")
    columns = columns_of([torch.zeros(n)], rate, n)
    picture = draw_sound(columns, KINDS, "a title")
    assert picture.size == (800, 1010)
    assert np.asarray(picture).std() > 0


def test_nan_is_drawn_as_silence():
    columns = columns_of([torch.tensor([math.nan, 0.5] * 500)], 8000, 1000)
    assert columns.energy.isfinite().all() and float(columns.high.max()) == 0.5
