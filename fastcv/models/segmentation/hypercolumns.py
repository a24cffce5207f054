"""Hypercolumns: a heatmap on a detection's box, from all layers above each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.instance._instance_segmenter import InstanceSegmenter
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.models.segmentation._take_over import take_over
from fastcv.nn.backbones.alexnet import alexnet_features
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.detection.box_heatmaps import expanded, paste_heatmaps
from fastcv.nn.init import fill
from fastcv.nn.losses._tensors import check_tensor, check_two_tensors
from fastcv.ops import roi_align
from fastcv.results import Detections, Instances

EXPANSION = 1.2  # of a box, about its centre; the paper says "slightly"
CROP = 224  # pixels of what the network sees of a box
AT_A_TIME = 16  # boxes

# Where layers end among a trunk's modules.
ALEXNET = {"pool1": 2, "pool2": 5, "conv3": 7, "conv4": 9, "conv5": 11, "pool5": 12}
VGG16 = {"pool1": 4, "pool2": 9, "pool3": 16, "conv4": 22, "pool4": 23, "conv5": 29, "pool5": 30}


class Hypercolumns(InstanceSegmenter):
    """A classifier with classifiers of pixels on several of its layers, summed after upsampling.

    A pixel's hypercolumn is the chosen layers' maps at it, interpolated and stacked. A linear
    classifier of hypercolumns is a sum of linear classifiers of the layers, and those commute with
    interpolation: so each layer is classified at its own size, and only scores are enlarged. There
    is a classifier for each place of a K x K grid on the box, for a pixel means something else at
    the head than at the feet; a pixel's probability is interpolated between those of the grid's.

    Args:
        features: the trunk's convolutions.
        places: where the layers end among them, by name.
        channels: of the trunk's last maps.
        fc_kernel: of ``fc6``, as high and wide as those maps are of 224 x 224 pixels.
        fc_channels: of ``fc6`` and ``fc7``.
        num_classes: heatmaps, by the labels of the detections; 0 is the background's, never used.
        layers: which of ``places``, and ``"fc7"``, make the hypercolumn.
        grid: K.
        heatmap_size: height and width of a heatmap.

    Source: Hariharan et al., "Hypercolumns for Object Segmentation and Fine-grained Localization"
        (2015), section 3, figure 2.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("hypercolumns_vgg16", width=1)
        >>> boxes = [[10, 20, 60, 110], [30, 5, 90, 70]]
        >>> model.predict(torch.rand(3, 120, 100), boxes=boxes, labels=[15, 8])
        [Instances(2 boxes in 120x100: 1 person 1.00, 1 cat 1.00)]
    """

    no_onnx = "its boxes come from elsewhere, with each picture"
    preprocessing: Mapping[str, Any] = Segmenter.preprocessing
    grid_weights: Tensor

    def __init__(
        self,
        features: nn.Sequential,
        places: Mapping[str, int],
        channels: int,
        fc_kernel: int,
        fc_channels: int = 4096,
        *,
        num_classes: int = 21,
        layers: Sequence[str] = ("pool2", "conv4", "fc7"),
        grid: int = 5,
        heatmap_size: int = 50,
    ) -> None:
        super().__init__()
        known = [*places, "fc7"]
        if not layers or any(name not in known for name in layers):
            raise ValueError(f"layers must be of {', '.join(known)}, got {list(layers)}")
        if grid < 1:
            raise ValueError(f"grid must be at least 1, got {grid}")
        self.places = {index: name for name, index in places.items() if name in layers}
        self.layers = [*self.places.values(), *(["fc7"] if "fc7" in layers else [])]
        self.grid, self.heatmap_size = grid, heatmap_size
        self.features = features
        self.fc6 = nn.Conv2d(channels, fc_channels, fc_kernel)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        widths = {"fc7": fc_channels, **self._widths()}
        outputs = num_classes * grid**2
        self.classifiers = nn.ModuleDict(
            {name: nn.Conv2d(widths[name], outputs, 1, bias=False) for name in self.layers}
        )
        self.bias = nn.Parameter(torch.zeros(outputs))
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            fill(layer.bias)
        for classifier in self.classifiers.values():
            fill(classifier.weight)
        self.register_buffer("grid_weights", grid_weights(grid, heatmap_size), persistent=False)
        self.classes = default_classes("voc", num_classes)

    def _widths(self) -> dict[str, int]:
        """Channels of the layers among the convolutions."""
        found, channels = {}, 0
        for index, layer in enumerate(self.features):
            channels = getattr(layer, "out_channels", channels)
            if index in self.places:
                found[self.places[index]] = channels
        return found

    def maps(self, crops: Tensor) -> dict[str, Tensor]:
        """The chosen layers' maps ``[N, C, h, w]``, by name.

        Args:
            crops: ``[N, 3, 224, 224]`` or larger, normalised.
        """
        found, x = {}, crops
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.places:
                found[self.places[index]] = x
        if "fc7" in self.layers:
            found["fc7"] = self.relu(self.fc7(self.relu(self.fc6(x))))
        return found

    def hypercolumns(self, crops: Tensor) -> Tensor:
        """The hypercolumn of each of a heatmap's pixels, ``[N, channels of all layers, h, w]``.

        For those who need features; ``forward`` needs less, and gives the same as classifiers of
        these.

        Args:
            crops: ``[N, 3, 224, 224]`` or larger, normalised.
        """
        return torch.cat([self._enlarged(x) for x in self.maps(crops).values()], dim=1)

    def forward(self, crops: Tensor) -> Tensor:
        """Heatmaps ``[N, num_classes, h, w]`` in [0, 1], of crops ``[N, 3, 224, 224]``."""
        return self.heatmaps(self.maps(crops))

    def heatmaps(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Heatmaps of the layers' maps, as ``maps`` gives them.

        By itself it trains the classifiers on a trunk that stays as it is.
        """
        scores = self.bias[:, None, None]
        for name, classifier in self.classifiers.items():
            scores = scores + self._enlarged(classifier(maps[name]))
        n, _, height, width = scores.shape
        probabilities = scores.sigmoid().view(n, -1, self.grid**2, height, width)
        return (probabilities * self.grid_weights).sum(dim=2)

    def _enlarged(self, x: Tensor) -> Tensor:
        size = (self.heatmap_size, self.heatmap_size)
        return F.interpolate(x, size, mode="bilinear", align_corners=False)

    def start_from(self, classifier: nn.Module) -> None:
        """Takes over a classifier's trunk, and how it normalises images.

        Args:
            classifier: ``create_model("vgg16", weights=...)`` or ``"alexnet"``, as the trunk is, or
                torchvision's.

        Raises:
            ValueError: another kind of model.
        """
        take_over(self, classifier, new=("classifiers", "bias"))
        preprocessing = getattr(classifier, "preprocessing", Segmenter.preprocessing)
        self.preprocessing = {key: preprocessing[key] for key in ("mean", "std")}

    def loss(self, output: Tensor, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The mean log loss of the pixels of the heatmap of each box's class.

        Args:
            output: of ``forward``.
            targets: labels ``[N]`` int64, and heatmaps ``[N, h, w]`` of 0 and 1, as
                ``crop_masks`` makes them.

        Raises:
            TypeError: targets that are not two tensors.
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        check_tensor("output", output)
        check_two_tensors("targets", targets, "a tensor of labels and one of heatmaps")
        labels, target_heatmaps = targets
        n, classes, *size = output.shape
        if list(labels.shape) != [n] or labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64 [{n}], got {labels.dtype} {list(labels.shape)}")
        if list(target_heatmaps.shape) != [n, *size]:
            raise ValueError(f"heatmaps must be {[n, *size]}, got {list(target_heatmaps.shape)}")
        if bool(((labels < 0) | (labels >= classes)).any()):
            raise ValueError(f"labels must be 0 to {classes - 1}, got {labels.tolist()}")
        heatmaps = output[torch.arange(n, device=output.device), labels]
        return {"log_loss": F.binary_cross_entropy(heatmaps, target_heatmaps.to(heatmaps.dtype))}

    def crop(self, image: Tensor, boxes: Tensor) -> Tensor:
        """What ``forward`` takes: each box, enlarged by a fifth, as 224 x 224 pixels, normalised.

        What lies outside the image has its mean colour.

        Args:
            image: ``[3, H, W]`` in [0, 1].
            boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels.
        """
        mean, std = (
            image.new_tensor(self.preprocessing[key])[:, None, None] for key in ("mean", "std")
        )
        rois = [expanded(boxes, EXPANSION).to(image)]
        return roi_align(((image - mean) / std)[None], rois, CROP, aligned=True)

    def crop_masks(self, masks: Tensor, boxes: Tensor) -> Tensor:
        """What ``loss`` takes: of each mask what lies in its box, as a heatmap of 0 and 1.

        Args:
            masks: ``[N, H, W]`` bool.
            boxes: ``[N, 4]``, as for ``crop``.

        Returns:
            ``[N, h, w]`` float32.
        """
        indices = torch.arange(len(boxes), device=boxes.device)[:, None]
        rois = torch.cat([indices, expanded(boxes, EXPANSION)], dim=1).float()
        shares = roi_align(masks[:, None].float(), rois, self.heatmap_size, aligned=True)
        return (shares[:, 0] >= 0.5).float()

    def predict_batch(
        self,
        images: Sequence[Tensor],
        *,
        boxes: Any = None,
        labels: Any = None,
        **options: Any,
    ) -> list[Instances]:
        """Masks of the objects in boxes; the same boxes in each image.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1].
            boxes: what a detector found, ``results.Detections``; or ``[N, 4]`` as
                ``(x1, y1, x2, y2)`` in pixels, a tensor, array or list.
            labels: ``[N]``, the boxes' classes; not with ``Detections``, which have them.
            options: ``threshold``, see ``postprocess``.

        Raises:
            ValueError: boxes or labels of another shape, or without extent, a label that no class
                has, or ``Detections`` in a picture of another size.
        """
        results = []
        for image in images:
            found = self._as_detections(boxes, labels, (image.shape[1], image.shape[2]))
            image = self.as_float(image)
            parts = torch.split(found.boxes.to(image), AT_A_TIME)
            heatmaps = torch.cat([self(self.crop(image, part)) for part in parts])
            results += self.postprocess(heatmaps, found, **options)
        return results

    def postprocess(
        self, output: Tensor, boxes: Detections, *, threshold: float = 0.5
    ) -> list[Instances]:
        """One picture's boxes with the masks of their classes' heatmaps.

        Args:
            output: of ``forward``.
            boxes: where in the picture, and with what labels.
            threshold: the minimum probability of a mask's pixels.
        """
        boxes = boxes.to(output.device)
        heatmaps = output[torch.arange(len(boxes), device=output.device), boxes.labels]
        places = expanded(boxes.boxes, EXPANSION)
        masks = paste_heatmaps(heatmaps, places, boxes.image_size, threshold)
        return [Instances(**vars(boxes), masks=masks)]

    def _as_detections(self, boxes: Any, labels: Any, size: tuple[int, int]) -> Detections:
        if isinstance(boxes, Detections):
            found = boxes
            if found.image_size != size:
                raise ValueError(
                    f"boxes must be those of the image, which is {size[0]}x{size[1]}, got {found}"
                )
        elif boxes is None or labels is None:
            raise ValueError("boxes are needed: Detections, or [N, 4] and labels [N] with them")
        else:
            corners = torch.as_tensor(boxes, dtype=torch.float32)
            corners = corners if corners.numel() else corners.reshape(0, 4)
            kinds = torch.as_tensor(labels, dtype=torch.int64)
            found = Detections(corners, torch.ones(len(corners)), kinds, self.classes, size)
        if bool((found.boxes[:, 2:] <= found.boxes[:, :2]).any()):
            raise ValueError(f"boxes must be (x1, y1, x2, y2) with x1 < x2, y1 < y2, got {boxes}")
        last = len(self.classes) - 1
        if bool(((found.labels < 0) | (found.labels > last)).any()):
            raise ValueError(f"labels must be 0 to {last}, got {found.labels.tolist()}")
        return found


def grid_weights(grid: int, size: int) -> Tensor:
    """The weight of the classifier of each of a grid's places at each pixel of a heatmap.

    In the middle of its cell a classifier counts alone; in between two or four share a pixel.

    Args:
        grid: K.
        size: of a heatmap.

    Returns:
        ``[K * K, size, size]``; the sum over the places is 1.

    Source: Hariharan et al. (2015), section 3.1.

    Example:
        >>> from fastcv.models.segmentation.hypercolumns import grid_weights
        >>> grid_weights(2, 4)[0, 0]
        tensor([1.0000, 0.7500, 0.2500, 0.0000])
    """
    places = torch.eye(grid**2).view(1, grid**2, grid, grid)
    return F.interpolate(places, (size, size), mode="bilinear", align_corners=False)[0]


@register("hypercolumns_alexnet", task="instance")
def hypercolumns_alexnet(**config: Any) -> Hypercolumns:
    """Hypercolumns of AlexNet in today's form; ``config``: what ``Hypercolumns`` takes."""
    return Hypercolumns(alexnet_features(), ALEXNET, 256, 6, **config)


@register("hypercolumns_vgg16", task="instance")
def hypercolumns_vgg16(*, width: int = 64, **config: Any) -> Hypercolumns:
    """Hypercolumns of VGG-16; ``width``: channels of its first stage."""
    trunk = VGGTrunk(16, width=width)
    return Hypercolumns(trunk.features, VGG16, trunk.out_channels[-1], 7, 64 * width, **config)
