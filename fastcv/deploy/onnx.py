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

OPSET = 19


def export_onnx(
    model: nn.Module, path: str | os.PathLike[str], image_size: tuple[int, int]
) -> None:
    """Write a detector as ONNX, from an image to its boxes.

    The file has one input, ``image`` ``[3, H, W]`` float32 in [0, 1], and three outputs, by
    falling score: ``boxes`` ``[N, 4]`` in pixels of the image, ``scores`` ``[N]`` and ``labels``
    ``[N]`` int64. RoIAlign, NMS and deformable convolutions become those of ONNX, so any runtime
    reads it that has all of opset 19. (ONNX Runtime has DeformConv on the CPU since 1.25.)
    The model's mode stays as it was. What other threads predict meanwhile waits.

    Args:
        model: a detector, such as ``create_model("fasterrcnn_resnet50_fpn")``.
        path: where to write; the file appears when it is complete.
        image_size: height and width of the images, which an ONNX file of a detector fixes.

    Raises:
        ImportError: onnx or onnxscript is missing.
        TypeError: the model is no detector: it has no ``detect``.
        NotImplementedError: something that the detector does has no form in ONNX.
    """
    name = type(model).__name__
    if not isinstance(model, Detector):
        raise TypeError(f"model must be a detector, with detect(), got {name}")
    if model.no_onnx:
        raise NotImplementedError(f"{name} cannot be written as ONNX: {model.no_onnx}")
    need("onnx", extra="export")
    need("onnxscript", extra="export")
    from fastcv.deploy._onnx_ops import TRANSLATIONS  # which imports onnxscript

    view = _ImageToBoxes(model)
    image = torch.rand(3, *image_size, generator=torch.Generator().manual_seed(0))
    # The exporter changes what a call of a module is, and in the model its tensors.
    with ONE_TRACE, alone(None), evaluating(view), torch.no_grad():
        view(image)  # so that what is wrong is reported by the model, not by the exporter
        try:
            program = torch.onnx.export(
                view,
                (image,),
                input_names=["image"],
                output_names=["boxes", "scores", "labels"],
                opset_version=OPSET,
                dynamo=True,
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            cause = str(error.__cause__ or error).strip().splitlines()[0]
            raise NotImplementedError(f"{name} cannot be written as ONNX: {cause}") from error
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
