"""``fastcv explain``: how a model comes to what it says, as a picture."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv.cli import _explain_neighbours
from fastcv.cli._arguments import add_font_argument, check_font
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load

if TYPE_CHECKING:
    from PIL import Image

    from fastcv.models import ImageModel
    from fastcv.results import Attribution

HELP = "how a model comes to what it says, as a picture"
CHAPTER = "Models"

MAPS = "maps"
METHODS = (
    "activations",
    "occlusion",
    "saliency",
    "smoothgrad",
    "deconvnet",
    "guided_backprop",
    "cam",
    "grad_cam",
    "guided_grad_cam",
)
"""In the order of the sheet that ``--method all`` draws."""

OF_A_LAYER = ("activations", "grad_cam", "guided_grad_cam")
IN_COLOURS = ("deconvnet", "guided_backprop", "guided_grad_cam")
SAMPLES = 16  # of SmoothGrad


def add_arguments(parser: argparse.ArgumentParser) -> None:
    topics = parser.add_subparsers(dest="topic", required=True)
    maps = topics.add_parser(
        MAPS,
        help="which pixels of a picture an answer comes from; `fastcv explain photo.jpg` is this",
        description="Which pixels of a picture a model's answer comes from, by one method, or by "
        "all of them on one sheet. The word maps may be left out.",
    )
    add_maps_arguments(maps)
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
    _explain_neighbours.add_topic(topics)
    _let_maps_be_left_out(parser, tuple(topics.choices))


def add_maps_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="INPUT", help="an image")
    add_model_arguments(parser)
    parser.add_argument(
        "--method",
        choices=(*METHODS, "all"),
        default="grad_cam",
        help="by default grad_cam; all: one sheet",
    )
    parser.add_argument(
        "--target", metavar="CLASS", help="its name or number; by default the likeliest"
    )
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help=f"of {', '.join(OF_A_LAYER)}; by default the last maps",
    )
    parser.add_argument(
        "--force", action="store_true", help="go on where a model has activations but ReLU"
    )
    parser.add_argument("--out", metavar="FILE", default="explain.png", help="an image or a .json")
    add_font_argument(parser)
    add_device_argument(parser)
    parser.set_defaults(run=run_maps)


def _let_maps_be_left_out(parser: argparse.ArgumentParser, topics: Sequence[str]) -> None:
    parse = parser.parse_known_args

    def parse_known_args(args: Any = None, namespace: Any = None) -> Any:
        if args and args[0] not in (*topics, "-h", "--help"):
            args = [MAPS, *args]
        return parse(args, namespace)

    parser.parse_known_args = parse_known_args  # type: ignore[method-assign]


def run_maps(args: argparse.Namespace) -> int:
    from fastcv.models import ImageModel

    out = Path(args.out)
    _check_options(args, out)
    check_font(args.font)
    model = load(args.model, args.weights, args.device)
    if not isinstance(model, ImageModel):
        raise UserError(f"{model.model_name} does not take pictures")
    is_number = args.target is not None and args.target.removeprefix("-").isdecimal()
    target = int(args.target) if is_number else args.target
    if args.method != "all":
        found = _explain(args.method, model, args, target)
        if out.suffix.lower() == ".json":
            found.save(out)
        else:
            _write(_drawn(found, font=args.font), out)
        print(f"{args.input}: {found}: {out}")
        return 0
    from fastcv.results import Gallery

    # What any network has comes first: where this fails, it is for the picture or the target.
    drawn = {"grad_cam": _drawn(_explain("grad_cam", model, args, target), names=False)}
    left_out = []
    for method in METHODS:
        try:
            if method not in drawn:
                drawn[method] = _drawn(_explain(method, model, args, target), names=False)
        except (ValueError, TypeError) as error:
            # Such as CAM of a network that does not end in a mean: the others are drawn.
            left_out.append(f"{method}: {error}")
    there = [method for method in METHODS if method in drawn]
    Gallery([drawn[method] for method in there], there, columns=3).save(out, font=args.font)
    for line in left_out:
        print(f"left out: {line}")
    print(f"{args.input}: {len(there)} methods: {out}")
    return 0


def _check_options(args: argparse.Namespace, out: Path) -> None:
    """Before anything is computed: what the method does not use, and what cannot be written."""
    from fastcv.images import SUFFIXES

    if args.method == "all" and out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out} must be an image: --method all draws a sheet")
    if out.suffix.lower() not in (".json", *SUFFIXES):
        raise UserError(f"--out {out} must end in .json or an image's suffix")
    if args.layer is not None and args.method not in (*OF_A_LAYER, "all"):
        raise UserError(f"--layer is of {', '.join(OF_A_LAYER)}, and --method is {args.method}")
    if args.target is not None and args.method == "activations":
        raise UserError("--target must be left out: --method activations asks for no class")


def _explain(
    method: str, model: ImageModel, args: argparse.Namespace, target: int | str | None
) -> Attribution:
    from fastcv import explain

    picture = args.input
    at = {} if args.layer is None else {"layer": args.layer}
    methods: dict[str, Callable[[], Attribution]] = {
        "activations": lambda: explain.activations(model, picture, **at),
        "occlusion": lambda: explain.occlusion(model, picture, target),
        "saliency": lambda: explain.saliency(model, picture, target),
        "smoothgrad": lambda: explain.saliency(model, picture, target, samples=SAMPLES),
        "deconvnet": lambda: explain.deconvnet(model, picture, target, force=args.force),
        "guided_backprop": lambda: explain.guided_backprop(
            model, picture, target, force=args.force
        ),
        "cam": lambda: explain.cam(model, picture, target),
        "grad_cam": lambda: explain.grad_cam(model, picture, target, **at),
        "guided_grad_cam": lambda: explain.guided_grad_cam(
            model, picture, target, force=args.force, **at
        ),
    }
    return methods[method]()


def _drawn(found: Attribution, *, names: bool = True, font: str | None = None) -> Image.Image:
    return found.draw(
        how="pixels" if found.method in IN_COLOURS else "heat", names=names, font=font
    )


def _write(picture: Image.Image, out: Path) -> None:
    from fastcv._files import replacing

    with replacing(out) as temporary:
        picture.save(temporary, quality=92)


def run_detection(args: argparse.Namespace) -> int:
    from fastcv.explain import detection_steps
    from fastcv.explain.detection import check_figure_path
    from fastcv.models.detection._detector import Detector

    check_figure_path(args.out)
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
