"""What is explained: classes by number and name, boxes, pixels, functions; and what is refused."""

from types import SimpleNamespace

import pytest
import torch
from small_models import make_small
from torch import nn

from fastcv import explain
from fastcv.explain.targets import BoxScore, PixelScore, resolve
from fastcv.models.detection._detector import Detector
from fastcv.nn import FoundBoxes


def named(*classes):
    model = nn.Identity()
    model.classes = classes
    return model


CATS = named("tabby", "tiger cat", "Egyptian cat")
LOGITS = torch.tensor([[0.5, 2.0, 1.0], [4.0, -1.0, 3.0]])


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (None, [1, 0]),
        (2, [2, 2]),
        ("tiger cat", [1, 1]),
        ("egyptian CAT", [2, 2]),
        ([0, 2], [0, 2]),
        ((None, "tabby"), [1, 0]),
        (torch.tensor([2, 1]), [2, 1]),
        (torch.tensor(1), [1, 1]),
    ],
)
def test_classes(target, labels):
    found = resolve(CATS, LOGITS, target, 2)
    assert [one.label for one in found.targets] == labels
    assert found.names == tuple(CATS.classes[label] for label in labels)
    assert torch.equal(found(LOGITS), LOGITS[[0, 1], labels])


@pytest.mark.parametrize(
    "output", [SimpleNamespace(logits=LOGITS), {"logits": LOGITS}, {"out": LOGITS}]
)
def test_outputs_that_hold_logits(output):
    assert resolve(CATS, output, None, 2)(output).tolist() == [2.0, 4.0]


def test_functions():
    def second_over_first(output):
        return output[:, 1] - output[:, 0]

    found = resolve(CATS, LOGITS, second_over_first, 2)
    assert found(LOGITS).tolist() == [1.5, -5.0] and found.names == ("second_over_first",) * 2
    mixed = resolve(CATS, LOGITS, [second_over_first, 2], 2)
    assert mixed(LOGITS).tolist() == [1.5, 3.0]
    assert mixed.repeated(1, 3).names == ("Egyptian cat",) * 3


class Words(nn.Module):
    """A captioner: logits of each word at each of four places."""

    def __init__(self):
        super().__init__()
        self.conv, self.words = nn.Conv2d(3, 4, 3), nn.Linear(4, 4 * 6)

    def forward(self, images):
        return self.words(self.conv(images).relu().mean((2, 3))).view(len(images), 4, 6)


def test_a_word_of_a_caption():
    """A function of any output does: the third word's score, of each image."""
    model, images = Words(), torch.rand(2, 3, 9, 9)
    found = explain.grad_cam(model, images, lambda words: words[:, 2, 5])
    maps = model.conv(images).relu().detach()
    weights = model.words.weight.view(4, 6, 4)[2, 5].detach() / 49
    torch.testing.assert_close(found.cells, torch.einsum("bchw,c->bhw", maps, weights).relu())
    with pytest.raises(TypeError, match="target must be a function of the model's output where"):
        explain.grad_cam(model, images, 1)


@pytest.mark.parametrize(
    ("target", "kind", "why"),
    [
        (3, ValueError, "target must be a class 0 to 2, got 3"),
        (-1, ValueError, "target must be a class 0 to 2, got -1"),
        ("taby", ValueError, "the model has no class 'taby': did you mean 'tabby'"),
        ([0, 1, 2], ValueError, "one for each of the 2 images, got 3"),
        (1.5, TypeError, "target must be a class's number or name, .* got float"),
        (True, TypeError, "got bool"),
        (torch.tensor(1.5), TypeError, "target must be a class's number or name, .* got float"),
        (torch.tensor(True), TypeError, "got bool"),
    ],
)
def test_what_is_refused(target, kind, why):
    with pytest.raises(kind, match=why):
        resolve(CATS, LOGITS, target, 2)


@pytest.mark.parametrize("word", ["cat", "CAT"])
def test_a_word_that_is_part_of_names(word):
    """These are offered, and not names that are spelled alike."""
    model = named("crate", "castle", "tiger cat", "tabby", "Egyptian cat")
    with pytest.raises(ValueError, match=r"did you mean 'tiger cat' or 'Egyptian cat'\?$"):
        resolve(model, torch.zeros(1, 5), word, 1)


def test_names_and_functions_that_are_refused():
    with pytest.raises(ValueError, match="no names of classes: give the number of 'cat'"):
        resolve(nn.Identity(), LOGITS, "cat", 2)
    found = resolve(CATS, LOGITS, lambda output: output, 2)
    with pytest.raises(ValueError, match=r"a score for each image, \[2\], got \[2, 3\]"):
        found(LOGITS)


def test_pixels():
    scores = torch.zeros(1, 3, 4, 5)
    scores[0, 0] = 1.0
    scores[0, 2, 1:3, 1:4] = 5.0
    segmenter = named("background", "cat", "dog")
    found = resolve(segmenter, scores, None, 1)  # not the background, though it has more
    assert found.names == ("dog",) and found(scores).tolist() == [30.0]
    assert resolve(segmenter, scores, "background", 1)(scores).tolist() == [14.0]
    with pytest.raises(ValueError, match="finds no pixel of cat in image 0"):
        resolve(segmenter, scores, "cat", 1)
    with pytest.raises(ValueError, match=r"mask must be \[4, 5\]"):
        PixelScore(1, torch.ones(2, 2).bool())(scores)
    assert PixelScore(0)(scores).tolist() == [20.0]


class Two(Detector):
    """Finds what its output says."""

    classes = ("background", "cat", "dog")

    def detect(self, output, *, score_threshold=0.05):
        return [FoundBoxes(*image) for image in output]


CAT = torch.tensor([0.0, 0, 10, 10])
DOG = torch.tensor([0.0, 0, 10, 9])


def test_boxes():
    model, labels = Two(), torch.tensor([1, 2, 1])
    boxes = torch.stack([CAT, DOG, CAT + 50])
    output = [
        (boxes, torch.tensor([0.6, 0.9, 0.7]), labels),
        (boxes[:1] + 1, torch.ones(1), labels[:1]),
    ]
    assert resolve(model, output[:1], None, 1).names == ("dog",)
    cat = resolve(model, output[:1], "cat", 1).targets[0]
    assert torch.equal(cat.box, CAT + 50)
    score = BoxScore(model, CAT, 1)
    assert score(output).tolist() == pytest.approx([0.6, 1.0])  # not the dog's; near is the same
    assert BoxScore(model, CAT)(output).tolist() == pytest.approx([0.9, 1.0])
    assert BoxScore(model, CAT + 100, 1)(output).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="finds no box of background in image 0"):
        resolve(model, output, "background", 2)
    nothing = [(boxes[:0], torch.ones(0), labels[:0])]
    with pytest.raises(ValueError, match="finds no box in image 0"):
        resolve(model, nothing, None, 1)
    assert BoxScore(model, CAT)(nothing).tolist() == [0.0]


def test_half_on_the_cpu():
    """A model in half precision is explained in it; the maps are float32."""
    model = make_small("resnet18").half()
    found = explain.grad_cam(model, torch.rand(1, 3, 64, 64))
    assert found.maps.dtype == torch.float32 and bool(found.maps.isfinite().all())
