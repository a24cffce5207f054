"""One scene as three tasks see it: semantic, instance and panoptic segmentation, void drawn.

python examples/three_tasks.py            from weights beside this file
python examples/three_tasks.py --train    trains the recipe before, streets_upsnet
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from fastcv._files import replacing
from fastcv.draw import contact_sheet
from fastcv.models.panoptic.upsnet import UPSNet
from fastcv.ops import paste_masks
from fastcv.recipes.panoptic.streets_upsnet import FROZEN, RECIPE, streets
from fastcv.results import Instances, Panoptic, Segmentation

WEIGHTS = Path(__file__).with_suffix(".safetensors")  # but for what the package has
SCENE = 67  # on it a seven, which no class is for


def keep(path: Path) -> None:
    """Keeps what the recipe trained beside this file."""
    state = {k: v for k, v in load_file(path).items() if not k.startswith(FROZEN)}
    with replacing(WEIGHTS) as temporary:
        save_file(state, temporary)


def load() -> UPSNet:
    """The trained model."""
    model = RECIPE.build()
    assert isinstance(model, UPSNet)
    state = {key: value.float() for key, value in load_file(WEIGHTS).items()}
    model.load_state_dict({**model.state_dict(), **state})
    return model.eval()


def three_tasks(model: UPSNet, image: Tensor) -> tuple[Segmentation, Instances, Panoptic]:
    """What the semantic head says, what the instance head says, and the map of both."""
    size = (image.shape[1], image.shape[2])
    with torch.inference_mode():
        parts = model.onnx_outputs(image)
    logits = F.interpolate(parts["semantic"][None], size, mode="bilinear", align_corners=False)
    instances = Instances(
        parts["boxes"],
        parts["scores"],
        parts["labels"],
        model.classes,
        size,
        masks=paste_masks(parts["masks"].sigmoid(), parts["boxes"], size),
    )
    (panoptic,) = model.predict(image)
    return Segmentation(logits[0].argmax(0), model.classes), instances, panoptic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--out", default="docs/images/three_tasks.png")
    args = parser.parse_args()
    if args.train:
        with tempfile.TemporaryDirectory() as folder:
            print(RECIPE.train(folder, device="cpu"))
            keep(Path(folder) / f"{RECIPE.name}.safetensors")
    image, _ = streets("test")[SCENE]
    found = three_tasks(load(), image)
    # Legends have rows of their own: the pictures are as high as the highest.
    contact_sheet([result.draw(image) for result in found], len(found)).save(args.out)


if __name__ == "__main__":
    main()
