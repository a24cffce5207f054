"""Pictures whose names or links are odd are done, or named; none is left out in silence."""

import json
import os

import pytest
import torch
from PIL import Image

from fastcv.cli import main
from fastcv.models import create_model, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_model(path, create_model("lenet5", num_classes=3))
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (32, 32), "white").save(folder / "b.png")
    return folder


def test_a_name_that_is_no_utf8(photos, tmp_path, weights, capfdbinary):
    os.link(photos / "b.png", os.path.join(os.fsencode(photos), b"a caf\xe9.png"))
    drawn, table = tmp_path / "drawn", tmp_path / "found.json"
    arguments = [str(photos), "--weights", str(weights), "--out", str(drawn), "--json", str(table)]
    assert main(["predict", *arguments]) == 0
    assert b"a caf\\udce9.png" in capfdbinary.readouterr().out
    assert [os.fsencode(row["file"])[-10:] for row in json.loads(table.read_text())] == [
        b"a caf\xe9.png"[-10:],
        os.fsencode(photos / "b.png")[-10:],
    ]
    assert sorted(os.listdir(os.fsencode(drawn))) == [b"a caf\xe9.png", b"b.png"]


def test_links_to_nothing_are_named(photos, tmp_path, weights, capsys):
    (photos / "a.png").symlink_to(tmp_path / "gone.png")
    (photos / "c.png").symlink_to(photos / "c.png")
    drawn, table = tmp_path / "drawn", tmp_path / "found.json"
    arguments = [str(photos), "--weights", str(weights), "--out", str(drawn), "--json", str(table)]
    assert main(["predict", *arguments]) == 1
    told = capsys.readouterr().err
    assert "there is no image" in told and "a.png" in told and "c.png cannot be read" in told
    assert "2 of 3 could not be read" in told
    assert ["error" in row for row in json.loads(table.read_text())] == [True, False, True]
