"""What models share that see one object at a time: crops of boxes, points in the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.models.landmarks._keypoint_detector import KeypointDetector
from fastcv.nn.landmarks.crops import MARGIN, cut_squares, squares_about
from fastcv.nn.losses._tensors import check_two_tensors
from fastcv.results import Detections, Keypoints

AT_A_TIME = 16  # crops


class KeypointEstimator(KeypointDetector):
    """A model of crops that show one object each; it finds no objects, they fill the picture or
    lie in given boxes.

    A subclass writes ``forward(crops)``, ``loss(output, targets)`` and ``read(output)``, and sets
    ``schema``, ``classes``, ``crop_size`` and ``stride``.

    Example:
        >>> import torch
        >>> from fastcv.classes import KeypointSchema
        >>> from fastcv.models.landmarks._keypoint_estimator import KeypointEstimator
        >>> class Brightest(KeypointEstimator):
        ...     schema, classes = KeypointSchema(["light"]), ("background", "lamp")
        ...     crop_size, stride = 32, 4
        ...     def forward(self, crops):
        ...         return torch.nn.functional.avg_pool2d(crops.mean(1, keepdim=True), 4)
        ...     def read(self, output):
        ...         cells = output.flatten(2).argmax(2)
        ...         return torch.stack([cells % 8, cells // 8], 2).float(), output.amax((2, 3))
        >>> picture = torch.zeros(3, 60, 80)
        >>> picture[:, 20:24, 50:54] = 1
        >>> Brightest().predict(picture, boxes=[[44, 8, 76, 40]])[0].point(0, "light")
        (52.5, 21.5)
    """

    crop_size: int
    """Height and width of what ``forward`` takes, in pixels."""

    stride: int
    """Pixels of a crop, along a side, in one of the heatmaps' cells."""

    read: Callable[..., tuple[Tensor, Tensor]]
    """``read(output, *, ...)``: points ``[N, K, 2]`` in cells, as ``nn.landmarks.decode`` has them,
    and scores ``[N, K]``. Arguments other than ``output`` are options of ``predict``."""

    def crop(self, image: Tensor, squares: Tensor) -> Tensor:
        """What ``forward`` takes, ``[N, 3, crop_size, crop_size]``; black outside of the image.

        Args:
            image: ``[3, H, W]`` in [0, 1].
            squares: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels.
        """
        return cut_squares(image, squares, self.crop_size)

    def crop_whole(self, image: Tensor) -> Tensor:
        """The same of the square about an image, ``[1, 3, crop_size, crop_size]``."""
        whole = image.new_tensor([[0, 0, image.shape[2], image.shape[1]]])
        return self.crop(image, squares_about(whole, 1.0))

    def cells(self, keypoints: Tensor) -> Tensor:
        """Keypoints of crops in cells, ``[N, K, 2]``; NaN where they are not there.

        Args:
            keypoints: ``[N, K, 3]``: x and y in pixels of the crop, and a visibility.
        """
        points, seen = keypoints[..., :2], keypoints[..., 2:]
        return torch.where(seen > 0, points / self.stride - 0.5, torch.nan)

    def check_targets(self, count: int, targets: Any) -> Tensor:
        """The keypoints among the targets of so many crops.

        Args:
            count: N.
            targets: labels ``[N]`` int64, and keypoints ``[N, K, 3]``.

        Raises:
            TypeError: they are not two tensors.
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        check_two_tensors("targets", targets, "a tensor of labels and one of keypoints")
        labels, keypoints = targets
        last = len(self.classes) - 1
        if list(labels.shape) != [count] or labels.dtype != torch.int64:
            raise ValueError(
                f"labels must be int64 [{count}], got {labels.dtype} {list(labels.shape)}"
            )
        if bool(((labels < 1) | (labels > last)).any()):
            raise ValueError(f"labels must be 1 to {last}, got {labels.tolist()[:8]}")
        expected = [count, len(self.schema), 3]
        if list(keypoints.shape) != expected or not keypoints.is_floating_point():
            raise ValueError(
                f"keypoints must be floating point {expected}, got {keypoints.dtype} "
                f"{list(keypoints.shape)}"
            )
        return keypoints

    def predict_batch(
        self, images: Sequence[Tensor], *, boxes: Any = None, **options: Any
    ) -> list[Keypoints]:
        """The keypoints of the object that fills each image, or of those in boxes.

        A crop is the square about the image, or about a box and a quarter larger.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1].
            boxes: the same in each image: what a detector found, ``results.Detections``, whose
                labels and scores stay; or ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels, a tensor,
                array or list. None: the whole image.
            options: of ``read``.

        Raises:
            ValueError: boxes of another shape, without extent or not finite, or ``Detections`` in a
                picture of another size.
        """
        frames, squares, crops = [], [], []
        for image in images:
            size = (image.shape[1], image.shape[2])
            frames.append(self._frame(boxes, size))
            squares.append(squares_about(frames[-1].boxes, 1.0 if boxes is None else MARGIN))
            crops.append(self.crop(self.as_float(image), squares[-1]))
        every, counts = torch.cat(crops), [len(square) for square in squares]
        parts = [part for part in torch.split(every, AT_A_TIME) if len(part)]
        k = len(self.schema)
        none = every.new_empty(0, k, 2), every.new_empty(0, k)
        read = zip(none, *(self.read(self(part), **options) for part in parts), strict=True)
        points, scores = (torch.split(torch.cat(of_parts), counts) for of_parts in read)
        return [
            result
            for found in zip(zip(points, scores, strict=True), frames, squares, strict=True)
            for result in self.postprocess(*found)
        ]

    def postprocess(
        self, output: tuple[Tensor, Tensor], boxes: Detections, squares: Tensor
    ) -> list[Keypoints]:
        """The objects of one picture.

        Args:
            output: of ``read``.
            boxes: the objects; where their scores are NaN, the mean of the keypoints' is taken.
            squares: ``[N, 4]``, where in the picture the crops were.
        """
        points, scores = output
        squares = squares.to(points)
        side = (squares[:, 2:] - squares[:, :2])[:, None]
        places = squares[:, None, :2] + (points + 0.5) * (self.stride / self.crop_size) * side
        boxes = boxes.to(points.device)
        mean = scores.mean(dim=1).clamp(0, 1)
        seen = (scores > 0).to(places)[..., None]
        return [
            Keypoints(
                boxes.boxes,
                torch.where(boxes.scores.isnan(), mean, boxes.scores.to(mean)),
                boxes.labels,
                boxes.classes,
                boxes.image_size,
                fields=boxes.fields,
                keypoints=torch.cat([places, seen], dim=2),
                keypoint_scores=scores,
                schema=self.schema,
            )
        ]

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        return (self.predict_batch, self.read)

    def _frame(self, boxes: Any, size: tuple[int, int]) -> Detections:
        """The objects' boxes in a picture of that size."""
        if isinstance(boxes, Detections):
            if boxes.image_size != size:
                raise ValueError(
                    f"boxes must be those of the image, which is {size[0]}x{size[1]}, got {boxes}"
                )
            found = boxes
        else:
            whole = [[0, 0, size[1], size[0]]]
            corners = torch.as_tensor(whole if boxes is None else boxes, dtype=torch.float32)
            corners = corners if corners.numel() else corners.reshape(0, 4)
            unknown = torch.full((len(corners),), torch.nan)
            labels = torch.ones(len(corners), dtype=torch.int64)
            found = Detections(corners, unknown, labels, self.classes, size)
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        if not bool(((low < high) & (low.isfinite() & high.isfinite())).all()):
            raise ValueError(f"boxes must be (x1, y1, x2, y2) with x1 < x2, y1 < y2, got {boxes}")
        return found
