"""The maps of captum and of grad-cam, where their definitions are ours; and why, where not."""

import functools

import pytest
import torch
import torchvision
from torch import nn

from fastcv import explain

captum = pytest.importorskip("captum.attr", reason="no captum==0.9.0 here")
grad_cams = pytest.importorskip("pytorch_grad_cam", reason="no grad-cam==1.5.7 here")
cv2 = pytest.importorskip("cv2", reason="no OpenCV here, which grad-cam brings")

LAYERS = {
    "resnet50": "layer4",
    "vgg16": "features.29",
    "densenet121": "features.denseblock4",
    "mobilenet_v2": "features.18",
}
TARGETS = [3, 907]
every_model = pytest.mark.parametrize("name", LAYERS)


@functools.cache
def model_of(name):
    """With random weights; no ReLU in place, for captum's hooks do not bear one."""
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "vgg16" else {}  # which takes seconds
    model = getattr(torchvision.models, name)(**options)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    with torch.no_grad():  # with statistics of its own, signals neither die nor explode
        model.train()(torch.randn(4, 3, 64, 64))
    return model.eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def assert_same(found, expected, rtol=1e-4):
    """Up to what float32 leaves of sums whose order differs, beside the largest value."""
    expected = expected.detach()
    assert expected.abs().max() > 0
    atol = rtol * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def labels_that_light_up(model, images, layer):
    """Of each image the class with the highest map: grad-cam adds 1e-7 to what it divides by."""
    labels = []
    for image in images.split(1):
        maps = [explain.grad_cam(model, image, label, layer=layer).cells for label in range(12)]
        labels.append(max(range(12), key=lambda label, maps=maps: maps[label].max()))
    return labels


@every_model
def test_grad_cam_is_captums(name, images):
    model, layer = model_of(name), LAYERS[name]
    labels = labels_that_light_up(model, images, layer)
    peer = captum.LayerGradCam(model, model.get_submodule(layer))
    expected = peer.attribute(images, labels, relu_attributions=True)[:, 0]
    assert_same(explain.grad_cam(model, images, labels, layer=layer).cells, expected)


@every_model
def test_grad_cam_is_grad_cams(name, images):
    """Which scales each map to [0, 1], enlarges it by OpenCV, and scales it again."""
    model, layer = model_of(name), LAYERS[name]
    labels = labels_that_light_up(model, images, layer)
    with grad_cams.GradCAM(model, [model.get_submodule(layer)]) as peer:
        expected = peer(images.clone(), [lambda scores, k=k: scores[k] for k in labels])
    found = explain.grad_cam(model, images, labels, layer=layer)
    for cells, other in zip(found.cells, expected, strict=True):
        enlarged = torch.from_numpy(cv2.resize((cells / cells.max()).numpy(), (64, 64)))
        scaled = (enlarged - enlarged.min()) / (enlarged.max() - enlarged.min())
        assert_same(scaled, torch.from_numpy(other), rtol=1e-3)


@every_model
def test_saliency_is_captums(name, images):
    model = model_of(name)
    expected = captum.Saliency(model).attribute(images.clone(), TARGETS)
    assert_same(explain.saliency(model, images, TARGETS).values, expected)


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq"])
def test_smoothgrad_is_captums(kind, images, monkeypatch):
    """With the same noise."""
    model, samples, sigma = model_of("mobilenet_v2"), 3, 0.1
    generator = torch.Generator().manual_seed(5)
    noise = torch.stack([torch.randn(images.shape, generator=generator) for _ in range(samples)])
    spans = (images.amax((1, 2, 3)) - images.amin((1, 2, 3))).view(2, 1, 1, 1)
    by_image = (sigma * spans * noise).transpose(0, 1).flatten(0, 1)  # the copies of one together
    monkeypatch.setattr(torch, "normal", lambda *args, **kwargs: by_image)
    peer = captum.NoiseTunnel(captum.Saliency(model))
    squared = kind == "smoothgrad_sq"
    expected = peer.attribute(
        images.clone(), nt_type=kind, nt_samples=samples, target=TARGETS, abs=not squared
    )
    monkeypatch.undo()
    mode = "square" if squared else "abs"
    options = {"samples": samples, "sigma": sigma, "seed": 5}
    assert_same(explain.saliency(model, images, TARGETS, mode=mode, **options).values, expected)


METHODS = [
    (captum.GuidedBackprop, explain.guided_backprop),
    (captum.Deconvolution, explain.deconvnet),
]
both_methods = pytest.mark.parametrize(("peer", "ours"), METHODS, ids=["guided", "deconvnet"])


@both_methods
@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_relus_are_captums(peer, ours, name, images):
    model = model_of(name)
    expected = peer(model).attribute(images.clone(), TARGETS)
    assert_same(ours(model, images, TARGETS).values, expected)


class WithModule(nn.Module):
    """torchvision's DenseNet, its last ReLU a module."""

    def __init__(self, densenet):
        super().__init__()
        self.features, self.relu, self.fc = densenet.features, nn.ReLU(), densenet.classifier

    def forward(self, images):
        return self.fc(self.relu(self.features(images)).mean(dim=(2, 3)))


@both_methods
@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_functional_relus_that_captum_does_not_see(peer, ours, images):
    """DenseNet's last ReLU is a function. As a module, captum gives what ours gives of both."""
    model = model_of("densenet121")
    found = ours(model, images, TARGETS).values
    assert_same(found, peer(WithModule(model)).attribute(images.clone(), TARGETS))
    without = peer(model).attribute(images.clone(), TARGETS)
    assert not torch.allclose(found, without, atol=1e-2 * float(without.abs().max()))


@both_methods
@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_relu6_that_captum_does_not_see(peer, ours, images):
    """MobileNetV2's are ReLU6: captum leaves their gradient as it is, and gives plain backprop."""
    model = model_of("mobilenet_v2")
    without = peer(model).attribute(images.clone(), TARGETS)
    plain = explain.saliency(model, images, TARGETS, mode="signed").values
    assert_same(plain, without)
    found = ours(model, images, TARGETS).values
    assert not torch.allclose(found, without, atol=1e-2 * float(without.abs().max()))


@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_guided_grad_cam_is_captums(images):
    """Which enlarges to the nearest cell unless told otherwise."""
    model = model_of("resnet50")
    peer = captum.GuidedGradCam(model, model.layer4)
    labels = labels_that_light_up(model, images, "layer4")
    expected = peer.attribute(images.clone(), labels, interpolate_mode="bilinear")
    found = explain.guided_grad_cam(model, images, labels, layer="layer4")
    assert_same(found.values, expected)


@pytest.mark.parametrize(
    ("name", "window", "stride"), [*((name, 32, 16) for name in LAYERS), ("resnet50", 24, 20)]
)
def test_occlusion_is_captums(name, window, stride, images):
    model = model_of(name)
    peer = captum.Occlusion(model)
    expected = peer.attribute(
        images[:1],
        (3, window, window),
        strides=(3, stride, stride),
        target=TARGETS[0],
        perturbations_per_eval=8,
    )
    found = explain.occlusion(model, images[:1], TARGETS[0], window=window, stride=stride)
    assert_same(found.maps, expected[:, 0], rtol=1e-3)
    assert torch.equal(expected[:, 0], expected[:, 2])
