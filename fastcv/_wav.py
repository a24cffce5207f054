"""WAV files: what their header says, and samples from any place of them."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fastcv._files import replacing

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
UNKNOWN = 0xFFFFFFFF  # a length that programs write which do not know it yet


@dataclass(frozen=True)
class Wav:
    """An uncompressed WAV file.

    Args:
        path: of the file.
        rate: samples a second.
        channels: beside each other.
        bits: of a sample: 8, 16, 24, 32, or 64 of floats.
        is_float: floats, not whole numbers.
        start: where the samples begin, in bytes.
        frames: how many samples a channel has.
    """

    path: Path
    rate: int
    channels: int
    bits: int
    is_float: bool
    start: int
    frames: int

    def read(self, first: int, count: int) -> Tensor:
        """``[C, n]`` float32, from sample ``first`` on; fewer at the end."""
        count = max(0, min(count, self.frames - first))
        size = self.bits // 8 * self.channels
        with self.path.open("rb") as file:
            file.seek(self.start + first * size)
            content = file.read(count * size)
        frames = self._floats(content).reshape(-1, self.channels)
        return torch.from_numpy(np.ascontiguousarray(frames.T, dtype=np.float32))

    def _floats(self, content: bytes) -> np.ndarray:
        if self.is_float:
            return np.frombuffer(content, f"<f{self.bits // 8}")
        if self.bits == 8:
            return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
        if self.bits == 24:  # as the upper bytes of 32
            wide = np.zeros((len(content) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0] / 2**31
        return np.frombuffer(content, f"<i{self.bits // 8}") / 2.0 ** (self.bits - 1)


def open_wav(path: Path) -> Wav | None:
    """What a file's header says; None of a file that is no WAV, or a compressed one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged one, or one that ends before its samples do.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            if size == 0:
                raise ValueError("the file is empty")
            return None
        form = None
        while True:
            chunk = file.read(8)
            if len(chunk) < 8:
                raise ValueError("the file ends before its samples begin")
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                break
            content = file.read(length)
            if name == b"fmt ":
                form = content
            file.seek(length % 2, os.SEEK_CUR)  # chunks begin at even places
        start = file.tell()
    if form is None or len(form) < 16:
        raise ValueError("its header does not say what its samples are")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16])
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack("<H", form[24:26])[0]
    if (kind, bits) not in [*((PCM, b) for b in (8, 16, 24, 32)), (FLOAT, 32), (FLOAT, 64)]:
        return None
    if channels == 0 or rate == 0 or block != channels * bits // 8:
        raise ValueError(
            f"its header says {channels} channels of {bits} bits at {rate} Hz, {block} bytes each"
        )
    there = size - start
    if length in (0, UNKNOWN):  # written to a pipe
        length = there
    if length > there:
        promised, found = length / block / rate, there / block / rate
        raise ValueError(f"it is cut off: {found:.2f} s of {promised:.2f} s are there")
    return Wav(path, rate, channels, bits, kind == FLOAT, start, length // block)


def write_wav(path: str | os.PathLike[str], samples: Tensor, rate: int) -> None:
    """Writes samples ``[C, N]`` in [-1, 1] as 16 bits; what is louder is cut off there."""
    whole = (samples.detach().double() * 2**15).round().clamp(-(2**15), 2**15 - 1).cpu().numpy()
    content = whole.astype("<i2").T.tobytes()
    channels, block = len(samples), 2 * len(samples)
    form = struct.pack("<HHIIHH", PCM, channels, rate, rate * block, block, 16)
    if len(content) + 36 >= UNKNOWN:
        raise ValueError("a WAV file holds at most 4 GiB: write the sound in pieces")
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(content), b"WAVE", b"fmt ", 16)
    with replacing(path) as temporary:
        temporary.write_bytes(head + form + struct.pack("<4sI", b"data", len(content)) + content)
