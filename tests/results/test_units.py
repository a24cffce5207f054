"""Units of frames."""

import json

import pytest
import torch

from fastcv.results import Units


def by_hand(frames):
    """Run-length collapsed: units, and after how many frames each ends."""
    units, ends = [], []
    for i, code in enumerate(frames):
        if units and units[-1] == code:
            ends[-1] = i + 1
        else:
            units.append(code)
            ends.append(i + 1)
    return units, ends


def test_frames_in_a_row_are_one_unit():
    g = torch.Generator().manual_seed(0)
    for count in (1, 2, 50):
        frames = torch.randint(3, (count,), generator=g)
        found = Units.of_frames(frames, codes=3, seconds=0.02)
        units, ends = by_hand(frames.tolist())
        assert found.units.tolist() == units
        assert found.ends.tolist() == pytest.approx([0.02 * end for end in ends])


def test_says_and_saves(tmp_path):
    found = Units.of_frames(torch.tensor([4, 4, 1]), codes=5, seconds=0.04, source="a.wav")
    assert found.text == "u4 u1" and len(found) == 2 and str(found) == "Units(2 units, 0.12 s)"
    found.save(tmp_path / "u.json")
    told = json.loads((tmp_path / "u.json").read_text())
    assert told == {"file": "a.wav", "units": [4, 1], "ends": [0.08, 0.12]}


def test_errors():
    with pytest.raises(ValueError, match="units must be 0 to 4, got 5"):
        Units.of_frames(torch.tensor([5]), codes=5, seconds=0.04)
    with pytest.raises(ValueError, match=r"units and ends must be \[U\], got \[2\] and \[1\]"):
        Units(torch.tensor([0, 1]), torch.tensor([1.0]), codes=5)
