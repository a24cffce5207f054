"""SSD300 against torchvision's: keys, prior boxes, detections, losses, gradients."""

import pytest
import skimage.data
import torch
from torchvision.models import detection

from fastcv.models import create_model
from fastcv.models._registry import find_model

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def pair():
    """Ours and the peer, of the same weights, which keep what passes at a size near 1."""
    torch.manual_seed(0)
    peer = detection.ssd300_vgg16(weights=None, weights_backbone=None, num_classes=5)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        peer.backbone.features[0].weight.mul_(1 / 64)  # of values 0 to 255
        peer.backbone.scale_weight.copy_(torch.rand(512, generator=generator) + 0.5)
        for name, parameter in peer.head.named_parameters():
            if parameter.dim() > 1:
                gain = 6.0 if "classification" in name else 2.0
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise * gain / parameter[0].numel() ** 0.5)
    ours = create_model("ssd300_vgg16", num_classes=5)
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(peer.state_dict())
    return ours, peer


@pytest.fixture(scope="module")
def photographs():
    """Two, of different sizes and proportions."""
    images = [skimage.data.astronaut()[::3, ::3], skimage.data.coffee()[::4, ::3]]
    return [torch.tensor(image.copy()).permute(2, 0, 1) / 255 for image in images]


def test_published_keys_and_weights():
    (weights,) = find_model("ssd300_vgg16").weights
    published = detection.SSD300_VGG16_Weights.COCO_V1
    assert weights.url == published.url and weights.url.endswith(f"-{weights.sha256}.pth")
    assert weights.metric == {"box mAP": published.meta["_metrics"]["COCO-val2017"]["box_map"]}
    with torch.device("meta"):
        ours = create_model("ssd300_vgg16", **weights.config)
        peer = detection.ssd300_vgg16(weights=None, weights_backbone=None)
    expected = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected
    assert sum(p.numel() for p in ours.parameters()) == published.meta["num_params"]


def test_same_detections(pair, photographs):
    ours, peer = pair
    ours.eval(), peer.eval()
    with torch.inference_mode():
        found, expected = ours.predict(photographs, batch_size=2), peer(photographs)
    for mine, theirs, image in zip(found, expected, photographs, strict=True):
        assert len(mine) > 20 and len(mine.labels.unique()) > 1
        assert mine.image_size == tuple(image.shape[-2:])
        assert torch.equal(mine.labels, theirs["labels"])
        torch.testing.assert_close(mine.boxes, theirs["boxes"], **CLOSE)
        torch.testing.assert_close(mine.scores, theirs["scores"], **CLOSE)


BOXES = [
    torch.tensor([[5.0, 8.0, 60.0, 90.0], [30.0, 40.0, 110.0, 100.0], [70.0, 5.0, 90.0, 30.0]]),
    torch.tensor([[10.0, 20.0, 80.0, 70.0]]),
]
LABELS = [torch.tensor([1, 4, 2]), torch.tensor([3])]
NO_BOXES, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)


@pytest.mark.slow
@pytest.mark.parametrize("second", ["with boxes", "without boxes"])
def test_losses_and_gradients(pair, photographs, second):
    ours, peer = pair
    boxes, labels = list(BOXES), list(LABELS)
    if second == "without boxes":
        boxes[1], labels[1] = NO_BOXES, NO_LABELS
    targets = [{"boxes": b, "labels": y} for b, y in zip(boxes, labels, strict=True)]
    for model in (ours, peer):
        model.train().zero_grad()
    losses = ours.loss(ours(photographs), targets)
    sum(losses.values()).backward()
    expected = peer(photographs, targets)
    sum(expected.values()).backward()

    assert set(losses) == set(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")
        assert loss > 0
    gradients = dict(peer.named_parameters())
    for name, parameter in ours.named_parameters():
        want = gradients[name].grad
        torch.testing.assert_close(
            parameter.grad, want, rtol=1e-3, atol=1e-4 * float(want.abs().max() + 1e-3), msg=name
        )
