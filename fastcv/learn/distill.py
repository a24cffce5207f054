"""Knowledge distillation: a student learns what a trained teacher says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.learn.transfer import freeze
from fastcv.models import ImageModel


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """How far the student's softened answers are from the teacher's.

    The Kullback-Leibler divergence of the softmaxes of ``logits / T``, times ``T * T``: gradients
    shrink by that, so that the weight of this term need not change with the temperature.

    Args:
        student: logits ``[B, C]``.
        teacher: logits ``[B, C]``.
        temperature: T; the higher, the more the small probabilities count.

    Returns:
        The mean over the batch.

    Raises:
        ValueError: the shapes differ, or the temperature is not positive.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), section 2.

    Example:
        >>> import torch
        >>> from fastcv.learn import distillation_loss
        >>> logits = torch.tensor([[5.0, 10.0]])
        >>> [f"{p:.4f}" for p in (logits / 100).softmax(1)[0].tolist()]
        ['0.4875', '0.5125']
        >>> distillation_loss(logits, logits + 3, temperature=100).abs().item() < 1e-6
        True
    """
    if student.shape != teacher.shape:
        raise ValueError(
            "student and teacher must have logits of one shape, got "
            f"{list(student.shape)} and {list(teacher.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    predicted, target = (x.div(temperature).log_softmax(dim=1) for x in (student, teacher))
    return F.kl_div(predicted, target, reduction="batchmean", log_target=True) * temperature**2


class Distillation(ImageModel):
    """A teacher that stays as it is and a student that learns from it, as one model for ``fit``.

    The loss is ``(1 - label_weight) * distillation_loss + label_weight * student.loss``. Without
    labels, ``label_weight=0``: the targets of the data are then not looked at. In eval mode it is
    the student alone.

    Args:
        teacher: a trained classifier; it is frozen, its norms' statistics too.
        student: a classifier of the same classes and preprocessing.
        temperature: of both softmaxes in the distillation term.
        label_weight: the labels' share of the loss, in [0, 1].

    Raises:
        ValueError: the classes differ, or an argument is out of its range.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015).

    Example:
        >>> import torch
        >>> from fastcv.learn import Distillation
        >>> from fastcv.models import create_model
        >>> teacher, student = (create_model("resnet18", num_classes=3, width=w) for w in (8, 4))
        >>> model = Distillation(teacher, student, temperature=4.0, label_weight=0.1)
        >>> output = model(torch.rand(2, 3, 32, 32))
        >>> losses = model.loss(output, torch.tensor([0, 2]))
        >>> list(losses)
        ['distillation', 'student']
    """

    def __init__(
        self,
        teacher: ImageModel,
        student: ImageModel,
        *,
        temperature: float = 1.0,
        label_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if len(teacher.classes) != len(student.classes):
            raise ValueError(
                f"teacher and student must have the same classes, got {len(teacher.classes)} and "
                f"{len(student.classes)}"
            )
        if not 0 <= label_weight <= 1:
            raise ValueError(f"label_weight must be in [0, 1], got {label_weight}")
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        freeze(teacher)
        self.teacher, self.student = teacher, student
        self.temperature, self.label_weight = temperature, label_weight
        self.classes, self.preprocessing = student.classes, student.preprocessing

    def forward(self, images: Tensor) -> Any:
        """In training the logits of ``(student, teacher)``; in eval mode the student's."""
        if not self.training:
            return self.student(images)
        with torch.no_grad():
            teacher = self.teacher(images)
        return self.student(images), teacher

    def loss(self, output: tuple[Tensor, Tensor], targets: Any) -> dict[str, Tensor]:
        """The two terms, weighted; without a label weight the first alone."""
        student, teacher = output
        far = distillation_loss(student, teacher, self.temperature)
        losses = {"distillation": (1 - self.label_weight) * far}
        if self.label_weight:
            of_labels = torch.stack(list(self.student.loss(student, targets).values())).sum()
            losses["student"] = self.label_weight * of_labels
        return losses

    def prepare(self, images: list[Tensor]) -> Any:
        return self.student.prepare(images)

    def postprocess(self, output: Tensor) -> list[Any]:
        return list(self.student.postprocess(output))
