"""Drawn people: the same bits always, a person the same in every split, and told apart."""

import numpy as np
import pytest
import torch

from fastcv.data import DrawnIdentities
from fastcv.data._drawn_identity import draw_face, draw_identity

SPLITS = ("train", "val", "test")


def small(split, **options):
    return DrawnIdentities(split, **{"size": (32, 40), "identities": 4, **options})


def test_same_bits_in_another_order_and_length():
    forward = [small("train")[i] for i in range(3)]
    again = small("train", length=3)
    for i in (2, 0, 1):
        image, label = again[i]
        assert torch.equal(image, forward[i][0]) and label == forward[i][1]
    assert torch.equal(again[-1][0], forward[2][0])
    with pytest.raises(IndexError):
        again[3]
    assert not torch.equal(small("train", seed=1)[0][0], forward[0][0])
    assert not torch.equal(small("val")[0][0], forward[0][0])


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [(24, 24), (32, 40), (128, 100)])
def test_items(split, size):
    faces = small(split, size=size, identities=3)
    for i in range(9):
        image, label = faces[i]
        assert image.shape == (3, *size) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1
        assert label == i % 3 and type(label) is int
    assert faces.classes == ("person 0", "person 1", "person 2")
    assert len(faces) == {"train": 2000, "val": 200, "test": 400}[split]


def test_how_many_there_are_changes_nobody():
    """Person 2 of 5 is person 2 of 9: what they look like depends on seed and number alone."""
    for index in (2, 1):
        few, many = small("val", identities=5)[index], small("val", identities=9)[index]
        assert few[1] == many[1] == index and torch.equal(few[0], many[0])


def test_a_person_stays_and_the_picture_changes():
    """Colours of the middle of the face: alike within a person, not between people."""
    faces = small("test", identities=6, size=(64, 64), length=120)
    middles = torch.stack([faces[i][0][:, 24:40, 24:40].mean(dim=(1, 2)) for i in range(120)])
    by_person = middles.view(20, 6, 3)
    within = by_person.std(dim=0).mean()
    between = by_person.mean(dim=0).std(dim=0).mean()
    assert between > 1.5 * within > 0
    corners = torch.stack([faces[i][0][:, :4, :4].mean(dim=(1, 2)) for i in range(120)])
    assert corners.std(dim=0).min() > 0.1  # backgrounds


def test_a_face_is_of_its_identity():
    """Another colour of hair changes hair alone; glasses are dark rims."""
    who = draw_identity(np.random.default_rng(0))._replace(beard=0.0, glasses=False)

    def pixels(identity):
        return draw_face(identity, np.random.default_rng(1), 40.0).pixels

    plain = pixels(who)
    dyed = pixels(who._replace(hair=np.array([1.0, 0.0, 0.0])))
    changed = np.abs(dyed - plain).max(axis=0) > 0.05
    middle = plain.shape[1] // 2
    assert changed[: middle // 2].mean() > 0.5
    assert not changed[middle + 4 : middle + 8, middle - 3 : middle + 3].any()
    rims = pixels(who._replace(glasses=True))
    assert (rims <= plain + 1e-6).mean() > 0.9 and (plain - rims).max() > 0.1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": (16, 32)}, "size must be at least 24 x 24 pixels, got"),
        ({"identities": 1}, "identities must be 2 to 100000, got 1"),
        ({"length": -1}, "length must be 0 to"),
        ({"seed": -1}, "seed must be 0 to"),
    ],
)
def test_wrong_arguments(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        small("train", **options)
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'all'"):
        small("all")
