"""``fastcv.export_onnx``: a model as an ONNX file, for runtimes without torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.deploy._tracer import ONE_TRACE
from fastcv.models._image_model import ImageModel
from fastcv.models._mode import alone, evaluating
from fastcv.models.classification._classifier import Classifier
from fastcv.models.detection._detector import Detector
from fastcv.models.landmarks.stacked_hourglass import HourglassKeypoints
from fastcv.models.segmentation._segmenter import Segmenter

OPSET = 19


def export_onnx(
    model: nn.Module, path: str | os.PathLike[str], image_size: tuple[int, int]
) -> None:
    """Write a classifier, a detector or a segmenter as ONNX, from an image to what it finds.

    The file has one input, ``image`` ``[3, H, W]`` float32 in [0, 1]. What ``prepare`` does to a
    picture is in it. Its outputs have the names of the results' fields, and are what ``predict``
    finds:

    - of a classifier ``scores`` ``[C]``, the classes' probabilities;
    - of a detector ``boxes`` ``[N, 4]`` in pixels of the image, ``scores`` ``[N]`` and ``labels``
      ``[N]`` int64, by falling score;
    - of a segmenter ``labels`` ``[H, W]`` int64, the likeliest class of each pixel, and ``scores``
      ``[C, H, W]``, the classes' probabilities;
    - of a stacked hourglass ``heatmaps`` ``[K, h, w]`` of the last stack, of the square about the
      image; ``fastcv.nn.landmarks.decode(heatmaps, "quarter")`` reads them.

    RoIAlign, NMS and deformable convolutions become those of ONNX, so any runtime reads it that has
    all of opset 19. (ONNX Runtime has DeformConv on the CPU since 1.25.)
    The model's mode stays as it was. What other threads predict meanwhile waits.

    Args:
        model: such as ``create_model("fasterrcnn_resnet50_fpn")``.
        path: where to write; the file appears when it is complete.
        image_size: height and width of the images, which the file fixes.

    Raises:
        ImportError: onnx or onnxscript is missing.
        TypeError: the model is of another task.
        NotImplementedError: something that the model does has no form in ONNX.
    """
    name = type(model).__name__
    graph = next((graph for base, graph in GRAPHS.items() if isinstance(model, base)), None)
    if graph is None or not isinstance(model, ImageModel):
        raise TypeError(f"model must be a classifier, a detector or a segmenter, got {name}")
    if model.no_onnx:
        raise NotImplementedError(f"{name} cannot be written as ONNX: {model.no_onnx}")
    need("onnx", extra="export")
    need("onnxscript", extra="export")
    from fastcv.deploy._onnx_ops import TRANSLATIONS  # which imports onnxscript

    view = _Exported(model, graph.run)
    image = torch.rand(3, *image_size, generator=torch.Generator().manual_seed(0))
    # The exporter changes what a call of a module is, and in the model its tensors.
    with ONE_TRACE, alone(None), evaluating(view), torch.no_grad():
        view(image)  # so that what is wrong is reported by the model, not by the exporter
        try:
            program = torch.onnx.export(
                view,
                (image,),
                input_names=["image"],
                output_names=graph.outputs,
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


def _classes(model: Classifier, image: Tensor) -> tuple[Tensor, ...]:
    (found,) = model.predict_batch([image])
    return (found.scores,)


def _boxes(model: Detector, image: Tensor) -> tuple[Tensor, ...]:
    (found,) = model.detect(model([image]))  # as a result they would have to be of a known number
    return found.boxes, found.scores, found.labels


def _label_map(model: Segmenter, image: Tensor) -> tuple[Tensor, ...]:
    (found,) = model.predict_batch([image])
    assert found.scores is not None
    return found.labels, found.scores


def _heatmaps(model: HourglassKeypoints, image: Tensor) -> tuple[Tensor, ...]:
    return (model(model.crop_whole(image))[0, -1],)


class Graph(NamedTuple):
    """What the file of a kind of model gives: the outputs' names, and what computes them."""

    outputs: list[str]
    run: Callable[[Any, Tensor], tuple[Tensor, ...]]


GRAPHS: dict[type[ImageModel], Graph] = {
    Classifier: Graph(["scores"], _classes),
    Detector: Graph(["boxes", "scores", "labels"], _boxes),
    Segmenter: Graph(["labels", "scores"], _label_map),
    HourglassKeypoints: Graph(["heatmaps"], _heatmaps),
}


class _Exported(nn.Module):
    """The module that is exported: from one image to the graph's outputs."""

    def __init__(self, model: ImageModel, run: Callable[[Any, Tensor], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.model, self.run = model, run

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.run(self.model, image)
