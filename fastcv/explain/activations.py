"""What a layer's channels answer to an image."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn

from fastcv.explain._gradients import spread
from fastcv.explain._inputs import Images, read_inputs
from fastcv.explain._layers import AUTO, explaining, recording, the_map
from fastcv.images import ImageInput
from fastcv.results import Attribution, Gallery


def activations(
    model: nn.Module, images: Images, channel: int | None = None, *, layer: str = AUTO
) -> Attribution:
    """A channel of a layer, enlarged to the image; ``draw(how="mask")`` shows where it answers.

    Args:
        model, images, layer: as for ``grad_cam``.
        channel: its number; None: of each image the one with the highest cell.

    Returns:
        ``maps`` ``[B, H, W]``; ``cells`` ``[B, h, w]``; ``scores`` ``[B]``, the highest cell.

    Raises:
        ValueError: a layer or a channel that there is not, or a layer without maps.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> found = explain.activations(model, torch.rand(1, 3, 64, 64), 5, layer="layer2")
        >>> found, found.cells.shape
        (Attribution(activations of channel 5 at layer2, 64x64), torch.Size([1, 8, 8]))
    """
    inputs = read_inputs(model, images)
    name, maps, output = _maps(model, inputs.batch, layer)
    if channel is None:
        chosen = maps.amax(dim=(2, 3)).argmax(dim=1)
    else:
        _check_channel(channel, name, maps.shape[1])
        chosen = torch.full((len(maps),), channel, device=maps.device)
    cells = maps[torch.arange(len(maps), device=maps.device), chosen]
    return Attribution(
        spread(cells, inputs.size, output),
        "activations",
        tuple(f"channel {i}" for i in chosen.tolist()),
        inputs.pictures,
        cells.amax(dim=(1, 2)),
        name,
        cells,
        source=inputs.source,
    )


def activation_grid(
    model: nn.Module,
    image: ImageInput,
    *,
    layer: str = AUTO,
    channels: int = 16,
    columns: int = 4,
) -> Gallery:
    """The channels of a layer that answer most to an image, each scaled by itself.

    Args:
        model, layer: as for ``grad_cam``.
        image: one picture, or a floating-point batch ``[1, C, H, W]``.
        channels: how many, those with the highest cells.
        columns: of the grid.

    Returns:
        Grey pictures of ``h`` x ``w`` cells, enlarged: black at 0 or the lowest, white at the
        highest.

    Raises:
        ValueError: as ``activations``; several images.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> explain.activation_grid(model, torch.rand(1, 3, 64, 64), layer="layer1", channels=4)
        Gallery(layer1, 4 pictures)
    """
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    inputs = read_inputs(model, image)
    if len(inputs) != 1:
        raise ValueError(f"image must be one, got {len(inputs)}")
    name, maps, _ = _maps(model, inputs.batch, layer)
    strongest = maps[0].amax(dim=(1, 2)).argsort(descending=True)[:channels]
    pictures = [_grey(maps[0, i]) for i in strongest.tolist()]
    captions = [f"channel {i}" for i in strongest.tolist()]
    return Gallery(pictures, captions, columns, name, inputs.source)


def _maps(model: nn.Module, batch: Tensor, layer: str) -> tuple[str, Tensor, object]:
    with explaining(model), torch.no_grad(), recording(model, [layer]) as records:
        output = model(batch)
    name, maps = the_map(records, layer, len(batch))
    return name, maps.detach().float(), output


def _check_channel(channel: int, layer: str, count: int) -> None:
    if not 0 <= channel < count:
        raise ValueError(f"channel must be 0 to {count - 1}, of layer {layer!r}, got {channel}")


def _grey(cells: Tensor) -> Image.Image:
    cells = cells.cpu()
    low = cells.min().clamp(max=0)
    shares = (cells - low) / (cells.max() - low).clamp(min=1e-12)
    picture = Image.fromarray((shares * 255).round().byte().numpy())
    scale = max(1, 160 // max(picture.size))
    size = (picture.width * scale, picture.height * scale)
    return picture.resize(size, Image.Resampling.NEAREST).convert("RGB")
