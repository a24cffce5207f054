"""What every model of pictures shares: ``predict``, from pictures to results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fastcv.clips import ClipInput, read_clip
from fastcv.images import ImageInput, read_image
from fastcv.models._mode import evaluating
from fastcv.models._model import Model
from fastcv.models._predict import predict_each
from fastcv.results import Drawable, Result


class ImageModel(Model):
    """A model with ``forward``, ``loss`` and ``predict``.

    A subclass writes ``forward(images)``, ``loss(output, targets)`` and
    ``postprocess(output, **options)``, and ``prepare`` where a list of images is not what its
    ``forward`` takes.

    Example:
        >>> import torch
        >>> from fastcv.models import ImageModel
        >>> from fastcv.results import Classification
        >>> class DayOrNight(ImageModel):
        ...     classes = ("night", "day")
        ...     def forward(self, images):
        ...         return [image.mean() for image in images]
        ...     def postprocess(self, output):
        ...         return [Classification(torch.stack([1 - x, x]), self.classes) for x in output]
        >>> DayOrNight().predict(torch.full((3, 8, 8), 0.75))
        [Classification(day 0.75, night 0.25)]
    """

    postprocess: Callable[..., Sequence[Result]]
    """``postprocess(output, *, ...)``: a result for each image, of what ``forward`` returned."""

    no_onnx: str = ""
    """Why ``export_onnx`` cannot write it; empty where it can."""

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        """What ``export_onnx`` writes: from one image ``[3, H, W]`` to its results, by name.

        Tensors alone, and nothing that depends on their values but how many rows they have.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot be written as ONNX: it has no onnx_outputs"
        )

    def prepare(self, images: list[Tensor]) -> Any:
        """What ``forward`` takes, of images ``[3, H, W]`` in [0, 1] on the model's device."""
        return images

    def predict(
        self,
        inputs: ImageInput | Sequence[ImageInput],
        *,
        batch_size: int = 1,
        progress: bool = False,
        **options: Any,
    ) -> list[Any]:
        """Results for pictures, whatever form they come in.

        Runs in eval mode without gradients, on the model's device and in its dtype; the training
        flags are put back. Files are read a batch at a time.

        Args:
            inputs: a path, PIL image, numpy ``[H, W, 3]`` or ``[H, W]`` uint8, tensor
                ``[3, H, W]`` (uint8, or float in [0, 1]), or a list or batch of those.
            batch_size: images at a time.
            progress: show a progress bar.
            options: what ``postprocess`` and ``predict_batch`` take, such as ``score_threshold``.

        Returns:
            A result for each image in order, such as ``results.Detections``; one image gives a
            list of one.

        Raises:
            TypeError: an input or an option of a kind that is not taken.
            ValueError: a picture that cannot be read.
            FileNotFoundError: a path that is not there.
        """
        found = self.predict_iter(inputs, batch_size=batch_size, progress=progress, **options)
        return [result for _, result in found]

    def predict_iter(
        self,
        inputs: ImageInput | Sequence[ImageInput] | Iterator[ImageInput],
        *,
        batch_size: int = 1,
        on_error: Literal["raise", "yield"] = "raise",
        progress: bool = False,
        **options: Any,
    ) -> Iterator[tuple[ImageInput, Any]]:
        """``predict`` one by one: for more pictures than fit into memory, and for broken ones.

        Args:
            inputs: as for ``predict``, or an iterator, asked for a batch at a time.
            batch_size, progress, options: as for ``predict``.
            on_error: ``"raise"``, or ``"yield"``: a picture that cannot be read yields its error in
                place of a result, and the others go on.

        Yields:
            ``(input, result)`` in order; with ``on_error="yield"`` also ``(input, error)``.

        Raises:
            TypeError, ValueError, FileNotFoundError: as ``predict``, when iterated.

        Example:
            >>> import fastcv, torch
            >>> model = fastcv.create_model("lenet5")
            >>> pictures = [torch.zeros(3, 32, 32), "no_such_file.jpg"]
            >>> for picture, found in model.predict_iter(pictures, on_error="yield"):
            ...     print(type(found).__name__)
            Classification
            FileNotFoundError
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "yield"):
            raise ValueError(f"on_error must be 'raise' or 'yield', got {on_error!r}")
        self._check_options(options, "predict", self.predict_options())
        if "progress" in inspect.signature(self.predict_batch).parameters:
            options["progress"] = progress  # a picture may have parts of its own to count
        return predict_each(
            self,
            as_list(inputs),
            read_image,
            lambda images: self._results(images, options),
            batch_size=batch_size,
            on_error=on_error,
            progress=progress,
        )

    def predict_video(
        self, clip: ClipInput, *, progress: bool = False, **options: Any
    ) -> Iterator[tuple[Tensor, Any]]:
        """A result for each frame of a clip, as they come; frames are not kept.

        Args:
            clip: a video file, a folder of frames, a tensor ``[T, 3, H, W]``, or pictures in order.
            progress: show a progress bar.
            options: as for ``predict``, but for ``batch_size``: frames come one by one.

        Yields:
            ``(frame, result)``: the frame ``[3, H, W]`` uint8, or float in [0, 1] of such a tensor.

        Raises:
            TypeError: a clip or an option of a kind that is not taken.
            ValueError: a clip that cannot be read, or whose frames differ in size.
            FileNotFoundError: a path that is not there.

        Example:
            >>> import fastcv, torch
            >>> model = fastcv.create_model("lenet5")
            >>> len(list(model.predict_video(torch.zeros(4, 3, 32, 32))))
            4
        """
        takes = [name for name in self.predict_options() if name != "batch_size"]
        self._check_options(options, "predict_video", takes)
        return self._predict_frames(clip, progress, options)

    def _predict_frames(
        self, clip: ClipInput, progress: bool, options: dict[str, Any]
    ) -> Iterator[tuple[Tensor, Any]]:
        frames = read_clip(clip)
        state = None
        for frame in tqdm(frames, total=frames.length, unit="frame", disable=not progress):
            with evaluating(self), torch.inference_mode():
                result, state = self.predict_frame(frame, state, **options)
            yield frame, result

    def predict_frame(self, frame: Tensor, state: Any, **options: Any) -> tuple[Any, Any]:
        """The result for a clip's next frame, and what the frame after it is told.

        Here each frame is a picture of its own. A system that carries something from frame to
        frame, such as tracks or a memory, writes this method anew.

        Args:
            frame: ``[3, H, W]``, uint8 or in [0, 1].
            state: None at the first frame, then what the last call returned.
        """
        (result,) = self._results([frame], options)
        return result, state

    def predict_batch(self, images: Sequence[Tensor], **options: Any) -> Sequence[Any]:
        """A result for each image ``[3, H, W]``, uint8 or in [0, 1]; ``predict`` calls it."""
        floats = [self.as_float(image) for image in images]
        return self.postprocess(self(self.prepare(floats)), **options)

    def _results(self, images: Sequence[Tensor], options: dict[str, Any]) -> Sequence[Any]:
        """Those of ``predict_batch``, which know their picture's size."""
        results = self.predict_batch(images, **options)
        for image, result in zip(images, results, strict=True):
            if isinstance(result, Drawable) and result.image_size is None:
                result.image_size = (image.shape[1], image.shape[2])
        return results

    def as_float(self, image: Tensor) -> Tensor:
        """An image in [0, 1], on the model's device and in its dtype."""
        like = next(self.parameters(), torch.empty(0))
        scale = 255 if image.dtype == torch.uint8 else 1
        return image.to(like.device).to(like.dtype) / scale

    def predict_options(self) -> list[str]:
        """The names of the options that ``predict`` takes."""
        takes = ["batch_size", "progress"]
        for function in self._option_takers():
            _, *parameters = inspect.signature(function).parameters.values()
            takes += [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        return list(dict.fromkeys(takes))

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        """The methods whose keywords are options of ``predict``."""
        return (self.predict_batch, self.postprocess)

    def _check_options(self, options: dict[str, Any], method: str, takes: list[str]) -> None:
        for name in options:
            if name not in takes:
                raise TypeError(
                    f"{method} of {type(self).__name__} does not take {name!r}: its options are "
                    f"{', '.join(takes)}"
                )


def as_list(inputs: Any) -> Any:
    """One picture as a list; a list, a batch or an iterator of pictures as it is."""
    if isinstance(inputs, (list, tuple, Iterator)):
        return inputs
    if isinstance(inputs, (Tensor, np.ndarray)) and inputs.ndim == 4:
        return list(inputs)
    return [inputs]
