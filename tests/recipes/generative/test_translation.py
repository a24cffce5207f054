"""The drawn data of the recipes of image translation, and what measures them."""

import pytest
import torch
from PIL import Image

from fastcv.images import grey
from fastcv.recipes.generative import digits_cyclegan as cycle
from fastcv.recipes.generative._scenes import (
    DigitScenes,
    chroma,
    digits_read,
    edges,
    sharpness,
    write_rows,
)


@pytest.fixture(scope="module")
def scenes():
    return DigitScenes("test", 30, edges)


@pytest.fixture(scope="module")
def partners():
    return cycle.PaperAndSlate("test", 100)


def test_a_pair_is_of_one_scene(scenes):
    source, scene = scenes[3]
    assert source.shape == scene.shape == (3, 64, 64) and scenes.masks[3].sum() > 50
    assert set(source.unique().tolist()) == {0, 1}
    # Lines lie at the border of the digit, and not inside of it.
    inside = -torch.nn.functional.max_pool2d(-scenes.masks[:, None].float(), 5, 1, 2)[:, 0] > 0
    near = torch.nn.functional.max_pool2d(scenes.masks[:, None].float(), 5, 1, 2)[:, 0] > 0
    lines = scenes.sources[:, 0] > 0
    assert lines[near & ~inside].float().mean() > 4 * lines[inside].float().mean()


def test_the_reader_reads_scenes(scenes):
    """Also a number of them that is no multiple of nine, in order."""
    read = digits_read(scenes.scenes / 255)
    assert read.shape == scenes.labels.shape and (read == scenes.labels).float().mean() > 0.85


def test_partners_differ_in_colour_alone(partners):
    paper, slate = partners.paper / 255, partners.slate / 255
    assert torch.equal(partners.labels, partners.slate_labels)
    light = [torch.stack([grey(x) for x in kind]).flatten(1) for kind in (paper, slate)]
    apart = [x - x.mean(dim=1, keepdim=True) for x in light]
    likeness = torch.cosine_similarity(apart[0], -apart[1])
    assert likeness.min() > 0.9
    assert (light[0].mean(dim=1) > 0.6).all() and (light[1].mean(dim=1) < 0.5).all()


def test_training_has_no_partners():
    data = cycle.PaperAndSlate("train", 200)
    assert 0.02 < (data.labels == data.slate_labels).float().mean() < 0.25


def test_the_partners_themselves_are_the_best_there_is(partners):
    class Knows:
        """Makes the hidden partner of what it sees."""

        def eval(self):
            return self

        def as_float(self, x):
            return x / 255

        def prepare(self, images):
            return torch.stack(images)

        def __call__(self, images):
            apart = [(partners.paper / 255 - image).abs().sum((1, 2, 3)) for image in images]
            return partners.slate[torch.stack(apart).argmin(dim=1)] / 255

        def to_pictures(self, output):
            return output

    found = cycle.measure(Knows(), partners)
    assert found["error"] == 0 and found["distinct"] == 1
    assert found["digits"] == found["reader"] > 0.93


def test_measures_by_hand(tmp_path):
    picture = torch.zeros(1, 3, 2, 3)
    picture[0, :, :, 2] = 0.6
    # Two of four steps across are 0.6, none of three along.
    torch.testing.assert_close(sharpness(picture), torch.tensor([0.3]))
    colours = torch.tensor([0.9, 0.2, 0.5]).view(1, 3, 1, 1)
    torch.testing.assert_close(chroma(colours), torch.tensor([[[0.7]]]))
    write_rows(tmp_path / "a.png", [[picture[0], picture[0, :1]]] * 3)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (2 * (6 + 4) + 4, 3 * (4 + 4) + 4)
