"""``fastcv explain``: how a model comes to what it says, as a picture."""

from __future__ import annotations

import argparse

from fastcv.cli._model import add_device_argument, add_model_arguments, load

HELP = "how a model comes to what it says, as a picture"
CHAPTER = "Models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    topics = parser.add_subparsers(dest="topic", required=True)
    detection = topics.add_parser(
        "detection",
        help="anchors, their matching by IoU, and NMS, step by step",
        description="A detector's anchors, which of them match what it finds, the boxes before "
        "non-maximum suppression, its first steps, and what is left.",
    )
    detection.add_argument("input", metavar="INPUT", help="an image")
    add_model_arguments(detection)
    detection.add_argument("--out", metavar="FILE", default="explain_detection.png")
    detection.add_argument("--score-threshold", type=float, default=0.3, metavar="X")
    detection.add_argument("--iou-threshold", type=float, default=0.5, metavar="X")
    add_device_argument(detection)
    detection.set_defaults(run=run_detection)


def run_detection(args: argparse.Namespace) -> int:
    from fastcv.cli._errors import UserError
    from fastcv.explain import detection_steps
    from fastcv.models.detection._detector import Detector

    model = load(args.model, args.weights, args.device)
    if not isinstance(model, Detector):
        raise UserError(f"{model.model_name} is no detector: `fastcv models --task detection`")
    steps = detection_steps(
        model,
        args.input,
        score_threshold=args.score_threshold,
        iou_threshold=args.iou_threshold,
    )
    steps.save(args.out)
    anchors = sum(len(level) for level in steps.anchors)
    matched = int((steps.matches >= 0).sum())
    print(
        f"{anchors} anchors, {matched} matched; {len(steps.candidates)} boxes that score, "
        f"{len(steps.found)} after NMS: {args.out}"
    )
    return 0
