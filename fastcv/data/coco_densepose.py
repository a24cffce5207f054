"""People whose surface is annotated, in the format of DensePose-COCO."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastcv.data._frame import Frame
from fastcv.data.coco import CocoDetection, is_number

CHARTS = 24
BOX = 255.0  # what an annotation calls the width, and the height, of its box


class CocoDensePose(CocoDetection):
    """Images and people with points of their surface: ``densepose_coco_2014_*.json``, or own.

    Arguments and items as of ``CocoDetection``; a target has ``dense_keypoints`` ``[N, P, 3]``
    float32 too (x, y and chart of the annotated points, the chart from 1; 0 in all three where
    there are fewer than P), and ``dense_uv`` ``[N, P, 2]`` float32 (their U and V in [0, 1]). That
    is what DensePose R-CNN learns from, with ``masks=True``. P is that of the image's person with
    the most points; people without points have zeros alone.

    Raises:
        ValueError: an annotation's ``dp_x``, ``dp_y``, ``dp_I``, ``dp_U`` and ``dp_V`` are not as
            many numbers each, or out of their range.

    Source: https://github.com/facebookresearch/DensePose; the points' places are in 255ths of the
        box.

    Example:
        >>> import json, pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.data import CocoDensePose
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (80, 60)).save(folder / "a.png")
        >>> points = {"dp_x": [127.5], "dp_y": [0], "dp_I": [2], "dp_U": [0.25], "dp_V": [0.5]}
        >>> person = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40]}
        >>> _ = (folder / "train.json").write_text(json.dumps({
        ...     "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}],
        ...     "annotations": [{**person, **points}],
        ...     "categories": [{"id": 1, "name": "person"}],
        ... }))
        >>> image, target = CocoDensePose(folder, folder / "train.json")[0]
        >>> target["dense_keypoints"], target["dense_uv"]
        (tensor([[[25., 20.,  2.]]]), tensor([[[0.2500, 0.5000]]]))
    """

    def _instance(self, number: int, annotation: dict[str, Any], *more: Any) -> dict[str, Any]:
        instance = super()._instance(number, annotation, *more)
        x1, y1, x2, y2 = instance["box"]
        x, y, chart, u, v = (
            self._points(number, annotation, key, maximum)
            for key, maximum in (
                ("dp_x", BOX + 1), ("dp_y", BOX + 1), ("dp_I", CHARTS), ("dp_U", 1), ("dp_V", 1)
            )
        )  # fmt: skip
        if len({len(values) for values in (x, y, chart, u, v)}) > 1:
            raise ValueError(
                f"{self.path}: annotation {number} must have as many dp_x as dp_y, dp_I, dp_U and "
                f"dp_V, got {len(x)}, {len(y)}, {len(chart)}, {len(u)} and {len(v)}"
            )
        instance["dense"] = [
            (x1 + a / BOX * (x2 - x1), y1 + b / BOX * (y2 - y1), *surface)
            for a, b, *surface in zip(x, y, chart, u, v, strict=True)
        ]
        return instance

    def _points(
        self, number: int, annotation: dict[str, Any], key: str, maximum: float
    ) -> list[float]:
        values = annotation.get(key) or []
        minimum = 1 if key == "dp_I" else 0
        if not isinstance(values, list) or not all(
            is_number(value) and minimum <= value <= maximum for value in values
        ):
            raise ValueError(
                f"{self.path}: {key} of annotation {number} must be numbers of {minimum} to "
                f"{maximum:g}, got {values!r}"
            )
        return values

    def _target(
        self, entry: dict[str, Any], instances: list[dict[str, Any]], frame: Frame
    ) -> dict[str, Any]:
        most = max((len(i["dense"]) for i in instances), default=0)
        points: Tensor = torch.zeros(len(instances), most, 5)
        for row, instance in zip(points, instances, strict=True):
            row[: len(instance["dense"])] = torch.tensor(instance["dense"]).reshape(-1, 5)
        places, chart = frame.points(points[..., :2]), points[..., 2:3]
        places = places.where(chart > 0, torch.zeros(()))
        return {
            **super()._target(entry, instances, frame),
            "dense_keypoints": torch.cat([places, chart], dim=2),
            "dense_uv": points[..., 3:],
        }
