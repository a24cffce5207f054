"""RetinaFace on ResNet-50 against retinaface-pytorch's: keys, maps, priors, loss, gradients."""

import importlib
import math
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch

from fastcv.models import create_model


@pytest.fixture(scope="module")
def peer():
    """The package's modules, without its ``__init__``, which another package may have replaced."""
    found = find_spec("retinaface")
    if (
        found is None
        or importlib.machinery.PathFinder.find_spec(
            "network", list(found.submodule_search_locations)
        )
        is None
    ):
        pytest.skip("no peer: pip install --no-deps retinaface-pytorch==0.0.8 brings it")
    package = ModuleType("retinaface")
    package.__path__ = list(found.submodule_search_locations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "retinaface", package)
        yield {
            name: importlib.import_module(f"retinaface.{name}")
            for name in ("network", "prior_box", "multibox_loss")
        }
        for name in [name for name in sys.modules if name.startswith("retinaface.")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def pair(peer):
    torch.manual_seed(0)
    theirs = peer["network"].RetinaFace(
        name="Resnet50",
        pretrained=False,
        in_channels=256,
        return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
        out_channels=256,
    )
    ours = create_model("retinaface_resnet50")
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


SIZE = (160, 162)


def test_maps(pair):
    ours, theirs = (model.eval() for model in pair)
    pixels = 50 * torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, deltas, landmarks, _ = ours.dense(pixels)
        expected = theirs(pixels)
    for got, true in zip((deltas, logits, landmarks), expected, strict=True):
        assert true.std() > 1e-3
        torch.testing.assert_close(got, true, rtol=1e-4, atol=1e-4)


def their_priors(peer):
    return peer["prior_box"].priorbox(
        min_sizes=[[16, 32], [64, 128], [256, 512]], steps=[8, 16, 32], clip=False, image_size=SIZE
    )


def test_priors(pair, peer):
    *_, priors = pair[0].eval().dense(torch.zeros(1, 3, *SIZE))
    x, y, wide, high = (their_priors(peer) * torch.tensor([*SIZE[::-1], *SIZE[::-1]])).unbind(1)
    expected = torch.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], dim=1)
    torch.testing.assert_close(priors, expected, rtol=1e-5, atol=1e-3)


# One for each map; the last one's landmarks are unknown.
BOXES = torch.tensor([[2.0, 3, 160, 159], [60, 20, 125, 90], [70, 2, 90, 19], [4, 90, 30, 119]])
LABELS = torch.tensor([1, 1, 1, -1])


def test_losses_and_gradients(pair, peer):
    ours, theirs = (model.train() for model in pair)
    image = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(2))
    share = torch.rand(4, 5, 2, generator=torch.Generator().manual_seed(3))
    points = BOXES[:, None, :2] + share * (BOXES[:, None, 2:] - BOXES[:, None, :2])
    known = torch.full((4, 5, 1), 2.0)
    aim = {"boxes": BOXES, "labels": LABELS, "keypoints": torch.cat([points, known], dim=2)}
    output = ours([image, image.flip(2)])
    losses = ours.loss(output, [aim, aim])
    extent = torch.tensor(SIZE[::-1])
    rows = torch.cat(
        [BOXES / extent.repeat(2), (points / extent).flatten(1), LABELS[:, None].float()], dim=1
    )
    criterion = peer["multibox_loss"].MultiBoxLoss(
        2, 0.35, True, 0, True, 7, 0.35, False, their_priors(peer)
    )
    boxes, classes, marks = criterion(theirs(output.batch.tensors), [rows, rows])
    assert losses["bbox_regression"].item() == pytest.approx(2 * boxes.item(), rel=1e-4)
    assert losses["classification"].item() == pytest.approx(classes.item(), rel=1e-4)
    assert losses["landmark_regression"].item() == pytest.approx(marks.item(), rel=1e-4)
    sum(losses.values()).backward()
    (2 * boxes + classes + marks).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        gradient = expected[name].grad
        scale = gradient.abs().max().item()
        assert math.isfinite(scale) and scale > 0, name
        # 50 layers of batch norm over two small images: 1e-3 of the largest of a tensor.
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-3 * scale)
