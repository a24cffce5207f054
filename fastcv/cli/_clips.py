"""``fastcv predict`` of clips: a drawn video, and a line of JSON for each frame as it is done."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv._interrupt import NotedInterrupt
from fastcv._json import to_json_line
from fastcv.cli._arguments import check_font, check_json
from fastcv.cli._errors import UserError, sentence_for
from fastcv.cli._options import load_to_predict
from fastcv.clip_writer import CODECS, FPS, ClipWriter
from fastcv.clips import SUFFIXES, read_clip
from fastcv.images import SUFFIXES as IMAGES
from fastcv.models import _tasks

if TYPE_CHECKING:
    from fastcv.models import ImageModel


def find_clips(inputs: Sequence[str], *, are_clips: bool) -> list[Path]:
    """The clips among the inputs: video files; if ``are_clips``, also folders of frames.

    Raises:
        FileNotFoundError: an input that is not there.
        UserError: an input that is no clip, where others are or all should be.
    """
    paths: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry).expanduser()
        fitting = sorted(glob.glob(str(path), recursive=True)) if not path.exists() else []
        paths.update(dict.fromkeys(map(Path, fitting) if fitting else [path]))
    clips = [path for path in paths if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if are_clips:
        clips = [path for path in paths if path in clips or path.is_dir()]
    others = [path for path in paths if path not in clips]
    for path in [*clips, *others] if clips or are_clips else []:
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}")
    if others and are_clips:
        raise UserError(
            f"--task {_tasks.CLIPS}: {others[0]} is no clip: name video files "
            f"({' '.join(SUFFIXES)}) or folders of frames"
        )
    if others and clips:
        raise UserError(
            f"{clips[0]} is a clip and {others[0]} is none: pictures and clips take a command each"
        )
    return clips


def run(args: argparse.Namespace, clips: list[Path]) -> int:
    """Each clip after the other; one that breaks ends there, and the next begins."""
    from fastcv.models import ImageModel

    _check_options(args)
    if args.out is None and args.json is None:
        name = "clips_found" if len(clips) > 1 else f"{clips[0].absolute().stem}_found"
        args.json = f"{name}.jsonl"
        args.out = name if len(clips) > 1 else f"{name}.mp4"
    drawings = plan_videos(clips, args.out)
    check_json(args.json)
    check_font(args.font)
    if args.font is not None and not drawings:
        raise UserError("--font is of drawings: name a place for them with --out")
    model, options = load_to_predict(args, args.device)
    if not isinstance(model, ImageModel):
        raise UserError(f"{model.model_name} does not take clips")
    options = {name: value for name, value in options.items() if name != "progress"}
    outcomes, lines = [], LineFile(args.json)
    for clip in clips:
        outcome = predict_clip(model, clip, drawings.get(clip), lines, options, args.font)
        outcomes.append(outcome)
        _tell(clip, outcome, [str(x) for x in (drawings.get(clip), args.json) if x])
        if outcome.stopped:
            return 130
    if all(outcome.error is None for outcome in outcomes):
        return 0
    return 1 if any(outcome.frames for outcome in outcomes) else 2


@dataclass
class Outcome:
    """How far a clip was done."""

    frames: int = 0
    error: str | None = None
    """The sentence about why it ended before the clip did."""
    stopped: bool = False
    """By Ctrl-C."""


class LineFile:
    """JSON, a value a line; each is in the file before the next is worked out.

    Without a path nothing is written, and without a value there is no file.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.lines = 0

    def write(self, value: Any) -> None:
        if self.path is None:
            return
        if self.lines == 0:
            Path(self.path).absolute().parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a" if self.lines else "w", encoding="utf-8") as file:
            file.write(to_json_line(value))
        self.lines += 1


def predict_clip(
    model: ImageModel,
    clip: Path,
    drawing: Path | None,
    lines: LineFile,
    options: dict[str, Any],
    font: str | None,
) -> Outcome:
    """One clip, as far as it goes.

    Args:
        model: anything with ``predict_video``.
        clip: a video file or a folder of frames.
        drawing: the video to write, if any.
        lines: gets a row for each frame.
        options: of ``predict_video``.
        font: of the names in drawings.
    """
    outcome = Outcome()
    try:
        rate = read_clip(clip).fps or FPS
        with ExitStack() as block:
            interrupt = block.enter_context(NotedInterrupt())
            video = block.enter_context(ClipWriter(drawing, fps=rate)) if drawing else None
            found: Any = model.predict_video(clip, progress=True, **options)
            for frame, result in block.enter_context(closing(found)):
                row = {"file": str(clip), "frame": outcome.frames}
                lines.write({**row, **result.to_dict(), **row})  # and these two come first
                if video is not None:
                    video.write(result.draw(frame, font=font))
                outcome.frames += 1
                if interrupt.noted:
                    outcome.stopped = True
                    break
    except KeyboardInterrupt:  # a second one, or in a thread
        outcome.stopped = True
    except Exception as error:
        outcome.error = sentence_for(error)
        if outcome.error is None:
            raise
    return outcome


def _tell(clip: Path, outcome: Outcome, places: list[str]) -> None:
    """A sentence about how a clip ended."""
    frames = f"{outcome.frames} frame{'s' if outcome.frames != 1 else ''}"
    where = f"in {' and '.join(places)}"
    if outcome.stopped:
        told = f"\nfastcv predict: stopped after {frames} of {clip}, kept {where}"
    elif outcome.error is not None and outcome.frames:
        told = f"fastcv predict: {outcome.error}; the {frames} before are kept {where}"
    elif outcome.error is not None:
        told = f"fastcv predict: {outcome.error}"
    else:
        print(f"{clip}: {frames} {where}")
        return
    print(told, file=sys.stderr)


def _check_options(args: argparse.Namespace) -> None:
    """What is of pictures alone.

    Raises:
        UserError: it was given.
    """
    if args.engine != "local" or args.workers is not None:
        raise UserError("--engine ray and --workers are of pictures: a clip's frames are in order")
    if args.batch_size != 1:
        raise UserError("--batch-size is of pictures: a clip's frames come one by one")
    for option in (files.option for task in _tasks.TASKS for files in task.files):
        if getattr(args, option.name) is not None:
            raise UserError(f"{option.flag} is of pictures: of a clip, --out is a drawn video")


def plan_videos(clips: list[Path], out: str | None) -> dict[Path, Path]:
    """The video to write of each clip, all known to be possible before any work is done.

    Raises:
        UserError: a place that cannot be, or one that would overwrite a clip.
    """
    if out is None:
        return {}
    target = Path(out)
    if target.suffix.lower() in CODECS and not target.is_dir():
        if len(clips) > 1:
            raise UserError(f"--out {out} is one file for {len(clips)} clips: name a folder")
        plan = {clips[0]: target}
    elif not target.is_dir() and (target.exists() or target.suffix.lower() in (*SUFFIXES, *IMAGES)):
        raise UserError(f"--out {out} must be a video ({' '.join(CODECS)}) or a folder")
    else:
        plan = {clip: target / _video_name(clip) for clip in clips}
    twice, times = Counter(plan.values()).most_common(1)[0]
    if times > 1:
        raise UserError(f"--out {out}: {times} clips would be written to {twice}")
    originals = {os.path.realpath(clip) for clip in clips}
    for path in plan.values():
        if os.path.realpath(path) in originals:
            raise UserError(f"--out {out} would overwrite the clip {path}: choose another place")
    return plan


def _video_name(clip: Path) -> str:
    name = clip.absolute().name
    if not clip.is_dir():
        return name if clip.suffix.lower() in CODECS else f"{clip.stem}.mp4"
    return f"{name}.mp4"
