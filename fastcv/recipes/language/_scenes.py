"""What the captioners' recipes share: drawn scenes with captions, and whether one is true."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes
from fastcv.data.drawn_scenes import BACKGROUNDS, COLOURS, DIGITS, Scene
from fastcv.data.scene_text import ARTICLES, SAID, captions, parse
from fastcv.language import Vocabulary, pad_texts, tokenize
from fastcv.learn.caption_batches import drawn_caption
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.metrics import evaluate_captions
from fastcv.metrics._batches import targets_and_results
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.language._cnn_first import SIDE, learn_to_see, normalised
from fastcv.results import Caption

# All that a caption can say, so that no word depends on which scenes were drawn.
WORDS = tuple(
    dict.fromkeys(
        [
            *ARTICLES,
            *COLOURS,
            *DIGITS,
            *BACKGROUNDS,
            *(word for ways in SAID.values() for way in ways for word in tokenize(way)),
            *("on", "with", "and"),
        ]
    )
)
BEAM = {"method": "beam", "beam_size": 3, "max_words": 30}


class CaptionedScenes(Dataset[tuple[Tensor, list[str]]]):
    """``DrawnScenes`` of 64 x 64 pixels with five captions each, drawn once and kept.

    Captions go from left to right. Where they begin with any digit, nobody can know which one comes
    next, and attention has to look before its word is chosen: both models look at step t by the
    state before it, which has not read the word before it yet.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        length: how many are drawn.

    Attributes:
        images: ``[N, 3, 64, 64]`` uint8.
        targets: those of ``DrawnScenes``, without the masks.
        captions: five of each.
    """

    def __init__(self, split: str, length: int) -> None:
        scenes = DrawnScenes(split, size=(SIDE, SIDE), length=length)
        self.images = torch.empty(length, 3, SIDE, SIDE, dtype=torch.uint8)
        self.targets: list[dict[str, Any]] = []
        self.captions: list[list[str]] = []
        for i, image in enumerate(self.images):
            drawn, target = scenes[i]
            image.copy_((drawn * 255).round())
            del target["masks"]
            self.targets.append(target)
            self.captions.append(captions(target["scene"], in_order=True))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, list[str]]:
        return self.images[index] / 255, self.captions[index]


def read_and_scored(model: Any, test: CaptionedScenes) -> dict[str, float]:
    """How often a caption is true of its scene, and the usual metrics.

    Returns:
        ``"exact"``: the share of captions that name all digits with their colours, the background
        and how they lie, and nothing else; ``"exact, seen"``: the same of scenes whose digits were
        in those colours in training, too; ``"digits"``: the share that is right in digits and
        colours; BLEU-4; and CIDEr-D as a share of its best, 10. Of models with attention also
        ``"pointing"``: how often a digit's word was said with the peak in its box.
    """
    told = [
        found
        for _, found in targets_and_results(
            model, test, batch_size=50, progress=False, options=BEAM
        )
    ]
    exact = torch.tensor(
        [
            is_true(found.text, target["scene"])
            for found, target in zip(told, test.targets, strict=True)
        ]
    )
    seen = torch.tensor([not bool(target["held_out"].any()) for target in test.targets])
    scores = evaluate_captions([found.text for found in told], test.captions)
    measured = {
        "exact": share(exact),
        "exact, seen": share(exact[seen]),
        "digits": share(
            torch.tensor(
                [names_digits(f.text, t["scene"]) for f, t in zip(told, test.targets, strict=True)]
            )
        ),
        "BLEU-4": scores["BLEU-4"],
        "CIDEr-D / 10": scores["CIDEr-D"] / 10,
    }
    hits = [hit for f, t in zip(told, test.targets, strict=True) for hit in pointing(f, t)]
    if hits:
        measured["pointing"] = share(torch.tensor(hits))
    return measured


def share(right: Tensor) -> float:
    """The share of True in ``[N]`` bool."""
    return right.double().mean().item()


def is_true(text: str, scene: Scene) -> bool:
    """Whether a caption can be read back, and all that it says is so, and nothing is left out."""
    said = parse(text)
    return said is not None and said.is_true_of(scene)


def names_digits(text: str, scene: Scene) -> bool:
    """Whether a caption names exactly the digits that there are, with their colours."""
    said = parse(text)
    return said is not None and sorted(said.digits) == sorted(map(str, scene.digits))


def pointing(found: Caption, target: dict[str, Any]) -> list[bool]:
    """For each digit that is named and is there: whether the attention's peak is in its box.

    The peak is the middle of the cell that was looked at most when the digit's word was said.
    """
    if found.attention is None:
        return []
    boxes = {
        digit.word: box for digit, box in zip(target["scene"].digits, target["boxes"], strict=True)
    }
    hits = []
    said = zip(found.words, found.words[1:], found.attention[1:], strict=False)
    for before, word, weights in said:
        if before in COLOURS and word in boxes:  # "one" is an article, too
            row, column = divmod(int(weights.argmax()), weights.shape[-1])
            x, y = ((cell + 0.5) * SIDE / weights.shape[-1] for cell in (column, row))
            left, top, right, bottom = boxes[word].tolist()
            hits.append(left <= x <= right and top <= y <= bottom)
    return hits


def cnn_first(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the CNN on what is in the cells, then the rest on captions, and measures.

    The CNN stays then as it is, as in both papers where their LSTMs begin to learn. So its maps are
    made once.
    """
    torch.manual_seed(run.seed)
    model: Any = recipe.build()
    (name,) = (n for n, part in model.named_modules() if isinstance(part, ResNetTrunk))
    trunk = model.get_submodule(name)
    learn_to_see(trunk, trunk.out_channels[-1], run)
    maps = MapsWithCaptions(trunk, recipe.data["train"](), run.device)
    collate = partial(with_captions, model.vocabulary)
    model.set_submodule(name, GivenMaps())
    run.fit(model, maps, **{**recipe.schedule(model, run.device), "collate_fn": collate})
    model.set_submodule(name, trunk)
    return recipe.keep(model, run)


class GivenMaps(nn.Module):
    """In place of a trunk: its input is the trunk's last map."""

    def forward(self, maps: Tensor) -> tuple[Tensor]:
        return (maps,)


class MapsWithCaptions(Dataset[tuple[Tensor, list[str]]]):
    """The last map of a trunk in eval mode, of each of some scenes, and their captions."""

    def __init__(self, trunk: nn.Module, scenes: CaptionedScenes, device: str) -> None:
        self.captions = scenes.captions
        trunk.to(device).eval()
        with torch.no_grad():
            parts = scenes.images.split(100)  # type: ignore[no-untyped-call]  # torch's
            maps = [trunk(normalised(part).to(device))[-1] for part in parts]
        self.maps = torch.cat(maps).cpu().contiguous()

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> tuple[Tensor, list[str]]:
        return self.maps[index], self.captions[index]


def with_captions(
    vocabulary: Vocabulary, items: Sequence[tuple[Tensor, list[str]]]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A batch of ``MapsWithCaptions``, with one caption of each, as a captioner takes it."""
    maps, texts = zip(*items, strict=True)
    return torch.stack(maps), pad_texts([drawn_caption(vocabulary, text) for text in texts])


def few_steps(model: Any, device: str, *, lr: float = 3e-3) -> dict[str, Any]:
    """The schedule: AdamW, one cycle, and gradients that are clipped."""
    return {
        "batch_size": 32,
        "optimizer": partial(adamw, lr=lr),
        "scheduler": one_cycle(0.2),
        "clip_norm": 5.0,
        "precision": fastest_precision(device),
    }
