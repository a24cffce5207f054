"""Search, analogies and a map of a joint space of pictures and texts.

    python examples/joint_space.py --out docs/images                  from rankings beside this file
    python examples/joint_space.py --weights FILE --out docs/images   ranks anew: see scenes_vsepp

The pictures are scenes that the model never saw. `fastcv train scenes_vsepp` writes the weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot as plt
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image

from fastcv import load_model, recipes
from fastcv._files import replacing
from fastcv.data.scene_text import BACKGROUNDS, COLOURS, DIGITS, TAGS
from fastcv.explain import embed_2d
from fastcv.recipes.language._scene_texts import SceneTexts, analogies
from fastcv.results import Ranking

RANKINGS = Path(__file__).with_suffix(".json")
QUERIES = ("moon", "white two", "a red seven on grass")
BEST = 4  # pictures of a query
ANALOGIES = 3
WIDTH = 900  # pixels of a sheet
THUMBNAILS = 150


def rank(weights: Path, test: SceneTexts) -> dict[str, Any]:
    """What the model ranks: the numbers that the pictures are drawn from."""
    model: Any = load_model(weights)
    index = model.index_images(list(test.images), batch_size=64)
    found: dict[str, Any] = {"search": [], "analogies": []}
    for query in QUERIES:
        (ranking,) = model.search(query, index, k=BEST)
        found["search"].append([query, *numbers(ranking)])
    for i, minus, plus in analogies(test.scenes, "digit")[:ANALOGIES]:
        ranking = model.analogy(test.images[i], minus=minus, plus=plus, gallery=index, k=BEST)
        found["analogies"].append([i, ranking.text, *numbers(ranking)])
    alone = [i for i, scene in enumerate(test.scenes) if len(scene.digits) == 1][:THUMBNAILS]
    vectors = torch.cat([index.vectors[alone], model.embed_texts(TAGS)])
    found["plane"] = {
        "pictures": alone,
        "places": [[round(x, 3) for x in place] for place in embed_2d(vectors).tolist()],
    }
    return found


def numbers(ranking: Ranking) -> tuple[list[int], list[float]]:
    return ranking.indices.tolist(), [round(score, 4) for score in ranking.scores.tolist()]


def drawn(test: SceneTexts, indices: list[int], scores: list[float], text: str, query: Any) -> Any:
    ranking = Ranking(
        torch.tensor(scores),
        torch.tensor(indices),
        pictures=[test.images[i] for i in indices],
        text=text,
    )
    return ranking.draw(query)


def sheet(drawings: list[Image.Image], out: Path) -> None:
    """One under the other, in colours that make a small file."""
    sized = [d.resize((WIDTH, round(d.height * WIDTH / d.width))) for d in drawings]
    whole = Image.new("RGB", (WIDTH, sum(d.height for d in sized)), "white")
    top = 0
    for drawing in sized:
        whole.paste(drawing, (0, top))
        top += drawing.height
    with replacing(out) as temporary:
        whole.quantize(palette=whole.quantize(256)).save(temporary, optimize=True)


def plane(test: SceneTexts, found: dict[str, Any], out: Path) -> None:
    """Thumbnails and words where t-SNE puts their vectors."""
    figure, axis = plt.subplots(figsize=(9, 8), layout="constrained")
    places = found["places"]
    for i, place in zip(found["pictures"], places, strict=False):
        picture = OffsetImage(test.images[i].permute(1, 2, 0).numpy(), zoom=0.42)
        axis.add_artist(AnnotationBbox(picture, place, frameon=False))
    colors = {**dict.fromkeys(DIGITS, "#d7301f"), **dict.fromkeys(COLOURS, "#08519c")}
    colors |= dict.fromkeys(BACKGROUNDS, "#006d2c")
    for word, place in zip(TAGS, places[len(found["pictures"]) :], strict=True):
        style = {"boxstyle": "round,pad=0.2", "fc": colors[word], "ec": "white"}
        axis.text(*place, word, color="white", ha="center", va="center", bbox=style, zorder=5)
    x, y = torch.tensor(places).T
    axis.set(xlim=(x.min() - 2, x.max() + 2), ylim=(y.min() - 2, y.max() + 2), xticks=[], yticks=[])
    with replacing(out) as temporary:
        figure.savefig(temporary, format="png", dpi=80)
    plt.close(figure)
    with Image.open(out) as picture:
        small = picture.convert("RGB")
    small.quantize(palette=small.quantize(256)).save(out, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images", type=Path)
    parser.add_argument("--weights", type=Path)
    args = parser.parse_args()
    test: Any = recipes.get("scenes_vsepp").data["test"]()
    if args.weights:
        with replacing(RANKINGS) as temporary:
            temporary.write_text(json.dumps(rank(args.weights, test)) + "\n")
    found = json.loads(RANKINGS.read_text())
    sheet(
        [drawn(test, indices, scores, text, None) for text, indices, scores in found["search"]],
        args.out / "joint_search.png",
    )
    sheet(
        [
            drawn(test, indices, scores, text, test.images[i])
            for i, text, indices, scores in found["analogies"]
        ],
        args.out / "picture_analogies.png",
    )
    plane(test, found["plane"], args.out / "joint_space.png")


if __name__ == "__main__":
    main()
