"""``fastcv.export_onnx``: a model as an ONNX file, for runtimes without torch."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.deploy._tracer import ONE_TRACE
from fastcv.models._mode import alone, evaluating
from fastcv.models.detection._detector import Detector

OPSET = 18


def export_onnx(
    model: nn.Module, path: str | os.PathLike[str], image_size: tuple[int, int]
) -> None:
    """Write a detector as ONNX, from an image to its boxes.

    The file has one input, ``image`` ``[3, H, W]`` float32 in [0, 1], and three outputs, by
    falling score: ``boxes`` ``[N, 4]`` in pixels of the image, ``scores`` ``[N]`` and ``labels``
    ``[N]`` int64. RoIAlign and NMS become those of ONNX, so any runtime of opset 18 reads it.
    The model's mode stays as it was. What other threads predict meanwhile waits.

    Args:
        model: a detector, such as ``create_model("fasterrcnn_resnet50_fpn")``.
        path: where to write; the file appears when it is complete.
        image_size: height and width of the images, which an ONNX file of a detector fixes.

    Raises:
        ImportError: onnx or onnxscript is missing.
        TypeError: the model is no detector: it has no ``detect``.
    """
    if not isinstance(model, Detector):
        raise TypeError(f"model must be a detector, with detect(), got {type(model).__name__}")
    need("onnx", extra="export")
    need("onnxscript", extra="export")
    view = _ImageToBoxes(model)
    image = torch.rand(3, *image_size, generator=torch.Generator().manual_seed(0))
    # The exporter changes what a call of a module is, and in the model its tensors.
    with ONE_TRACE, alone(None), evaluating(view), torch.no_grad():
        view(image)  # so that what is wrong is reported by the model, not by the exporter
        program = torch.onnx.export(
            view,
            (image,),
            input_names=["image"],
            output_names=["boxes", "scores", "labels"],
            opset_version=OPSET,
            dynamo=True,
            custom_translation_table=_translations(),
            verbose=False,
        )
    assert program is not None
    with replacing(path) as temporary:
        program.save(temporary)


class _ImageToBoxes(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (found,) = self.model.detect(self.model([image]))
        return found.boxes, found.scores, found.labels


def _translations() -> dict[Any, Any]:
    """fastcv's ops in terms of ONNX's."""
    op = need("onnxscript", extra="export").opset18

    def roi_align(  # type: ignore[no-untyped-def]  # onnxscript reads the annotations there are
        input, rois, spatial_scale, height, width, sampling_ratio, aligned
    ):
        image = op.Cast(op.Squeeze(op.Slice(rois, [0], [1], [1]), [1]), to=7)  # int64
        return op.RoiAlign(
            input,
            op.Slice(rois, [1], [5], [1]),
            image,
            output_height=height,
            output_width=width,
            sampling_ratio=max(sampling_ratio, 0),
            spatial_scale=spatial_scale,
            coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        )

    def batched_nms(boxes, scores, idxs, iou_threshold):  # type: ignore[no-untyped-def]  # as above
        # ONNX suppresses within each class of a [classes, boxes] table of scores: a box scores in
        # the row of its own group, and below the threshold in all others. No offsets, no rounding.
        groups = op.Range(0, op.Add(op.ReduceMax(idxs, keepdims=0), 1), 1)
        in_group = op.Equal(op.Unsqueeze(groups, [1]), op.Unsqueeze(idxs, [0]))
        table = op.Where(in_group, op.Unsqueeze(scores, [0]), -1.0)
        count = op.Shape(scores)
        chosen = op.NonMaxSuppression(
            op.Unsqueeze(boxes, [0]), op.Unsqueeze(table, [0]), count, iou_threshold, 0.0
        )
        index = op.Squeeze(op.Slice(chosen, [2], [3], [1]), [1])
        _, order = op.TopK(op.Gather(scores, index), op.Shape(index))
        return op.Gather(index, order)

    ops = torch.ops.fastcv
    return {ops.roi_align.default: roi_align, ops.batched_nms.default: batched_nms}
