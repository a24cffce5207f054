"""``fastcv evaluate``: how good a model is on annotated pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv.cli._errors import UserError
from fastcv.cli._metrics import print_metrics
from fastcv.cli._model import add_device_argument, add_model_arguments, find_device, load
from fastcv.cli._options import (
    add_segmenter_arguments,
    allow_large_pictures,
    check_options,
    segmenter_options,
)

if TYPE_CHECKING:
    from fastcv.models import System


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="how good a model is on annotated pictures",
        description="COCO's metrics of a detector, accuracy and calibration of a classifier, "
        "or IoU and boundary F of a segmenter, on annotations of your own or of a recipe.",
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--recipe", metavar="NAME", help="a recipe's data; its weights unless --weights is given"
    )
    data.add_argument("--coco", nargs=2, metavar=("IMAGES", "JSON"), help="COCO's format")
    data.add_argument(
        "--voc",
        nargs=2,
        metavar=("ROOT", "SET"),
        help="PASCAL VOC's, .../VOC2007 test: boxes, or label maps for a segmenter",
    )
    data.add_argument(
        "--folder", metavar="ROOT", help="for a classifier: a folder of images for each class"
    )
    data.add_argument(
        "--masks",
        nargs=2,
        metavar=("IMAGES", "MASKS"),
        help="for a segmenter: a folder of images, and one of label maps (.png) of the same names",
    )
    add_model_arguments(parser)
    add_device_argument(parser)
    add_segmenter_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="the metrics as JSON too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    device = find_device(args.device)
    if segmenter_options(args) and args.masks is None and args.voc is None:
        raise UserError(
            "--tile, --overlap, --scales and --flip are of segmenters: --masks or --voc"
        )
    if args.recipe is not None:
        from fastcv import recipes

        if args.model is not None:
            raise UserError("--recipe has a model of its own: leave --model out")
        metrics = recipes.get(args.recipe).evaluate(args.weights, device=str(device))
    elif args.folder is not None:
        from fastcv.metrics import evaluate_classifier

        model = load(args.model, args.weights, args.device)
        metrics = evaluate_classifier(model, _folder(args.folder, model.classes), progress=True)
    else:
        model = load(args.model, args.weights, args.device)
        metrics = _evaluate(model, args)
    print_metrics(metrics)
    if args.json is not None:
        from fastcv._files import replacing

        with replacing(Path(args.json)) as temporary:
            temporary.write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    return 0


def _evaluate(model: System, args: argparse.Namespace) -> dict[str, Any]:
    """A detector's or a segmenter's metrics."""
    from fastcv import data
    from fastcv.metrics import evaluate_detector, evaluate_segmenter
    from fastcv.models.segmentation._segmenter import Segmenter

    options = segmenter_options(args)
    check_options(model, options)
    allow_large_pictures(options)
    if args.masks is not None or (args.voc is not None and isinstance(model, Segmenter)):
        masks: Any = (
            data.MaskFolder(*args.masks)
            if args.masks is not None
            else data.VocSegmentation(*args.voc)
        )
        check_classes(model.classes, masks.classes)
        return evaluate_segmenter(model, masks, progress=True, **options)
    boxes: Any = (
        data.CocoDetection(*args.coco) if args.coco is not None else data.VocDetection(*args.voc)
    )
    check_classes(model.classes, boxes.classes)
    return evaluate_detector(model, boxes)


def _folder(root: str, classes: Sequence[str]) -> Any:
    """The images with the model's labels, by the names of the folders.

    Raises:
        UserError: a folder that no class of the model is called.
    """
    from fastcv.data import ImageFolder

    data = ImageFolder(root)
    label_of = {name: label for label, name in reversed(list(enumerate(classes)))}
    strange = [name for name in data.classes if name not in label_of]
    if strange:
        raise UserError(
            f"{root} has a folder {strange[0]!r}, and the model has no such class: folders must "
            f"be named as its classes, such as {', '.join(map(repr, classes[:3]))}"
        )
    data.samples = [(path, label_of[data.classes[label]]) for path, label in data.samples]
    return data


def check_classes(model: Sequence[str], data: Sequence[str]) -> None:
    """Refuses annotations whose labels mean other things than the model's.

    Raises:
        UserError: the first label whose names differ.
    """
    for label, name in enumerate(data):
        mine = model[label] if label < len(model) else "not there"
        if label > 0 and name not in (mine, "(unused)") and mine != f"class {label}":
            raise UserError(
                f"label {label} is {name!r} in the annotations and {mine!r} in the model: the "
                "metrics would mean nothing"
            )
