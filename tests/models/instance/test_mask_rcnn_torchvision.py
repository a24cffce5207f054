"""Mask R-CNN against torchvision's: keys, boxes, masks, losses, gradients."""

import pytest
import skimage.data
import torch
import torchvision
from torchvision.models.detection import MaskRCNN as PeerMaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d

from fastcv.models import create_model

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SIZES = {"min_size": 128, "max_size": 200}
LOUD = ("rpn.head.cls", "rpn.head.bbox", "roi_heads.box_predictor", "roi_heads.mask_predictor")


def speak_up(peer):
    """Random heads say nothing loudly enough to be detected, or to move a proposal."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in peer.named_parameters():
        if name.startswith(LOUD):
            scale = 1.5 if "cls" in name or "mask" in name else 0.3
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = noise * scale / max(parameter[0].numel(), 25) ** 0.5
    return peer


def same_state(ours, peer):
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(peer.state_dict())
    return ours


@pytest.fixture(scope="module")
def small():
    """ResNet-18 with narrow heads: ours and the peer, of the same weights."""
    torch.manual_seed(0)
    layers = {f"layer{i + 1}": str(i) for i in range(4)}
    backbone = BackboneWithFPN(
        torchvision.models.resnet18(weights=None), layers, [64, 128, 256, 512], out_channels=32
    )
    peer = PeerMaskRCNN(
        backbone,
        box_head=TwoMLPHead(32 * 49, 64),
        box_predictor=FastRCNNPredictor(64, 5),
        mask_head=MaskRCNNHeads(32, [24] * 4, 1),
        mask_predictor=MaskRCNNPredictor(24, 24, 5),
        **SIZES,
    )
    ours = create_model(
        "maskrcnn_resnet18_fpn",
        num_classes=5,
        fpn_channels=32,
        head_channels=64,
        mask_channels=24,
        **SIZES,
    )
    return same_state(ours, speak_up(peer)), peer


@pytest.fixture(scope="module")
def photographs():
    """Two, of different sizes and proportions."""
    images = [skimage.data.astronaut()[::3, ::3], skimage.data.coffee()[::4, ::3]]
    return [torch.tensor(image.copy()).permute(2, 0, 1) / 255 for image in images]


def test_boxes_and_masks(small, photographs):
    ours, peer = small
    ours.eval(), peer.eval()
    with torch.inference_mode():
        # Before they are drawn into the picture, and after.
        found = super(type(ours), ours).postprocess(ours(photographs))
        drawn = ours.predict(photographs, batch_size=len(photographs))
        expected = peer(photographs)
    maps = peer_maps(peer, photographs)
    for mine, shown, theirs, small_masks in zip(found, drawn, expected, maps, strict=True):
        assert len(mine) > 5
        assert torch.equal(mine.labels, theirs["labels"])
        torch.testing.assert_close(mine.boxes, theirs["boxes"], **CLOSE)
        torch.testing.assert_close(mine.scores, theirs["scores"], **CLOSE)
        torch.testing.assert_close(mine.fields["masks"], small_masks[:, 0], **CLOSE)
        assert small_masks.std() > 0.1
        pasted = theirs["masks"][:, 0]
        apart = shown.masks != (pasted > 0.5)
        assert bool(((pasted - 0.5).abs() < 1e-3)[apart].all())  # maps agree to 1e-4
        assert 0 < shown.masks.float().mean() < 1


def peer_maps(peer, images):
    """The peer's masks on the boxes, which it pastes into the picture at once."""
    caught = []
    paste = peer.transform.postprocess
    peer.transform.postprocess = lambda found, *sizes: caught.extend(f["masks"] for f in found)
    try:
        with torch.inference_mode():
            peer(images)
    finally:
        peer.transform.postprocess = paste
    return caught


@pytest.mark.parametrize("frozen_norm", [False, True])
def test_resnet50_has_the_published_keys(frozen_norm):
    norm = FrozenBatchNorm2d if frozen_norm else torch.nn.BatchNorm2d
    with torch.device("meta"):
        ours = create_model("maskrcnn_resnet50_fpn", frozen_norm=frozen_norm)
        peer = PeerMaskRCNN(
            resnet_fpn_backbone(
                backbone_name="resnet50", weights=None, norm_layer=norm, trainable_layers=5
            ),
            num_classes=91,
        )
    expected = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected
    count = sum(p.numel() for p in ours.parameters())
    assert count == (44_401_393 if frozen_norm else 44_454_513)


def test_keys_of_the_published_file():
    """They are of before the heads' layers were blocks."""
    ours = create_model("maskrcnn_resnet18_fpn", num_classes=3, width=8, mask_channels=8)
    old = {}
    for key, value in ours.state_dict().items():
        parts = key.split(".")
        if parts[1] == "mask_head":
            parts[2:4] = [f"mask_fcn{int(parts[2]) + 1}"]
        old[".".join(parts)] = value + 1
    assert "roi_heads.mask_head.mask_fcn4.bias" in old
    ours.load_state_dict(old)
    assert torch.equal(
        ours.roi_heads.mask_head[1][0].weight, old["roi_heads.mask_head.mask_fcn2.weight"]
    )


def rectangles(boxes, size):
    """Masks that fill the lower left half of their boxes."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = torch.ones(y2 - y1, x2 - x1).tril().bool()
    return masks


BOXES = [
    torch.tensor([[5.0, 8.0, 60.0, 90.0], [30.0, 40.0, 110.0, 100.0], [70.0, 5.0, 90.0, 30.0]]),
    torch.tensor([[10.0, 20.0, 80.0, 70.0]]),
]
LABELS = [torch.tensor([1, 4, 2]), torch.tensor([3])]


@pytest.mark.parametrize("second", ["with boxes", "without boxes"])
def test_losses_and_gradients(small, photographs, monkeypatch, second):
    ours, peer = small
    # It draws a size even where there is one only, which would move the seed.
    monkeypatch.setattr(peer.transform, "torch_choice", lambda sizes: sizes[0])
    boxes, labels = list(BOXES), list(LABELS)
    if second == "without boxes":
        boxes[1], labels[1] = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    targets = [
        {"boxes": b, "labels": y, "masks": rectangles(b, image.shape[1:])}
        for b, y, image in zip(boxes, labels, photographs, strict=True)
    ]
    for model in (ours, peer):
        sampler = "sampler" if model is ours else "fg_bg_sampler"
        for part in (model.rpn, model.roi_heads):
            one = getattr(part, sampler)
            monkeypatch.setattr(part, sampler, type(one)(64, one.positive_fraction))
        model.train().zero_grad()
    state = {k: v.clone() for k, v in peer.state_dict().items()}  # running statistics move

    torch.manual_seed(3)
    losses = ours.loss(ours(photographs), targets)
    sum(losses.values()).backward()
    torch.manual_seed(3)
    expected = peer(photographs, targets)
    sum(expected.values()).backward()

    assert set(losses) == set(expected) and "loss_mask" in losses
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")
        assert loss > 0
    gradients = dict(peer.named_parameters())
    for name, parameter in ours.named_parameters():
        want = gradients[name].grad
        torch.testing.assert_close(
            parameter.grad, want, rtol=1e-3, atol=1e-4 * float(want.abs().max() + 1e-3), msg=name
        )
    ours.load_state_dict(state), peer.load_state_dict(state)
