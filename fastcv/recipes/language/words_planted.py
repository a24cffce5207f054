"""Word vectors of a text with planted relations: gender, number and capitals.

A run has ``words_planted.safetensors``, which ``WordVectors.load`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fastcv.data.planted_words import planted_questions, planted_sentences
from fastcv.language.negative_sampling import Corpus, word2vec
from fastcv.language.word_vectors import WordVectors
from fastcv.metrics.analogies import Question, evaluate_analogies
from fastcv.models import Model
from fastcv.recipes._recipe import Level, Recipe, Run

DIM = 50
# Each word is as frequent as others of its kind: nothing to pass over.
OPTIONS: dict[str, Any] = {"dim": DIM, "lr": 0.05, "sample": 0.0}


class WordTable(Model):
    """The vectors ``[V, D]`` of the words of the planted text, which are its classes."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = Corpus.of(planted_sentences()).words
        self.vectors = torch.nn.Parameter(torch.zeros(len(self.classes), DIM))


def by_word2vec(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train by negative sampling, write the vectors, measure them."""
    vectors = word2vec(
        recipe.data["train"](), epochs=run.epochs, seed=run.seed, device=run.device, **OPTIONS
    )
    weights = run.out / f"{recipe.name}.safetensors"
    vectors.save(weights)
    return recipe.evaluate(weights, device="cpu")


def accuracy(model: Any, questions: Mapping[str, Sequence[Question]]) -> dict[str, float]:
    """The share of analogies that are answered right, by section."""
    found = evaluate_analogies(WordVectors(model.classes, model.vectors.detach()), questions)
    return {section: share for section, share in found.items() if section != "asked"}


RECIPE = Recipe(
    name="words_planted",
    summary="word2vec on a text with planted relations, asked for analogies",
    data={"train": planted_sentences, "test": planted_questions},
    build=WordTable,
    epochs=5,
    schedule=lambda model, device: {},
    metrics=accuracy,
    level=Level(
        {"gender": 1.0, "number": 1.0, "capital": 1.0, "all": 1.0},
        on="408 analogies",
        runs="seed 0, one run",
        date="2026-12-01",
    ),
    stages=by_word2vec,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
