"""fastcv.export_onnx: onnxruntime finds what the model finds."""

import time
from concurrent.futures import ThreadPoolExecutor

import onnxruntime
import pytest
import torch
from torch import nn

import fastcv


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = fastcv.create_model(
        "fasterrcnn_resnet18_fpn",
        num_classes=5,
        width=8,
        fpn_channels=16,
        head_channels=32,
        min_size=96,
        max_size=128,
    )
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)  # until there is much to find
    return model


@pytest.mark.slow
def test_detector(model, tmp_path):
    path = tmp_path / "detector.onnx"
    model.roi_heads.train()
    modes = [module.training for module in model.modules()]
    fastcv.export_onnx(model, path, image_size=(90, 120))
    assert [module.training for module in model.modules()] == modes
    assert [p.name for p in tmp_path.iterdir()] == ["detector.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seed in range(3):
        image = torch.rand(3, 90, 120, generator=torch.Generator().manual_seed(seed))
        boxes, scores, labels = session.run(None, {"image": image.numpy()})
        (found,) = model.predict(image)
        assert len(found) > 20
        # The order of additions in convolutions differs; boxes are up to 120.
        torch.testing.assert_close(torch.from_numpy(scores), found.scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(torch.from_numpy(boxes), found.boxes, rtol=1e-4, atol=1e-3)
        assert torch.equal(torch.from_numpy(labels), found.labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retinanet_resnet18_fpn", "ssd_resnet18"])
def test_single_stage_detectors(name, tmp_path):
    torch.manual_seed(0)
    sizes = {"fpn_channels": 16, "min_size": 96, "max_size": 128}
    if name.startswith("ssd"):
        sizes = {"size": 96}
    model = fastcv.create_model(name, num_classes=5, width=8, **sizes)
    with torch.no_grad():
        for _ in range(10):
            model([torch.rand(3, 96, 128)] * 2)  # statistics that fit the weights
        if not name.startswith("ssd"):
            nn.init.normal_(model.head.classification_head.cls_logits.bias)  # much to find
    path, image = tmp_path / "detector.onnx", torch.rand(3, 90, 120)
    fastcv.export_onnx(model, path, image_size=(90, 120))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    boxes, scores, labels = map(torch.from_numpy, session.run(None, {"image": image.numpy()}))
    (found,) = model.predict(image)
    assert len(found) == len(boxes) > 20
    torch.testing.assert_close(scores, found.scores, rtol=1e-4, atol=1e-5)
    # Of boxes with almost the same score either may come first, or last of all.
    same = fastcv.ops.box_iou(boxes, found.boxes) * (labels[:, None] == found.labels)
    assert (same.amax(dim=1) > 0.999).float().mean() > 0.95


def test_others_wait_and_an_error_leaves_the_mode(model, monkeypatch, tmp_path):
    other = fastcv.create_model("resnet18", num_classes=3, width=8)
    image = torch.rand(3, 90, 120)
    (expected,) = other.predict(image)
    waiting = []

    def breaks(view, *_args, **_options):
        assert not any(module.training for module in view.modules())
        waiting.append(pool.submit(other.predict, image))
        time.sleep(0.1)
        assert not waiting[0].done()
        raise RuntimeError("the exporter is broken")

    monkeypatch.setattr(torch.onnx, "export", breaks)
    model.train().roi_heads.eval()
    modes = [module.training for module in model.modules()]
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError, match="exporter is broken"):
            fastcv.export_onnx(model, tmp_path / "x.onnx", image_size=(90, 120))
        torch.testing.assert_close(waiting[0].result(20)[0].scores, expected.scores)
    assert [module.training for module in model.modules()] == modes


def test_what_is_no_detector(tmp_path):
    with pytest.raises(TypeError, match=r"model must be a detector, with detect\(\), got Linear"):
        fastcv.export_onnx(nn.Linear(2, 2), tmp_path / "x.onnx", image_size=(8, 8))


def test_dense_part_exports(model):
    """Everything whose shapes depend on the batch's alone, as one graph for torch.export."""

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model.eval()

        def forward(self, batch):
            features, rpn = self.model.dense(batch)
            return list(features.values()), rpn

    batch = torch.rand(1, 3, 96, 128)
    exported = torch.export.export(Dense(), (batch,)).module()
    expected, got = Dense()(batch), exported(batch)
    for a, b in zip(expected[0], got[0], strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(a, b) for a, b in zip(expected[1].deltas, got[1].deltas, strict=True))


@pytest.mark.slow
def test_dense_part_compiles(model):
    model.eval()
    batch = torch.rand(1, 3, 96, 128)
    features, rpn = torch.compile(model.dense, fullgraph=True, backend="aot_eager")(batch)
    expected, expected_rpn = model.dense(batch)
    for name, level in expected.items():
        torch.testing.assert_close(features[name], level)
    for a, b in zip(rpn.objectness, expected_rpn.objectness, strict=True):
        torch.testing.assert_close(a, b)
