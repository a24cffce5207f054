"""R-CNN: every proposal is cut out, warped to one size and shown to a classifier by itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._mode import evaluating
from fastcv.models._registry import register
from fastcv.models.detection._feature_cache import FeatureCache
from fastcv.models.detection._proposals import (
    PROPOSALS,
    TakesProposals,
    check_proposals,
    proposals_of_targets,
)
from fastcv.models.detection._rcnn_fit import DescribedImage, HardNegatives, RegressionPairs
from fastcv.nn.backbones.alexnet import CHANNELS, MAP_SIZE, alexnet_grouped_features
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes, suppressed
from fastcv.nn.detection.matching import BalancedSampler, Matcher
from fastcv.nn.detection.targets import check_targets, without_crowds
from fastcv.nn.detection.transform import IMAGENET_MEAN, IMAGENET_STD, check_images
from fastcv.ops import box_iou, roi_align, selective_search

CROPS = 64  # at a time
NORM = 20.0  # of features in the mean before the SVMs see them; their C is meant for it
SAMPLE = 20  # images that the mean is taken over
NEVER = -20.0  # the margin of a class that was never seen


class RCNNOutput(NamedTuple):
    """The outputs of the SVMs and the regressions; boxes are in pixels of the images."""

    images: list[Tensor]
    """``[3, H, W]``, normalised."""
    proposals: list[Tensor] | None
    """For each image ``[N, 4]``; None in training where none were given: the targets have them."""
    margins: Tensor | None
    """``[K, classes - 1]`` for the proposals of all images, ``[K, classes - 1, 4]`` their offsets;
    None in training, where ``loss`` classifies samples of the proposals instead."""
    box_deltas: Tensor | None


class RCNN(TakesProposals):
    """R-CNN of any network.

    Trained in two steps: ``loss`` trains the network to tell warped proposals apart by softmax;
    then ``fit_svms`` solves an SVM and a box regression for each class on its features.

    Args:
        features: crops ``[K, 3, crop_size, crop_size]`` to maps, ``map_numbers`` when flattened.
        classifier: these to ``channels`` numbers.
        map_numbers, channels: see above.
        classes: names by label; the first is the background.
        crop_size: of a warped proposal, in pixels.
        context: of these, what a crop shows around the proposal on each side.

    Source: Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection and Semantic
        Segmentation" (2014), section 2, appendices A to C.
    """

    mean: Tensor
    std: Tensor
    feature_scale: Tensor

    def __init__(
        self,
        features: nn.Module,
        classifier: nn.Module,
        map_numbers: int,
        channels: int,
        classes: Sequence[str],
        *,
        crop_size: int = 227,
        context: int = 16,
    ) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        others = len(classes) - 1
        self.cls_score = nn.Linear(channels, len(classes))
        self.svms = nn.Linear(channels, others)
        self.bbox_pred = nn.Linear(map_numbers, others * 4)
        for layer in (self.svms, self.bbox_pred):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
            layer.requires_grad_(False)  # solved, not stepped
        nn.init.constant_(self.svms.bias, NEVER)
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            constant = torch.tensor(values, device="cpu")[:, None, None]
            self.register_buffer(name, constant, persistent=False)
        self.register_buffer("feature_scale", torch.ones(()))
        self.classes = tuple(classes)
        self.crop_size, self.context = crop_size, context
        self.matcher = Matcher(0.5, 0.5)
        self.sampler = BalancedSampler(128, 0.25)
        self.box_coder = BoxCoder()

    def forward(
        self, images: Sequence[Tensor] | Tensor, proposals: Sequence[Tensor] | None = None
    ) -> RCNNOutput:
        """Margins and offsets of all proposals.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].
            proposals: for each image ``[N, 4]`` in its pixels. None: in training those of
                the targets that ``loss`` is given; else selective search, its first 2000.

        Raises:
            TypeError, ValueError: images or proposals of another kind or shape.
        """
        check_images(images)
        if proposals is None and not self.training:
            proposals = [selective_search(image)[:PROPOSALS] for image in images]
        normalised = [(image - self.mean) / self.std for image in images]
        if proposals is None:
            return RCNNOutput(normalised, None, None, None)
        check_proposals(proposals, len(normalised))
        boxes = [b.to(image) for b, image in zip(proposals, normalised, strict=True)]
        if self.training:
            return RCNNOutput(normalised, boxes, None, None)
        margins, deltas = [], []
        for image, image_boxes in zip(normalised, boxes, strict=True):
            for chunk in torch.split(image_boxes, CROPS):
                maps, vectors = self.describe(image, chunk)
                margins.append(self.svms(vectors * self.feature_scale))
                deltas.append(self.bbox_pred(maps).unflatten(1, (-1, 4)))
        return RCNNOutput(normalised, boxes, torch.cat(margins), torch.cat(deltas))

    def warp(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Crops ``[N, 3, crop_size, crop_size]``: each box fills one but for the context around it.

        Args:
            image: ``[3, H, W]``, normalised: beyond its border lies the mean, 0.
            boxes: ``[N, 4]`` in its pixels.

        Source: Girshick et al. (2014), appendix A: warp with context padding.
        """
        scale = self.crop_size / (self.crop_size - 2 * self.context)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        half = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
        return roi_align(
            image[None],
            [torch.cat([centre - half, centre + half], 1)],
            self.crop_size,
            sampling_ratio=1,  # bilinear, as images were resized then
            aligned=True,
        )

    def describe(self, image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """The last maps ``[N, map_numbers]`` and the vectors ``[N, channels]`` of boxes."""
        maps = self.features(self.warp(image, boxes)).flatten(1)
        return maps, self.classifier(maps)

    def loss(self, output: RCNNOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Fine-tuning: cross-entropy of the classes, of samples of the proposals.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]``, ``labels`` ``[N]`` int64, 1 and up;
                ``proposals`` ``[M, 4]``, as ``fastcv.data.WithProposals`` gives them, unless
                ``forward`` was given some; and where there are crowds ``iscrowd`` ``[N]``.

        Returns:
            ``loss_classifier``.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image.

        Source: Girshick et al. (2014), section 2.3.
        """
        check_targets(targets, len(output.images), len(self.classes))
        proposals = output.proposals
        if proposals is None:
            proposals = proposals_of_targets(targets)
        logits, labels = [], []
        for image, proposed, target in zip(output.images, proposals, targets, strict=True):
            boxes, label = self._samples(proposed.to(image), *without_crowds(target))
            logits.append(self.cls_score(self.describe(image, boxes)[1]))
            labels.append(label)
        return {"loss_classifier": F.cross_entropy(torch.cat(logits), torch.cat(labels))}

    @torch.no_grad()
    def _samples(
        self, proposals: Tensor, objects: Tensor, object_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        candidates = torch.cat([proposals, objects.to(proposals)])
        matches = self.matcher(box_iou(objects.to(proposals), candidates))
        label = torch.zeros_like(matches)
        label[matches >= 0] = object_labels[matches[matches >= 0]]
        sampled = torch.cat(self.sampler(label))
        return candidates[sampled], label[sampled]

    @torch.no_grad()
    def fit_svms(
        self,
        dataset: Any,
        *,
        cache: str | os.PathLike[str] | None = None,
        rounds: int = 2,
        c: float = 1e-3,
        penalty: float = 1000.0,
        seed: int = 0,
    ) -> RCNN:
        """Solves each class's SVM, with hard negatives, and its box regression.

        Args:
            dataset: items ``(image, target)`` with ``proposals``, see
                ``fastcv.data.WithProposals``; each is read once or, without ``cache``, in each of
                the passes.
            cache: a folder for the features, some 27 KiB a proposal; None computes them anew in
                each pass.
            rounds: passes that look for hard negatives, after one that begins with a few of each
                image.
            c: of the SVMs.
            penalty: of the ridge regressions.
            seed: of the first negatives and of the solver.

        Returns:
            The model itself, in the mode it was in.

        Raises:
            ValueError: a target that cannot be right.
            ImportError: scikit-learn is missing.

        Source: Girshick et al. (2014), section 2.3 and appendix C.
        """
        network = {**self.features.state_dict(), **self.classifier.state_dict()}
        store = FeatureCache(cache, network)

        def described(index: int) -> DescribedImage:
            image, target = dataset[index]
            check_targets([target], 1, len(self.classes))
            objects, labels = without_crowds(target)
            boxes = torch.cat([objects, proposals_of_targets([target])[0].to(objects)])
            features = store.get([image, boxes], lambda: self._features_of(image, boxes))
            return DescribedImage(boxes, labels, box_iou(objects, boxes), **features)

        sample = [described(i).vectors for i in range(min(len(dataset), SAMPLE))]
        self.feature_scale.fill_(NORM / float(torch.cat(sample).norm(dim=1).mean()))
        svms = [HardNegatives(c, seed) for _ in self.classes[1:]]
        pairs = [RegressionPairs(self.box_coder) for _ in svms]
        for number in range(rounds + 1):
            for index in range(len(dataset)):
                image = described(index)
                for label, (svm, near) in enumerate(zip(svms, pairs, strict=True), 1):
                    svm.add_image(index, image, label, float(self.feature_scale))
                    if number == 0:
                        near.add_image(image, label)
            for svm in svms:
                svm.solve()
        for row, (svm, near) in enumerate(zip(svms, pairs, strict=True)):
            if svm.weight is not None:
                self.svms.weight[row], self.svms.bias[row] = svm.weight, svm.bias
            if len(near) > 0:
                weight, bias = near.solve(penalty)
                part = slice(4 * row, 4 * row + 4)
                self.bbox_pred.weight[part], self.bbox_pred.bias[part] = weight.T, bias
        return self

    def _features_of(self, image: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """Of an image in [0, 1] or uint8; half precision, half the disk."""
        normalised = (self.as_float(image) - self.mean) / self.std
        with evaluating(self):
            parts = [
                self.describe(normalised, chunk.to(normalised))
                for chunk in torch.split(boxes, CROPS)
            ]
        maps, vectors = (torch.cat(part).cpu().half() for part in zip(*parts, strict=True))
        return {"maps": maps, "vectors": vectors}

    def detect(
        self,
        output: RCNNOutput,
        *,
        score_threshold: float = 0.5,
        iou_threshold: float = 0.3,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score.

        Args:
            output: of ``forward`` in eval mode.
            score_threshold: the margin's logistic function must be above it; 0.5 is the SVM's
                decision boundary. It is no probability.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.

        Raises:
            ValueError: ``output`` is of training mode.
        """
        images, proposals, margins, deltas = output
        if proposals is None or margins is None or deltas is None:
            raise ValueError("output is of training mode, which has no margins: eval() first")
        counts = [len(boxes) for boxes in proposals]
        found = []
        for image, image_proposals, margin, offsets in zip(
            images,
            proposals,
            torch.split(margins, counts),
            torch.split(deltas, counts),
            strict=True,
        ):
            scores = margin.sigmoid()
            proposal, row = (scores > score_threshold).nonzero(as_tuple=True)
            kept = suppressed(
                self.box_coder.decode(offsets[proposal, row], image_proposals[proposal]),
                scores[proposal, row],
                row + 1,
                (image.shape[1], image.shape[2]),
                iou_threshold=iou_threshold,
                max_detections=max_detections,
            )
            found.append(kept)
        return found

    def image_sizes(self, output: RCNNOutput) -> list[tuple[int, int]]:
        return [(image.shape[1], image.shape[2]) for image in output.images]


@register("rcnn_alexnet", task="detection")
def rcnn_alexnet(*, num_classes: int = 21) -> RCNN:
    """R-CNN as in the paper: AlexNet on crops of 227 x 227 pixels, 4096 numbers a proposal.

    The keys of AlexNet's layers are those of ``alexnet_grouped``.

    Args:
        num_classes: with the background; 21 for PASCAL VOC.
    """
    map_numbers = CHANNELS * MAP_SIZE**2
    classifier = nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(map_numbers, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
    )
    classes = default_classes("voc", num_classes, with_background=True)
    return RCNN(alexnet_grouped_features(), classifier, map_numbers, 4096, classes)


@register("rcnn_small", task="detection")
def rcnn_small(*, num_classes: int = 21, width: int = 32, crop_size: int = 48) -> RCNN:
    """A smaller R-CNN: three convolutions and a layer on small crops.

    Args:
        num_classes: with the background.
        width: channels of the first convolution; each doubles them.
        crop_size: of a warped proposal, in pixels, a multiple of 8; a twelfth is context on each
            side.
    """
    if crop_size % 8:
        raise ValueError(f"crop_size must be a multiple of 8, got {crop_size}")
    layers: list[nn.Module] = []
    inputs = 3
    for channels in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        inputs = channels
    map_numbers, numbers = inputs * (crop_size // 8) ** 2, 8 * width
    classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(map_numbers, numbers), nn.ReLU())
    return RCNN(
        nn.Sequential(*layers),
        classifier,
        map_numbers,
        numbers,
        default_classes("voc", num_classes, with_background=True),
        crop_size=crop_size,
        context=crop_size // 12,
    )
