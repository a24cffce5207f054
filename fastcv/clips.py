"""Clips in, whatever form they come in: RGB frames out, or one sentence about why not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastcv._cut_videos import missing_bytes, promised_end
from fastcv._extras import need
from fastcv.images import BrokenImageError, ImageInput, find_images, read_image

ClipInput = str | os.PathLike[str] | Tensor | Sequence[ImageInput]

LEEWAY = 1.5  # frames by which a header may promise more than there is: some count one too many
SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


class BrokenClipError(ValueError):
    """A clip that is there and cannot be read."""


@dataclass(frozen=True)
class Clip:
    """Frames in order, read as they are asked for, each time anew.

    Args:
        name: what was read, for people.
        frames: gives the frames ``[3, H, W]``.
        length: how many there are, if that is known before they are read.
        fps: frames a second, if that is known.

    Raises:
        BrokenClipError: a frame that cannot be read, or of another size than the first; when
            iterated.
    """

    name: str
    frames: Callable[[], Iterator[Tensor]]
    length: int | None = None
    fps: float | None = None

    def __iter__(self) -> Iterator[Tensor]:
        first: Tensor | None = None
        for number, frame in enumerate(self.frames()):
            first = frame if first is None else first
            if frame.shape != first.shape:
                raise BrokenClipError(
                    f"{self.name}: frame {number} is {frame.shape[1]}x{frame.shape[2]}, the frames "
                    f"before it are {first.shape[1]}x{first.shape[2]}"
                )
            yield frame
        if first is None:
            raise BrokenClipError(f"{self.name} has no frame that can be read")

    def __repr__(self) -> str:
        length = "" if self.length is None else f"{self.length} frames of "
        rate = "" if self.fps is None else f" at {self.fps:g} a second"
        return f"Clip({length}{self.name}{rate})"


def read_clip(clip: ClipInput) -> Clip:
    """A clip's frames as RGB tensors.

    Args:
        clip: a video file, a folder of frames (in the order of their names), a tensor
            ``[T, 3, H, W]`` or ``[T, 1, H, W]`` (uint8, or floating in [0, 1]), or a list of what
            ``read_image`` takes.

    Returns:
        The clip; its frames are ``[3, H, W]`` uint8, of a floating-point tensor in its dtype.

    Raises:
        FileNotFoundError: no such file or folder, or a folder without images.
        BrokenClipError: a file that is no video, or a damaged one. A ValueError.
        ValueError: a tensor of another shape, or no frame at all.
        TypeError: a type or dtype that is none of those.
        ImportError: a video file, and PyAV is missing: it is in the extra ``video``.

    Example:
        >>> import torch
        >>> from fastcv.clips import read_clip
        >>> clip = read_clip(torch.zeros(12, 3, 48, 64))
        >>> clip, next(iter(clip)).shape
        (Clip(12 frames of a tensor), torch.Size([3, 48, 64]))
    """
    if isinstance(clip, Tensor):
        if clip.ndim != 4 or clip.shape[1] not in (1, 3) or 0 in clip.shape:
            raise ValueError(f"a clip as a tensor must be [T, 3, H, W], got {list(clip.shape)}")
        read_image(clip[0])  # its dtype
        return Clip("a tensor", lambda: (read_image(frame) for frame in clip), len(clip))
    if isinstance(clip, (str, os.PathLike)):
        return _from_path(Path(clip).expanduser())
    if isinstance(clip, (list, tuple)):
        if not clip:
            raise ValueError("a clip must have at least one frame, got an empty list")
        return Clip("a list", lambda: map(read_image, clip), len(clip))
    raise TypeError(
        "a clip must be a video file, a folder of frames, a tensor [T, 3, H, W] or a list of "
        f"images, got {type(clip).__module__}.{type(clip).__qualname__}"
    )


def _from_path(path: Path) -> Clip:
    if path.is_dir():
        files = find_images(path)
        return Clip(str(path), lambda: _frames_of_files(path, files), len(files))
    if not path.exists():
        raise FileNotFoundError(f"there is no clip {path}")
    return _from_video(path)


def _frames_of_files(folder: Path, files: list[Path]) -> Iterator[Tensor]:
    for file in files:
        try:
            yield read_image(file)
        except BrokenImageError as error:
            raise BrokenClipError(f"{folder}: {error}") from error


def _from_video(path: Path) -> Clip:
    av = need("av", extra="video")
    with _opened(av, path) as container:
        if not container.streams:
            raise _unreadable(path)
        if not container.streams.video:
            raise BrokenClipError(f"{path} has no video stream, only sound or data")
        stream = container.streams.video[0]
        rate = stream.average_rate
        return Clip(
            str(path),
            lambda: _frames_of_video(av, path),
            stream.frames or None,  # 0: the container does not say
            float(rate) if rate else None,
        )


def _frames_of_video(av: Any, path: Path) -> Iterator[Tensor]:
    missing = missing_bytes(path)
    cut = f"{path} is cut short: at least {missing} of its bytes are missing" if missing else None
    number, end = 0, 0.0
    with _opened(av, path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            for packet in container.demux(stream):
                end = max(end, _end_of_packet(packet))
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise BrokenClipError(cut or f"{path}: frame {number} is damaged")
                    yield _pixels(frame)
                    number += 1
        except av.FFmpegError as error:
            raise BrokenClipError(
                cut or f"{path} cannot be read after frame {number}: {error.strerror}"
            ) from error
        promised = promised_end(container, stream)
        leeway = LEEWAY / float(stream.average_rate or 25)
        if cut is None and promised is not None and promised - end > leeway:
            cut = f"{path} is cut short: it ends at {end:.2f} of {promised:.2f} seconds"
    if cut is not None:
        raise BrokenClipError(cut)


def _end_of_packet(packet: Any) -> float:
    """In seconds; 0 where it is not known."""
    time = packet.dts if packet.pts is None else packet.pts
    return 0.0 if time is None else float((time + (packet.duration or 0)) * packet.time_base)


def _pixels(frame: Any) -> Tensor:
    """``[3, H, W]`` uint8, upright."""
    pixels = frame.to_ndarray(format="rgb24")
    turned = np.rot90(pixels, frame.rotation // 90) if frame.rotation else pixels
    return torch.from_numpy(turned.transpose(2, 0, 1).copy())


def _opened(av: Any, path: Path) -> Any:
    try:
        return av.open(str(path))
    except av.FFmpegError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> BrokenClipError:
    missing = missing_bytes(path)
    why = f": at least {missing} of its bytes are missing" if missing else ""
    return BrokenClipError(f"{path} is not a video that can be read{why}")
