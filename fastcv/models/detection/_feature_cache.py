"""Features of an image's boxes on disk, so that a training that reads them often computes once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fastcv._files import replacing


def digest(tensors: Iterable[Tensor]) -> str:
    """A name for the bits, shapes and dtypes of tensors."""
    found = hashlib.sha256()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        found.update(f"{tensor.dtype}{list(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:32]


class FeatureCache:
    """Tensors by what they were made of; a file for each, without pickle.

    A file is written whole or not at all, and one that cannot be read is made anew. Nothing is ever
    deleted: other weights or other boxes have other names.

    Args:
        folder: where; None keeps nothing.
        network: the weights that make the features.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None, network: Mapping[str, Tensor]
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.network = digest(network.values()) if folder is not None else ""

    def get(
        self, made_of: Iterable[Tensor], make: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """What ``make`` gives, or gave before of the same tensors and weights."""
        if self.folder is None:
            return make()
        path = self.folder / f"{self.network}-{digest(made_of)}.safetensors"
        if path.exists():
            try:
                return load_file(path)
            except SafetensorError:
                pass
        made = make()
        with replacing(path) as temporary:
            temporary.write_bytes(save(made))
        return made
