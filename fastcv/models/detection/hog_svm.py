"""HOG and a linear SVM: a template of edges slides over the image at every scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv._extras import need
from fastcv.models._registry import register
from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.transform import check_images
from fastcv.ops import clip_boxes_to_image, hog, nms

HARD = 200  # negatives that a photograph adds in a round, at most


class HogSVMOutput(NamedTuple):
    """The SVM's margins of windows."""

    margins: list[list[Tensor]]
    """For each image and each level of its pyramid ``[rows, columns]``, a window a cell."""
    level_sizes: list[list[tuple[int, int]]]
    """``(height, width)`` of the levels."""
    image_sizes: list[tuple[int, int]]


class HogSVM(Detector):
    """A linear SVM on histograms of oriented gradients.

    Args:
        window_size: ``(height, width)`` of the template in pixels, multiples of ``cell_size``.
        cell_size: pixels along the side of a cell.
        block_size: cells along the side of a block.
        orientations: bins.
        scale_step: from a level of the pyramid to the next smaller one.

    Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (2005).

    Example:
        >>> import torch, fastcv
        >>> model = fastcv.create_model("hog_svm", window_size=(16, 16), cell_size=4)
        >>> bright = torch.zeros(8, 3, 16, 16)
        >>> bright[:4, :, 4:12, 4:12] = torch.rand(4, 1, 1, 1) + 0.5
        >>> model = model.fit(bright, torch.arange(8) < 4)
        >>> image = torch.zeros(3, 40, 48)
        >>> image[:, 20:28, 12:20] = 1
        >>> found = model.predict(image, score_threshold=0.6)[0]
        >>> found.boxes[0].tolist()
        [8.0, 16.0, 24.0, 32.0]
    """

    no_onnx = "histograms of oriented gradients have no form in ONNX"

    def __init__(
        self,
        window_size: tuple[int, int] = (128, 64),
        *,
        cell_size: int = 8,
        block_size: int = 2,
        orientations: int = 9,
        scale_step: float = 1.2,
    ) -> None:
        super().__init__()
        height, width = window_size
        if height % cell_size or width % cell_size or min(window_size) < cell_size * block_size:
            raise ValueError(
                f"window_size must be multiples of cell_size={cell_size} and at least a block of "
                f"{cell_size * block_size} pixels, got {tuple(window_size)}"
            )
        if scale_step <= 1:
            raise ValueError(f"scale_step must be above 1, got {scale_step}")
        self.window_size = (height, width)
        self.hog = {
            "orientations": orientations,
            "cell_size": cell_size,
            "block_size": block_size,
        }
        self.blocks = (
            height // cell_size - block_size + 1,
            width // cell_size - block_size + 1,
        )
        self.scale_step = scale_step
        self.classes = ("background", "object")
        self.svm = nn.Linear(self.blocks[0] * self.blocks[1] * block_size**2 * orientations, 1)
        nn.init.zeros_(self.svm.weight)
        nn.init.zeros_(self.svm.bias)

    def describe(self, windows: Tensor) -> Tensor:
        """Descriptors ``[N, D]`` of windows ``[N, C, height, width]``.

        Raises:
            ValueError: windows of another size.
        """
        if windows.dim() != 4 or windows.shape[2:] != self.window_size:
            height, width = self.window_size
            raise ValueError(
                f"windows must be [N, C, {height}, {width}], got {list(windows.shape)}"
            )
        return hog(windows, **self.hog).flatten(1)

    def forward(self, images: Sequence[Tensor] | Tensor) -> HogSVMOutput:
        """The margins of all windows, a cell apart, of all levels.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        check_images(images)
        margins, sizes = [], []
        for image in images:
            levels = list(self._pyramid(image))
            margins.append([self._margins(self._blocks_of(level)) for level in levels])
            sizes.append([(level.shape[1], level.shape[2]) for level in levels])
        return HogSVMOutput(margins, sizes, [(i.shape[1], i.shape[2]) for i in images])

    def _pyramid(self, image: Tensor) -> Iterator[Tensor]:
        """The image ever smaller, as long as a window fits."""
        level = image
        for number in range(1, 1000):
            if level.shape[1] < self.window_size[0] or level.shape[2] < self.window_size[1]:
                return
            yield level
            size = [max(round(s / self.scale_step**number), 1) for s in image.shape[1:]]
            level = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]

    def _blocks_of(self, level: Tensor) -> Tensor:
        """``[blocks in y, blocks in x, D of a block]``."""
        return hog(level[None], **self.hog)[0].flatten(2)

    def _margins(self, blocks: Tensor) -> Tensor:
        # Windows share their blocks: the SVM slides over them as a convolution.
        weight = self.svm.weight.view(1, *self.blocks, -1).permute(0, 3, 1, 2)
        return F.conv2d(blocks.permute(2, 0, 1)[None], weight, self.svm.bias)[0, 0]

    def fit(
        self,
        windows: Tensor,
        labels: Tensor,
        photographs: Sequence[Tensor] = (),
        *,
        rounds: int = 2,
        c: float = 0.1,
        seed: int = 0,
    ) -> HogSVM:
        """Trains the SVM, then again with what it took for objects where there are none.

        Args:
            windows: ``[N, C, height, width]`` of ``window_size``, in [0, 1].
            labels: ``[N]``, 1 or true for objects.
            photographs: images ``[3, H, W]`` in [0, 1] without objects.
            rounds: how often hard negatives are taken from them: windows inside the margin.
            c: of the SVM; smaller weighs errors less.
            seed: of the solver.

        Returns:
            The model itself.

        Raises:
            ValueError: windows of another size; labels of another shape, or of one kind alone.
            ImportError: scikit-learn is missing.

        Source: Dalal and Triggs (2005), section 4.
        """
        objects = int(labels.bool().sum())
        if labels.shape != windows.shape[:1] or objects in (0, len(labels)):
            raise ValueError(
                f"labels must be [{len(windows)}] with objects and others, got "
                f"{list(labels.shape)} with {objects} objects"
            )
        x, y = self.describe(windows.to(self.svm.weight)), labels.bool().cpu()
        self._solve(x, y, c, seed)
        for _ in range(rounds if photographs else 0):
            hard = torch.cat([self._hard_negatives(image) for image in photographs])
            x = torch.cat([x, hard])
            y = torch.cat([y, torch.zeros(len(hard), dtype=torch.bool)])
            self._solve(x, y, c, seed)
        return self

    def _solve(self, x: Tensor, y: Tensor, c: float, seed: int) -> None:
        svm = need("sklearn.svm", extra="data").LinearSVC(
            C=c, class_weight="balanced", random_state=seed, max_iter=10_000
        )
        svm.fit(x.cpu().double().numpy(), y.numpy())
        with torch.no_grad():
            self.svm.weight.copy_(torch.from_numpy(svm.coef_))
            self.svm.bias.copy_(torch.from_numpy(svm.intercept_))

    @torch.no_grad()
    def _hard_negatives(self, photograph: Tensor) -> Tensor:
        """``[M, D]``: the windows that come nearest to being objects, if inside the margin."""
        rows, columns = self.blocks
        margins, found = [], []
        for level in self._pyramid(photograph.to(self.svm.weight)):
            blocks = self._blocks_of(level)
            margin = self._margins(blocks)
            inside = (margin > -1).nonzero()
            margins.append(margin[margin > -1])
            found += [blocks[y : y + rows, x : x + columns].flatten() for y, x in inside.tolist()]
        if not found:
            return self.svm.weight.new_empty(0, self.svm.in_features)
        return torch.stack(found)[torch.cat(margins).argsort(descending=True)[:HARD]]

    def detect(
        self,
        output: HogSVMOutput,
        *,
        score_threshold: float = 0.5,
        iou_threshold: float = 0.3,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score.

        Args:
            output: of ``forward``.
            score_threshold: the margin's logistic function must be above it; 0.5 is the SVM's
                decision boundary. It is no probability.
            iou_threshold: the lesser of two boxes that overlap more is dropped.
            max_detections: of an image, at most.
        """
        height, width = self.window_size
        cell = self.hog["cell_size"]
        found = []
        for margins, levels, size in zip(*output, strict=True):
            boxes, scores = [self.svm.weight.new_empty(0, 4)], [self.svm.weight.new_empty(0)]
            for margin, level in zip(margins, levels, strict=True):
                score = margin.sigmoid()
                y, x = (score > score_threshold).nonzero(as_tuple=True)
                corner = torch.stack([x, y], 1) * cell
                opposite = corner + corner.new_tensor([width, height])
                stretch = score.new_tensor([size[1] / level[1], size[0] / level[0]] * 2)
                boxes.append(torch.cat([corner, opposite], 1) * stretch)
                scores.append(score[y, x])
            all_boxes, all_scores = clip_boxes_to_image(torch.cat(boxes), size), torch.cat(scores)
            keep = nms(all_boxes, all_scores, iou_threshold)[:max_detections]
            labels = torch.ones(len(keep), dtype=torch.int64, device=keep.device)
            found.append(FoundBoxes(all_boxes[keep], all_scores[keep], labels))
        return found

    def image_sizes(self, output: HogSVMOutput) -> Sequence[tuple[int, int]]:
        return output.image_sizes

    def template(self) -> tuple[Tensor, Tensor]:
        """Weights for and against an object, each ``[cells in y, cells in x, orientations]``.

        Each is the sum, over the blocks that have a cell, of the weights above 0, and of those
        below 0 without their sign.

        Source: Dalal and Triggs (2005), figure 6.
        """
        size = self.hog["block_size"]
        weight = self.svm.weight.detach().view(*self.blocks, size, size, -1)
        cells = [side + size - 1 for side in self.blocks]
        total = weight.new_zeros(2, *cells, weight.shape[-1])
        for y in range(size):
            for x in range(size):
                part = torch.stack(
                    [weight[:, :, y, x].clamp(min=0), -weight[:, :, y, x].clamp(max=0)]
                )
                total[:, y : y + self.blocks[0], x : x + self.blocks[1]] += part
        return total[0], total[1]


@register("hog_svm", task="detection")
def hog_svm(
    *,
    window_size: tuple[int, int] = (128, 64),
    cell_size: int = 8,
    orientations: int = 9,
    block_size: int = 2,
    scale_step: float = 1.2,
) -> HogSVM:
    """HOG and a linear SVM; by default with the paper's window for standing people, 3780 numbers.

    Args:
        window_size: ``(height, width)`` of the template in pixels, multiples of ``cell_size``.
        cell_size: pixels along the side of a cell.
        orientations: bins.
        block_size: cells along the side of a block.
        scale_step: from a level of the pyramid to the next smaller one.
    """
    return HogSVM(
        window_size,
        cell_size=cell_size,
        orientations=orientations,
        block_size=block_size,
        scale_step=scale_step,
    )
