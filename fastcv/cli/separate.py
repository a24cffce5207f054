"""``fastcv separate``: what each face says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.models import _tasks

HELP = "what each face says, of a sound of several voices"
(TASK,) = (task for task in _tasks.TASKS if task.name == "separation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Takes voices apart. Writes a .wav for each face, numbered in the order of the faces."
    )
    parser.add_argument("sound", metavar="SOUND", help="a sound of several voices, such as a .wav")
    parser.add_argument(
        "--faces",
        nargs="+",
        required=True,
        metavar="FILE.npy",
        help="of each who speaks: embeddings [V, E], 25 a second",
    )
    add_model_arguments(parser)
    parser.add_argument("--out", default="separated", metavar="DIR", help="separated")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out must be a folder, and {out} is a file")
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(
            f"{model.model_name} takes no voices apart: `fastcv models --task separation`"
        )
    made = model.separate(args.sound, [read_face(path) for path in args.faces])
    out.mkdir(parents=True, exist_ok=True)
    for k, (face, audio) in enumerate(zip(args.faces, made, strict=True), 1):
        path = out / f"{k}_{Path(face).stem}.wav"
        audio.save(path)
        print(f"{audio}: {path}")
    return 0


def read_face(path: str) -> Any:
    """The array in a file.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it holds no array of numbers.
    """
    import numpy as np

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        face = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        face = None
    if not isinstance(face, np.ndarray) or face.dtype.kind not in "fiu":
        raise UserError(f"--faces: {path} is no .npy of numbers")
    return face
