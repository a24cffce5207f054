"""Ten timbres, of any pitch: what a digit sounds like, whatever note it plays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float64]  # [N]
Timbre = Callable[[Wave, float, np.random.Generator], Wave]

# Partials over the pitch. Of a free bar, and of a church bell from its hum.
BAR = (1.0, 2.756, 5.404, 8.933)
BELL = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0)


def _partials(t: Wave, pitch: float, ratios: tuple[float, ...], decay: float) -> Wave:
    """Sines that fade, the higher the sooner; none above what 16 kHz can hold."""
    ratios = tuple(r for r in ratios if r * pitch < 7000)
    waves = [np.exp(-t * decay * r**0.5) * np.sin(2 * np.pi * pitch * r * t) / r for r in ratios]
    return np.sum(waves, axis=0)


def bar(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """A struck bar, as of a xylophone."""
    return _partials(t, pitch, BAR, 9.0)


def string(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """A plucked string: a burst of noise that goes round, smoothed each time.

    Source: Karplus and Strong, "Digital Synthesis of Plucked-String and Drum Timbres" (1983).
    """
    period = max(2, round(1 / (pitch * (t[1] - t[0]))))
    loop = rng.uniform(-1, 1, period)
    rounds = []
    for _ in range(-(-len(t) // period)):
        rounds.append(loop)
        loop = 0.497 * (loop + np.roll(loop, 1))
    return np.concatenate(rounds)[: len(t)]


def burst(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """Noise that fades, as of a maraca: its high half."""
    noise = rng.uniform(-1, 1, len(t))
    return np.exp(-t * 14) * np.diff(noise, prepend=0.0)


def flute(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """Nearly one sine, with a soft start and a tremble."""
    phase = 2 * np.pi * pitch * t + 0.6 * np.sin(2 * np.pi * 6 * t)
    return np.minimum(t / 0.04, 1) * np.exp(-t * 4) * (np.sin(phase) + 0.1 * np.sin(2 * phase))


def reed(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """Odd partials that hold, as of a clarinet."""
    odd = [n for n in (1, 3, 5, 7, 9) if n * pitch < 7000]
    waves = [np.sin(2 * np.pi * pitch * n * t) / n for n in odd]
    return np.minimum(t / 0.02, 1) * np.exp(-t * 3) * np.sum(waves, axis=0)


def bell(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """A bell, which has a minor third."""
    return _partials(t, 2 * pitch, BELL, 3.0)


def drum(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """A tone that falls at once, under a click of noise."""
    phase = 2 * np.pi * (pitch / 4 * t + pitch / 40 * (1 - np.exp(-t * 30)))
    click = np.exp(-t * 120) * rng.uniform(-1, 1, len(t))
    return np.exp(-t * 12) * np.sin(phase) + 0.5 * click


def rising(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """A chirp up, two octaves in a fifth of a second."""
    return np.exp(-t * 7) * np.sin(2 * np.pi * pitch * 0.144 * (np.exp(t / 0.144) - 1)) * (t < 0.2)


def falling(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """The same down, from the high end."""
    high = 4 * pitch * 0.144 * (1 - np.exp(-t / 0.144))
    return np.exp(-t * 7) * np.sin(2 * np.pi * high) * (t < 0.2)


def buzz(t: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """One tone that shakes another, as of a door bell: sums and differences without a pitch."""
    return np.exp(-t * 6) * np.sin(
        2 * np.pi * pitch * t + 5 * np.sin(2 * np.pi * pitch * 1.414 * t)
    )


TIMBRES: tuple[Timbre, ...] = (
    bar, string, burst, flute, reed, bell, drum, rising, falling, buzz,
)  # fmt: skip
"""By digit."""


def wind(t: Wave, rng: np.random.Generator) -> Wave:
    """Low noise that swells: over grass."""
    smooth = np.convolve(rng.standard_normal(len(t)), np.ones(32) / 32, "same")
    return smooth * (1 + 0.5 * np.sin(2 * np.pi * (0.7 * t + rng.random()))) * 3


def hum(t: Wave, rng: np.random.Generator) -> Wave:
    """Mains behind a brick wall."""
    phase = 2 * np.pi * (100 * t + rng.random())
    return np.sin(phase) + 0.5 * np.sin(3 * phase)


def crackle(t: Wave, rng: np.random.Generator) -> Wave:
    """Clicks here and there: on gravel."""
    clicks = rng.standard_normal(len(t)) * (rng.random(len(t)) < 0.004)
    return 8 * np.convolve(clicks, np.exp(-np.arange(48) / 12), "same")


AMBIENCES: tuple[Callable[[Wave, np.random.Generator], Wave], ...] = (wind, hum, crackle)
"""By the label of grass, brick and gravel."""
