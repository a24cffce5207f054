"""Johnson's networks: pytorch/examples' keys, the computation by hand, and what training leaves."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import TensorDataset

import fastcv
from fastcv.learn import fit
from fastcv.models.generative.perceptual import Perceptual
from fastcv.models.generative.perceptual_sr import PerceptualSR
from fastcv.models.generative.style_transfer import StyleTransfer
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.losses.perceptual import PerceptualLoss

RESIDUAL = [f"res{i}.{part}" for i in range(1, 6) for part in ("conv1", "in1", "conv2", "in2")]


def keys_of_pytorch_examples():
    """Names and shapes, from its transformer_net.py."""
    convolutions = {
        "conv1": (32, 3, 9), "conv2": (64, 32, 3), "conv3": (128, 64, 3),
        "deconv1": (64, 128, 3), "deconv2": (32, 64, 3), "deconv3": (3, 32, 9),
        **{name: (128, 128, 3) for name in RESIDUAL if "conv" in name},
    }  # fmt: skip
    norms = {"in1": 32, "in2": 64, "in3": 128, "in4": 64, "in5": 32}
    norms |= {name: 128 for name in RESIDUAL if "conv" not in name}
    found = {}
    for name, (outputs, inputs, kernel) in convolutions.items():
        found[f"{name}.conv2d.weight"] = (outputs, inputs, kernel, kernel)
        found[f"{name}.conv2d.bias"] = (outputs,)
    for name, channels in norms.items():
        found[f"{name}.weight"] = found[f"{name}.bias"] = (channels,)
    return found, norms


def test_keys_and_count():
    with torch.device("meta"):
        model = fastcv.create_model("style_transfer")
    expected, _ = keys_of_pytorch_examples()
    assert {key: tuple(t.shape) for key, t in model.state_dict().items()} == expected
    assert sum(p.numel() for p in model.parameters()) == 1679235


def test_files_of_pytorch_examples_old_and_new(tmp_path):
    expected, norms = keys_of_pytorch_examples()
    torch.manual_seed(0)
    new = {key: torch.randn(shape) for key, shape in expected.items()}
    old = dict(new)
    for name, channels in norms.items():
        old[f"{name}.running_mean"] = torch.randn(channels)
        old[f"{name}.running_var"] = torch.rand(channels)
    for name, state in (("new", new), ("old", old)):
        torch.save(state, tmp_path / f"{name}.pth")
        model = fastcv.create_model("style_transfer", tmp_path / f"{name}.pth")
        assert all(torch.equal(value, new[key]) for key, value in model.state_dict().items())
    del old["res3.in1.weight"]
    torch.save(old, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match=r"style_transfer: missing: res3\.in1\.weight"):
        fastcv.create_model("style_transfer", tmp_path / "cut.pth")


def test_the_computation_by_hand():
    torch.manual_seed(0)
    model = StyleTransfer(width=2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    s = model.state_dict()

    def conv(x, key, stride=1):
        w = s[f"{key}.conv2d.weight"]
        n = w.shape[-1] // 2
        rows, columns = (
            torch.tensor([*range(n, 0, -1), *range(size), *range(size - 2, size - 2 - n, -1)])
            for size in x.shape[2:]
        )
        return F.conv2d(x[:, :, rows][..., columns], w, s[f"{key}.conv2d.bias"], stride)

    def norm(x, key):
        mean, variance = x.mean((2, 3), True), x.var((2, 3), correction=0, keepdim=True)
        x = (x - mean) / (variance + 1e-5).sqrt()
        return x * s[f"{key}.weight"][:, None, None] + s[f"{key}.bias"][:, None, None]

    def twice(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    with torch.no_grad():
        pictures = 255 * torch.rand(2, 3, 12, 16)
        x = norm(conv(pictures, "conv1"), "in1").relu()
        x = norm(conv(x, "conv2", 2), "in2").relu()
        x = norm(conv(x, "conv3", 2), "in3").relu()
        for i in range(1, 6):
            y = norm(conv(x, f"res{i}.conv1"), f"res{i}.in1").relu()
            x = x + norm(conv(y, f"res{i}.conv2"), f"res{i}.in2")  # and no ReLU
        assert (x < 0).any()
        x = norm(conv(twice(x), "deconv1"), "in4").relu()
        x = norm(conv(twice(x), "deconv2"), "in5").relu()
        torch.testing.assert_close(model(pictures), conv(x, "deconv3"), atol=1e-4, rtol=1e-4)


def test_pictures_are_0_to_255():
    torch.manual_seed(0)
    model = StyleTransfer(width=2).eval()
    with torch.no_grad():
        model.deconv3.conv2d.bias.fill_(128)
        model.deconv3.conv2d.weight.mul_(2000)
    image = torch.rand(3, 16, 24)
    (made,) = model.predict(image)
    with torch.no_grad():
        expected = model(255 * image[None])
    assert (expected < 0).any() and (expected > 255).any()
    torch.testing.assert_close(made.pictures, (expected / 255).clamp(0, 1))


def test_wrong_images():
    for model, wrong in (
        (StyleTransfer(width=2), [(3, 16, 16), (1, 1, 16, 16), (1, 3, 18, 16), (1, 3, 4, 16)]),
        (PerceptualSR(width=2, blocks=1), [(3, 16, 16), (1, 1, 16, 16), (1, 3, 4, 16)]),
    ):
        for shape in wrong:
            with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\] with sides"):
                model(torch.rand(shape))
    with pytest.raises(ValueError, match="scale must be 2, 4 or 8, got 3"):
        PerceptualSR(scale=3)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (6, 7)])
def test_sizes_of_super_resolution(scale, size):
    model = PerceptualSR(scale=scale, width=2, blocks=1)
    (made,) = model.predict(torch.rand(3, *size))
    assert made.image_size == (scale * size[0], scale * size[1])
    output = model(torch.rand(1, 3, 8, 8))
    torch.testing.assert_close(model.unclipped(output), (output + 1) / 2)


def small_network():
    torch.manual_seed(1)
    return LossNetwork(VGGTrunk(16, width=2))


def small_system():
    torch.manual_seed(2)
    loss = PerceptualLoss(
        small_network(), content={"relu2_2": 1.0},
        style={"relu1_2": 10.0, "relu2_2": 10.0}, style_picture=torch.rand(3, 16, 16),
        relative=True,
    )  # fmt: skip
    return Perceptual(StyleTransfer(width=4), loss)


def quick_fit(system, data, out, **options):
    return fit(
        system, data, batch_size=2, out=out, devices="cpu", progress=False, tensorboard=False,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2), **options,
    )  # fmt: skip


def test_training_leaves_the_loss_network_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
    system = small_system()
    network = system.perceptual.network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    start = {key: value.clone() for key, value in system.state_dict().items()}
    photos = torch.rand(4, 3, 16, 16)
    history = quick_fit(system, TensorDataset(photos, photos), tmp_path, epochs=3)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    totals = [row["content"] + row["style"] for row in history.steps]
    assert totals[-1] < totals[0]
    assert all(key.startswith("model.") for key in start)
    moved = system.state_dict()
    assert not torch.equal(moved["model.deconv3.conv2d.weight"],
                           start["model.deconv3.conv2d.weight"])  # fmt: skip
    # What fit wrote is the translator's file.
    loaded = fastcv.create_model("style_transfer", tmp_path / "model.safetensors", width=4)
    torch.testing.assert_close(loaded.predict(photos[0])[0].pictures,
                               system.model.predict(photos[0])[0].pictures)  # fmt: skip


def test_values_that_are_no_colours_have_a_gradient():
    """A clamp would leave them where they are."""
    system = small_system()
    with torch.no_grad():
        system.model.deconv3.conv2d.bias.fill_(1000)
    photos = torch.rand(1, 3, 16, 16)
    output = system(photos)
    assert (output > 1).all()
    sum(system.loss(output, photos).values()).backward()
    assert system.model.deconv3.conv2d.bias.grad.abs().min() > 0


def test_the_papers_weights_and_layers(monkeypatch):
    monkeypatch.setattr(
        "fastcv.models.generative.style_transfer.loss_network", lambda weights: small_network()
    )
    monkeypatch.setattr(
        "fastcv.models.generative.perceptual_sr.loss_network", lambda weights: small_network()
    )
    loss = StyleTransfer(width=2).perceptual(torch.rand(3, 16, 16)).perceptual
    assert loss.content == {"relu2_2": 1e5} and not loss.tv and not loss.relative
    assert loss.style == dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1e10)
    loss = PerceptualSR(width=2).perceptual(tv_weight=0.5).perceptual
    assert loss.content == {"relu2_2": 1.0} and loss.style == {} and loss.tv == 0.5


def test_loss_weights(tmp_path):
    torch.manual_seed(3)
    vgg = VGGTrunk(16)
    torch.save({**vgg.state_dict(), "classifier.0.weight": torch.rand(2, 2)}, tmp_path / "v.pth")
    model = PerceptualSR(width=2, blocks=1)
    network = model.perceptual(loss_weights=tmp_path / "v.pth").perceptual.network
    assert all(torch.equal(value, vgg.state_dict()[key])
               for key, value in network.state_dict().items())  # fmt: skip
    torch.save(VGGTrunk(11, width=2).state_dict(), tmp_path / "vgg11.pth")
    with pytest.raises(ValueError, match=r"loss_weights: .*vgg11.pth does not fit VGG-16"):
        model.perceptual(loss_weights=tmp_path / "vgg11.pth")
    with pytest.raises(FileNotFoundError, match="loss_weights: there is no file"):
        model.perceptual(loss_weights=tmp_path / "none.pth")


@pytest.mark.parametrize("kind", ["one pixel", "one row", "16 bit", "alpha", "palette", "grey"])
def test_odd_pictures(kind, tmp_path):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 9, 4), np.uint8)
    picture = {
        "one pixel": lambda: Image.fromarray(pixels[:1, :1, :3]),
        "one row": lambda: Image.fromarray(pixels[:1, :, :3]),
        "16 bit": lambda: Image.fromarray(rng.integers(0, 65536, (6, 9)).astype(np.uint16)),
        "alpha": lambda: Image.fromarray(pixels, "RGBA"),
        "palette": lambda: Image.fromarray(pixels[..., :3]).quantize(8),
        "grey": lambda: Image.fromarray(pixels[..., 0]),
    }[kind]()
    picture.save(tmp_path / "a.png")
    for model in (StyleTransfer(width=2), PerceptualSR(width=2, blocks=1)):
        (made,) = model.predict(tmp_path / "a.png")
        assert made.image_size == (model.scale * picture.height, model.scale * picture.width)
        assert made.pictures.isfinite().all()
        seen = fastcv.images.read_image(tmp_path / "a.png")
        torch.testing.assert_close(made.pictures, model.predict(seen)[0].pictures)
