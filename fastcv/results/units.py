"""What was said, as a sequence of learnt units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastcv.language.units import spell_units
from fastcv.results._result import Result


@dataclass(repr=False, eq=False)
class Units(Result):
    """Units of a sound, each with the time it lasts.

    Args:
        units: ``[U]`` int64; no two in a row are the same.
        ends: ``[U]`` float, when each ends, in seconds; it begins where the one before ends.
        codes: how many kinds there are: a codebook's size.
        source: the sound.

    Raises:
        ValueError: shapes that do not fit, or a unit that is not 0 to ``codes - 1``.

    Example:
        >>> import torch
        >>> from fastcv.results import Units
        >>> found = Units.of_frames(torch.tensor([5, 5, 5, 2, 5]), codes=8, seconds=0.04)
        >>> found, found.text, found.ends
        (Units(3 units, 0.20 s), 'u5 u2 u5', tensor([0.1200, 0.1600, 0.2000]))
    """

    units: Tensor
    ends: Tensor
    codes: int
    source: str | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.units.ndim != 1 or self.units.shape != self.ends.shape:
            raise ValueError(
                f"units and ends must be [U], got {list(self.units.shape)} and "
                f"{list(self.ends.shape)}"
            )
        spell_units(self.units, self.codes)  # it says what is out of range

    @classmethod
    def of_frames(
        cls, frames: Tensor, *, codes: int, seconds: float, source: str | None = None
    ) -> Units:
        """Units of frames' codes: those in a row that are the same are one.

        Args:
            frames: ``[T]`` int64.
            codes: how many there are.
            seconds: from one frame to the next.
            source: the sound.
        """
        units, counts = torch.unique_consecutive(frames, return_counts=True)
        return cls(units, counts.cumsum(0) * seconds, codes, source)

    @property
    def text(self) -> str:
        """``"u17 u3"``: what a captioner learns to write, and what a voice reads."""
        return spell_units(self.units, self.codes)

    def __len__(self) -> int:
        return len(self.units)

    def __repr__(self) -> str:
        seconds = float(self.ends[-1]) if len(self) else 0.0
        return f"Units({len(self)} unit{'s' * (len(self) != 1)}, {seconds:.2f} s)"

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``units`` and ``ends`` in seconds."""
        return {
            "file": self.source,
            "units": self.units.tolist(),
            "ends": [round(end, 3) for end in self.ends.tolist()],
        }
