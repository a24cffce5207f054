"""A clip whose objects keep their colours: the truth, and what a trained VPSNet follows.

python examples/clip_ids.py            from what it found, which lies beside this file
python examples/clip_ids.py --train    trains the recipe before, moving_digits_vpsnet
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fastcv._files import replacing
from fastcv.data import MovingStreets
from fastcv.draw import contact_sheet
from fastcv.recipes.panoptic.moving_digits_vpsnet import RECIPE, streets
from fastcv.results import Panoptic

FOUND = Path(__file__).with_suffix(".safetensors")
CLIP = 10


def keep(weights: Path) -> None:
    """Keeps what a trained model finds in the clip: the maps, and a row for each segment."""
    frames, _ = streets("test")[CLIP]
    model = RECIPE.load(weights, device="cpu")
    found = [result for _, result in model.predict_video(frames)]
    rows = [
        [number, segment.id, segment.label, 1.0 if segment.score is None else segment.score]
        for number, result in enumerate(found)
        for segment in result.segments
    ]
    maps = torch.stack([result.segment_map for result in found])
    assert int(maps.max()) < 256
    with replacing(FOUND) as temporary:
        save_file({"maps": maps.to(torch.uint8), "segments": torch.tensor(rows)}, temporary)


def load() -> list[Panoptic]:
    """What ``keep`` kept, a result for each frame."""
    state = load_file(FOUND)
    found = []
    for number, ids in enumerate(state["maps"].to(torch.int32)):
        own = [row[1:] for row in state["segments"].tolist() if row[0] == number]
        labels = {int(id): int(label) for id, label, _ in own}
        scores = {int(id): score for id, label, score in own if label >= MovingStreets.num_stuff}
        found.append(
            Panoptic.from_map(
                ids, labels, MovingStreets.classes, MovingStreets.things, scores=scores
            )
        )
    return found


def sheet() -> Image.Image:
    """A column for each frame: the true segments above, what is found below."""
    frames, targets = streets("test")[CLIP]
    rows = [[target["panoptic"] for target in targets], load()]
    drawn = [
        result.draw(frame, legend=False)
        for row in rows
        for result, frame in zip(row, frames, strict=True)
    ]
    return contact_sheet(drawn, columns=len(frames), gap=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("docs/images/clip_ids.png"))
    args = parser.parse_args()
    if args.train:
        with tempfile.TemporaryDirectory() as folder:
            print(RECIPE.train(folder, device="cpu"))
            keep(Path(folder) / f"{RECIPE.name}.safetensors")
    with replacing(args.out) as temporary:
        sheet().save(temporary, format="PNG", optimize=True)
    print(f"true segments, and what VPSNet follows: {args.out}")


if __name__ == "__main__":
    main()
