"""Pictures in, whatever form they come in: one RGB tensor out, or one sentence about why not."""

from __future__ import annotations

import glob
import io
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from fastcv._metadata import ORIENTATION, orientation_alone, without_metadata

ImageInput = str | os.PathLike[str] | Image.Image | npt.NDArray[np.uint8] | Tensor

# fmt: off
SUFFIXES = (
    ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".j2k", ".jp2", ".jpx",
    ".pbm", ".pgm", ".pnm", ".ppm", ".apng", ".png", ".pcx", ".qoi", ".tga", ".tif",
    ".tiff", ".avif", ".webp",
)
# fmt: on
"""Of a folder's pictures; drawings are written with any of them too."""

LEFT_OUT = (".arw", ".cr2", ".dng", ".heic", ".heif", ".ico", ".jxl", ".nef", ".psd", ".svg")
"""Of files that people call pictures, and that are not looked for: a folder with some is told."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation, how the stored pixels come upright."""

PNG_DEPTHS: dict[str, Callable[[int], int]] = {
    "L;2": lambda value: 85 * value,
    "L;4": lambda value: 17 * value,
    "RGB;16B": lambda value: value >> 8,
}
"""By the file's own pixels, what Pillow makes of a value in 8 bits."""

BAND = 2**22  # pixels that are copied at a time

T = TypeVar("T")


class BrokenImageError(ValueError):
    """A file that is there and cannot be read as a picture."""


def read_image(image: ImageInput) -> Tensor:
    """A picture as an RGB tensor.

    Args:
        image: a path, PIL image, numpy ``[H, W, 3]``, ``[H, W, 1]`` or ``[H, W]`` uint8, or tensor
            ``[3, H, W]`` or ``[1, H, W]``, uint8 or floating point in [0, 1].

    Returns:
        ``[3, H, W]`` uint8; of a floating-point tensor its own dtype, unscaled. Turned as its EXIF
        orientation says, where that is 1 to 8; what is transparent lies on white; 16 bits are
        brought to 8. Other metadata do not matter, broken ones neither.

    Raises:
        FileNotFoundError: no such file.
        BrokenImageError: a file that is no picture, or is damaged. A ValueError.
        ValueError: a shape that is none of those.
        TypeError: a type or dtype that is none of those.

    Example:
        >>> import numpy as np
        >>> from fastcv.images import read_image
        >>> read_image(np.zeros((4, 6), np.uint8)).shape
        torch.Size([3, 4, 6])
    """
    if isinstance(image, (str, os.PathLike)):
        return read_upright(image)[0]
    if isinstance(image, Image.Image):
        return _from_pil(_to_rgb(image))
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    raise TypeError(
        "an image must be a path, PIL image, numpy array or tensor, got "
        f"{type(image).__module__}.{type(image).__qualname__}"
    )


def read_upright(path: str | os.PathLike[str]) -> tuple[Tensor, int]:
    """A file's picture as ``read_image`` has it, and the EXIF orientation it was turned by.

    Returns:
        ``[3, H, W]`` uint8, and 1 to 8: 1 where the file's pixels are upright.
    """
    image, orientation = _open(Path(path), _upright_rgb)
    return _from_pil(image), orientation


def read_labels(path: str | os.PathLike[str]) -> Tensor:
    """A label map out of a file whose pixels are labels, not colours.

    Args:
        path: a PNG with a palette (PASCAL VOC's masks, ``Segmentation.save_labels``) or grey, of up
            to 16 bits.

    Returns:
        ``[H, W]`` int64: what the file stores, so 255 where a pixel does not count.

    Raises:
        FileNotFoundError: no such file.
        BrokenImageError: no picture, a damaged one, or one of colours. A ValueError.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from fastcv.images import read_labels
        >>> from fastcv.results import Segmentation
        >>> path = pathlib.Path(tempfile.mkdtemp(), "mask.png")
        >>> labels = torch.tensor([[0, 1], [2, 255]])
        >>> Segmentation(labels, ("wall", "door", "sky")).save_labels(path)
        >>> read_labels(path)
        tensor([[  0,   1],
                [  2, 255]])
    """
    return torch.from_numpy(_open(Path(path), _to_labels))


def read_ids(path: str | os.PathLike[str]) -> Tensor:
    """A map of segments' ids out of a PNG of 24 bits, as COCO's panoptic annotations are.

    Args:
        path: an RGB PNG, whose ids are R + 256 G + 65536 B.

    Returns:
        ``[H, W]`` int32.

    Raises:
        FileNotFoundError: no such file.
        BrokenImageError: no picture, a damaged one, or one that is not RGB. A ValueError.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.images import read_ids
        >>> path = pathlib.Path(tempfile.mkdtemp(), "ids.png")
        >>> Image.new("RGB", (2, 1), (5, 1, 0)).save(path)
        >>> read_ids(path)
        tensor([[261, 261]], dtype=torch.int32)
    """
    return torch.from_numpy(_open(Path(path), _to_ids))


def find_images(inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The image files that paths, folders and patterns mean.

    Args:
        inputs: files, folders (what lies directly in them) and patterns such as
            ``"photos/**/*.jpg"``; one or several.

    Returns:
        The files in the order of ``inputs``, those of a folder or pattern sorted, each once.

    Raises:
        FileNotFoundError: a path that is not there, a folder without images, or a pattern that
            nothing fits.

    Example:
        >>> import pathlib, tempfile
        >>> from fastcv.images import find_images
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("b.jpg", "a.png", "notes.txt"):
        ...     (folder / name).touch()
        >>> [path.name for path in find_images(folder)]
        ['a.png', 'b.jpg']
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    found: dict[Path, None] = {}
    for entry in inputs:
        found.update(dict.fromkeys(_expand(Path(entry).expanduser())))
    return list(found)


def _expand(path: Path) -> Sequence[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        files = _images(path.iterdir(), path)
        if not files:
            raise FileNotFoundError(f"the folder {path} has no images ({' '.join(SUFFIXES)})")
        return files
    if glob.has_magic(str(path)):
        files = _images(map(Path, glob.glob(str(path), recursive=True)), path)
        if not files:
            raise FileNotFoundError(f"no image fits the pattern {path}")
        return files
    raise FileNotFoundError(f"there is no file or folder {path}")


def _images(paths: Iterable[Path], where: Path) -> list[Path]:
    shown = sorted(path for path in paths if not path.name.startswith("."))
    others = [path for path in shown if path.suffix.lower() in LEFT_OUT]
    if others:
        warnings.warn(
            f"{where}: {len(others)} files are left out, such as {others[0].name}: pictures are "
            f"{' '.join(SUFFIXES)}",
            stacklevel=4,
        )
    return [path for path in shown if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a file's name is a picture's; a link to nowhere is one, for reading will name it."""
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
        return False
    return path.is_file() or (path.is_symlink() and not path.exists())


def _open(path: Path, convert: Callable[[Image.Image], T]) -> T:
    """The file's picture, converted while it is open."""
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder, not an image; find_images lists its images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that does not matter here
            try:
                with Image.open(path) as image:
                    return convert(image)
            except (FileNotFoundError, Image.DecompressionBombError):
                raise
            except Exception as error:
                return _without_metadata(path, convert, error)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no image {path}") from None
    except UnidentifiedImageError as error:
        raise BrokenImageError(f"{path} is not an image that can be read") from error
    except Image.DecompressionBombError as error:
        raise BrokenImageError(
            f"{path} is larger than Pillow reads of files that may be made to fill the memory: "
            "where you trust it, set PIL.Image.MAX_IMAGE_PIXELS = None first"
        ) from error
    # Decoders raise many kinds on damaged files, SyntaxError and struct.error among them.
    except Exception as error:
        raise BrokenImageError(f"{path} cannot be read as an image: {error}") from error


def _without_metadata(path: Path, convert: Callable[[Image.Image], T], error: Exception) -> T:
    """The picture again, where its pixels may be sound; else the first error."""
    content = without_metadata(path)
    if content is None:
        raise error
    try:
        with Image.open(io.BytesIO(content)) as image:
            return convert(image)
    except Exception:
        raise error from None


def _orientation(image: Image.Image, *, of_file: bool) -> int:
    """1 to 8; 1 where the metadata has none of these, or cannot be read."""
    value = None
    # Metadata raise errors of many kinds.
    if of_file:  # for Pillow leaves a directory at its first broken entry
        with suppress(Exception):
            alone = Image.Exif()
            alone.load(orientation_alone(image.info["exif"]))
            value = alone.get(ORIENTATION)
    if value is None:
        with suppress(Exception):
            value = image.getexif().get(ORIENTATION)
    return next((turn for turn in TURNS if value == turn), 1)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened file as a person sees it; its pixels are not read."""
    turned = _orientation(image, of_file=True) >= 5
    return (image.height, image.width) if turned else image.size


def _upright_rgb(image: Image.Image, *, of_file: bool = True) -> tuple[Image.Image, int]:
    _scale_transparency(image)
    orientation = _orientation(image, of_file=of_file)
    image.load()
    if orientation != 1 and image.format != "TIFF":  # Pillow turns a TIFF as it loads it
        image = image.transpose(TURNS[orientation])
    return _rgb(image), orientation


def _to_rgb(image: Image.Image) -> Image.Image:
    return _upright_rgb(image, of_file=False)[0]


def _scale_transparency(image: Image.Image) -> None:
    """A PNG's transparent colour is in the file's depth: in 8 bits, as the pixels will be."""
    tiles, transparent = getattr(image, "tile", ()), image.info.get("transparency")
    scale = PNG_DEPTHS.get(tiles[0][3]) if image.format == "PNG" and tiles else None
    if scale is not None and isinstance(transparent, int):
        image.info["transparency"] = scale(transparent)
    elif scale is not None and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(map(scale, transparent))


def _rgb(image: Image.Image) -> Image.Image:
    # Only where something changes: these calls copy, and a picture may be large.
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode == "F":
        raise ValueError("it has floating-point pixels, whose white is unknown: convert it first")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    if image.mode != "RGB":
        return image.convert("RGB")
    return image


def _to_labels(image: Image.Image) -> npt.NDArray[np.int64]:
    if image.mode not in ("P", "L", "1") and not image.mode.startswith("I"):
        raise ValueError(
            f"its pixels are colours ({image.mode}) and not labels: "
            "it must have a palette, or be grey"
        )
    return np.asarray(image).astype(np.int64)


def _to_ids(image: Image.Image) -> npt.NDArray[np.int32]:
    if image.mode != "RGB":
        raise ValueError(f"its pixels are {image.mode}, and ids of segments are RGB")
    red, green, blue = np.moveaxis(np.asarray(image).astype(np.int32), 2, 0)
    return red + 256 * green + 65536 * blue


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels are beyond 16 bits, and their white is unknown")
    gray: npt.NDArray[np.uint8] = ((values + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[values == transparent] = 255
    return Image.fromarray(gray).convert("RGB")


def _from_pil(image: Image.Image) -> Tensor:
    if 0 in image.size:
        raise ValueError(f"an image must have pixels, got {image.height}x{image.width}")
    # In bands: PIL hands its pixels out by a copy or two.
    pixels = torch.empty(3, image.height, image.width, dtype=torch.uint8)
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[:, top : top + rows] = torch.from_numpy(np.array(band)).permute(2, 0, 1)
    return pixels


def _from_array(array: npt.NDArray[Any]) -> Tensor:
    if array.dtype != np.uint8:
        raise TypeError(f"an image as a numpy array must be uint8, got {array.dtype}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            f"an image as a numpy array must be [H, W, 3] or [H, W], got {list(array.shape)}"
        )
    # A copy in memory order: PIL's buffer is read-only, and strides may be negative.
    return torch.from_numpy(array.transpose(2, 0, 1).copy()).expand(3, -1, -1)


def _from_tensor(image: Tensor) -> Tensor:
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise TypeError(f"an image as a tensor must be uint8 or floating, got {image.dtype}")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"an image as a tensor must be [3, H, W], got {list(image.shape)}")
    return image.expand(3, -1, -1)


def grey(image: Tensor) -> Tensor:
    """The brightness ``[1, H, W]`` of an RGB image ``[3, H, W]``; one that is grey stays as it is.

    Example:
        >>> import torch
        >>> from fastcv.images import grey
        >>> grey(torch.full((3, 1, 1), 0.5))
        tensor([[[0.5000]]])
    """
    weights = image.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (image * weights).sum(0, keepdim=True)
