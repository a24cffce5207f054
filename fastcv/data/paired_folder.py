"""Pairs of pictures: what goes into a translator, and what should come out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._image import pictures_in, read


class PairedFolder(Dataset[tuple[Tensor, Tensor]]):
    """Pairs ``(input, truth)`` for pix2pix, each ``[3, H, W]`` float32 in [0, 1].

    The pictures lie in two folders, a pair under one name; or side by side in one file, the input
    on the left, as pix2pix's data sets have them.

    Args:
        inputs: a folder of inputs; or of pairs in one file each, if ``truths`` is None.
        truths: a folder of what should come out, named as the inputs are. Suffixes may differ.
        reverse: the other way: what is on the right, or in ``truths``, is the input.
        transform: called with both pictures, returns both, such as ``Jitter()``.

    Raises:
        FileNotFoundError: no such folder, one without pictures, or a link to nothing.
        ValueError: a picture without a partner; (on access) a broken picture, partners of two
            sizes, or a file of a pair whose width is odd.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.data import PairedFolder
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (16, 6)).save(folder / "1.png")
        >>> edges, photograph = PairedFolder(folder)[0]
        >>> edges.shape, photograph.shape
        (torch.Size([3, 6, 8]), torch.Size([3, 6, 8]))
    """

    def __init__(
        self,
        inputs: str | os.PathLike[str],
        truths: str | os.PathLike[str] | None = None,
        *,
        reverse: bool = False,
        transform: Callable[[Tensor, Tensor], tuple[Tensor, ...]] | None = None,
    ) -> None:
        self.reverse, self.transform = reverse, transform
        self.files: list[tuple[Path, Path | None]]
        if truths is None:
            self.files = [(path, None) for path in pictures_in(inputs)]
        else:
            self.files = _partners(
                pictures_in(inputs), pictures_in(truths), Path(inputs), Path(truths)
            )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path, partner = self.files[index]
        a, b = _halves(path) if partner is None else (read(path), read(partner))
        if a.shape != b.shape:
            sizes = f"{list(a.shape[1:])} and {list(b.shape[1:])}"
            raise ValueError(f"{path} and {partner} must have one size, got {sizes}")
        a, b = (b, a) if self.reverse else (a, b)
        if self.transform is not None:
            a, b = self.transform(a, b)
        return a, b


def _partners(
    inputs: list[Path], truths: list[Path], of_inputs: Path, of_truths: Path
) -> list[tuple[Path, Path | None]]:
    """By name without suffix; every picture has one."""
    named = [_by_name(files) for files in (inputs, truths)]
    for ours, theirs, other in ((named[0], named[1], of_truths), (named[1], named[0], of_inputs)):
        alone = [path for name, path in ours.items() if name not in theirs]
        if alone:
            more = f", and {len(alone) - 1} more have none" if len(alone) > 1 else ""
            raise ValueError(
                f"{alone[0]} has no partner: {other} has no picture named {alone[0].stem}{more}. "
                "Pictures without pairs are for UnpairedFolders and CycleGAN"
            )
    return [(path, named[1][name]) for name, path in named[0].items()]


def _by_name(files: list[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in files:
        other = named.setdefault(path.stem, path)
        if other != path:
            raise ValueError(f"{other} and {path} have one name: which of them is the partner?")
    return named


def _halves(path: Path) -> tuple[Tensor, Tensor]:
    both = read(path)
    width = both.shape[2]
    if width % 2:
        raise ValueError(
            f"{path} must be two pictures of one size side by side, but it is {width} pixels wide"
        )
    return both[:, :, : width // 2], both[:, :, width // 2 :]
