"""The parts of a data set's pictures that each channel of a layer answers most to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.explain._layers import explaining, find_layer, the_map
from fastcv.explain._pictures import Pictures
from fastcv.explain.receptive_field import ReceptiveField, receptive_field
from fastcv.explain.top_patches_drawn import patches_gallery
from fastcv.models.detection._detector import Detector
from fastcv.nn._hooks import OwnHooks
from fastcv.results import Gallery


@dataclass(frozen=True)
class Patches:
    """Of each channel of a layer the places that are highest, the highest first.

    Args:
        values: ``[C, k]`` float32.
        pictures: ``[C, k]`` int64, their numbers.
        places: ``[C, k, 2]`` int64, row and column in the map.
        field: what a place sees.
    """

    values: Tensor
    pictures: Tensor
    places: Tensor
    field: ReceptiveField

    def box(self, channel: int, rank: int) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)`` of what a place sees, in the picture as the model sees it."""
        row, column = self.places[channel, rank].tolist()
        return self.field.box(row, column)


@dataclass(repr=False, eq=False)
class TopPatches:
    """What ``top_patches`` found.

    Args:
        layers: by name.
        model: whose channels they are.
        pictures: where the patches are from.
        skipped: what is wrong with a file that could not be read, by path.
    """

    layers: dict[str, Patches]
    model: nn.Module
    pictures: Pictures
    skipped: dict[str, str]

    def __getitem__(self, layer: str) -> Patches:
        return self.layers[layer]

    def __repr__(self) -> str:
        sizes = [f"{name} {'x'.join(map(str, p.values.shape))}" for name, p in self.layers.items()]
        return f"{type(self).__name__}({', '.join(sizes)} of {len(self.pictures)} pictures)"

    def gallery(
        self,
        layer: str,
        channels: Sequence[int] | None = None,
        *,
        deconvnet: bool = False,
        force: bool = False,
        columns: int = 4,
    ) -> Gallery:
        """A block for each channel, of its patches, cut as large as their receptive field.

        What lies outside the picture, in the layers' padding, is purple. Where a field is larger
        than the picture, the whole picture is shown.

        Args:
            layer: one of ``layers``.
            channels: their numbers; None: the 8 with the highest values.
            deconvnet: what of the patches made the channel answer, by ``deconvnet``.
            force: as for ``deconvnet``, where the model has activations that are no ReLU.
            columns: of the gallery.

        Raises:
            ValueError: a layer or a channel that there is not.
        """
        if layer not in self.layers:
            raise ValueError(f"layer must be one of {', '.join(self.layers)}, got {layer!r}")
        values = self.layers[layer].values
        if channels is None:
            channels = values[:, 0].argsort(descending=True)[:8].tolist()
        for channel in channels:
            if not 0 <= channel < len(values):
                raise ValueError(f"channels must be 0 to {len(values) - 1}, got {channel}")
        return patches_gallery(self, layer, channels, deconvnet, force, columns)


def top_patches(
    model: nn.Module,
    pictures: Any,
    layers: str | Sequence[str],
    k: int = 9,
    *,
    batch_size: int = 32,
) -> TopPatches:
    """The pictures that each channel answers most to, and where in them: one pass over all.

    A picture counts once for a channel, by its highest place; of equals the earlier picture, and
    the first place, comes first. What is kept are ``k`` values, numbers and places of each channel,
    however many pictures there are.

    Args:
        model: from one tensor ``[B, C, H, W]``, as classifiers are; in place of a detector, its
            backbone.
        pictures: as for ``neighbours``; all are of one size when the model sees them.
        layers: the name of one or several that return maps.
        k: patches of each channel; fewer where there are fewer pictures.
        batch_size: pictures at a time.

    Raises:
        FileNotFoundError: no such file, or a folder without images.
        ValueError: a layer that there is not or that has no maps, no pictures, none that can be
            read, or pictures of several sizes.
        TypeError: a detector, or ``pictures`` of another kind.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
        section 4.1; Girshick et al., "Rich feature hierarchies" (2014), section 3.1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.explain import top_patches
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten())
        >>> _ = model[0].weight.data.fill_(1)
        >>> images = torch.zeros(5, 1, 8, 8)
        >>> images[3, 0, 2:5, 4:7] = 1
        >>> found = top_patches(model, images, "0", k=1)
        >>> found
        TopPatches(0 2x1 of 5 pictures)
        >>> int(found["0"].pictures[0]), found["0"].box(0, 0)
        (3, (4, 2, 7, 5))
    """
    if isinstance(model, Detector):
        raise TypeError(
            "model must not be a detector, which resizes its pictures itself: pass its backbone"
        )
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers must be at least one, got none")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    for name in names:
        find_layer(model, name)
    read = Pictures(pictures)
    best: dict[str, _Best] = {}
    size: torch.Size | None = None
    for numbers, batch in read.batches(model, batch_size):
        size = batch.shape[1:] if size is None else size
        if batch.shape[1:] != size:
            raise ValueError(
                f"pictures must be of one size, got {list(size)} and {list(batch.shape[1:])}"
            )
        best = _after(model, batch, numbers, names, best, k)
    assert size is not None
    with explaining(model):
        fields = {
            name: receptive_field(model, name, (size[1], size[2]), channels=size[0])
            for name in names
        }
    found = {name: best[name].patches(fields[name]) for name in names}
    return TopPatches(found, model, read, read.skipped)


def _after(
    model: nn.Module,
    batch: Tensor,
    numbers: list[int],
    names: Sequence[str],
    best: Mapping[str, _Best],
    k: int,
) -> dict[str, _Best]:
    """The best of each layer after one more batch; what was before is left as it is."""
    found: dict[str, _Best] = {}

    def see(name: str, maps: Any) -> None:
        # Of a layer that is called again the last counts, as elsewhere.
        _, maps = the_map({name: maps}, name, len(batch))
        found[name] = merged(best.get(name), maps.detach(), numbers, k)

    with explaining(model), torch.no_grad(), watching(model, names, see):
        model(batch)
    for name in names:
        if name not in found:
            raise ValueError(f"layer {name!r} is not called in the model's forward")
    return found


@dataclass(frozen=True)
class _Best:
    """``values``, ``pictures`` and flat ``places``, each ``[k, C]``, the highest first."""

    values: Tensor
    pictures: Tensor
    places: Tensor
    width: int  # of the maps

    def patches(self, field: ReceptiveField) -> Patches:
        places = torch.stack([self.places // self.width, self.places % self.width], dim=2)
        return Patches(
            self.values.T.contiguous().cpu(),
            self.pictures.T.contiguous().cpu(),
            places.transpose(0, 1).contiguous().cpu(),
            field,
        )


def merged(best: _Best | None, maps: Tensor, numbers: list[int], k: int) -> _Best:
    """The ``k`` highest of each channel, among those before and the pictures of a batch.

    Args:
        best: None before the first batch.
        maps: ``[B, C, h, w]``.
        numbers: of the pictures.
    """
    # The maximum first, which is quick; then where it is, of those that stay.
    new = _nan_lowest(maps.amax(dim=(2, 3)).float())
    pictures = torch.tensor(numbers, device=maps.device)[:, None].expand(new.shape)
    places = torch.full_like(pictures, -1)
    if best is not None:
        if len(best.values) == k and not bool((new > best.values[-1]).any()):
            return best
        new = torch.cat([best.values, new])
        pictures = torch.cat([best.pictures, pictures])
        places = torch.cat([best.places, places])
    before = len(new) - len(maps)
    values, order = new.sort(dim=0, descending=True, stable=True)
    values, order = values[:k], order[:k]
    pictures, places = pictures.gather(0, order), places.gather(0, order)
    rank, channel = (order >= before).nonzero(as_tuple=True)
    chosen = maps[order[rank, channel] - before, channel].flatten(1)
    places[rank, channel] = _nan_lowest(chosen).argmax(dim=1)
    return _Best(values, pictures, places, maps.shape[3])


def _nan_lowest(values: Tensor) -> Tensor:
    return values.nan_to_num(-torch.inf, torch.inf, -torch.inf)


@contextmanager
def watching(
    model: nn.Module, layers: Sequence[str], see: Callable[[str, Any], None]
) -> Iterator[None]:
    """Calls ``see(name, output)`` as the layers return, in this thread; the hooks are gone after.

    Nothing is kept or copied, unlike ``recording``: for one pass over many pictures.
    """

    def seen(name: str, _: Any, output: Any) -> None:
        see(name, output)

    with OwnHooks() as hooks:
        for name in layers:
            hooks.after(find_layer(model, name), partial(seen, name))
        yield
