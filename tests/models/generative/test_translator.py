"""What translators share: any size, tiles, and the two modes."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import make_small
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.models.generative._training_twin import training_twin
from fastcv.models.generative._translator import ImageTranslator

REAL = (
    "pix2pix_unet64",
    "cyclegan_resnet9",
    "srresnet_x4",
    "style_transfer",
    "perceptual_sr_x4",
)


class Local(ImageTranslator):
    """Looks 3 pixels far, makes pictures ``scale`` times as large, and notes the sizes it saw."""

    def __init__(self, scale=1, multiple=1, channels=3):
        super().__init__()
        torch.manual_seed(0)
        self.scale, self.multiple, self.in_channels = scale, multiple, channels
        self.convs = nn.ModuleList(nn.Conv2d(n, 8, 3, padding=1) for n in (channels, 8))
        self.last = nn.Conv2d(8, 3 * scale**2, 3, padding=1)
        self.seen = []

    def forward(self, x):
        assert not any(side % self.multiple for side in x.shape[2:])
        self.seen.append(tuple(x.shape[2:]))
        for conv in self.convs:
            x = conv(x).tanh()
        return F.pixel_shuffle(self.last(x), self.scale).tanh()


class Noisy(ImageTranslator):
    """Its output depends on batch statistics and on dropout."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.norm(x)).tanh()


def picture(*size, seed=0):
    return torch.rand(3, *size, generator=torch.Generator().manual_seed(seed))


# Sizes.


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 9), (16, 16), (17, 31), (64, 48)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_any_size_comes_back(size, scale):
    model = Local(scale, multiple=8)
    (made,) = model.predict(picture(*size))
    assert made.image_size == (scale * size[0], scale * size[1])
    assert model.seen == [tuple(-(-side // 8) * 8 for side in size)]


def test_what_is_padded_repeats_the_last_pixels():
    model, image = Local(multiple=16), picture(13, 10)
    rows, columns = torch.arange(16).clamp(max=12), torch.arange(16).clamp(max=9)
    whole = model.translate(image[:, rows][:, :, columns])
    torch.testing.assert_close(model.translate(image), whole[:, :13, :10])


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (63, 65), (64, 64), (70, 130)])
@pytest.mark.parametrize("mode", ["eval", "paper"])
def test_any_size_of_real_ones(name, size, mode):
    model = make_small(name)
    height, width = size
    if name == "srresnet_x4" and mode == "paper" and height * width == 1:
        with pytest.raises(ValueError, match="one value has no spread"):
            model.predict(picture(*size), mode=mode)
        return
    (made,) = model.predict(picture(*size), mode=mode)
    assert made.image_size == (model.scale * height, model.scale * width)
    assert made.pictures.isfinite().all()


# Tiles.


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(40, 52), (64, 200), (236, 188), (300, 96)])
def test_tiles_are_those_of_one_pass(scale, size):
    model, image = Local(scale), picture(*size)
    (whole,) = model.predict(image)
    (found,) = model.predict(image, tile=64, overlap=32)
    torch.testing.assert_close(found.pictures, whole.pictures, atol=2e-6, rtol=0)
    assert max(max(sides) for sides in model.seen[1:]) < 64 + 32


def test_without_overlap_there_are_seams():
    """Or the test above would show nothing."""
    model, image = Local(), picture(236, 188)
    difference = model.translate(image) - model.translate(image, tile=64, overlap=0)
    assert difference.abs().max() > 1e-3
    assert difference[:, :50, :50].abs().max() < 1e-6


def test_an_instance_norm_sees_the_whole_picture():
    """So tiles differ, as the docstring says."""
    model, image = make_small("cyclegan_resnet9"), picture(160, 160)
    image[:, :, 80:] /= 4
    (whole,), (found,) = model.predict(image), model.predict(image, tile=64)
    assert (whole.pictures - found.pictures).abs().max() > 1e-3


# Modes.


def test_eval_uses_running_statistics_and_paper_those_of_the_picture():
    model, image = Noisy(), picture(8, 8)
    model.norm.running_mean.fill_(0.5)
    x = (image * 2 - 1)[None]
    (running,) = model.predict(image)
    expected = ((x - 0.5) / (1 + 1e-5) ** 0.5).tanh()
    torch.testing.assert_close(running.pictures, (expected + 1) / 2)
    (own,) = model.predict(image, mode="paper", seed=7)
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    normed = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    torch.manual_seed(7)
    expected = F.dropout(normed, 0.5).tanh()
    torch.testing.assert_close(own.pictures, (expected + 1) / 2)


def test_paper_is_what_training_made():
    """To the bit: the same forward, with the same dropout, on a batch of one."""
    model, image = make_small("pix2pix_unet64").train(), picture(64, 64)
    (found,) = model.predict(image, mode="paper", seed=5)
    torch.manual_seed(5)
    with torch.no_grad():
        trained = model(image[None] * 2 - 1)
    assert torch.equal(found.pictures, model.to_pictures(trained))
    (usual,) = model.predict(image)
    assert not torch.equal(usual.pictures, found.pictures)


def test_modes_are_one_without_dropout_and_running_statistics():
    model, image = make_small("cyclegan_resnet9"), picture(32, 32)
    (a,), (b,) = model.predict(image), model.predict(image, mode="paper")
    assert torch.equal(a.pictures, b.pictures)


def test_paper_leaves_the_model_and_the_random_numbers_as_they_were():
    model = make_small("pix2pix_unet64").eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    model.predict(picture(64, 64), mode="paper")
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())


def test_paper_is_the_same_for_a_seed_alone():
    model, image = make_small("pix2pix_unet64"), picture(64, 64)
    a, b, c = (model.predict(image, mode="paper", seed=s)[0].pictures for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    # Each picture has its own statistics, whatever is in the batch.
    both = model.predict([image, picture(64, 64, seed=9)], mode="paper", seed=1, batch_size=2)
    assert torch.equal(both[0].pictures, a)


def test_both_modes_at_once():
    model, image = make_small("pix2pix_unet64"), picture(64, 64)
    (expected,) = model.predict(image)
    stop, wrong = threading.Event(), []

    def keep_predicting():
        while not stop.is_set():
            if not torch.equal(model.predict(image)[0].pictures, expected.pictures):
                wrong.append(True)

    thread = threading.Thread(target=keep_predicting)
    thread.start()
    for _ in range(5):
        model.predict(image, mode="paper")
    stop.set()
    thread.join()
    assert not wrong


def test_a_twin_has_the_same_tensors():
    model = Noisy().eval()
    twin = training_twin(model)
    assert all(a is b for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert all(a is b for a, b in zip(model.buffers(), twin.buffers(), strict=True))


# Channels and files.


def test_grey_goes_into_a_model_of_one_channel():
    model, image = Local(channels=1), picture(8, 8)
    light = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    torch.testing.assert_close(model.predict(image)[0].pictures[0], model.translate(light))


def test_more_channels_are_for_translate():
    model = Local(channels=5)
    assert model.translate(torch.rand(5, 8, 9)).shape == (3, 8, 9)
    with pytest.raises(ValueError, match=r"takes 5 channels: translate takes tensors \[5, H, W\]"):
        model.predict(picture(8, 8))


def test_one_channel_out_is_grey():
    class Light(ImageTranslator):
        def forward(self, x):
            return x.mean(1, keepdim=True)

    image = picture(4, 5)
    (made,) = Light().predict(image)
    torch.testing.assert_close(made.pictures, image.mean(0).expand(1, 3, -1, -1))


@pytest.mark.parametrize("kind", ["16-bit", "alpha", "palette", "1-bit"])
def test_files_of_other_kinds(kind, tmp_path):
    model = make_small("cyclegan_resnet9")
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**16, (20, 24), np.uint16)
    image = {
        "16-bit": lambda: Image.fromarray(values),
        "alpha": lambda: Image.fromarray(rng.integers(0, 256, (20, 24, 4), np.uint8), "RGBA"),
        "palette": lambda: Image.fromarray((values >> 8).astype(np.uint8)).convert("P"),
        "1-bit": lambda: Image.fromarray(values > 2**15),
    }[kind]()
    image.save(tmp_path / "a.png")
    (made,) = model.predict(tmp_path / "a.png")
    assert made.source == str(tmp_path / "a.png") and made.image_size == (20, 24)
    made.save(tmp_path / "b.png")
    saved = np.asarray(Image.open(tmp_path / "b.png"))
    pixels = made.pictures[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    assert np.array_equal(saved, pixels)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": "train"}, "mode must be 'eval' or 'paper', got 'train'"),
        ({"overlap": 16}, "overlap is of tiles: set tile too, got overlap=16 alone"),
        ({"tile": 65}, "tile must be a multiple of 32, at least 64, got 65"),
        ({"tile": 64, "overlap": 40}, "overlap must be 0 to tile - 32 = 32, got 40"),
    ],
)
def test_wrong_options(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Local().predict(picture(8, 8), **options)


def test_a_wrong_image():
    for wrong in (torch.rand(2, 8, 8), torch.rand(8, 8), torch.rand(3, 0, 8)):
        with pytest.raises(ValueError, match=r"image must be \[3, H, W\], got \["):
            Local().translate(wrong)


# Export.


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("size", [(64, 64), (50, 61)])
def test_onnx_is_eager(name, size, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model, image = make_small(name), picture(*size)
    fastcv.export_onnx(model, tmp_path / "m.onnx", size)
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["picture"], {"image": image.numpy()})
    expected = model.predict(image)[0].pictures[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
