"""``fastcv style``: photographs in the style of a picture, with a trained network or without."""

from __future__ import annotations

import argparse
import sys

from fastcv.cli import translate
from fastcv.cli._arguments import add_inputs_argument
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.cli._options import add_option
from fastcv.cli.predict import plan_files
from fastcv.models._tasks import VIEWS, positive

HELP = "photographs in the style of a picture"
SIZE, STEPS = 256, 300
OF_GATYS = ("style", "loss_weights", "style_weight", "steps", "size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Gives each picture the style of another. With --weights a trained network does it in one "
        "pass. Without, the picture itself is changed step by step (Gatys et al.): minutes on a "
        "CPU. A picture that cannot be read is reported, the others are done, and the exit status "
        "is 1."
    )
    add_inputs_argument(parser)
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="a picture, or a folder for several"
    )
    add_model_arguments(parser)
    for option in VIEWS[:2]:
        add_option(parser, option)
    gatys = parser.add_argument_group("without a trained network")
    gatys.add_argument("--style", metavar="PICTURE", help="the picture whose style is taken")
    gatys.add_argument(
        "--loss-weights",
        metavar="FILE",
        help="VGG-16's weights, torchvision's or others with its keys; by default random ones, "
        "which see textures and colours, and no objects",
    )
    gatys.add_argument(
        "--style-weight", type=float, metavar="X", help="more style, less content (default 20)"
    )
    gatys.add_argument("--steps", type=positive, metavar="N", help=f"gradients (default {STEPS})")
    gatys.add_argument(
        "--size",
        type=positive,
        metavar="N",
        help=f"make what is larger smaller: pixels of the longer side (default {SIZE})",
    )
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    if args.weights is None and args.model is None:
        return write_by_gatys(args)
    for name in OF_GATYS:
        if getattr(args, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag} is not for a trained network, which has a style of its own")
    from fastcv.models.generative.style_transfer import StyleTransfer

    name = args.model
    if name is None and not args.weights.endswith(".safetensors"):  # which would tell its model
        name = "style_transfer"
    model = load(name, args.weights, args.device)
    if not isinstance(model, StyleTransfer):
        raise UserError(f"{model.model_name} has no style: such as style_transfer has")
    return translate.write_pictures(model, args)


def write_by_gatys(args: argparse.Namespace) -> int:
    """Each picture is changed until it has the style; the exit status."""
    if args.style is None:
        raise UserError("which style? pass --style PICTURE, or --weights of a trained network")
    for option in VIEWS[:2]:
        if getattr(args, option.name) is not None:
            raise UserError(f"{option.flag} is for a trained network: pass its --weights")
    from fastcv.cli._model import find_device
    from fastcv.images import BrokenImageError, find_images, read_image
    from fastcv.models.generative._loss_network import loss_network
    from fastcv.models.generative.gatys import STYLE_WEIGHT, stylize

    pictures = find_images(args.inputs)
    files = plan_files(pictures, "--out", args.out)
    device = str(find_device(args.device))
    style = read_image(args.style)
    network = loss_network(args.loss_weights)
    if args.loss_weights is None:
        print("fastcv style: no --loss-weights: the network's are random", file=sys.stderr)
    broken = 0
    for path in pictures:
        try:
            made = stylize(
                read_image(path),
                style,
                loss_weights=network,
                style_weight=STYLE_WEIGHT if args.style_weight is None else args.style_weight,
                steps=args.steps or STEPS,
                size=args.size or SIZE,
                device=device,
                progress=True,
            )
        except ValueError as error:
            broken += 1
            where = "" if isinstance(error, BrokenImageError) else f"{path}: "
            print(f"fastcv style: {where}{error}", file=sys.stderr)
            continue
        made.source = str(path)
        made.save(files[path])
        print(f"{path}: {made}: {files[path]}")
        if made.was_stopped:
            told = f"stopped after {len(made.losses)} of {args.steps or STEPS} steps"
            print(f"\nfastcv style: {told}", file=sys.stderr)
            return 130
    return 0 if not broken else 2 if broken == len(pictures) else 1
