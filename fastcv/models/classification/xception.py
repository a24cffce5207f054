"""Xception: depthwise separable convolutions, with residual connections about them."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import timm_weights
from fastcv.nn.backbones.xception import XceptionTrunk


class Xception(XceptionTrunk, Classifier):
    """The trunk, the mean over its last map, one linear layer: the paper's figure 5.

    Its keys are timm's; Cadene's checkpoints, which name the last layer ``last_linear``, load too.

    Args:
        num_classes: logits.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (2017).

    Example:
        >>> import torch
        >>> from fastcv.models.classification.xception import Xception
        >>> Xception(num_classes=10)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """

    def __init__(self, *, num_classes: int = 1000) -> None:
        super().__init__()
        self.bn4 = nn.BatchNorm2d(2048)
        self.fc = nn.Linear(2048, num_classes)
        self.classes = default_classes("imagenet", num_classes)
        # What the paper's input was, and the weights' is.
        self.preprocessing = {
            "resize": 333,
            "crop": 299,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "interpolation": "bicubic",
        }

    def rename_key(self, key: str) -> str:
        return key.replace("last_linear.", "fc.")

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # a trunk gives maps
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        x = self.relu(self.bn4(self.stages(images)[-1]))
        return self.fc(x.mean(dim=(2, 3)))


WEIGHTS = [timm_weights("tf_in1k", "v0.1-cadene", "xception-43020ad28.pth", 79.04, 94.382)]


@register("legacy_xception", task="classification", weights=WEIGHTS)
@register("xception", task="classification", weights=WEIGHTS)
def xception(*, num_classes: int = 1000) -> Xception:
    """Xception, as in the paper."""
    return Xception(num_classes=num_classes)
