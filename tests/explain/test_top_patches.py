"""Top patches: brute force over all pictures, boxes by the receptive field, how they are cut."""

import numpy as np
import pytest
import torch
from small_models import make_small
from torch import nn

from fastcv import explain
from fastcv.explain.receptive_field import ReceptiveField
from fastcv.explain.top_patches_drawn import OUTSIDE, cut

LAYERS = ["conv1", "layer1", "layer2.0", "layer4"]


def all_maps(model, images, layers):
    """Of one forward of everything at once."""
    kept = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: kept.update({name: output.clone()})
        )
        for name in layers
    ]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return kept


@pytest.mark.parametrize("batch_size", [200, 32, 7, 1])
def test_equals_brute_force(batch_size):
    model = make_small("resnet18")
    images = torch.randn(200, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    found = explain.top_patches(model, images, LAYERS, batch_size=batch_size)
    for name, maps in all_maps(model, images, LAYERS).items():
        flat, patches = maps.flatten(2), found[name]
        assert patches.values.shape == (maps.shape[1], 9)
        values, places = flat.max(dim=2)
        for channel in range(maps.shape[1]):
            order = values[:, channel].argsort(descending=True, stable=True)[:9]
            # Batches of other sizes round otherwise: what is equal but for that may change places.
            torch.testing.assert_close(
                patches.values[channel], values[order, channel], rtol=1e-4, atol=1e-5
            )
            numbers = patches.pictures[channel]
            torch.testing.assert_close(
                values[numbers, channel], patches.values[channel], rtol=1e-4, atol=1e-5
            )
            assert len(set(numbers.tolist())) == 9
            row, column = patches.places[channel].T
            torch.testing.assert_close(
                maps[numbers, channel, row, column], patches.values[channel], rtol=1e-4, atol=1e-5
            )
            if batch_size == 200 and bool((values[order, channel] > 0).all()):
                assert torch.equal(numbers, order)
                assert torch.equal(row * maps.shape[3] + column, places[order, channel])


class Same(nn.Module):
    """Maps that are the images, so that every number is known."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1, groups=2, bias=False)
        self.conv.weight.data.fill_(1)

    def forward(self, images):
        return self.conv(images).relu_().mean(dim=(2, 3))


@pytest.mark.parametrize("batch_size", [1, 3, 8, 40])
def test_ties_go_to_the_earlier(batch_size):
    """Whole numbers, of which many are equal: exactly the stable order."""
    images = torch.randint(-3, 4, (40, 2, 4, 5), generator=torch.Generator().manual_seed(0)).float()
    patches = explain.top_patches(Same(), images, "conv", k=6, batch_size=batch_size)["conv"]
    values = images.amax(dim=(2, 3))
    for channel in range(2):
        order = values[:, channel].argsort(descending=True, stable=True)[:6]
        assert torch.equal(patches.pictures[channel], order)
        assert torch.equal(patches.values[channel], values[order, channel])
        first = [
            int((images[i, channel].flatten() == values[i, channel]).nonzero()[0]) for i in order
        ]
        assert (patches.places[channel] @ torch.tensor([5, 1])).tolist() == first


def test_nan_is_the_lowest():
    images = torch.rand(6, 2, 4, 4)
    images[2] = torch.nan
    images[4, 0, 1, 3] = torch.inf
    patches = explain.top_patches(Same(), images, "conv", k=6, batch_size=2)["conv"]
    assert patches.pictures[:, -1].tolist() == [2, 2]
    assert patches.pictures[0, 0] == 4 and patches.places[0, 0].tolist() == [1, 3]


def test_fewer_pictures_than_k():
    found = explain.top_patches(Same(), torch.rand(4, 2, 4, 4), "conv", k=9, batch_size=3)
    assert found["conv"].values.shape == (2, 4)
    assert repr(found) == "TopPatches(conv 2x4 of 4 pictures)"
    assert len(found.gallery("conv")) == 2


def test_memory_does_not_grow_with_the_pictures():
    """What is kept of a batch is k of each channel: no map and no picture."""
    alive = []

    class Watched(torch.utils.data.Dataset):
        def __len__(self):
            return 60

        def __getitem__(self, index):
            import gc

            if index % 20 == 0 and index:
                gc.collect()
                alive.append(
                    sum(t.numel() for t in gc.get_objects() if issubclass(type(t), torch.Tensor))
                )
            return torch.rand(2, 16, 16)

    explain.top_patches(Same(), Watched(), "conv", k=3, batch_size=5)
    assert len(alive) == 2 and alive[0] == alive[1]


def test_boxes_are_the_receptive_fields():
    model = make_small("resnet18")
    images = torch.randn(20, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = explain.top_patches(model, images, ["layer1", "layer2"], k=4)
    for name in ("layer1", "layer2"):
        field, patches = explain.receptive_field(model, name, (64, 64)), found[name]
        for channel in range(len(patches.values)):
            for rank in range(4):
                row, column = patches.places[channel, rank].tolist()
                assert patches.box(channel, rank) == field.box(row, column)


def test_a_patch_is_all_that_counts():
    """The channel's answer does not change when all outside of the box does."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3))
    images = torch.rand(30, 3, 40, 40)
    patches = explain.top_patches(model, images, "3", k=3)["3"]
    for channel in range(5):
        for rank in range(3):
            x1, y1, x2, y2 = patches.box(channel, rank)
            image = images[patches.pictures[channel, rank]]
            other = torch.rand(3, 40, 40)
            other[:, y1:y2, x1:x2] = image[:, y1:y2, x1:x2]
            row, column = patches.places[channel, rank]
            value = model(other[None])[0, channel, row, column]
            torch.testing.assert_close(value.detach(), patches.values[channel, rank])


def test_cut():
    picture = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)
    field = ReceptiveField((5, 3), (2, 2), (0.0, 0.0), (8, 6))  # 2 rows and 1 column of padding
    inside = cut(picture, field, (1, 1))
    assert inside.shape == (5, 3, 3) and (inside == picture[0:5, 1:4]).all()
    corner = cut(picture, field, (0, 0))
    assert corner.shape == (5, 3, 3) and (corner[2:, 1:] == picture[:3, :2]).all()
    assert (corner[:2] == OUTSIDE).all() and (corner[:, 0] == OUTSIDE).all()
    bottom = cut(picture, field, (3, 2))
    assert (bottom[:4] == picture[4:, 3:6]).all() and (bottom[4] == OUTSIDE).all()
    wide = ReceptiveField((3, 50), (1, 1), (0.0, 0.0), (8, 6))  # wider than the picture
    assert cut(picture, wide, (4, 3)).shape == (3, 6, 3)
    assert (cut(picture, wide, (4, 3)) == picture[3:6]).all()


def test_galleries():
    model = make_small("resnet18")
    images = torch.randn(12, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = explain.top_patches(model, images, ["conv1", "layer2"], k=4)
    strongest = found["layer2"].values[:, 0].argsort(descending=True)[:8].tolist()
    plain = found.gallery("layer2")
    assert plain.captions == [f"channel {i}" for i in strongest]
    for back in (False, True):
        gallery = found.gallery("conv1", [5, 2], deconvnet=back)
        assert gallery.captions == ["channel 5", "channel 2"] and gallery.title == "conv1"
        # Four 7 x 7 patches, nine times as large, with gaps of 2 pixels.
        assert {picture.size for picture in gallery.pictures} == {(2 * 63 + 6, 2 * 63 + 6)}
        gallery.draw()
    assert not np.array_equal(*(np.array(g.pictures[0]) for g in (gallery, plain)))


def test_the_deconvnet_goes_back_from_the_place():
    """On a linear layer: the weights themselves, in the box and nowhere else."""
    model = nn.Sequential(nn.Conv2d(3, 2, 3, bias=False), nn.ReLU())
    images = torch.rand(5, 3, 9, 9)
    found = explain.top_patches(model, images, "0", k=1)
    pixels = np.array(found.gallery("0", [1], deconvnet=True).pictures[0])[2:-2, 2:-2]
    cells = pixels[::21, ::21]
    weight = model[0].weight[1].detach()
    from fastcv.results.attribution import mid_grey

    values = torch.zeros(3, 9, 9)
    values[:, :3, :3] = weight
    assert cells.shape == (3, 3, 3) and (cells == mid_grey(values)[:3, :3]).all()


def test_files_are_prepared_and_broken_ones_skipped(tmp_path):
    from PIL import Image

    model = make_small("resnet18")
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (70, 90, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_text("no picture")
    found = explain.top_patches(model, tmp_path, "layer1", k=4, batch_size=2)
    assert list(found.skipped) == [str(tmp_path / "1.png")]
    patches = found["layer1"]
    assert set(patches.pictures.flatten().tolist()) == {0, 2, 3, 4}
    alone = explain.top_patches(model, tmp_path / "3.png", "layer1", k=1)["layer1"]
    is_3 = patches.pictures == 3
    torch.testing.assert_close(patches.values[is_3].sort().values, alone.values[:, 0].sort().values)
    found.gallery("layer1", [0]).draw()


def test_mistakes():
    model, images = make_small("resnet18"), torch.randn(4, 3, 64, 64)
    with pytest.raises(ValueError, match="no 'layer9': did you mean 'layer"):
        explain.top_patches(model, images, ["layer1", "layer9"])
    with pytest.raises(ValueError, match="layers must be at least one, got none"):
        explain.top_patches(model, images, [])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        explain.top_patches(model, images, "layer1", 0)
    with pytest.raises(ValueError, match=r"layer 'fc' must give maps \[4, C, H, W\]"):
        explain.top_patches(model, images, "fc")
    sizes = [torch.rand(3, 64, 64), torch.rand(3, 64, 80)]
    with pytest.raises(ValueError, match="pictures must be of one size, got"):
        explain.top_patches(nn.Sequential(nn.Conv2d(3, 2, 3)), sizes, "0")
    with pytest.raises(ValueError, match="pictures must be of one size, got"):
        explain.top_patches(nn.Sequential(nn.Conv2d(3, 2, 3)), sizes, "0", batch_size=1)
    with pytest.raises(TypeError, match=r"model must not be a detector, .* pass its backbone"):
        explain.top_patches(make_small("ssd_resnet18"), images, "backbone.body.layer1")
    found = explain.top_patches(model, images, "layer1", 2)
    with pytest.raises(ValueError, match="layer must be one of layer1, got 'layer2'"):
        found.gallery("layer2")
    with pytest.raises(ValueError, match="channels must be 0 to 7, got 8"):
        found.gallery("layer1", [8])


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)

    def forward(self, images):
        return self.used(self.used(images)[:, [0, 1, 0]])


def test_a_layer_that_is_not_called_and_one_called_twice():
    with pytest.raises(ValueError, match="layer 'idle' is not called in the model's forward"):
        explain.top_patches(Unused(), torch.rand(2, 3, 9, 9), "idle")
    found = explain.top_patches(Unused(), torch.rand(3, 3, 9, 9), "used", k=3)["used"]
    assert sorted(found.pictures[0].tolist()) == [0, 1, 2]
    assert bool((found.places < 5).all())  # of the second call's maps of 5 x 5
