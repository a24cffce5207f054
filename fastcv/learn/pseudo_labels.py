"""What a teacher says of images without labels, as a dataset."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from fastcv.data.protocols import SizedDataset
from fastcv.models import Model


def predict_scores(
    model: Model, dataset: SizedDataset, *, batch_size: int = 64, progress: bool = False
) -> Tensor:
    """A classifier's probabilities ``[N, C]`` for a dataset's images, in its order, on the CPU.

    Args:
        model: a classifier with ``predict``.
        dataset: items ``(image, anything)``, images in [0, 1].
        batch_size: images at a time, and in memory.
        progress: show a bar.
    """
    rows = []
    size = len(dataset)
    for start in tqdm(
        range(0, size, batch_size), "pseudo-labels", unit=" batches", disable=not progress
    ):
        images = [dataset[i][0] for i in range(start, min(start + batch_size, size))]
        found = model.predict(images, batch_size=batch_size)
        rows.append(torch.stack([f.scores for f in found]).float().cpu())
    return torch.cat(rows)


def confident_and_balanced(
    scores: Tensor, *, threshold: float = 0.3, per_class: int | None = None
) -> Tensor:
    """Which images a student learns from: the confident ones, as many of each class.

    Of each class the most confident ``per_class`` images stay; a class with fewer has them
    repeated, one after the other from the most confident on.

    Args:
        scores: probabilities ``[N, C]``.
        threshold: the least confidence.
        per_class: images of a class; None: all that are confident, none repeated.

    Returns:
        Indices ``[M]`` int64, class by class; a class nobody is confident about is not in it.

    Source: Xie et al., "Self-training with Noisy Student improves ImageNet classification" (2020),
        section 3.1 (which repeats images at random).

    Example:
        >>> import torch
        >>> from fastcv.learn import confident_and_balanced
        >>> scores = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
        >>> confident_and_balanced(scores, threshold=0.65, per_class=2)
        tensor([0, 2, 3, 3])
    """
    confidence, predicted = scores.max(dim=1)
    order = confidence.argsort(descending=True, stable=True)
    order = order[confidence[order] >= threshold]
    chosen = []
    for label in range(scores.shape[1]):
        of_label = order[predicted[order] == label]
        if per_class is not None and len(of_label):
            of_label = of_label[torch.arange(per_class) % len(of_label)]
        chosen.append(of_label)
    return torch.cat(chosen)


class PseudoLabelled(Dataset[tuple[Tensor, Tensor]]):
    """Labelled images, then unlabelled ones with a teacher's answers; all targets are ``[C]``.

    Args:
        labelled: items ``(image, label)``.
        unlabelled: items ``(image, anything)``.
        scores: the teacher's probabilities ``[N, C]`` for ``unlabelled``.
        chosen: the indices of ``unlabelled`` that are used; one may be there more than once.
        soft: the teacher's probabilities as targets; False: 1 for its likeliest class.

    Example:
        >>> import torch
        >>> from fastcv.learn import PseudoLabelled
        >>> image, scores = torch.rand(3, 4, 4), torch.tensor([[0.1, 0.9], [0.8, 0.2]])
        >>> data = PseudoLabelled([(image, 0)], [(image, None)] * 2, scores, torch.tensor([1]))
        >>> [target.tolist() for _, target in data]
        [[1.0, 0.0], [0.800000011920929, 0.20000000298023224]]
    """

    def __init__(
        self,
        labelled: SizedDataset,
        unlabelled: SizedDataset,
        scores: Tensor,
        chosen: Tensor,
        *,
        soft: bool = True,
    ) -> None:
        self.labelled, self.unlabelled = labelled, unlabelled
        classes = scores.shape[1]
        self.one_hot = torch.eye(classes)
        self.targets = scores if soft else self.one_hot[scores.argmax(dim=1)]
        self.chosen = chosen.tolist()
        self.of_labelled = len(labelled)

    def __len__(self) -> int:
        return self.of_labelled + len(self.chosen)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        index = range(len(self))[index]
        if index < self.of_labelled:
            image, label = self.labelled[index]
            return image, self.one_hot[label]
        place = self.chosen[index - self.of_labelled]
        return self.unlabelled[place][0], self.targets[place]
