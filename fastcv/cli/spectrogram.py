"""``fastcv spectrogram``: pictures of sounds, of any length."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastcv.cli._arguments import add_json_argument, check_json, write_json
from fastcv.cli._errors import UserError

HELP = "pictures of sounds: waveform, spectrum, spectrogram, mel, MFCC"
CHAPTER = "Audio"
KINDS = ("waveform", "power", "spectrogram", "mel", "mfcc")  # those of fastcv.draw.sound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Tells how long sounds are, and draws them. A sound is read piece by piece: one of hours "
        "takes no more memory than one of seconds."
    )
    parser.add_argument("sounds", nargs="+", metavar="SOUND", help="sound files, such as .wav")
    parser.add_argument(
        "--out", metavar="PATH", help="the drawing: an image file, or a folder for several"
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=("all", *KINDS),
        help="a panel to draw, may be given again (default: waveform and spectrogram)",
    )
    add_json_argument(parser, "what is told of each sound as JSON")


def run(args: argparse.Namespace) -> int:
    from fastcv.audio.stft import HOP_MS, WINDOW_MS
    from fastcv.draw.sound import columns_of, draw_sound
    from fastcv.sounds import sound_blocks, sound_size

    check_json(args.json)
    kinds = args.kind or ["waveform", "spectrogram"]
    if "all" in kinds:
        kinds = list(KINDS)
    drawings = _drawings(args.sounds, args.out)
    told: list[dict[str, Any]] = []
    for sound in args.sounds:
        channels, samples, rate = sound_size(sound)
        print(
            f"{sound}: {samples / rate:.2f} s, {channels} channel{'s' * (channels != 1)}, "
            f"{rate} Hz; frames of {WINDOW_MS:g} ms, a new one every {HOP_MS:g} ms: "
            f"{WINDOW_MS - HOP_MS:g} ms of overlap"
        )
        told.append({"file": sound, "channels": channels, "samples": samples, "rate": rate})
        if sound in drawings:
            blocks = (block.mono() for block in sound_blocks(sound))
            picture = draw_sound(columns_of(blocks, rate, samples), kinds, Path(sound).name)
            _save(picture, drawings[sound])
    write_json(args.json, told)
    return 0


def _drawings(sounds: list[str], out: str | None) -> dict[str, Path]:
    """Where each sound's drawing goes to."""
    from fastcv.images import SUFFIXES

    if out is None:
        return {}
    path = Path(out)
    if path.suffix.lower() in SUFFIXES:
        if len(sounds) > 1:
            raise UserError(f"--out must be a folder for {len(sounds)} sounds, got {out}")
        return {sounds[0]: path}
    if path.suffix and not path.is_dir():
        raise UserError(f"--out must be a folder or end in an image's suffix, got {out}")
    names = [Path(sound).name + ".png" for sound in sounds]
    if len(set(names)) < len(names):
        raise UserError("two sounds have the same name: draw them into folders of their own")
    return {sound: path / name for sound, name in zip(sounds, names, strict=True)}


def _save(picture: Any, path: Path) -> None:
    from fastcv._files import replacing

    with replacing(path) as temporary:
        picture.save(temporary)
