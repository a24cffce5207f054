"""A captioner whose words are units: planted units in, units out."""

import pytest
import torch

import fastcv
from fastcv.language import pad_texts, read_units, spell_units

UNITS = 6
SMALL = {"units": UNITS, "depth": 18, "width": 4, "grid": 2, "size": 64}
SIZES = {"embedding": 8, "hidden": 16, "attention_size": 8, "dropout": 0.0}


def make(**config):
    torch.manual_seed(0)
    return fastcv.create_model("image_to_units", **{**SMALL, **SIZES, **config})


def test_the_published_form_is_the_captioner_with_units_as_words():
    with torch.device("meta"):
        model = fastcv.create_model("image_to_units")
        captioner = fastcv.create_model(
            "show_attend_and_tell", words=[f"u{i}" for i in range(1024)]
        )
    shapes, expected = ({k: v.shape for k, v in m.state_dict().items()} for m in (model, captioner))
    assert shapes == expected and model.vocabulary == captioner.vocabulary


def test_learns_planted_units():
    """Two pictures, and what each sounds like."""
    model = make().train()
    planted = [[2, 2, 5, 0], [4, 1]]
    images = torch.stack([torch.full((3, 64, 64), -1.0), torch.full((3, 64, 64), 1.0)])
    ids = [model.vocabulary.encode(spell_units(units, UNITS), ends=True) for units in planted]
    targets = pad_texts(ids)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        optimizer.step()
    with torch.no_grad():  # with the norms' statistics of these two, as in training
        memory, state = model.begin(model(images))
        words, said = torch.full((2,), 1), []
        for _ in range(5):
            logits, state, _ = model.step(words, state, memory)
            words = logits.argmax(dim=1)
            said.append(words)
    found = [read_units(model.vocabulary.decode(row), UNITS) for row in torch.stack(said, 1)]
    assert found == planted


def test_comes_back_with_its_vocabulary(tmp_path):
    fastcv.save_model(tmp_path / "m.safetensors", make())
    model = fastcv.create_model("image_to_units", weights=str(tmp_path / "m.safetensors"))
    assert model.vocabulary.encode("u5 u0").tolist() == [9, 4]
    with pytest.raises(ValueError, match="weights of a vocabulary of 10 words"):
        fastcv.create_model(
            "image_to_units",
            weights=str(tmp_path / "m.safetensors"),
            **{**SMALL, **SIZES, "units": 7},
        )


def test_a_unit_out_of_range():
    with pytest.raises(ValueError, match="units must be u0 to u5, got u6"):
        make().vocabulary.encode("u1 u6")
    with pytest.raises(TypeError, match="words"):
        make(words=("a",))
