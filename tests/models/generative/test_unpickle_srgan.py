"""Whole pickled modules: their tensors come out, and none of their code is run."""

import os
import sys
import types
import warnings

import pytest
import torch
from torch import nn

import fastcv
from fastcv.models._pickled_modules import tensors_of_modules
from fastcv.models.generative.srgan import SRDiscriminator
from fastcv.models.generative.srresnet import SRResNet
from fastcv.models.generative.unpickle_srgan import main

CODE = """
from torch import nn

class Block(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.conv_block = nn.Sequential(*layers)

class Residual(nn.Module):
    def __init__(self, w):
        super().__init__()
        conv = lambda: nn.Conv2d(w, w, 3, padding=1)
        self.conv_block1 = Block(conv(), nn.BatchNorm2d(w), nn.PReLU())
        self.conv_block2 = Block(conv(), nn.BatchNorm2d(w))

class Up(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.conv, self.prelu = nn.Conv2d(w, 4 * w, 3, padding=1), nn.PReLU()
        self.pixel_shuffle = nn.PixelShuffle(2)

class Net(nn.Module):
    def __init__(self, w=8, n=2):
        super().__init__()
        self.conv_block1 = Block(nn.Conv2d(3, w, 9, padding=4), nn.PReLU())
        self.residual_blocks = nn.Sequential(*[Residual(w) for _ in range(n)])
        self.conv_block2 = Block(nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w))
        self.subpixel_convolutional_blocks = nn.Sequential(Up(w), Up(w))
        self.conv_block3 = Block(nn.Conv2d(w, 3, 9, padding=4), nn.Tanh())

class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()
"""


@pytest.fixture(params=[True, False], ids=["zip", "before torch 1.6"])
def files(request, tmp_path, monkeypatch):
    """Files as sgrvinod's training writes them, of classes that are gone when they are read."""
    module = types.ModuleType("models")
    exec(CODE, module.__dict__)
    monkeypatch.setitem(sys.modules, "models", module)
    for name in ("Block", "Residual", "Up", "Net", "Generator"):
        getattr(module, name).__module__ = "models"
    torch.manual_seed(0)
    net, generator = module.Net(), module.Generator()
    discriminator = nn.Sequential(nn.Linear(2, 1))
    adam = torch.optim.Adam(net.parameters())
    sum(p.sum() for p in net.parameters()).backward()
    adam.step()  # its state is in the file, too
    held = {
        "srresnet": {"epoch": 3, "model": net, "optimizer": adam},
        "srgan": {"epoch": 3, "generator": generator, "discriminator": discriminator},
        "module": net,
    }
    paths = {}
    for name, value in held.items():
        paths[name] = tmp_path / f"checkpoint_{name}.pth.tar"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the classes have no source
            torch.save(value, paths[name], _use_new_zipfile_serialization=request.param)
    monkeypatch.delitem(sys.modules, "models")
    return paths, net.state_dict(), generator.state_dict(), discriminator.state_dict()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_the_tensors_are_those_of_the_modules(files):
    paths, net, generator, discriminator = files
    assert_same(tensors_of_modules(paths["srresnet"]), net)
    assert_same(tensors_of_modules(paths["module"]), net)
    assert_same(tensors_of_modules(paths["srgan"]), generator)
    assert_same(tensors_of_modules(paths["srgan"], "discriminator"), discriminator)
    with pytest.raises(ValueError, match="no pickled module named critic"):
        tensors_of_modules(paths["srgan"], "critic")


def test_they_load_and_without_that_a_sentence_says_what_to_do(files, tmp_path, capsys):
    paths, net, _, _ = files
    config = {"width": 8, "blocks": 2}
    for name, model in (("srresnet", "srresnet_x4"), ("srgan", "srgan_x4")):
        with pytest.raises(ValueError, match="holds more than tensors: a whole pickled mod") as e:
            fastcv.create_model(model, str(paths[name]), **config)
        command = str(e.value).split("`")[1].split()
        assert command[:3] == ["python", "-m", "fastcv.models.generative.unpickle_srgan"]
        out = tmp_path / "srgan.safetensors"
        main([*command[3:-1], str(out)])
        assert capsys.readouterr().out.endswith(f"tensors: {out}\n")
        loaded = fastcv.create_model(model, str(out), **config)
        if name == "srresnet":
            assert_same(loaded.state_dict(), net)
        made = loaded.predict(torch.rand(3, 5, 6))[0]
        assert made.image_size == (20, 24) and made.pictures.std() > 0


class Harm:
    """What a file could do to its reader."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_of_a_file_is_run(zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Harm()}, "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="holds no pickled module named model or generator"):
        tensors_of_modules("a.pth")
    assert not os.path.exists("harm")


def test_what_is_no_checkpoint(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        tensors_of_modules(tmp_path / "none.pth")
    for name, content in (("text.pth", b"words"), ("empty.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="is no checkpoint that torch can read"):
            tensors_of_modules(tmp_path / name)
        with pytest.raises(SystemExit):
            main([str(tmp_path / name), str(tmp_path / "a.safetensors")])
        assert "is no checkpoint" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["a.pth", "b.pth"])
    assert "out must end in .safetensors, got 'b.pth'" in capsys.readouterr().err
    torch.save(SRResNet(width=4, blocks=1).state_dict(), tmp_path / "state.pth")
    with pytest.raises(ValueError, match="holds no pickled module"):
        tensors_of_modules(tmp_path / "state.pth")


def test_real_layers_of_ours_come_out_too(tmp_path):
    model = SRDiscriminator(width=2, hidden=3)
    torch.save({"generator": model}, tmp_path / "d.pth")
    assert_same(tensors_of_modules(tmp_path / "d.pth"), model.state_dict())
