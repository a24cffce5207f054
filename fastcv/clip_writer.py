"""Clips out: pictures become the frames of a video file, as they come."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastcv._extras import need
from fastcv._files import replacing

if TYPE_CHECKING:
    from typing_extensions import Self

# By suffix, the best first; the other where PyAV was built without it.
H264, VP9, MPEG4 = ("libx264", "mpeg4"), ("libvpx-vp9", "libvpx"), ("mpeg4",)
CODECS = {
    ".avi": MPEG4,
    ".m4v": H264,
    ".mkv": H264,
    ".mov": H264,
    ".mp4": H264,
    ".webm": VP9,
}
FPS = 25.0  # where nothing is known
QUALITY = {"libx264": {"crf": "20"}, "libvpx-vp9": {"crf": "28", "b": "0", "deadline": "realtime"}}
BIT_RATE = 8_000_000  # a second, of the other codecs


class ClipWriter:
    """Writes a video, a picture at a time; frames are not kept.

    The file appears under its own name when the block ends, whole. An error or Ctrl-C in the block
    ends it as well: what was written until then is a video. Without a frame there is no file.

    The first picture decides the size. A later one that is larger is cut at its right and lower
    edge, one that is smaller gets white there. An odd side gets a pixel more, the edge's again: the
    codecs want even ones.

    Args:
        path: of the video, which ends in .mp4, .m4v, .mov, .mkv, .webm or .avi.
        fps: frames a second.

    Raises:
        ValueError: another suffix, no frame rate above 0, or a file that cannot be written.
        ImportError: PyAV is missing: it is in the extra ``video``.

    Example:
        >>> import tempfile, torch, fastcv
        >>> from pathlib import Path
        >>> from fastcv.clip_writer import ClipWriter
        >>> from fastcv.clips import read_clip
        >>> model = fastcv.create_model("lenet5")
        >>> path = Path(tempfile.mkdtemp(), "drawn.mp4")
        >>> with ClipWriter(path, fps=5) as video:
        ...     for frame, found in model.predict_video(torch.rand(4, 3, 32, 32)):
        ...         video.write(found.draw(frame))
        >>> len(list(read_clip(path)))
        4
    """

    def __init__(self, path: str | os.PathLike[str], *, fps: float = FPS) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in CODECS:
            raise ValueError(f"path must end in {' '.join(CODECS)}, got {self.path.name!r}")
        if not fps > 0:
            raise ValueError(f"fps must be above 0, got {fps}")
        self.fps, self.frames = fps, 0
        self._av = need("av", extra="video")
        self._file = ExitStack()  # moves it to its name at the end, or removes it
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            if self._container is not None:
                self._checked(self._finish)

    def write(self, picture: Image.Image) -> None:
        """The next frame.

        Raises:
            ValueError: the file cannot be written.
        """
        self._checked(self._write, picture)

    def _write(self, picture: Image.Image) -> None:
        if self._container is None:
            self._open(picture.size)
        frame = self._av.VideoFrame.from_ndarray(_fitted(picture, self._size), format="rgb24")
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _open(self, size: tuple[int, int]) -> None:
        known = self._av.codecs_available
        *better, last = CODECS[self.path.suffix.lower()]
        codec = next((codec for codec in better if codec in known), last)
        temporary = self._file.enter_context(replacing(self.path))
        self._container = self._av.open(str(temporary), "w")
        rate = Fraction(self.fps).limit_denominator(1001)
        stream = self._container.add_stream(codec, rate=rate, options=QUALITY.get(codec, {}))
        if codec not in QUALITY:
            stream.bit_rate = BIT_RATE
        stream.width, stream.height = size[0] + size[0] % 2, size[1] + size[1] % 2
        stream.pix_fmt = "yuv420p"
        self._stream, self._size = stream, size

    def _finish(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()

    def _checked(self, call: Any, *arguments: Any) -> None:
        try:
            call(*arguments)
        except self._av.FFmpegError as error:
            raise ValueError(f"{self.path} cannot be written: {error.strerror}") from error


def _fitted(picture: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Its pixels ``[H, W, 3]`` in the first picture's size, and even ones."""
    if picture.size != size:
        white = Image.new("RGB", size, "white")
        white.paste(picture, (0, 0))
        picture = white
    pixels = np.asarray(picture.convert("RGB"))
    return np.pad(pixels, [(0, size[1] % 2), (0, size[0] % 2), (0, 0)], mode="edge")
