"""Which pictures of a database are nearest to one, by what a layer makes of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fastcv._files import replacing
from fastcv.explain._checks import check_model
from fastcv.explain._layers import AUTO, explaining, recording
from fastcv.explain._pictures import Pictures
from fastcv.explain.neighbours_found import NeighboursFound
from fastcv.models.classification._on_features import OnFeatures
from fastcv.models.classification.nearest_neighbors import search

PIXELS = "pixels"
KIND = "fastcv neighbours"
NOTED = ("kind", "model", "weights", "layer", "metric", "paths", "skipped")  # in the metadata


def neighbours(
    model: nn.Module | None,
    pictures: Any,
    *,
    layer: str = AUTO,
    metric: str = "l2",
    batch_size: int = 32,
) -> Neighbours:
    """An index over a database of pictures, to be asked for the nearest ones.

    A layer's maps ``[C, h, w]`` count by the mean of each channel, whatever else it returns as a
    vector. So the last maps of a ResNet give what its linear layer sees.

    Args:
        model: one of ours, or any module; None: the pixels, of files and data sets after they are
            brought to 32 x 32.
        pictures: a folder, files or patterns, pictures as ``predict`` takes them, a data set whose
            items are pictures or begin with one, or a floating-point batch ``[N, C, H, W]`` as
            ``forward`` takes it. A plain module takes floating-point tensors alone. Files that
            cannot be read are left out, and are in ``skipped``.
        layer: its name; ``"auto"``: the last maps before the pooling, as for ``grad_cam``.
        metric: ``"l2"``, or ``"cosine"`` (1 - the cosine of the angle).
        batch_size: pictures at a time.

    Raises:
        FileNotFoundError: no such file, or a folder without images.
        ValueError: no such layer or metric, no pictures, or none that can be read.
        TypeError: ``pictures`` of another kind.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> pictures = torch.rand(20, 3, 64, 64)
        >>> index = explain.neighbours(model, pictures, layer="layer3")
        >>> index, index.features.shape
        (Neighbours(20 pictures by resnet18's layer3), torch.Size([20, 32]))
        >>> found = index.query(pictures[7], k=3)
        >>> found.indices.shape, int(found.indices[0, 0])
        (torch.Size([1, 3]), 7)
    """
    if metric not in ("l2", "cosine"):
        raise ValueError(f"metric must be 'l2' or 'cosine', got {metric!r}")
    read, by = Pictures(pictures), _model_or_pixels(model)
    name, features, numbers = _features(by, read, layer, batch_size)
    if read.paths is not None:
        read.keep(numbers)
    return Neighbours(by, name, metric, features, read, read.skipped)


class Neighbours:
    """The features of a database's pictures, and search in them; ``neighbours`` makes it.

    Attributes:
        model: a module, or what gives the pixels.
        layer: the layer's name, or ``"pixels"``.
        metric: ``"l2"`` or ``"cosine"``.
        features: ``[N, D]`` on the CPU, of each picture in its order.
        pictures: the database; None: of an index that was loaded without, and not of files.
        skipped: what is wrong with a file that could not be read, by path.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: str,
        metric: str,
        features: Tensor,
        pictures: Pictures | None,
        skipped: dict[str, str],
    ) -> None:
        self.model, self.layer, self.metric = model, layer, metric
        self.features, self.pictures, self.skipped = features, pictures, skipped

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        by = PIXELS if self.layer == PIXELS else f"{_name(self.model)}'s {self.layer}"
        return f"{type(self).__name__}({len(self)} pictures by {by})"

    @property
    def paths(self) -> list[str] | None:
        """Of each picture, where they are files."""
        return None if self.pictures is None else self.pictures.paths

    def query(self, pictures: Any, k: int = 5, *, batch_size: int = 32) -> NeighboursFound:
        """The nearest of the database. A picture that is in it finds itself first.

        Every distance is worked out, in float64 and a block at a time: neighbours are exact. The
        order of equally near ones is not specified.

        Args:
            pictures: one or several, of the kinds that ``neighbours`` takes; a tensor
                ``[C, H, W]`` is one of a batch.
            k: how many.
            batch_size: pictures at a time.

        Raises:
            FileNotFoundError, ValueError, TypeError: as ``neighbours``; more neighbours than the
                database has; a picture that cannot be read.
        """
        if not 1 <= k <= len(self):
            raise ValueError(f"k must be 1 to the {len(self)} of the database, got {k}")
        if isinstance(pictures, Tensor) and pictures.ndim == 3 and pictures.is_floating_point():
            pictures = pictures[None]
        read = Pictures(pictures)
        _, vectors, _ = _features(self.model, read, self.layer, batch_size)
        if read.skipped:
            raise ValueError(next(iter(read.skipped.values())))
        if vectors.shape[1] != self.features.shape[1]:
            raise ValueError(
                f"pictures must give {self.features.shape[1]} features, as the database's, got "
                f"{vectors.shape[1]}: of a layer that flattens maps, all must be of one size"
            )
        distances, indices = search(self.features, vectors.to(self.features.device), k, self.metric)
        return NeighboursFound(indices, distances, self.model, read, self.pictures)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the features to a ``.safetensors``, with the model's name, the layer, and paths.

        Raises:
            ValueError: another suffix.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise ValueError(f"path must end in .safetensors, got {path.name!r}")
        noted = {
            "kind": KIND,
            "model": _name(self.model),
            "weights": _fingerprint(self.model),
            "layer": self.layer,
            "metric": self.metric,
            "paths": json.dumps(self.paths),
            "skipped": json.dumps(self.skipped),
        }
        with replacing(path) as temporary:
            temporary.write_bytes(save({"features": self.features.cpu().contiguous()}, noted))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], model: nn.Module | None, pictures: Any = None
    ) -> Neighbours:
        """Reads what ``save`` wrote. Nothing in the file is run.

        Args:
            path: the ``.safetensors``.
            model: the one that the index was made by, with the same weights; None: of pixels.
            pictures: the database, for drawings, where it is not of files: those are known.

        Raises:
            FileNotFoundError: no such file.
            ValueError: it is no such index, or was made by another model or other weights.

        Example:
            >>> import pathlib, tempfile, torch
            >>> from fastcv import explain
            >>> pictures = torch.rand(20, 3, 16, 16)
            >>> path = pathlib.Path(tempfile.mkdtemp(), "index.safetensors")
            >>> explain.neighbours(None, pictures).save(path)
            >>> explain.Neighbours.load(path, None, pictures)
            Neighbours(20 pictures by pixels)
        """
        by = _model_or_pixels(model)
        noted, features = _read(Path(path))
        if noted["model"] != _name(by):
            raise ValueError(f"{path} was made by {noted['model']}, and model is {_name(by)}")
        if noted["weights"] != _fingerprint(by):
            raise ValueError(f"{path} was made by {_name(by)} with other weights: make it anew")
        paths = json.loads(noted["paths"])
        read = Pictures.of_files(paths) if paths is not None else None
        if pictures is not None:
            read = Pictures(pictures)
        if read is not None and len(read) != len(features):
            raise ValueError(
                f"pictures must be the {len(features)} of the index {path}, got {len(read)}"
            )
        skipped = json.loads(noted["skipped"])
        return cls(by, noted["layer"], noted["metric"], features, read, skipped)


def _model_or_pixels(model: nn.Module | None) -> nn.Module:
    if model is None:
        return OnFeatures(None, None)
    check_model(model)
    return model


def _name(model: nn.Module) -> str:
    if isinstance(model, OnFeatures) and model.features is None:
        return PIXELS
    return getattr(model, "model_name", "") or type(model).__name__


def _features(
    model: nn.Module, pictures: Pictures, layer: str, batch_size: int
) -> tuple[str, Tensor, list[int]]:
    """The layer's name, ``[N, D]``, and the numbers of those that could be read.

    The name is still ``"auto"`` where a function made the maps, and no layer.
    """
    modules = dict(model.named_modules())
    found: list[Tensor] = []
    numbers: list[int] = []
    for some, batch in pictures.batches(model, batch_size):
        if _name(model) == PIXELS:
            layer, vectors = PIXELS, batch
        else:
            name, vectors = _record(model, batch, layer)
            layer = name if name in modules else layer
            if vectors.ndim == 4:
                vectors = vectors.mean(dim=(2, 3))
        found.append(vectors.detach().flatten(1).float().cpu())
        numbers += some
        if found[-1].shape[1] != found[0].shape[1]:
            raise ValueError(f"pictures must be of one size, for layer {layer!r} flattens maps")
    return layer, torch.cat(found), numbers


def _record(model: nn.Module, batch: Tensor, layer: str) -> tuple[str, Tensor]:
    with explaining(model), torch.no_grad(), recording(model, [layer]) as records:
        model(batch)
    if not records and layer == AUTO:
        raise ValueError("layer='auto' found no map [B, C, H, W] in the model's forward: name one")
    if not records:
        raise ValueError(f"layer {layer!r} is not called in the model's forward")
    ((name, record),) = records.items()
    if record.ndim < 2 or len(record) != len(batch):
        raise ValueError(
            f"layer {name!r} must give [{len(batch)}, ...], a row for each picture, got "
            f"{list(record.shape)}"
        )
    return name, record


def _fingerprint(model: nn.Module) -> str:
    """Of all weights and statistics: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):  # and not a module's extra state
            digest.update(key.encode())
            flat = value.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _read(path: Path) -> tuple[dict[str, str], Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no index {path}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            noted = file.metadata() or {}
            if noted.get("kind") != KIND or not noted.keys() >= set(NOTED):
                raise ValueError(f"{path} is no index of neighbours")
            return noted, file.get_tensor("features")
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
