"""SRResNet and SRGAN: sgrvinod's counts and keys, the losses by hand, tiles, odd pictures."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

import fastcv
from fastcv.learn import fit
from fastcv.models.generative.srgan import LastFeatures, SRDiscriminator
from fastcv.models.generative.srresnet import SRResNet
from fastcv.nn.backbones.vgg import VGGTrunk

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def block(key, *shapes):
    """The keys of a convolution and what follows, by the place in its block."""
    found = {f"{key}.conv_block.0.weight": shapes[0], f"{key}.conv_block.0.bias": shapes[0][:1]}
    for i, shape in enumerate(shapes[1:], 1):
        found[f"{key}.conv_block.{i}.weight"] = shape
        if shape != (1,):  # a norm, and no PReLU
            for name in ("bias", "running_mean", "running_var"):
                found[f"{key}.conv_block.{i}.{name}"] = shape
            found[f"{key}.conv_block.{i}.num_batches_tracked"] = ()
    return found


def test_the_generators_keys_and_counts():
    model = fastcv.create_model("srresnet_x4")
    expected = block("conv_block1", (64, 3, 9, 9), (1,))
    for i in range(16):
        expected |= block(f"residual_blocks.{i}.conv_block1", (64, 64, 3, 3), (64,), (1,))
        expected |= block(f"residual_blocks.{i}.conv_block2", (64, 64, 3, 3), (64,))
    expected |= block("conv_block2", (64, 64, 3, 3), (64,))
    for i in range(2):
        key = f"subpixel_convolutional_blocks.{i}"
        expected |= {f"{key}.conv.weight": (256, 64, 3, 3), f"{key}.conv.bias": (256,)}
        expected |= {f"{key}.prelu.weight": (1,)}
    expected |= block("conv_block3", (3, 64, 9, 9))
    assert {key: tuple(t.shape) for key, t in model.state_dict().items()} == expected
    for name in ("srresnet_x4", "srgan_x4"):
        with torch.device("meta"):
            other = fastcv.create_model(name)
        assert sum(p.numel() for p in other.parameters()) == 1549462


def test_the_discriminators_keys_and_count():
    with torch.device("meta"):
        model = SRDiscriminator()
    channels = (3, 64, 64, 128, 128, 256, 256, 512, 512)
    expected = block("conv_blocks.0", (64, 3, 3, 3))
    for i in range(1, 8):
        n = channels[i + 1]
        expected |= block(f"conv_blocks.{i}", (n, channels[i], 3, 3), (n,))
    expected |= {"fc1.weight": (1024, 512 * 36), "fc1.bias": (1024,)}
    expected |= {"fc2.weight": (1, 1024), "fc2.bias": (1,)}
    assert {key: tuple(t.shape) for key, t in model.state_dict().items()} == expected
    assert sum(p.numel() for p in model.parameters()) == 23565505
    strides = [block.conv_block[0].stride for block in model.conv_blocks]
    assert strides == [(1, 1), (2, 2)] * 4


def test_the_computation_by_hand():
    torch.manual_seed(0)
    model = SRResNet(width=4, blocks=1).eval()
    s = model.state_dict()
    x = torch.rand(1, 3, 5, 6)

    def conv(x, key, pad):
        return F.conv2d(x, s[f"{key}.weight"], s[f"{key}.bias"], padding=pad)

    def norm(x, key):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *[s[f"{key}.{name}"] for name in names])

    def prelu(x, key):
        return F.prelu(x, s[f"{key}.weight"])

    with torch.no_grad():
        first = prelu(conv(x, "conv_block1.conv_block.0", 4), "conv_block1.conv_block.1")
        key = "residual_blocks.0.conv_block"
        y = norm(conv(first, f"{key}1.conv_block.0", 1), f"{key}1.conv_block.1")
        y = prelu(y, f"{key}1.conv_block.2")
        y = first + norm(conv(y, f"{key}2.conv_block.0", 1), f"{key}2.conv_block.1")
        y = first + norm(conv(y, "conv_block2.conv_block.0", 1), "conv_block2.conv_block.1")
        for i in range(2):
            key = f"subpixel_convolutional_blocks.{i}"
            y = conv(y, f"{key}.conv", 1)
            b, c, h, w = y.shape  # channel 4c + 2i + j is pixel (i, j) of its square
            y = y.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
            y = prelu(y.reshape(b, c // 4, 2 * h, 2 * w), f"{key}.prelu")
        expected = conv(y, "conv_block3.conv_block.0", 4).tanh()
        torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-4)


def test_pictures_in_and_out():
    torch.manual_seed(0)
    model = SRResNet(width=4, blocks=1).eval()
    image = torch.rand(3, 6, 7)
    (made,) = model.predict(image)
    with torch.no_grad():
        expected = (model(((image - MEAN) / STD)[None]) + 1) / 2
    torch.testing.assert_close(made.pictures, expected)
    assert made.image_size == (24, 28)


@pytest.mark.parametrize("pixel_loss", ["mse", "mae"])
def test_the_losses_of_pixels(pixel_loss):
    model = SRResNet(width=4, blocks=1, pixel_loss=pixel_loss)
    output, targets = torch.rand(2, 3, 8, 8) * 2 - 1, torch.rand(2, 3, 8, 8)
    error = output - (2 * targets - 1)
    expected = error.square().mean() if pixel_loss == "mse" else error.abs().mean()
    terms = model.loss(output, targets)
    assert list(terms) == [pixel_loss]
    torch.testing.assert_close(terms[pixel_loss], expected)
    for wrong in (targets[:1], targets[:, :, :4], targets.long(), targets[0]):
        with pytest.raises(ValueError, match=r"targets must be pictures \[2, 3, 8, 8\]"):
            model.loss(output, wrong)
    with pytest.raises(TypeError, match="targets must be a tensor, got NoneType"):
        model.loss(output, None)


def test_arguments():
    for wrong in (1, 3, 16):
        with pytest.raises(ValueError, match=f"scale must be 2, 4 or 8, got {wrong}"):
            SRResNet(scale=wrong)
    with pytest.raises(ValueError, match="pixel_loss must be 'mse' or 'mae', got 'l1'"):
        SRResNet(pixel_loss="l1")
    model = SRResNet(width=4, blocks=1)
    for wrong in (torch.rand(3, 8, 8), torch.rand(1, 1, 8, 8)):
        with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\]"):
            model(wrong)


def normed(pictures):
    return (pictures - MEAN) / STD


@pytest.mark.parametrize("with_features", [False, True])
def test_the_players_terms_by_hand(with_features):
    torch.manual_seed(0)
    features = LastFeatures(VGGTrunk(11, width=2)) if with_features else None
    gan = SRResNet(width=4, blocks=1).gan(features)
    gan.discriminator = SRDiscriminator(width=2, hidden=4)
    assert list(gan.players) == ["generator", "discriminator"]
    small, large = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 32, 32)
    output = gan(small)
    gan.discriminator.eval()  # so that order does not matter
    fake, real = normed((output + 1) / 2), normed(large)
    torch.testing.assert_close(output, gan.generator(normed(small)))
    bce, d = nn.BCEWithLogitsLoss(), gan.discriminator
    terms = gan.loss(output, large, player="generator")
    content = F.mse_loss(*((features(x) if features else x) for x in (fake, real)))
    torch.testing.assert_close(terms["content"], content)
    torch.testing.assert_close(terms["adversarial"], 1e-3 * bce(d(fake), torch.ones(3)))
    terms = gan.loss(output, large, player="discriminator")
    torch.testing.assert_close(terms["real"], bce(d(real), torch.ones(3)))
    torch.testing.assert_close(terms["fake"], bce(d(fake), torch.zeros(3)))
    sum(terms.values()).backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    with pytest.raises(ValueError, match="player must be one of generator, discriminator, got 'x'"):
        gan.loss(output, large, player="x")


def test_the_network_of_features_is_frozen_and_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
    torch.manual_seed(0)
    trunk = VGGTrunk(11, width=2, batch_norm=True)
    features = LastFeatures(trunk)
    gan = SRResNet(width=4, blocks=1).gan(features)
    gan.discriminator = SRDiscriminator(width=2, hidden=4)
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    start = {key: value.clone() for key, value in gan.state_dict().items()}
    data = TensorDataset(torch.rand(4, 3, 8, 8), torch.rand(4, 3, 32, 32))
    adam = torch.optim.Adam
    fit(
        gan, data, epochs=1, batch_size=2, out=tmp_path, devices="cpu", progress=False,
        tensorboard=False, optimizer={"generator": adam, "discriminator": adam},
    )  # fmt: skip
    after = trunk.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any("trunk" in key for key in gan.state_dict())
    assert all(parameter.grad is None for parameter in trunk.parameters())
    moved = gan.state_dict()
    assert not torch.equal(start["generator.conv_block3.conv_block.0.weight"],
                           moved["generator.conv_block3.conv_block.0.weight"])  # fmt: skip
    assert not torch.equal(start["discriminator.fc2.weight"], moved["discriminator.fc2.weight"])


def test_vgg_as_a_loss(tmp_path):
    """The last convolution and its ReLU: layer 35 of torchvision's ``features``."""
    torch.manual_seed(0)
    vgg = VGGTrunk(19)
    state = {**vgg.state_dict(), "classifier.0.weight": torch.rand(2, 2)}
    torch.save(state, tmp_path / "vgg19.pth")
    gan = SRResNet(width=4, blocks=1).gan(loss_weights=tmp_path / "vgg19.pth")
    images = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        expected = vgg.features[:36](images)
        (found,) = (features(images) for features in gan._features)
    assert isinstance(vgg.features[34], nn.Conv2d) and isinstance(vgg.features[35], nn.ReLU)
    torch.testing.assert_close(found, expected)
    torch.save(VGGTrunk(16).state_dict(), tmp_path / "vgg16.pth")
    model = SRResNet(width=4, blocks=1)
    with pytest.raises(ValueError, match=r"loss_weights: .*vgg16.pth does not fit VGG-19"):
        model.gan(loss_weights=tmp_path / "vgg16.pth")
    with pytest.raises(FileNotFoundError, match="loss_weights: there is no file"):
        model.gan(loss_weights=tmp_path / "none.pth")
    with pytest.raises(ValueError, match="features and loss_weights exclude each other"):
        model.gan(lambda x: x, loss_weights=tmp_path / "vgg19.pth")


def test_tiles_are_one_pass():
    """The field of this small model is 10 pixels to each side, and a quarter of the overlap 12."""
    torch.manual_seed(0)
    model = SRResNet(width=4, blocks=1).eval()
    image = torch.rand(3, 100, 130)
    whole = model.predict(image)[0].pictures
    tiled = model.predict(image, tile=96, overlap=48)[0].pictures
    assert whole.shape == tiled.shape == (1, 3, 400, 520)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["one pixel", "one row", "16 bit", "alpha", "palette", "grey"])
def test_odd_pictures(kind, tmp_path):
    torch.manual_seed(0)
    model = SRResNet(width=4, blocks=1)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 9, 4), np.uint8)
    wide = rng.integers(0, 65536, (6, 9)).astype(np.uint16)
    picture = {
        "one pixel": lambda: Image.fromarray(pixels[:1, :1, :3]),
        "one row": lambda: Image.fromarray(pixels[:1, :, :3]),
        "16 bit": lambda: Image.fromarray(wide),
        "alpha": lambda: Image.fromarray(pixels, "RGBA"),
        "palette": lambda: Image.fromarray(pixels[..., :3]).quantize(8),
        "grey": lambda: Image.fromarray(pixels[..., 0]),
    }[kind]()
    picture.save(tmp_path / "a.png")
    (made,) = model.predict(tmp_path / "a.png")
    assert made.image_size == (4 * picture.height, 4 * picture.width)
    assert made.pictures.isfinite().all()
    seen = fastcv.images.read_image(tmp_path / "a.png")
    torch.testing.assert_close(made.pictures, model.predict(seen)[0].pictures)
