"""A voice of sines: pitch with jitter, formants, syllables with pauses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# First to third formant of vowels, in Hz: Peterson and Barney (1952), men.
VOWELS = np.array(
    [[730, 1090, 2440], [530, 1840, 2480], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240]]
)
WIDTHS = np.array([90.0, 110.0, 170.0])  # of formants, Hz
SYLLABLE = (0.12, 0.32)  # seconds
PAUSE = (0.02, 0.25)  # seconds, between syllables
JITTER = 0.01  # of the pitch
CONTROL = 200  # values a second of what changes slowly


@dataclass(frozen=True)
class Voice:
    """Whose voice it is.

    Args:
        pitch: in Hz.
        tract: formants are so many times those of a man.
        range: of the pitch within a sentence, as a part of it.
        tilt: dB an octave that overtones fall off with.
    """

    pitch: float
    tract: float
    range: float
    tilt: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> Voice:
        """Anybody's."""
        high = random.random() < 0.5
        pitch = random.uniform(165, 255) if high else random.uniform(85, 155)
        tract = random.uniform(1.1, 1.25) if high else random.uniform(0.92, 1.05)
        return cls(pitch, tract, random.uniform(0.05, 0.2), random.uniform(-12, -6))


def speech_like(
    voice: Voice, samples: int, rate: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Syllables of a voice.

    Returns:
        ``(wave, envelope)``: ``[samples]`` float64 each; the envelope is in [0, 1].
    """
    steps = samples * CONTROL // rate + 2
    envelope, formants = _syllables(voice, steps, random)
    drift = np.cumsum(random.normal(0, 1, steps))
    drift = np.interp(np.arange(steps), np.arange(0, steps, 20), drift[::20])
    drift /= max(float(np.abs(drift).max()), 1e-9)
    pitch = voice.pitch * (1 + voice.range * drift) * (1 + JITTER * random.normal(0, 1, steps))
    control, times = np.arange(steps) / CONTROL, np.arange(samples) / rate
    slow = np.interp(times, control, envelope)
    cycles = np.cumsum(np.interp(times, control, pitch)) / rate
    wave = np.zeros(samples)
    for overtone in range(1, int(0.95 * rate / 2 / pitch.max()) + 1):
        frequency = overtone * pitch
        gain = (1 / (1 + ((frequency[:, None] - formants) / WIDTHS) ** 2)).sum(1)
        gain *= 10 ** (voice.tilt * np.log2(overtone) / 20)
        phase = 2 * np.pi * (overtone * cycles + random.random())
        wave += np.interp(times, control, gain) * np.sin(phase)
    return wave * slow, slow


def _syllables(
    voice: Voice, steps: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``(envelope [steps], formants [steps, 3])``."""
    envelope, formants = np.zeros(steps), np.empty((steps, 3))
    at = int(random.uniform(*PAUSE) * CONTROL)
    last = VOWELS[random.integers(len(VOWELS))] * voice.tract
    formants[:at] = last
    while at < steps:
        length = max(2, int(random.uniform(*SYLLABLE) * CONTROL))
        pause = max(1, int(random.uniform(*PAUSE) * CONTROL))
        vowel = VOWELS[random.integers(len(VOWELS))] * voice.tract
        place = np.linspace(0, 1, length)
        # It opens faster than it closes.
        shape = random.uniform(0.5, 1) * np.sin(np.pi * place**0.7) ** 2
        glide = np.clip(place * 3, 0, 1)[:, None]
        end = min(at + length, steps)
        envelope[at:end] = shape[: end - at]
        formants[at:end] = (last + glide * (vowel - last))[: end - at]
        formants[end : end + pause] = vowel
        at, last = at + length + pause, vowel
    return envelope, formants
