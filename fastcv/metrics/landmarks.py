"""How near landmarks are: the normalised mean error, and the share that is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models.landmarks._keypoint_estimator import KeypointEstimator


class LandmarkMetrics:
    """NME and PCK of a stream of objects.

    The error of a landmark is its distance to the truth, divided by the object's size. NME is the
    mean of all that are there; PCK the share whose error is at most ``max_error``. What the size is
    is the data set's convention: the longer side of the box, the distance between the eyes, half
    of the head. A prediction that is NaN or infinite counts as wrong, and makes the NME infinite.

    Args:
        names: of the landmarks.
        max_error: of PCK; PCK@.1 has 0.1, PCKh@.5 has 0.5 and sizes of heads.

    Source: Yang and Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts" (2013),
        section 6.2, for PCK.

    Example:
        >>> import torch
        >>> from fastcv.metrics import LandmarkMetrics
        >>> metrics = LandmarkMetrics(("tip", "end"))
        >>> found = torch.tensor([[[3.0, 4.0], [50.0, 20.0]]])
        >>> targets = torch.tensor([[[0.0, 0.0, 2.0], [50.0, 24.0, 2.0]]])
        >>> metrics.add(found, targets, sizes=torch.tensor([50.0]))
        >>> metrics.compute()
        {'nme': 0.09, 'pck': 1.0, 'pck_by_name': {'tip': 1.0, 'end': 1.0}}
    """

    def __init__(self, names: Sequence[str], max_error: float = 0.1) -> None:
        self.names, self.max_error = tuple(names), max_error
        # Of each landmark: how many, how many near enough, the sum of errors.
        self.sums = torch.zeros(3, len(self.names), dtype=torch.float64)

    def add(self, points: Tensor, targets: Tensor, sizes: Tensor) -> None:
        """Count objects.

        Args:
            points: the predictions, ``[N, K, 2]``: x and y in pixels.
            targets: ``[N, K, 3]``: x and y, and a visibility; those of 0 do not count.
            sizes: ``[N]``, above 0, in pixels.

        Raises:
            ValueError: tensors of another shape, or sizes that are not above 0.
        """
        count, k = len(targets), len(self.names)
        for name, value, shape in (
            ("points", points, [count, k, 2]),
            ("targets", targets, [count, k, 3]),
            ("sizes", sizes, [count]),
        ):
            if list(value.shape) != shape:
                raise ValueError(f"{name} must be {shape}, got {list(value.shape)}")
        if not bool((sizes > 0).all()):
            raise ValueError(f"sizes must be above 0, got {sizes.tolist()[:8]}")
        points, targets, sizes = (t.cpu().double() for t in (points, targets, sizes))
        errors = (points - targets[..., :2]).norm(dim=-1) / sizes[:, None]
        errors = errors.nan_to_num(nan=torch.inf)
        seen = targets[..., 2] > 0
        near = seen & (errors <= self.max_error)
        self.sums += torch.stack([seen.sum(0), near.sum(0), errors.where(seen, 0).sum(0)])

    def compute(self) -> dict[str, Any]:
        """``nme``, ``pck`` and ``pck_by_name``; None where no landmark was there."""
        seen, near, errors = self.sums.tolist()

        def share(part: float, whole: float) -> float | None:
            return part / whole if whole else None

        return {
            "nme": share(sum(errors), sum(seen)),
            "pck": share(sum(near), sum(seen)),
            "pck_by_name": {
                name: share(a, b) for name, a, b in zip(self.names, near, seen, strict=True)
            },
        }


def evaluate_landmarks(
    model: KeypointEstimator,
    dataset: SizedDataset,
    *,
    max_error: float = 0.1,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """NME and PCK of a model that is told the objects' boxes; fits ``fit``'s ``evaluate``.

    An object's size is the longer side of its box.

    Args:
        model: takes ``boxes``, such as ``create_model("stacked_hourglass_8")``.
        dataset: items ``(image, target)`` with ``boxes`` and ``keypoints`` in the targets, such as
            ``CocoDetection(..., keypoints=True)``.
        max_error: of PCK, as a share of the size.
        progress: show a bar.
        options: for ``predict``.

    Returns:
        As ``LandmarkMetrics.compute``.

    Raises:
        ValueError: the targets have no keypoints, or not as many as the model.

    Example:
        >>> from fastcv.classes import DIGIT_KEYPOINTS
        >>> from fastcv.data import DrawnDigits
        >>> from fastcv.metrics import evaluate_landmarks
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "stacked_hourglass_2", keypoints=DIGIT_KEYPOINTS, channels=8, crop_size=64
        ... )
        >>> metrics = evaluate_landmarks(model, DrawnDigits("val", size=(96, 96), length=2))
        >>> sorted(metrics)
        ['nme', 'pck', 'pck_by_name']
    """
    metrics = LandmarkMetrics(model.schema.names, max_error)
    for index in tqdm(range(len(dataset)), unit=" images", disable=not progress):
        image, target = dataset[index]
        if "keypoints" not in target:
            raise ValueError("the targets must have keypoints, they have " + ", ".join(target))
        boxes = target["boxes"]
        (found,) = model.predict(image, boxes=boxes, **options)
        sizes = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) if len(boxes) else boxes[:, 0]
        metrics.add(found.keypoints[..., :2], target["keypoints"], sizes)
    return metrics.compute()
