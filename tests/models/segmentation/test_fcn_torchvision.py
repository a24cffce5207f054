"""FCN on ResNets against torchvision's: keys, scores, gradients, preparation, what weights say."""

import pytest
import skimage.data
import torch
from torch.nn import functional as F
from torchvision.models import segmentation as peers

import fastcv
from fastcv.models import create_model
from fastcv.models._registry import find_model

DEPTHS = {50: 35_322_218, 101: 54_314_346}


@pytest.mark.parametrize("depth", DEPTHS)
def test_keys_and_counts(depth):
    with torch.device("meta"):
        ours = create_model(f"fcn_resnet{depth}")
        peer = getattr(peers, f"fcn_resnet{depth}")(weights_backbone=None, aux_loss=True)
    expected = {k: v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected
    assert sum(p.numel() for p in ours.parameters()) == DEPTHS[depth]


def test_same_scores_and_gradients():
    torch.manual_seed(0)
    peer = peers.fcn_resnet50(weights_backbone=None, num_classes=5, aux_loss=True)
    ours = create_model("fcn_resnet50", num_classes=5)
    ours.load_state_dict(peer.state_dict())
    for module in (*peer.modules(), *ours.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # it draws at random
    x, labels = torch.randn(2, 3, 41, 33), torch.randint(5, (2, 41, 33))
    labels[0, :9] = 255
    losses, theirs = ours.loss(ours(x), labels), peer(x)
    main, aux = (F.cross_entropy(theirs[key], labels, ignore_index=255) for key in ("out", "aux"))
    torch.testing.assert_close(losses["cross_entropy"], main, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(losses["auxiliary"], 0.5 * aux, rtol=1e-4, atol=1e-4)
    sum(losses.values()).backward()
    (main + 0.5 * aux).backward()
    for name, parameter in peer.named_parameters():
        torch.testing.assert_close(
            ours.get_parameter(name).grad,
            parameter.grad,
            rtol=1e-3,
            atol=1e-4 * float(parameter.grad.abs().max()),
            msg=name,
        )
    ours.eval(), peer.eval()  # with the statistics that this step gathered
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x)["out"], rtol=1e-4, atol=1e-4)


def test_without_the_auxiliary_head_a_checkpoint_that_has_one_loads():
    peer = peers.fcn_resnet50(weights_backbone=None, num_classes=2, aux_loss=True)
    ours = create_model("fcn_resnet50", num_classes=2, aux_loss=False)
    ours.load_state_dict(peer.state_dict())
    assert isinstance(ours(torch.randn(2, 3, 9, 9)), torch.Tensor)
    with pytest.raises(RuntimeError, match="Missing key"):
        ours.load_state_dict({k: v for k, v in peer.state_dict().items() if k[:3] == "aux"})


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_known_of_the_weights(depth):
    (theirs,) = getattr(peers, f"FCN_ResNet{depth}_Weights")
    (ours,) = find_model(f"fcn_resnet{depth}").weights
    assert (ours.name, ours.url) == (theirs.name, theirs.url)
    assert ours.url.endswith(f"-{ours.sha256}.pth")
    assert list(ours.classes[1:]) == theirs.meta["categories"][1:]
    metrics = theirs.meta["_metrics"]["COCO-val2017-VOC-labels"]
    assert list(ours.metric.values()) == [metrics["miou"], metrics["pixel_acc"]]


def test_same_input_from_a_photograph():
    photograph = torch.tensor(skimage.data.chelsea()).permute(2, 0, 1)  # 300 x 451
    model = create_model("fcn_resnet50", width=8, num_classes=2)
    (weights,) = find_model("fcn_resnet50").weights
    model.preprocessing = {**model.preprocessing, **weights.preprocessing}
    want = peers.FCN_ResNet50_Weights.DEFAULT.transforms()(photograph)
    # They resize in steps of 1/255, and 1/255 is 0.02 in units of std.
    torch.testing.assert_close(model.prepare([photograph / 255])[0], want, rtol=0, atol=0.02)
    (found,) = model.predict(photograph)
    assert found.labels.shape == (300, 451)  # seen at 520 x 781


@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_any_size_optimized_and_exported(size):
    torch.manual_seed(0)
    model = create_model("fcn_resnet50", width=8, num_classes=3).eval()
    x = torch.randn(1, 3, *size)
    with torch.no_grad():
        want = model(x)
        assert want.shape == (1, 3, *size)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), want)
        scale = float(want.abs().max())
        torch.testing.assert_close(fastcv.optimize(model)(x), want, rtol=1e-4, atol=1e-4 * scale)
