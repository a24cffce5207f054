"""From anchors to detections, step by step, for any detector."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.draw.figure_names import figure_names
from fastcv.explain._checks import check_tensor
from fastcv.explain.nms import DROPPED, KEPT, OTHER, NMSStep, draw_box, draw_nms_step, nms_steps
from fastcv.images import ImageInput, read_image
from fastcv.models import ImageModel
from fastcv.models._mode import evaluating
from fastcv.models.detection._detector import Detector
from fastcv.nn._hooks import OwnHooks
from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.matching import BELOW, BETWEEN, Matcher
from fastcv.nn.detection.prior_boxes import PriorBoxes
from fastcv.nn.detection.transform import resize_boxes
from fastcv.ops import box_iou
from fastcv.results import Detections

MAX_CANDIDATES = 2000  # the surest; none of those left out could suppress one of them


def check_figure_path(path: str | os.PathLike[str]) -> None:
    """Before any work is done.

    Raises:
        ValueError: a suffix that matplotlib does not write.
        ImportError: matplotlib is missing.
    """
    canvas = need("matplotlib.backend_bases", extra="viz").FigureCanvasBase
    suffixes, path = sorted(canvas.get_supported_filetypes()), Path(path)
    if path.suffix.lower().removeprefix(".") not in suffixes:
        raise ValueError(f"path must end in one of .{' .'.join(suffixes)}, got {path.name!r}")


@dataclass
class DetectionSteps:
    """How one image's detections came about; all boxes are in its pixels.

    Args:
        image: ``[3, H, W]`` in [0, 1].
        anchors: ``[N_l, 4]`` of each level; empty where the detector has none (YOLO v1, DETR).
        objects: the boxes that anchors are matched with: the true ones, or those found.
        matches: ``[sum of N_l]``, the object of each anchor, ``BELOW`` or ``BETWEEN``.
        candidates: the detector's boxes before NMS, the 2000 surest at most.
        steps: of the NMS, by class; empty where the detector has none (DETR).
        found: what is left.
    """

    image: Tensor
    anchors: list[Tensor]
    objects: Tensor
    matches: Tensor
    candidates: Detections
    steps: list[NMSStep]
    found: Detections

    def figure(self) -> Any:
        """The steps as a matplotlib figure of up to six panels.

        Raises:
            ImportError: matplotlib is missing.
        """
        panels: list[Callable[[Any], None]] = [self._draw_candidates]
        if self.anchors:
            panels = [self._draw_anchors, self._draw_matches, *panels]
        panels += [partial(self._draw_step, number=n) for n in range(min(len(self.steps), 2))]
        panels.append(self._draw_found)
        columns = 3 if len(panels) > 4 else len(panels)
        rows = -(-len(panels) // columns)
        height, width = self.image.shape[1:]
        size = (4.2 * columns, (4.2 * height / width + 0.6) * rows)
        figure = need("matplotlib.figure", extra="viz").Figure(figsize=size, layout="constrained")
        all_axes = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes in all_axes:
            axes.set_axis_off()
        for axes, draw in zip(all_axes, panels, strict=False):
            axes.imshow(self.image.permute(1, 2, 0).cpu().numpy(), extent=(0, width, height, 0))
            draw(axes)
            axes.set(xlim=(0, width), ylim=(height, 0))
        return figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the figure to an image file.

        Raises:
            ValueError: a suffix that matplotlib does not write.
            ImportError: matplotlib is missing.
        """
        check_figure_path(path)
        figure = self.figure()
        with replacing(Path(path)) as temporary:
            figure.savefig(temporary, dpi=100)

    def _draw_anchors(self, axes: Any) -> None:
        count = sum(len(level) for level in self.anchors)
        levels = len(self.anchors)
        where = "each level" if levels > 1 else "the middle"
        axes.set_title(f"{count:,} anchors: those of one cell\nat {where}")
        height, width = self.image.shape[1:]
        middle = self.image.new_tensor([width / 2, height / 2])
        colours = need("matplotlib", extra="viz").colormaps["plasma"]
        for i, level in enumerate(self.anchors):
            centres = (level[:, :2] + level[:, 2:]) / 2
            nearest = centres[(centres - middle).norm(dim=1).argmin()]
            # Those of a cell share their centre, up to the rounding of their corners.
            for anchor in level[(centres - nearest).norm(dim=1) <= 1]:
                draw_box(axes, anchor, colours(i / max(levels - 1, 1) * 0.85 + 0.1), 1.2)

    def _draw_matches(self, axes: Any) -> None:
        matched = self.matches >= 0
        between = int((self.matches == BETWEEN).sum())
        below = int((self.matches == BELOW).sum())
        neither = f", {between:,} neither" if between else ""
        axes.set_title(
            f"by their IoU {int(matched.sum()):,} anchors are matched,\n"
            f"{below:,} are background{neither}"
        )
        for anchor in torch.cat(self.anchors)[matched].cpu():
            draw_box(axes, anchor, DROPPED, 0.8, 0.8)
        for box in self.objects:
            draw_box(axes, box, KEPT, 2.2)

    def _draw_candidates(self, axes: Any) -> None:
        axes.set_title(f"{len(self.candidates)} boxes that score")
        colours = need("matplotlib", extra="viz").colormaps["plasma"]
        scores, order = self.candidates.scores.cpu().sort()
        for box, score in zip(self.candidates.boxes.cpu()[order], scores.tolist(), strict=True):
            draw_box(axes, box, colours(score), 0.8, 0.7)

    def _draw_step(self, axes: Any, number: int) -> None:
        step = self.steps[number]
        label = int(self.candidates.labels[step.kept])
        (name,), family = figure_names([self.candidates.name_of(label)])
        axes.set_title(
            f"NMS, step {number + 1}: keep the best left\n({name} "
            f"{float(self.candidates.scores[step.kept]):.2f}), drop {len(step.dropped)} that "
            "overlap it",
            family=family,
        )
        draw_nms_step(axes, self.candidates.boxes, self.steps, number)

    def _draw_found(self, axes: Any) -> None:
        how = f"after {len(self.steps)} steps" if self.steps else "what it finds"
        axes.set_title(f"{how}: {len(self.found)}")
        for i, box in enumerate(self.found.boxes):
            draw_box(axes, box, KEPT, 2.2)
            (name,), family = figure_names([self.found.name_of(int(self.found.labels[i]))])
            x, y = box[:2].tolist()
            axes.text(
                *(x, y, f"{name} {self.found.scores[i]:.2f}"),
                color=OTHER,
                backgroundcolor="#00000090",
                fontsize=8,
                family=family,
            )


def detection_steps(
    model: ImageModel,
    image: ImageInput,
    *,
    truth: Tensor | None = None,
    score_threshold: float = 0.3,
    iou_threshold: float = 0.5,
) -> DetectionSteps:
    """Runs a detector on one image and notes what it goes through.

    Args:
        model: a detector.
        image: in any form that ``predict`` takes.
        truth: ``[K, 4]``, the true boxes, for the matching; None: what the detector finds.
        score_threshold: of the candidates.
        iou_threshold: of the NMS.

    Raises:
        TypeError: the model is no detector: it has no ``detect``. Or ``truth`` is no tensor.
        ValueError: ``truth`` of another shape.

    Example:
        >>> import torch
        >>> from fastcv.explain import detection_steps
        >>> from fastcv.models import create_model
        >>> model = create_model("retinanet_resnet18_fpn", num_classes=3, width=8, min_size=64)
        >>> truth = torch.tensor([[10.0, 10.0, 40.0, 50.0]])
        >>> steps = detection_steps(model, torch.rand(3, 64, 96), truth=truth)
        >>> len(steps.anchors), bool((steps.matches == 0).any())
        (5, True)
    """
    if not isinstance(model, Detector):
        raise TypeError(f"model must be a detector, with detect(), got {type(model).__name__}")
    if truth is not None:
        check_tensor("truth", truth)
        if truth.ndim != 2 or truth.shape[1] != 4:
            raise ValueError(f"truth must be [K, 4], got {list(truth.shape)}")
    picture = model.as_float(read_image(image))
    options: dict[str, Any] = {"score_threshold": score_threshold}
    suppresses = "iou_threshold" in inspect.signature(model.detect).parameters
    with evaluating(model), torch.inference_mode():
        output, anchors = _recording_anchors(model, picture)
        if suppresses:
            # No two boxes exceed this IoU: nothing is suppressed.
            options |= {"iou_threshold": 1.0, "max_detections": MAX_CANDIDATES}
        (candidates,) = model.postprocess(output, **options)
    steps = []
    if suppresses:
        steps = nms_steps(candidates.boxes, candidates.scores, iou_threshold, candidates.labels)
    found = candidates[[step.kept for step in steps]] if suppresses else candidates
    objects = found.boxes if truth is None else truth.to(candidates.boxes)
    matches = torch.zeros(0, dtype=torch.int64)
    if anchors:
        matches = _matcher(model)(box_iou(objects, torch.cat(anchors)))
    return DetectionSteps(picture, anchors, objects, matches, candidates, steps, found)


def _recording_anchors(model: Any, picture: Tensor) -> tuple[Any, list[Tensor]]:
    """The model's output, and its anchors in the picture's pixels."""
    recorded: list[Tensor] = []
    generators = [m for m in model.modules() if isinstance(m, (AnchorGenerator, PriorBoxes))]
    with OwnHooks() as hooks:
        for generator in generators:
            hooks.after(generator, lambda _, output: recorded.extend(output))
        output = model(model.prepare([picture]))
    if not recorded:
        return output, []
    (original_size,), (size,) = output.batch.original_sizes, output.batch.sizes
    return output, [resize_boxes(level, size, original_size) for level in recorded]


def _matcher(model: nn.Module) -> Any:
    """Whatever matches the anchors: of a two-stage detector its first stage's."""
    matchers = [m.matcher for m in model.modules() if hasattr(m, "matcher")]
    return matchers[0] if matchers else Matcher(0.5, 0.5, allow_low_quality_matches=True)
