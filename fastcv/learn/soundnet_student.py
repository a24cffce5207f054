"""Pictures teach sounds: a SoundNet learns what two image classifiers say of a clip's frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastcv.data.sounding_clip import SoundingClip
from fastcv.learn.transfer import freeze
from fastcv.models._image_model import ImageModel
from fastcv.models._model import Model
from fastcv.models.audio.soundnet import SoundLogits, SoundNet


class TaughtLogits(NamedTuple):
    """What the student says, and what its teachers say.

    Args:
        student: the two heads' logits.
        objects: the first teacher's probabilities, ``[B, num_classes, T]``.
        scenes: the second's, ``[B, num_scenes, T]``.
    """

    student: SoundLogits
    objects: Tensor
    scenes: Tensor


class SoundNetStudent(Model):
    """Two teachers that stay as they are and a SoundNet that learns from them, as one model for
    ``fit``.

    The teachers see the frames, the student hears the sound, and nobody needs a label. It takes
    batches of ``SoundingClip``, a frame for each time step of the heads, sound at the student's
    ``rate``; the data's targets may be anything. In eval mode it is the student alone.

    Args:
        student: learns.
        objects: a classifier of as many classes as the student has; it is frozen, its norms'
            statistics too.
        scenes: another, of as many classes as the student has scenes.

    Raises:
        ValueError: the numbers of classes differ.

    Source: Aytar, Vondrick and Torralba, "SoundNet: Learning Sound Representations from Unlabeled
        Video" (2016), section 3.2.

    Example:
        >>> import torch
        >>> from fastcv.data import SoundingClip
        >>> from fastcv.learn import SoundNetStudent
        >>> from fastcv.models import create_model
        >>> student = create_model("soundnet8", num_classes=3, num_scenes=2, width=2)
        >>> teachers = [create_model("resnet18", num_classes=n, width=4) for n in (3, 2)]
        >>> model = SoundNetStudent(student, *teachers)
        >>> batch = SoundingClip(torch.rand(2, 1, 3, 32, 32), torch.rand(2, 210000) - 0.5)
        >>> list(model.loss(model(batch)))
        ['objects', 'scenes']
    """

    def __init__(self, student: SoundNet, objects: ImageModel, scenes: ImageModel) -> None:
        super().__init__()
        heads = {
            "objects": (objects, student.conv8_objs),
            "scenes": (scenes, student.conv8_scns),
        }
        for name, (teacher, head) in heads.items():
            if len(teacher.classes) != head.out_channels:
                raise ValueError(
                    f"{name} must have the student's {head.out_channels} classes, got "
                    f"{len(teacher.classes)}"
                )
            freeze(teacher)
        self.student, self.objects, self.scenes = student, objects, scenes
        self.classes = student.classes

    def forward(self, batch: SoundingClip) -> Any:
        """In training ``TaughtLogits``; in eval mode the student's ``SoundLogits``.

        Raises:
            TypeError: no ``SoundingClip``.
            ValueError: as many frames as the student has time steps are needed, and others came.
        """
        if not isinstance(batch, SoundingClip):
            raise TypeError(f"batch must be SoundingClip, got {type(batch).__name__}")
        student = self.student(batch.waves)
        if not self.training:
            return student
        steps = student.objects.shape[2]
        if batch.frames.ndim != 5 or batch.frames.shape[:2] != (len(batch.waves), steps):
            raise ValueError(
                f"frames must be [{len(batch.waves)}, {steps}, 3, H, W], one for each time step of "
                f"the heads, got {list(batch.frames.shape)}"
            )
        return TaughtLogits(
            student, *(self._teach(t, batch.frames) for t in (self.objects, self.scenes))
        )

    @staticmethod
    @torch.no_grad()
    def _teach(teacher: ImageModel, frames: Tensor) -> Tensor:
        """``[B, C, T]`` probabilities of frames ``[B, T, 3, H, W]``."""
        logits: Tensor = teacher(teacher.prepare(list(frames.flatten(0, 1))))
        return logits.softmax(dim=1).reshape(*frames.shape[:2], -1).transpose(1, 2)

    def loss(self, output: TaughtLogits, targets: Any = None) -> dict[str, Tensor]:
        """The student's loss of both heads; the data's targets are not looked at."""
        return self.student.loss(output.student, (output.objects, output.scenes))
