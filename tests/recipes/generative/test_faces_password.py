"""The recipe of password faces: its table by plain networks, and a run from end to end."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv import load_model
from fastcv.models.generative.passwords import password_bits
from fastcv.nn.backbones.sphereface import FaceEmbedding
from fastcv.recipes.generative import faces_password
from fastcv.recipes.generative.faces_password import BITS, PEOPLE, RECIPE, faces, metrics


class Negative(nn.Module):
    """Of each face the negative, whatever the password: a second time it is the face again."""

    def forward(self, images, passwords):
        assert passwords.shape == (len(images), BITS)
        return -images


class Nearest(nn.Module):
    """Embeddings are pixels; the cosines those to each person's mean."""

    def __init__(self, data):
        super().__init__()
        images = torch.stack([data[i][0] for i in range(len(data))]).flatten(1) * 2 - 1
        means = images.unflatten(0, (-1, PEOPLE)).mean(dim=0)
        self.register_buffer("means", F.normalize(means - means.mean(dim=0), dim=1))

    def forward(self, images):
        x = images.flatten(1) * 2 - 1
        return FaceEmbedding(x, F.normalize(x, dim=1) @ self.means.T)


def test_the_table_by_plain_networks():
    test = faces("test", length=3 * PEOPLE)
    model = faces_password.PasswordFaces()
    model.transformer, model.judge = Negative(), Nearest(test)
    model.anchor = nn.Parameter(torch.zeros(1))  # says on which device it is
    found = metrics(model, test)
    images = torch.stack([test[i][0] for i in range(len(test))])
    people = torch.arange(len(test)) % PEOPLE

    def right(x):
        return (model.judge(x).cosines.argmax(dim=1) == people).float().mean().item()

    assert found["real"] == right(images) > 0.3
    assert found["anonymised"] == right(1 - images) < 0.2
    assert found["right password"] == found["wrong password"] == found["real"]
    assert found["passwords differ"] == 0 and found["recovered PSNR"] > 100
    assert found["hidden PSNR"] >= 30 and 0.5 <= found["verified"] <= 1
    assert metrics(model, test) == found  # passwords are the same each time


def test_a_run_and_what_it_writes(tmp_path, monkeypatch):
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
    monkeypatch.setattr(faces_password, "RECOGNISER_EPOCHS", 1)
    data = {"train": partial(faces, "train", length=32), "test": partial(faces, "test", length=40)}
    small = replace(RECIPE, data=data)
    found = small.train(tmp_path, device="cpu")
    assert small.evaluate(tmp_path / "model.safetensors", device="cpu") == found
    for part in ("judge", "recogniser", "copy", "players"):
        assert (tmp_path / part / "last.pt").exists()
    # One picture at a time gives what the table's batches gave.
    model = small.load(tmp_path / "model.safetensors", device="cpu")
    transformer = load_model(tmp_path / "transformer.safetensors")
    face, password = faces("test")[0][0], password_bits("a", BITS)
    (made,) = transformer.predict(face, password=password)
    bits = torch.tensor([[float(b) for b in password]])
    expected = faces_password.change(model.eval(), face[None], bits)
    torch.testing.assert_close(made.pictures, expected)
    small.demo(tmp_path, tmp_path / "model.safetensors")
    assert (tmp_path / "faces_password.png").stat().st_size > 1000


def test_no_weights_ship():
    with pytest.raises(ValueError, match="no weights of this recipe ship: train first, then pass"):
        RECIPE.evaluate()
