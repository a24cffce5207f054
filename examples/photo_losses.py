"""One network for super-resolution, and what four losses make of it: a table and a picture.

    python examples/photo_losses.py --out docs/images/photo_losses.png    from weights beside this
    python examples/photo_losses.py --train                               trains the recipe before

The recipe is photos_srresnet. Crops are of photographs that no network was trained on.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import nn

import fastcv
from fastcv._files import replacing
from fastcv.metrics import evaluate_super_resolution
from fastcv.recipes.generative._photographs import Bicubic, PhotoCrops
from fastcv.recipes.generative.photos_srresnet import BATCH, HELD_OUT, RECIPE, SYSTEMS, TEST_SIZE

WEIGHTS = Path(__file__).with_suffix("")
FILES = {"mse": RECIPE.name} | {loss: loss for loss in ("mae", *SYSTEMS)}
SHOWN = (0, 3, 4)  # of the held-out crops: a building, a cat, coins
STEPS = 6  # that are timed, of each loss


def train() -> None:
    """Runs the recipe, and keeps its four networks."""
    WEIGHTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in RECIPE.train(folder, device="cpu").items():
            print(f"{name}: {value:.3f}")
        for loss, file in FILES.items():
            with replacing(WEIGHTS / f"{loss}.safetensors") as temporary:
                shutil.copyfile(Path(folder) / f"{file}.safetensors", temporary)


def ms_per_step(loss: str, generator: Any) -> float:
    """The median time that a step of training takes a processor, of all players together."""
    crops = RECIPE.data["train"]()
    pairs = [crops[i] for i in range(BATCH)]
    small, large = (torch.stack(side) for side in zip(*pairs, strict=True))
    system: Any = SYSTEMS[loss](generator) if loss in SYSTEMS else generator
    images = small if loss in SYSTEMS else generator.prepare(list(small))
    players: dict[str, nn.Module] = getattr(system, "players", {"": system})
    adam = {name: torch.optim.Adam(player.parameters()) for name, player in players.items()}
    times = []
    for _ in range(STEPS):
        began = time.process_time()
        output = system(images)
        for name, optimizer in adam.items():
            turn = partial(system.loss, player=name) if name else system.loss
            optimizer.zero_grad()
            torch.stack(list(turn(output, large).values())).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        times.append(time.process_time() - began)
    return 1000 * sorted(times)[STEPS // 2]


def tell(models: dict[str, Any]) -> None:
    """The table: what a step costs, and what the networks make of the held-out crops."""
    test = RECIPE.data["test"]()
    print(f"{'':12}  CPU ms a step  PSNR dB  SSIM   fine detail")
    for name, model in {"bicubic": Bicubic(), **models}.items():
        found = evaluate_super_resolution(model, test)
        ms = f"{ms_per_step(name, copy_of(name)):.0f}" if name in models else ""
        psnr, ssim, detail = found["PSNR dB"], found["SSIM"], found["fine detail"]
        print(f"{name:12}  {ms:>13}  {psnr:7.2f}  {ssim:.3f}  {detail:.3f}")


def copy_of(loss: str) -> Any:
    return fastcv.load_model(WEIGHTS / f"{loss}.safetensors").float().train()


def draw(models: dict[str, Any], out: Path) -> None:
    """A row for each crop: enlarged by each model, and the truth."""
    crops = PhotoCrops(HELD_OUT, max(SHOWN) + 1, size=TEST_SIZE)
    titles = ("bicubic", "MSE", "MAE", "features", "adversarial", "truth")
    figure, axes = plt.subplots(
        len(SHOWN), len(titles), figsize=(12, 2.06 * len(SHOWN)), layout="constrained"
    )
    for row, index in zip(axes, SHOWN, strict=True):
        small, large = crops[index]
        made = [model.predict(small)[0].pictures[0] for model in (Bicubic(), *models.values())]
        for ax, picture in zip(row, [*made, large], strict=True):
            ax.imshow(picture.permute(1, 2, 0))
            ax.set_axis_off()
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    figure.savefig(out, dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--out", type=Path, default=Path("docs/images/photo_losses.png"))
    options = parser.parse_args()
    if options.train:
        train()
    models = {loss: copy_of(loss) for loss in FILES}
    tell(models)
    draw(models, options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
