"""CAM: classifiers whose logits are means of maps, so that they show where a class is."""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._with_class_maps import WithClassMaps
from fastcv.models.classification.googlenet import GoogLeNet
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.init import fill
from fastcv.nn.layers.local_response_norm import local_response_norm

GROUPS = 2  # of the last convolution
CHANNELS = 1024  # of its maps
# GoogLeNet's layers that stay, in order.
GOOGLENET_LAYERS = (
    "conv1", "maxpool1", "norm1", "conv2", "conv3", "norm2", "maxpool2", "inception3a",
    "inception3b", "maxpool3", "inception4a", "inception4b", "inception4c", "inception4d",
    "inception4e",
)  # fmt: skip


class CAM(WithClassMaps):
    """Convolutions, one more of them in two groups, the mean of its maps, one linear layer.

    The linear layer weighs means of maps. Weighing the maps themselves gives a map for each class,
    whose mean, with the bias, is the class's logit: ``class_maps``.

    Args:
        features: from images to maps that are never negative, without a pool at the end.
        inputs: channels of those maps.
        channels: of the maps that are weighed.
        num_classes: logits.
        dropout: of the means.
        other_names: what other implementations call the layers, for their checkpoints.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (2016); the
        layers and their names are those of the authors' Caffe models.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("vgg16_cam", width=8, channels=16, num_classes=10).eval()
        >>> images = torch.rand(2, 3, 64, 96)
        >>> maps = model.class_maps(images)
        >>> maps.shape
        torch.Size([2, 10, 4, 6])
        >>> logits = maps.mean(dim=(2, 3)) + model.CAM_fc.bias
        >>> torch.allclose(logits, model(images), atol=1e-6)
        True
    """

    def __init__(
        self,
        features: nn.Sequential,
        inputs: int,
        *,
        channels: int = CHANNELS,
        num_classes: int = 1000,
        dropout: float = 0.5,
        other_names: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.CAM_conv = nn.Conv2d(inputs, channels, 3, padding=1, groups=GROUPS)
        self.dropout = nn.Dropout(dropout)
        self.CAM_fc = nn.Linear(channels, num_classes)
        self.other_names = dict(other_names or {})
        self.classes = default_classes("imagenet", num_classes)
        for layer in (self.CAM_conv, self.CAM_fc):
            nn.init.normal_(layer.weight, std=0.01)
            fill(layer.bias)

    def rename_key(self, key: str) -> str:
        layer, _, name = key.rpartition(".")
        return f"{self.other_names[layer]}.{name}" if layer in self.other_names else key

    def maps(self, images: Tensor) -> Tensor:
        """``[B, channels, h, w]``, what the linear layer weighs."""
        return F.relu(self.CAM_conv(self.features(images)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        return self.CAM_fc(self.dropout(self.maps(images).mean(dim=(2, 3))))

    def class_maps(self, images: Tensor) -> Tensor:
        """A map of each class: where what speaks for it is, and below zero what speaks against it.

        Args:
            images: normalised, ``[B, 3, H, W]``.

        Returns:
            ``[B, num_classes, h, w]``; the mean of a map and the class's bias are its logit in
            eval mode.
        """
        return F.conv2d(self.maps(images), self.CAM_fc.weight[:, :, None, None])


def to_cam(model: nn.Module, *, channels: int = CHANNELS, num_classes: int | None = None) -> CAM:
    """A trained classifier as a CAM, to be trained further: its head is new.

    What comes after the last convolution goes, its pool too, for finer maps; GoogLeNet loses its
    last two modules. The rest is copied with its weights.

    Args:
        model: one with ``features`` that end in a pool, such as a VGG or an AlexNet, or a
            GoogLeNet.
        channels: of the new maps.
        num_classes: logits; by default the model's classes.

    Raises:
        ValueError: a model without such layers. A ResNet, DenseNet, MobileNet or EfficientNet
            needs none of this: it ends in a mean and a linear layer as it is.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (2016), section
        3.1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.models.classification.cam import to_cam
        >>> model = nn.Module()
        >>> model.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
        >>> cam = to_cam(model, channels=4, num_classes=2)
        >>> cam(torch.rand(1, 3, 16, 16)).shape, cam.class_maps(torch.rand(1, 3, 16, 16)).shape
        (torch.Size([1, 2]), torch.Size([1, 2, 14, 14]))
    """
    if isinstance(model, GoogLeNet):
        features = _googlenet_features(copy.deepcopy(model))
    else:
        layers = getattr(model, "features", None)
        if not isinstance(layers, nn.Sequential) or not isinstance(layers[-1], nn.MaxPool2d):
            raise ValueError(
                f"{type(model).__name__} must be a GoogLeNet, or have features that end in a max "
                "pool; one that ends in a mean and a linear layer has class maps as it is"
            )
        features = copy.deepcopy(layers[:-1])
    classes = getattr(model, "classes", ())
    convolutions = [m for m in features.modules() if isinstance(m, nn.Conv2d)]
    inputs = 832 if isinstance(model, GoogLeNet) else convolutions[-1].out_channels
    cam = CAM(features, inputs, channels=channels, num_classes=num_classes or len(classes))
    if len(classes) == cam.CAM_fc.out_features:
        cam.classes = classes
    cam.preprocessing = getattr(model, "preprocessing", cam.preprocessing)
    if isinstance(model, GoogLeNet) and model.transform_input:  # the layers want 2 x - 1
        cam.preprocessing = {**cam.preprocessing, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return cam


def _googlenet_features(model: GoogLeNet) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, getattr(model, name)) for name in GOOGLENET_LAYERS))


@register("vgg16_cam", task="classification")
def vgg16_cam(
    *, num_classes: int = 1000, width: int = 64, channels: int = CHANNELS, dropout: float = 0.5
) -> CAM:
    """VGG16-CAM: VGG-16 up to its last convolution, without the last pool.

    Args:
        num_classes: logits.
        width: channels of VGG's first stage.
        channels: of the maps that are weighed.
        dropout: of their means.
    """
    trunk = VGGTrunk(16, width=width)
    names, stage, at = {}, 1, 1
    for i, layer in enumerate(trunk.features):
        if isinstance(layer, nn.MaxPool2d):
            stage, at = stage + 1, 1
        elif isinstance(layer, nn.Conv2d):
            names[f"conv{stage}_{at}"] = f"features.{i}"
            at += 1
    return CAM(
        trunk.features[:-1],
        trunk.out_channels[-1],
        channels=channels,
        num_classes=num_classes,
        dropout=dropout,
        other_names=names,
    )


@register("alexnet_cam", task="classification")
def alexnet_cam(*, num_classes: int = 1000, dropout: float = 0.5) -> CAM:
    """AlexNetplus-CAM: AlexNet with a wider fifth convolution, a sixth and a seventh.

    Of 227 x 227 pixels its maps are 11 x 11.
    """
    norm = local_response_norm(k=1.0)  # Caffe's
    layers: list[nn.Module] = [
        nn.Conv2d(3, 96, 11, stride=4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
        norm,
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
        norm,
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=1),
        nn.Conv2d(384, 512, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
    ]
    convolutions = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    names = {f"conv{n + 1}": f"features.{i}" for n, i in enumerate(convolutions)}
    names |= {"conv7": "CAM_conv", "fc9": "CAM_fc"}
    model = CAM(
        nn.Sequential(*layers),
        512,
        channels=512,
        num_classes=num_classes,
        dropout=dropout,
        other_names=names,
    )
    model.preprocessing = {**model.preprocessing, "crop": 227}
    return model


@register("googlenet_cam", task="classification")
def googlenet_cam(
    *, num_classes: int = 1000, channels: int = CHANNELS, dropout: float = 0.0
) -> CAM:
    """GoogLeNet-CAM: the paper's GoogLeNet up to inception (4e)."""
    trunk = GoogLeNet(True, num_classes=1, aux_logits=False)
    trunk.norm1 = trunk.norm2 = local_response_norm(k=1.0)  # Caffe's
    return CAM(
        _googlenet_features(trunk),
        832,
        channels=channels,
        num_classes=num_classes,
        dropout=dropout,
        other_names=CAFFE_GOOGLENET,
    )


def _caffe_googlenet() -> dict[str, str]:
    names = {"conv1/7x7_s2": "conv1", "conv2/3x3_reduce": "conv2", "conv2/3x3": "conv3"}
    inside = {
        "1x1": "branch1",
        "3x3_reduce": "branch2.0",
        "3x3": "branch2.1",
        "5x5_reduce": "branch3.0",
        "5x5": "branch3.1",
        "pool_proj": "branch4.1",
    }
    for layer in GOOGLENET_LAYERS:
        if found := re.fullmatch(r"inception(\w+)", layer):
            for caffes, ours in inside.items():
                names[f"inception_{found[1]}/{caffes}"] = f"{layer}.{ours}"
    return {caffes: f"features.{ours}.conv" for caffes, ours in names.items()}


CAFFE_GOOGLENET = _caffe_googlenet()
