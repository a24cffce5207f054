"""``fastcv.export_onnx``: a model as an ONNX file, for runtimes without torch."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.deploy._tracer import ONE_TRACE
from fastcv.models._image_model import ImageModel
from fastcv.models._mode import alone, evaluating
from fastcv.models.generative._generator import LatentModel

OPSET = 19


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike[str],
    image_size: tuple[int, int] | None = None,
) -> None:
    """Write a model of pictures as ONNX, from an image to what it finds; or a generator.

    The file has one input, ``image`` ``[3, H, W]`` float32 in [0, 1]. What ``prepare`` does to a
    picture is in it. Its outputs have the names of the results' fields, and are what ``predict``
    finds:

    - of a classifier ``scores`` ``[C]``, the classes' probabilities;
    - of a detector ``boxes`` ``[N, 4]`` in pixels of the image, ``scores`` ``[N]`` and ``labels``
      ``[N]`` int64, by falling score;
    - of Mask R-CNN also ``masks`` ``[N, 28, 28]``, probabilities on the boxes, for
      ``ops.paste_masks``; of Keypoint R-CNN also ``heatmaps`` ``[N, K, 56, 56]``; of a branch of
      your own what its ``onnx_outputs`` says;
    - of YOLACT, with exact NMS, also ``coefficients`` ``[N, K]`` and ``prototypes``
      ``[K, h, w]``, for ``ops.proto_masks``;
    - of UPSNet, of the boxes that are sure, also ``masks`` ``[N, 28, 28]`` and of all classes
      ``semantic`` ``[C, h, w]``, both logits, for ``fastcv.nn.panoptic``;
    - of a face detector a detector's, and ``landmarks`` ``[N, 5, 2]``;
    - of a segmenter ``labels`` ``[H, W]`` int64, the likeliest class of each pixel, and ``scores``
      ``[C, H, W]``, the classes' probabilities;
    - of an image translator ``picture`` ``[3, H, W]`` in [0, 1];
    - of a stacked hourglass ``heatmaps`` ``[K, h, w]`` of the last stack, of the square about the
      image; ``fastcv.nn.landmarks.decode(heatmaps, "quarter")`` reads them.

    A generator's file has the input ``latents`` ``[B, Z]`` float32, of a conditional one also
    ``labels`` ``[B]`` int64, and of a text-to-image one ``vectors`` ``[B, D]`` float32, which
    ``embed`` makes of sentences; the output ``pictures`` ``[B, 3, H, W]`` in [0, 1] is that of
    ``sample``, for any B.

    RoIAlign, NMS and deformable convolutions become those of ONNX, so any runtime reads it that has
    all of opset 19. (ONNX Runtime has DeformConv on the CPU since 1.25.)
    The model's mode stays as it was. What other threads predict meanwhile waits.

    Args:
        model: such as ``create_model("fasterrcnn_resnet50_fpn")``.
        path: where to write; the file appears when it is complete.
        image_size: height and width of the images, which the file fixes; not of a generator.

    Raises:
        ImportError: onnx or onnxscript is missing.
        TypeError: the model is no model of pictures and no generator, or there is an image size
            where there must be none, or none where there must be one.
        NotImplementedError: something that the model does has no form in ONNX, or its class has no
            ``onnx_outputs``.
    """
    name = type(model).__name__
    view: _Exported | _ExportedGenerator
    if isinstance(model, LatentModel):
        if image_size is not None:
            raise TypeError(f"image_size must be left out: {name} takes no images")
        view = _ExportedGenerator(model)
    elif isinstance(model, ImageModel):
        if model.no_onnx:
            raise NotImplementedError(f"{name} cannot be written as ONNX: {model.no_onnx}")
        if image_size is None:
            raise TypeError(f"image_size must be given: {name} takes images")
        view = _Exported(model, image_size)
    else:
        raise TypeError(f"model must be a classifier, a detector or a segmenter, got {name}")
    need("onnx", extra="export")
    need("onnxscript", extra="export")
    from fastcv.deploy._onnx_ops import TRANSLATIONS  # which imports onnxscript

    # The exporter changes what a call of a module is, and in the model its tensors.
    with ONE_TRACE, alone(None), evaluating(view), torch.no_grad():
        names = view.output_names()  # what is wrong is the model's to report
        try:
            program = torch.onnx.export(
                view,
                tuple(view.inputs.values()),
                input_names=list(view.inputs),
                output_names=names,
                dynamic_shapes=view.dynamic_shapes,
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


class _Exported(nn.Module):
    """The module that is exported: from one image to the outputs, in order."""

    dynamic_shapes = None

    def __init__(self, model: ImageModel, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        image = torch.rand(3, *image_size, generator=torch.Generator().manual_seed(0))
        self.inputs = {"image": image}

    def output_names(self) -> list[str]:
        return list(self.model.onnx_outputs(self.inputs["image"]))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.onnx_outputs(image).values())


class _ExportedGenerator(nn.Module):
    """The module that is exported of a generator: from latents and what it is told to pictures."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model
        self.inputs = {name: given.cpu() for name, given in model.example_inputs().items()}
        any_number = torch.export.Dim("B")
        self.dynamic_shapes = (tuple({0: any_number} for _ in self.inputs),)  # of *inputs

    def output_names(self) -> list[str]:
        return ["pictures"]

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model.to_pictures(self.model(*inputs))
