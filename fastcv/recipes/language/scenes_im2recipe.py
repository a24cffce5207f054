"""im2recipe on drawn scenes: which recipe draws a picture, and which picture a recipe draws.

First word2vec learns vectors of the words, an encoder to tell an instruction's neighbours, and the
ResNet to tell what is in cells of scenes, as the paper's knows ImageNet. Then im2recipe is trained
twice from the same weights: with the kinds of scenes beside the cosines, and without.

A run has ``scenes_im2recipe.safetensors`` and ``scenes_im2recipe_no_kinds.safetensors``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.data import DrawnRecipe, DrawnRecipes, DrawnScenes, MismatchedPairs
from fastcv.data.drawn_recipes import KINDS
from fastcv.data.scene_text import SAID, TAGS
from fastcv.language import WordVectors, word2vec
from fastcv.learn.schedules import one_cycle
from fastcv.metrics import evaluate_retrieval
from fastcv.models import Model, create_model, save_model
from fastcv.models.language.skip_instructions import InstructionNeighbours, SkipInstructions
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.language._cnn_first import SIDE, learn_to_see

WIDTH = 16  # channels of the ResNet's first stage
VECTOR, WORD, JOINT = 32, 32, 64  # numbers of an instruction's, a word's, a joint vector
SKIP_EPOCHS = 1
GRAMMAR = (
    "begin",
    "with",
    "draw",
    "the",
    *sorted({w for s in SAID.values() for w in s[0].split()}),
)
LOSSES = {"kinds": True, "cosine": False}
Item = tuple[Tensor, DrawnRecipe]


def scenes(split: str, length: int) -> list[Item]:
    """Pictures ``[3, 64, 64]`` in [0, 1] with their recipes, in memory."""
    drawn = DrawnRecipes(DrawnScenes(split, size=(SIDE, SIDE), length=length))
    return [drawn[i] for i in range(length)]


def build(semantic: bool = True) -> Model:
    """The model, with random weights."""
    model = create_model(
        "im2recipe_resnet18",
        classes=KINDS,
        semantic=semantic,
        words=TAGS,
        instruction_words=(*TAGS, *GRAMMAR),
        width=WIDTH,
        small_pictures=True,
        embedding_size=JOINT,
        vector_size=VECTOR,
        hidden_size=JOINT,
        ingredient_size=WORD,
        word_size=WORD,
    )
    model.preprocessing = {**model.preprocessing, "resize": SIDE, "crop": SIDE}
    return model


def apart(vectors: WordVectors) -> WordVectors:
    """Without what all have in common, and of a size where an LSTM tells them from each other.

    As they come, all recipes would begin as nearly the same vector.
    """
    centred = vectors.vectors - vectors.vectors.mean(dim=0)
    return WordVectors(vectors.words, centred / centred.square().mean().sqrt())


def instruction_encoder(data: Sequence[Item], run: Run) -> Any:
    """An encoder of instructions, trained to tell what is done before and after."""
    model = SkipInstructions(words=(*TAGS, *GRAMMAR), vector_size=VECTOR, word_size=WORD)
    steps = [target.recipe.instructions for _, target in data]
    run.fit(
        model,
        InstructionNeighbours(model.vocabulary, steps),
        "instructions",
        epochs=SKIP_EPOCHS,
        batch_size=64,
        optimizer=partial(torch.optim.Adam, lr=5e-3),
        scheduler=one_cycle(0.2),
    )
    return model.encoder


def both(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains with the kinds and without, from the same weights, and measures both."""
    torch.manual_seed(run.seed)
    data, test = recipe.data["train"](), recipe.data["test"]()
    sentences = [step.split() for _, target in data for step in target.recipe.instructions]
    vectors = apart(word2vec(sentences, dim=WORD, epochs=10, seed=run.seed, sample=0.0))
    encoder = instruction_encoder(data, run)
    sees: Any = build()
    learn_to_see(sees.visionMLP, sees.visionMLP.out_channels[-1], run)
    found: dict[str, Any] = {}
    for name, semantic in LOSSES.items():
        torch.manual_seed(run.seed)
        model: Any = build(semantic)
        model.take_word_vectors(vectors)
        model.sentences.load_state_dict(encoder.state_dict())
        model.visionMLP.load_state_dict(sees.visionMLP.state_dict())
        # Nothing about the instructions' vectors changes any more.
        known = [
            (image, target.with_vectors(model.instruction_vectors(target.recipe).cpu()))
            for image, target in data
        ]
        options = recipe.schedule(model, run.device)
        run.fit(model, MismatchedPairs(known), name, **options)
        file = recipe.name if semantic else f"{recipe.name}_{name}"
        save_model(run.out / f"{file}.safetensors", model, half=True)
        found |= {f"{name}: {key}": value for key, value in recipe.metrics(model, test).items()}
    return found


def schedule(model: Any, device: str) -> dict[str, Any]:
    """The published Adam at twenty times its rate, for there are few steps; both halves at once."""
    return {
        "batch_size": 32,
        "optimizer": partial(torch.optim.Adam, lr=2e-3),
        "scheduler": one_cycle(0.2),
        "collate_fn": model.collate,
    }


def measure(model: Any, test: Sequence[Item]) -> dict[str, float]:
    """Recall and median rank among all recipes, or all pictures, of the test."""
    images = model.embed_images([image for image, _ in test], batch_size=50)
    return evaluate_retrieval(images, model.embed_texts([target.recipe for _, target in test]))


RECIPE = Recipe(
    name="scenes_im2recipe",
    summary="im2recipe on drawn scenes, with the kinds of scenes in the loss and without",
    data={"train": partial(scenes, "train", 3000), "test": partial(scenes, "test", 500)},
    build=build,
    epochs=14,
    schedule=schedule,
    metrics=measure,
    level=Level(
        {
            "kinds: image to text MedR": 2.0,
            "kinds: text to image MedR": 3.0,
            "kinds: image to text R@10": 0.940,
            "cosine: image to text MedR": 5.0,
            "cosine: text to image MedR": 6.0,
            "cosine: image to text R@10": 0.746,
        },
        on="500 scenes, among whose compositions are ones it never saw",
        runs="seed 0, one run of each",
        date="2026-12-01",
    ),
    stages=both,
    no_weights=NO_WEIGHTS.format("scenes_im2recipe.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
