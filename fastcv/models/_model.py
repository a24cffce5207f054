"""What every model shares: ``predict``, from pictures to results."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fastcv.images import ImageInput, read_image
from fastcv.models._weights import read_state_dict
from fastcv.results import Result


class System(nn.Module):
    """A model with ``forward``, ``loss`` and ``predict``.

    A subclass writes ``forward(images)``, ``loss(output, targets)`` and
    ``postprocess(output, **options)``, and ``prepare`` where a list of images is not what its
    ``forward`` takes.

    Example:
        >>> import torch
        >>> from fastcv.models import System
        >>> from fastcv.results import Classification
        >>> class DayOrNight(System):
        ...     classes = ("night", "day")
        ...     def forward(self, images):
        ...         return [image.mean() for image in images]
        ...     def postprocess(self, output):
        ...         return [Classification(torch.stack([1 - x, x]), self.classes) for x in output]
        >>> DayOrNight().predict(torch.full((3, 8, 8), 0.75))
        [Classification(day 0.75, night 0.25)]
    """

    classes: tuple[str, ...] = ()
    """Names by label."""

    preprocessing: Mapping[str, Any] = {}
    """What the weights say of how images are prepared, for ``prepare``."""

    model_name: str = ""
    model_config: Mapping[str, Any] = {}

    loss: Callable[..., dict[str, Tensor]]
    """``loss(output, targets)``: the paper's named terms, each a scalar; the sum is minimised."""

    postprocess: Callable[..., Sequence[Result]]
    """``postprocess(output, *, ...)``: a result for each image, of what ``forward`` returned."""

    def rename_key(self, key: str) -> str:
        """The model's key for one of a state dict; for those that other implementations name else.

        ``load_state_dict`` asks for every key, so checkpoints of either naming load.
        """
        return key

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for key in [key for key in state_dict if key.startswith(prefix)]:
            renamed = prefix + self.rename_key(key.removeprefix(prefix))
            if renamed != key:
                state_dict[renamed] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file; for systems that have checkpoints of other formats, too."""
        return read_state_dict(path)

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
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._check_options(options)
        if "progress" in inspect.signature(self.predict_batch).parameters:
            options["progress"] = progress  # a picture may have parts of its own to count
        items = _as_list(inputs)
        results: list[Any] = []
        with (
            tqdm(total=len(items), unit="image", disable=not progress) as bar,
            evaluating(self),
            torch.inference_mode(),
        ):
            for start in range(0, len(items), batch_size):
                batch = items[start : start + batch_size]
                found = self.predict_batch([read_image(item) for item in batch], **options)
                for item, result in zip(batch, found, strict=True):
                    if isinstance(item, (str, os.PathLike)):
                        result.source = os.fspath(item)
                    results.append(result)
                bar.update(len(batch))
        return results

    def predict_batch(self, images: Sequence[Tensor], **options: Any) -> Sequence[Any]:
        """A result for each image ``[3, H, W]``, uint8 or in [0, 1]; ``predict`` calls it."""
        floats = [self.as_float(image) for image in images]
        return self.postprocess(self(self.prepare(floats)), **options)

    def as_float(self, image: Tensor) -> Tensor:
        """An image in [0, 1], on the model's device and in its dtype."""
        like = next(self.parameters(), torch.empty(0))
        scale = 255 if image.dtype == torch.uint8 else 1
        return image.to(like.device).to(like.dtype) / scale

    def predict_options(self) -> list[str]:
        """The names of the options that ``predict`` takes."""
        takes = ["batch_size", "progress"]
        for function in (self.predict_batch, self.postprocess):
            _, *parameters = inspect.signature(function).parameters.values()
            takes += [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        return list(dict.fromkeys(takes))

    def _check_options(self, options: dict[str, Any]) -> None:
        takes = self.predict_options()
        for name in options:
            if name not in takes:
                raise TypeError(
                    f"predict of {type(self).__name__} does not take {name!r}: its options are "
                    f"{', '.join(takes)}"
                )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; every module's own flag is put back after, frozen ones stay frozen."""
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


def _as_list(inputs: Any) -> list[ImageInput]:
    if isinstance(inputs, (list, tuple)):
        return list(inputs)
    if isinstance(inputs, (Tensor, np.ndarray)) and inputs.ndim == 4:
        return list(inputs)
    return [inputs]
