"""RoI branches: what a detector says of each object beside its class and its box."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from fastcv.nn.detection.boxes import FoundBoxes


class Frame(NamedTuple):
    """An image's size as it came, and within the batch."""

    original_size: tuple[int, int]
    """``(height, width)``."""
    size: tuple[int, int]
    """``(height, width)`` of the resized image, without padding."""

    def to_batch(self, points: Tensor) -> Tensor:
        """Points ``[..., 2]`` as ``(x, y)`` in pixels of the image, in pixels of the batch."""
        return points * points.new_tensor(self._ratios())

    def to_image(self, points: Tensor) -> Tensor:
        """The reverse of ``to_batch``."""
        y, x = (old / new for old, new in zip(self.original_size, self.size, strict=True))
        return points * points.new_tensor([x, y])

    def _ratios(self) -> list[float]:
        y, x = (new / old for old, new in zip(self.original_size, self.size, strict=True))
        return [x, y]


class RoISamples(NamedTuple):
    """The sampled proposals of one image that are objects: what a branch learns from."""

    boxes: Tensor
    """``[P, 4]`` in pixels of the batch."""
    labels: Tensor
    """``[P]`` int64, 1 and up."""
    matched: Tensor
    """``[P]`` int64: which object of ``target`` each one is."""
    target: Mapping[str, Tensor]
    """The fields that the branch needs, a row for each object, in pixels of the image."""
    frame: Frame


class RoIBranch(ABC):
    """One more thing that a two-stage detector says of each object, such as a mask.

    A branch says what is learned and what is made of the outputs; its layers belong to
    ``RoIHeads``, which ``add_branch`` gives them to. In training it runs on the sampled proposals
    that are objects, in prediction on the boxes that were found.

    Source: He et al., "Mask R-CNN" (2017), section 3.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.models import create_model
        >>> from fastcv.nn import RoIBranch
        >>> from fastcv.ops import MultiScaleRoIAlign
        >>> class Age(RoIBranch):
        ...     name, needs = "age", ("ages",)
        ...     def loss(self, output, samples):
        ...         ages = torch.cat([s.target["ages"][s.matched] for s in samples])
        ...         return (output[:, 0] - ages).abs().mean()
        ...     def fields(self, output, found, frame):
        ...         return {"age": output[:, 0]}
        >>> model = create_model("fasterrcnn_resnet18_fpn", num_classes=2, width=8, min_size=64)
        >>> pool = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=1, sampling_ratio=2)
        >>> model.roi_heads.add_branch(
        ...     Age(), roi_pool=pool, head=nn.Flatten(), predictor=nn.Linear(256, 1)
        ... )
        >>> boxes, labels = torch.tensor([[10.0, 10, 50, 40]]), torch.tensor([1])
        >>> target = {"boxes": boxes, "labels": labels, "ages": torch.tensor([30.0])}
        >>> sorted(model.loss(model([torch.rand(3, 64, 64)]), [target]))[0]
        'loss_age'
        >>> (found,) = model.predict(torch.rand(3, 64, 64), score_threshold=0.0)
        >>> found.fields["age"].shape == found.scores.shape
        True
    """

    name: str
    """Of its loss, ``loss_<name>``, and of its layers."""

    needs: tuple[str, ...] = ()
    """Fields of a target beside ``boxes`` and ``labels``, a row for each object."""

    min_iou: float = 0.0
    """It learns from the proposals that overlap their object by more than this."""

    @abstractmethod
    def loss(self, output: Tensor, samples: Sequence[RoISamples]) -> Tensor | dict[str, Tensor]:
        """A scalar, or several by name: ``loss_<name>_<its own name>``.

        Args:
            output: of the predictor, ``[K, ...]`` for the samples of all images, at least float32;
                K may be 0.
            samples: of each image.
        """

    @abstractmethod
    def fields(self, output: Tensor, found: FoundBoxes, frame: Frame) -> dict[str, Tensor]:
        """What is added to the detections of one image, a row for each box, by name.

        Args:
            output: of the predictor, ``[N, ...]``.
            found: the boxes, in pixels of the batch.
            frame: the image's sizes.
        """

    def onnx_outputs(self, output: Tensor, found: FoundBoxes) -> dict[str, Tensor]:
        """What an exported file gives for the boxes of an image, by name: here ``output`` itself.

        Args:
            output: of the predictor, ``[N, ...]``.
            found: the boxes, in pixels of the batch.
        """
        return {self.name: output}

    def check(self, target: Mapping[str, Any], frame_size: tuple[int, int]) -> str:
        """What is wrong with a target, as the rest of a sentence; empty where nothing is.

        Args:
            target: with ``boxes`` and ``labels`` that are right.
            frame_size: height and width of the image.
        """
        count = len(target["boxes"])
        for key in self.needs:
            value = target.get(key)
            if not isinstance(value, Tensor):
                return f"must have a tensor {key!r}, has {sorted(target)}"
            if value.ndim == 0 or len(value) != count:
                return f"{key} must be {count}, one for each box, got {list(value.shape)}"
        return ""

    def rows(self, target: Mapping[str, Any], single: Tensor | None) -> dict[str, Tensor]:
        """The needed fields of the objects that are no crowds.

        Args:
            target: that passed ``check``.
            single: ``[N]`` bool, which are no crowds; None: all.
        """
        fields = {key: target[key] for key in self.needs}
        return fields if single is None else {key: v[single] for key, v in fields.items()}
