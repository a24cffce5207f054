"""``fastcv superres``: larger pictures, of files and in tiles; other models in a sentence."""

import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("superres") / "small.safetensors"
    torch.manual_seed(0)
    save_model(path, create_model("srresnet_x4", width=4, blocks=1))
    return path


def test_a_picture_whole_and_in_tiles(weights, tmp_path, capsys):
    Image.effect_noise((80, 70), 60).convert("RGB").save(tmp_path / "a.png")
    start = ["superres", str(tmp_path / "a.png"), "--weights", str(weights), "--out"]
    made = {}
    for name, more in (("whole", []), ("tiled", ["--tile", "64"])):
        out = tmp_path / f"{name}.png"
        assert cli.main([*start, str(out), *more]) == 0
        with Image.open(out) as picture:
            assert picture.size == (320, 280)
            made[name] = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).int()
    assert "Generated(1 picture of 280x320)" in capsys.readouterr().out
    # A quarter of the overlap is 4 pixels, and the model looks a little further.
    assert (made["whole"] - made["tiled"]).abs().float().mean() < 1


def test_what_makes_nothing_larger(weights, tmp_path, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    save_model(tmp_path / "lenet.safetensors", create_model("lenet5"))
    start = ["superres", str(tmp_path / "a.png"), "--out", str(tmp_path / "b.png"), "--weights"]
    assert cli.main([*start, str(tmp_path / "lenet.safetensors")]) == 2
    assert "lenet5 makes no picture larger" in capsys.readouterr().err
