"""What every image classifier shares: how pictures come in, and what becomes of the logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.models._image_model import ImageModel
from fastcv.nn.losses._tensors import check_tensor
from fastcv.results import Classification


class Classifier(ImageModel):
    """A model from normalised images ``[B, 3, H, W]`` to logits ``[B, classes]``."""

    preprocessing: Mapping[str, Any] = {
        "resize": 256,
        "crop": 224,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "interpolation": "bilinear",
    }
    """``resize``: the shorter side; ``crop``: the square cut from the middle; in pixels."""

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The mean cross-entropy.

        Args:
            output: logits ``[B, classes]``.
            targets: labels ``[B]`` int64; or probabilities ``[B, classes]``, as a teacher, MixUp
                and CutMix give them.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        check_tensor("output", output)
        check_tensor("targets", targets)
        soft = targets.shape == output.shape and targets.is_floating_point()
        if not soft:
            self._check_targets(output, targets)
        return {"cross_entropy": F.cross_entropy(output, targets)}

    @staticmethod
    def _check_targets(output: Tensor, targets: Tensor) -> None:
        check_tensor("targets", targets)
        if targets.shape != output.shape[:1] or targets.dtype != torch.int64:
            raise ValueError(
                f"targets must be int64 [{len(output)}], got {targets.dtype} "
                f"{list(targets.shape)}; as probabilities they must be {list(output.shape)}"
            )
        if bool(((targets < 0) | (targets >= output.shape[1])).any()):
            raise ValueError(
                f"targets must be labels 0 to {output.shape[1] - 1}, got {targets.tolist()}"
            )

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch: resized, cropped, normalised."""
        return normalised_crops(images, self.preprocessing)

    def _resize_and_crop(self, image: Tensor) -> Tensor:
        return resized_crop(image, self.preprocessing)

    def postprocess(self, output: Tensor) -> list[Classification]:
        """The probabilities of each image."""
        return [Classification(scores, self.classes) for scores in output.softmax(dim=1)]

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        (found,) = self.predict_batch([image])
        return {"scores": found.scores}


def normalised_crops(images: list[Tensor], preprocessing: Mapping[str, Any]) -> Tensor:
    """Images of any sizes to one batch ``[B, 3, crop, crop]``: resized, cropped, normalised.

    Args:
        images: ``[3, H, W]`` in [0, 1].
        preprocessing: as ``Classifier.preprocessing``.
    """
    mean, std = (images[0].new_tensor(preprocessing[key])[:, None, None] for key in ("mean", "std"))
    return torch.stack([(resized_crop(image, preprocessing) - mean) / std for image in images])


def resized_crop(image: Tensor, preprocessing: Mapping[str, Any]) -> Tensor:
    """The square from the middle of an image ``[3, H, W]``, resized before."""
    resize, crop = preprocessing["resize"], preprocessing["crop"]
    shorter = min(image.shape[-2:])
    # Of a very long image the middle is enough; resized whole, it might not fit into memory.
    top, left = (max(0, side - 16 * shorter) // 2 for side in image.shape[-2:])
    image = image[:, top : top + 16 * shorter, left : left + 16 * shorter]
    size = [int(resize * side / shorter) for side in image.shape[-2:]]
    image = F.interpolate(
        image[None],
        size=size,
        mode=preprocessing["interpolation"],
        align_corners=False,
        antialias=True,
    )[0].clamp(0, 1)
    top, left = (round((side - crop) / 2) for side in size)
    return image[:, top : top + crop, left : left + crop]
