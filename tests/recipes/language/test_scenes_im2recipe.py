"""The recipe of drawn recipes: its words, and a run from end to end."""

from dataclasses import replace
from functools import partial

import torch

from fastcv import load_model
from fastcv.data.drawn_recipes import KINDS
from fastcv.language import WordVectors
from fastcv.models.language.skip_instructions import instruction_ids
from fastcv.recipes.language import _cnn_first
from fastcv.recipes.language.scenes_im2recipe import RECIPE, apart, build, measure, scenes


def test_it_knows_all_words_of_the_scenes():
    model = build()
    assert model.classes == KINDS and len(model.semantic_branch.bias) == len(KINDS)
    for split in ("train", "test"):
        for image, target in scenes(split, 20):
            assert image.shape == (3, 64, 64)
            ids = model.ingredient_ids(target.recipe)
            words = " ".join(target.recipe.ingredients).split()
            assert len(ids) == 1 + len(set(words))
            unknown = model.vocabulary.id_of("<unk>")
            for step in instruction_ids(model.sentences.vocabulary, target.recipe.instructions):
                assert unknown not in step


def test_vectors_come_apart():
    found = apart(WordVectors(["a", "b", "c"], torch.tensor([[1.0, 5], [3, 5], [2, 5]])))
    # The mean is (2, 5); of what is left, 1, 1 and 0 beside zeros, the mean square is 2 / 6.
    expected = torch.tensor([[-1.0, 0], [1, 0], [0, 0]]) * 3**0.5
    torch.testing.assert_close(found.vectors, expected)
    assert found.words == ("a", "b", "c")


def test_a_run_and_what_it_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(_cnn_first, "LENGTH", 32)
    monkeypatch.setattr(_cnn_first, "EPOCHS", 1)
    small = replace(RECIPE, data={name: partial(scenes, name, 40) for name in ("train", "test")})
    found = small.train(tmp_path, epochs=1, device="cpu")
    measured = measure(build(), scenes("test", 3))
    assert set(found) == {f"{loss}: {key}" for loss in ("kinds", "cosine") for key in measured}
    assert set(RECIPE.level.metrics) <= set(found)
    with_kinds = load_model(tmp_path / "scenes_im2recipe.safetensors")
    without = load_model(tmp_path / "scenes_im2recipe_cosine.safetensors")
    assert with_kinds.semantic_branch is not None and without.semantic_branch is None
    assert with_kinds.preprocessing["crop"] == 64
    # Both have the same encoder of instructions, which the training leaves alone.
    for key, value in with_kinds.sentences.state_dict().items():
        assert torch.equal(value, without.sentences.state_dict()[key])
    evaluated = small.evaluate(tmp_path / "scenes_im2recipe.safetensors", device="cpu")
    assert evaluated.keys() == measured.keys()
    for name in ("instructions", "cnn", "kinds", "cosine"):
        assert (tmp_path / name / "history.csv").exists()
    # A run that is started again with the same folder has nothing left to do.
    assert small.train(tmp_path, epochs=1, device="cpu") == found
