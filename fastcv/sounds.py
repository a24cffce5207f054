"""Sounds in, whatever form they come in: samples in [-1, 1] out, or one sentence about why not."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fastcv._extras import need
from fastcv._wav import Wav, open_wav

if TYPE_CHECKING:
    import numpy.typing as npt

SUFFIXES = (".aif", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
CHANNELS = 64  # more are taken for samples, and the two axes for one another
CLIPPED = 0.001  # the share of samples that are cut off from which on people are told

INTEGERS = {torch.uint8: (128, 128), torch.int16: (0, 2**15), torch.int32: (0, 2**31)}
"""By dtype: what silence is, and what is 1."""


class BrokenSoundError(ValueError):
    """A file that is there and cannot be read as a sound."""


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples and their rate.

    Args:
        samples: ``[C, N]`` float32, in [-1, 1] but for what was louder in a file of floats.
        rate: samples a second, in Hz.
        name: what was read, for people.

    Example:
        >>> import torch
        >>> from fastcv.sounds import Sound
        >>> stereo = Sound(torch.zeros(2, 44100), 44100)
        >>> stereo, stereo.mono().shape, stereo.at(16000).samples.shape
        (Sound(1.00 s, 2 channels, 44100 Hz), torch.Size([44100]), torch.Size([2, 16000]))
    """

    samples: Tensor
    rate: int
    name: str = "a tensor"

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples.shape[1] / self.rate

    def mono(self) -> Tensor:
        """The mean of the channels, ``[N]``."""
        return self.samples.mean(dim=0)

    def at(self, rate: int) -> Sound:
        """The same at another rate, of ``ceil(N * rate / self.rate)`` samples.

        Raises:
            ValueError: no whole number of Hz above 0.
        """
        from fastcv.audio.resample import resample

        return Sound(resample(self.samples, self.rate, rate), rate, self.name)

    def wave(self, rate: int) -> Tensor:
        """What most networks take, ``[N]``: the channels' mean at a rate.

        Raises:
            ValueError: as ``at``.
        """
        # First one channel, then its rate: several would be brought to it for nothing.
        return Sound(self.mono()[None], self.rate, self.name).at(rate).samples[0]

    def __repr__(self) -> str:
        channels = len(self.samples)
        many = f"{channels} channel{'s' * (channels != 1)}"
        return f"Sound({self.seconds:.2f} s, {many}, {self.rate} Hz)"


SoundInput = str | os.PathLike[str] | Sound | tuple["Tensor | npt.NDArray[np.generic]", int]


def read_sound(sound: SoundInput) -> Sound:
    """A sound's samples as floats.

    Args:
        sound: a file; or samples and their rate in Hz, ``(samples, rate)``: a tensor or array
            ``[C, N]`` or ``[N]``, floating point in [-1, 1], int16, int32 or uint8 (silence is
            128); or a ``Sound``.

    Returns:
        The sound. WAV files of 8, 16, 24 and 32 bits and of floats are read by themselves, others
        by the package soundfile.

    Raises:
        FileNotFoundError: no such file.
        BrokenSoundError: a file that is no sound, or a damaged one. A ValueError.
        ValueError: samples of another shape, none at all, NaN or infinite ones, or another rate.
        TypeError: a type or dtype that is none of those, or samples without a rate.
        ImportError: a file other than WAV, and soundfile is missing: it is in the extra ``audio``.

    Warns:
        UserWarning: a thousandth of the samples or more are one of three in a row at full scale: it
            was too loud for its recording, and its peaks are cut off.

    Example:
        >>> import torch
        >>> from fastcv.sounds import read_sound
        >>> read_sound((torch.tensor([0, 16384, -32768], dtype=torch.int16), 8000)).samples
        tensor([[ 0.0000,  0.5000, -1.0000]])
    """
    if isinstance(sound, Sound):
        return _checked(sound)
    if isinstance(sound, (str, os.PathLike)):
        return _checked(_from_file(Path(sound).expanduser()))
    if isinstance(sound, tuple) and len(sound) == 2:
        return _checked(Sound(_from_samples(sound[0]), _rate(sound[1])))
    if isinstance(sound, (Tensor, np.ndarray)):
        raise TypeError("a sound as samples needs its rate, too: pass (samples, rate in Hz)")
    raise TypeError(
        "a sound must be a file, (samples, rate) or a Sound, got "
        f"{type(sound).__module__}.{type(sound).__qualname__}"
    )


def sound_size(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """What a file's header says: channels, samples of each, and their rate in Hz.

    Raises:
        FileNotFoundError, BrokenSoundError, ImportError: as ``read_sound``.
    """
    path = Path(path).expanduser()
    wav = _open(path)
    if wav is not None:
        return wav.channels, wav.frames, wav.rate
    soundfile = need("soundfile", extra="audio")
    with _readable(path):
        told = soundfile.info(str(path))
    return told.channels, told.frames, told.samplerate


def sound_blocks(path: str | os.PathLike[str], seconds: float = 10.0) -> Iterator[Sound]:
    """A file's sound piece by piece, so that its length does not matter.

    Args:
        path: of the file.
        seconds: of a piece; the last may be shorter.

    Yields:
        The pieces in order.

    Raises:
        FileNotFoundError, BrokenSoundError, ImportError: as ``read_sound``, when iterated.
        ValueError: seconds that are not above 0, or NaN and infinite samples.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from fastcv.results import Audio
        >>> from fastcv.sounds import sound_blocks
        >>> path = Path(tempfile.mkdtemp(), "silence.wav")
        >>> Audio(torch.zeros(2500), 1000).save(path)
        >>> list(sound_blocks(path, seconds=1))
        [Sound(1.00 s, 1 channel, 1000 Hz), Sound(1.00 s, 1 channel, 1000 Hz), \
Sound(0.50 s, 1 channel, 1000 Hz)]
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds}")
    path = Path(path).expanduser()
    wav = _open(path)
    if wav is not None:
        step = max(1, round(seconds * wav.rate))
        for first in range(0, wav.frames, step):
            yield _checked(Sound(wav.read(first, step), wav.rate, str(path)))
        return
    soundfile = need("soundfile", extra="audio")
    with _readable(path), soundfile.SoundFile(path) as file:
        step = max(1, round(seconds * file.samplerate))
        for block in file.blocks(step, dtype="float32", always_2d=True):
            yield _checked(Sound(torch.from_numpy(block.T.copy()), file.samplerate, str(path)))


def _open(path: Path) -> Wav | None:
    """A WAV file that is read here; None: soundfile's."""
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder, not a sound")
    try:
        return open_wav(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no sound {path}") from None
    except ValueError as error:
        raise BrokenSoundError(f"{path} cannot be read as a sound: {error}") from error


def _from_file(path: Path) -> Sound:
    wav = _open(path)
    if wav is not None:
        return Sound(wav.read(0, wav.frames), wav.rate, str(path))
    soundfile = need("soundfile", extra="audio")
    with _readable(path):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return Sound(torch.from_numpy(samples.T.copy()), rate, str(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What soundfile raises, as a sentence."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("soundfile"):
            raise
        raise BrokenSoundError(f"{path} cannot be read as a sound: {error}") from error


def _from_samples(samples: Any) -> Tensor:
    if isinstance(samples, np.ndarray):
        samples = torch.from_numpy(np.ascontiguousarray(samples))
    if not isinstance(samples, Tensor):
        raise TypeError(f"samples must be a tensor or array, got {type(samples).__name__}")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and len(samples) == 0):
        raise ValueError(f"samples must be [C, N] or [N], got {list(samples.shape)}")
    if samples.ndim == 2 and len(samples) > CHANNELS:
        raise ValueError(
            f"samples must be [C, N] with at most {CHANNELS} channels, got {list(samples.shape)}: "
            "turn [N, C] about with .T"
        )
    if samples.dtype in INTEGERS:
        silence, full = INTEGERS[samples.dtype]
        samples = (samples.double() - silence) / full
    elif not samples.is_floating_point():
        kinds = "floating point, int16, int32 or uint8"
        raise TypeError(f"samples must be {kinds}, got {samples.dtype}")
    return samples.float().reshape(len(samples) if samples.ndim == 2 else 1, samples.shape[-1])


def _rate(rate: Any) -> int:
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer)):
        raise TypeError(f"the rate must be a number of Hz, got {type(rate).__name__}")
    if not math.isfinite(rate) or rate != int(rate) or rate < 1:
        raise ValueError(f"the rate must be a whole number of Hz above 0, got {rate}")
    return int(rate)


def _checked(sound: Sound) -> Sound:
    samples = sound.samples
    if samples.ndim != 2 or samples.numel() == 0:
        raise ValueError(f"{sound.name} has no samples, got {list(samples.shape)}")
    finite = samples.isfinite()
    if not bool(finite.all()):
        channel, place = (~finite).nonzero()[0].tolist()
        raise ValueError(
            f"{sound.name} has samples that are NaN or infinite, the first at "
            f"{place / sound.rate:.3f} s of channel {channel}"
        )
    cut = _cut_off(samples)
    if cut >= CLIPPED:
        warnings.warn(
            f"{sound.name} is clipped: at {cut:.1%} of its samples it is cut off at full scale",
            stacklevel=3,
        )
    return sound


def _cut_off(samples: Tensor) -> float:
    """The share of samples whose neighbours on both sides are at the same end of the scale, too."""
    full = 1 - 2**-15
    cut = 0
    for side in (samples >= full, samples <= -full):
        if bool(side.any()):  # seldom
            cut += int((side[:, :-2] & side[:, 1:-1] & side[:, 2:]).sum())
    return cut / samples.numel()
