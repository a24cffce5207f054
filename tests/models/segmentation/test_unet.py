"""U-Net: counts, keys, the figure's sizes, tiles, the paper's weights of pixels, odd sizes."""

import math

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.models import create_model
from fastcv.models.segmentation.unet_paper import weight_map


def make(name, **config):
    torch.manual_seed(0)
    model = create_model(name, width=2, **config)
    for m in model.modules():  # statistics as after training
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1)
            m.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "config", "count"),
    [
        ("unet_paper", {}, 31_030_658),
        ("unet", {}, 31_037_698),
        ("unet", {"bilinear": True}, 17_263_042),
    ],
)
def test_parameters(name, config, count):
    with torch.device("meta"):
        model = create_model(name, **config)
    assert sum(p.numel() for p in model.parameters()) == count


def milesial(state, bilinear, x):
    """The logits by milesial/Pytorch-UNet's layers and keys."""

    def double(key, x):
        for i in (0, 3):
            x = F.conv2d(x, state[f"{key}.double_conv.{i}.weight"], padding=1)
            norm = f"{key}.double_conv.{i + 1}"
            statistics = (state[f"{norm}.{k}"] for k in ("running_mean", "running_var"))
            x = F.relu(F.batch_norm(x, *statistics, state[f"{norm}.weight"], state[f"{norm}.bias"]))
        return x

    maps = [double("inc", x)]
    for level in range(1, 5):
        maps.append(double(f"down{level}.maxpool_conv.1", F.max_pool2d(maps[-1], 2)))
    x = maps.pop()
    for level in range(1, 5):
        skip = maps.pop()
        if bilinear:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        else:
            up = f"up{level}.up"
            x = F.conv_transpose2d(x, state[f"{up}.weight"], state[f"{up}.bias"], stride=2)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        x = double(f"up{level}.conv", torch.cat([skip, x], dim=1))
    return F.conv2d(x, state["outc.conv.weight"], state["outc.conv.bias"])


@pytest.mark.parametrize("size", [(16, 32), (37, 50)])
@pytest.mark.parametrize("bilinear", [False, True])
def test_milesial_keys_and_logits(bilinear, size):
    model = make("unet", bilinear=bilinear)
    state = model.state_dict()
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(model(x), milesial(state, bilinear, x), rtol=1e-4, atol=1e-4)
    used = {key for key in state if not key.endswith("num_batches_tracked")}
    assert {key.split(".")[0] for key in used} == {
        "inc", "outc", *(f"{way}{level}" for way in ("down", "up") for level in range(1, 5))
    }  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (15, 17), (31, 33)])
def test_any_size_gives_its_own_back(size):
    model = make("unet")
    assert model(torch.randn(1, 3, *size)).shape == (1, 2, *size)
    (found,) = model.predict(torch.rand(3, *size))
    assert found.labels.shape == size


def test_sizes_of_the_figure():
    with torch.device("meta"):
        model = create_model("unet_paper")
        sizes = []
        for name in ("inc", "down1", "down2", "down3", "down4", "up1", "up2", "up3", "up4", "outc"):
            model.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, out: sizes.append((out.shape[1], out.shape[2]))
            )
        assert model(torch.rand(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert sizes == [
        (64, 568), (128, 280), (256, 136), (512, 64), (1024, 28),
        (512, 52), (256, 100), (128, 196), (64, 388), (2, 388),
    ]  # fmt: skip


def test_starts_as_in_the_paper():
    torch.manual_seed(0)
    model = create_model("unet_paper", width=16)
    for key, incoming in (
        ("inc.double_conv.2", 9 * 16),
        ("up1.up", 256),
        ("up1.conv.double_conv.0", 9 * 256),
    ):
        weight = model.get_submodule(key).weight.detach()
        assert float(weight.std()) == pytest.approx(math.sqrt(2 / incoming), rel=0.05)
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.5]


def test_the_first_outputs_see_188_pixels_and_no_more():
    model = make("unet_paper").double()
    for parameter in model.parameters():
        parameter.data.abs_()  # no ReLU cuts a way off
    x = torch.rand(1, 1, 204, 204, dtype=torch.double, requires_grad=True)
    model(x)[0, 0, 0, 0].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert (int(rows.min()), int(rows.max())) == (0, 187)  # what a tile of 4 x 4 is given


@pytest.mark.parametrize("size", [(188, 203), (190, 220)])
def test_the_output_is_the_middle_of_any_size(size):
    model = make("unet_paper").double()
    x = torch.rand(1, 1, *size, dtype=torch.double)
    got = model(x)
    assert got.shape[2:] == tuple(16 * ((n - 124) // 16) - 60 for n in size)
    torch.testing.assert_close(got[..., :4, :4], model(x[..., :188, :188]))
    with pytest.raises(ValueError, match="images must be at least 188 pixels high and wide, got"):
        model(x[..., :187, :])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 50), (100, 20)])
@pytest.mark.parametrize("tile", [16, 48])
def test_tiles_say_what_the_whole_mirrored_picture_says(size, tile):
    model = make("unet_paper")
    image = torch.rand(3, *size)

    def mirrored(x, dim):
        line = list(range(x.shape[dim]))
        fold = line + line[-2:0:-1]  # once there and back
        after = -(-len(line) // 16) * 16 - len(line) + 96
        places = [fold[i % len(fold)] for i in range(-92, len(line) + after)]
        return x.index_select(dim, torch.tensor(places))

    prepared = model.prepare([image])
    with torch.no_grad():
        want = model(mirrored(mirrored(prepared, 2), 3))[..., : size[0], : size[1]]
        torch.testing.assert_close(model.logits(prepared, tile), want, rtol=1e-4, atol=1e-5)
    (found,) = model.predict(image)
    torch.testing.assert_close(found.scores, want[0].softmax(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["unet", "unet_paper"])
def test_predicts_in_tiles_scales_and_mirrored_too(name):
    (found,) = make(name).predict(torch.rand(3, 70, 90), tile=64, scales=(0.5, 1), flip=True)
    assert found.labels.shape == (70, 90)


def test_pictures_become_grey_for_one_channel():
    picture = torch.rand(3, 6, 7)
    red, green, blue = picture
    (got,) = make("unet", in_channels=1).prepare([picture])
    torch.testing.assert_close(got[0], 0.299 * red + 0.587 * green + 0.114 * blue)
    (found,) = make("unet", in_channels=1).predict((picture[:1] * 255).byte())
    assert found.labels.shape == (6, 7)
    with pytest.raises(ValueError, match=r"in_channels must be 1 or 3 for pictures, .* takes 4"):
        make("unet", in_channels=4).predict(picture)


def test_loss_by_hand():
    model = make("unet_paper")
    logits = torch.randn(1, 2, 4, 4)
    labels = torch.randint(2, (1, 188, 190))
    labels[0, 92, 92:94] = 255
    weights = torch.rand(1, 188, 190)
    total, count = 0.0, 0
    for y in range(4):
        for x in range(4):
            label = int(labels[0, 92 + y, 92 + x])
            if label != 255:
                p = logits[0, :, y, x].softmax(0)[label]
                total -= float(weights[0, 92 + y, 92 + x] * p.log())
                count += 1
    loss = model.loss(logits, (labels, weights))
    assert count == 14 and list(loss) == ["cross_entropy"]
    assert float(loss["cross_entropy"]) == pytest.approx(total / count, rel=1e-5)
    middle = (slice(None), slice(92, 96), slice(92, 96))
    cut = model.loss(logits, (labels[middle], weights[middle]))
    assert torch.equal(cut["cross_entropy"], loss["cross_entropy"])
    plain = model.loss(logits, labels)["cross_entropy"]
    torch.testing.assert_close(plain, F.cross_entropy(logits, labels[middle], ignore_index=255))
    for targets in (labels[:, :50], (labels[:, :50], weights)):
        with pytest.raises(ValueError, match=r"targets must be int64 \[1, 4, 4\], got torch.int64"):
            model.loss(logits, targets)


def test_weight_map_by_hand():
    cells = torch.zeros(9, 14, dtype=torch.int64)
    cells[2:5, 1:4], cells[2:5, 6:9], cells[7:8, 2:12] = 3, 1, 8
    got = weight_map(cells, w0=10, sigma=5)
    background = float((cells == 0).float().mean())
    for y in range(9):
        for x in range(14):
            distances = sorted(
                min(math.dist((y, x), place) for place in (cells == cell).nonzero().tolist())
                for cell in (1, 3, 8)
            )
            if cells[y, x]:
                want = 0.5 / (1 - background)
            else:
                want = 0.5 / background + 10 * math.exp(-((distances[0] + distances[1]) ** 2) / 50)
            assert float(got[y, x]) == pytest.approx(want, rel=1e-5)
    assert torch.equal(weight_map(torch.zeros(2, 3, dtype=torch.int64)), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"cells must be \[H, W\], got \[1, 9, 14\]"):
        weight_map(cells[None])


@pytest.mark.parametrize(
    ("name", "size"), [("unet", (2, 3, 33, 40)), ("unet_paper", (1, 1, 188, 204))]
)
def test_optimized_and_exported_say_the_same(name, size):
    model, x = make(name), torch.randn(size)
    with torch.no_grad():
        want = model(x)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), want)
        scale = float(want.abs().max())
        torch.testing.assert_close(fastcv.optimize(model)(x), want, rtol=1e-4, atol=1e-4 * scale)


def test_learns_where_discs_are():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    centres = torch.tensor([[14.0, 20.0], [30.0, 30.0], [20.0, 33.0]])[..., None, None]
    labels = ((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2 < 100).long()
    images = labels[:, None] * 0.4 + 0.3 + 0.1 * torch.randn(3, 3, 48, 48)
    model = create_model("unet", width=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        model.loss(model(images), labels)["cross_entropy"].backward()
        optimizer.step()
    assert (model(images).argmax(1) == labels).float().mean() > 0.97  # 86 % are background
