"""DensePose R-CNN: detectron2's parameters and names, a background without box, predictions."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import make_small

from fastcv import cli
from fastcv.models import create_model, save_model
from fastcv.models.landmarks.densepose_rcnn import ObjectsPredictor

LEVELS = (64, 256, 512, 1024, 2048)  # channels of the stem and of the four stages


def detectron2_shapes(charts):
    """The names and shapes of R_50_FPN_s1x, written from its configuration."""
    shapes = {}

    def norm(name, channels):
        for kind in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.norm.{kind}"] = [channels]

    def conv(name, inputs, outputs, kernel, bias=True):
        shapes[f"{name}.weight"] = [outputs, inputs, kernel, kernel]
        if bias:
            shapes[f"{name}.bias"] = [outputs]

    def normed(name, inputs, outputs, kernel):
        conv(name, inputs, outputs, kernel, bias=False)
        norm(name, outputs)

    normed("backbone.bottom_up.stem.conv1", 3, 64, 7)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        inputs, outputs = LEVELS[stage - 1], LEVELS[stage]
        for block in range(blocks):
            name, width = f"backbone.bottom_up.res{stage + 1}.{block}", outputs // 4
            if block == 0:
                normed(f"{name}.shortcut", inputs, outputs, 1)
            normed(f"{name}.conv1", inputs if block == 0 else outputs, width, 1)
            normed(f"{name}.conv2", width, width, 3)
            normed(f"{name}.conv3", width, outputs, 1)
        conv(f"backbone.fpn_lateral{stage + 1}", outputs, 256, 1)
        conv(f"backbone.fpn_output{stage + 1}", 256, 256, 3)
    head = "proposal_generator.rpn_head"
    conv(f"{head}.conv", 256, 256, 3)
    conv(f"{head}.objectness_logits", 256, 3, 1)
    conv(f"{head}.anchor_deltas", 256, 12, 1)
    for name, inputs, outputs in (
        ("box_head.fc1", 256 * 49, 1024),
        ("box_head.fc2", 1024, 1024),
        ("box_predictor.cls_score", 1024, 2),
        ("box_predictor.bbox_pred", 1024, 4),
    ):
        shapes[f"roi_heads.{name}.weight"] = [outputs, inputs]
        shapes[f"roi_heads.{name}.bias"] = [outputs]
    for name in ("p2.0", "p3.0", "p4.0", "p4.2", "p5.0", "p5.2", "p5.4"):
        conv(f"roi_heads.decoder.{name}", 256, 256, 3)
    conv("roi_heads.decoder.predictor", 256, 256, 1)
    for i in range(8):
        conv(f"roi_heads.densepose_head.body_conv_fcn{i + 1}", 512 if i else 256, 512, 3)
    for name, channels in (("ann_index", 2), ("index_uv", charts + 1), ("u", charts + 1)):
        # A transposed convolution's weight has its inputs first.
        conv(f"roi_heads.densepose_predictor.{name}_lowres", channels, 512, 4)
        shapes[f"roi_heads.densepose_predictor.{name}_lowres.bias"] = [channels]
    for kind in ("weight", "bias"):
        of_u = shapes[f"roi_heads.densepose_predictor.u_lowres.{kind}"]
        shapes[f"roi_heads.densepose_predictor.v_lowres.{kind}"] = of_u
    return shapes


@pytest.fixture(scope="module")
def full():
    with torch.device("meta"):
        return create_model("densepose_rcnn_resnet50_fpn", frozen_norm=True)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters(full):
    assert count(full) == 63_821_090
    assert count(full.roi_heads.densepose_roi_pool) == 4_196_352
    assert count(full.roi_heads.densepose_head) == 17_698_816
    assert count(full.roi_heads.densepose_predictor) == 630_861
    assert full.classes == ("background", "person") and full.charts == 24


def test_detectron2s_names_are_all_of_it(full):
    shapes = detectron2_shapes(24)
    renamed = {full.rename_key(key): shape for key, shape in shapes.items()}
    assert len(renamed) == len(shapes)
    assert renamed == {key: list(value.shape) for key, value in full.state_dict().items()}
    assert {full.rename_key(key) for key in full.state_dict()} == set(full.state_dict())


def test_a_state_dict_with_detectron2s_names_loads():
    """All of it, value by value, and each where its name says."""
    model = make_small("densepose_rcnn_resnet18_fpn")
    state = {
        key: torch.randn(value.shape).to(value.dtype) for key, value in model.state_dict().items()
    }
    theirs = {}
    for key, value in state.items():
        key = key.replace("roi_heads.densepose_roi_pool.decoder", "roi_heads.decoder")
        key = key.replace("box_head.fc6", "box_head.fc1").replace("box_head.fc7", "box_head.fc2")
        key = re.sub(r"backbone\.fpn\.inner_blocks\.(\d)\.0", r"backbone.fpn_lateral<\1>", key)
        key = re.sub(r"backbone\.fpn\.layer_blocks\.(\d)\.0", r"backbone.fpn_output<\1>", key)
        theirs[re.sub(r"<(\d)>", lambda found: str(int(found[1]) + 2), key)] = value
    assert len(set(theirs) - set(state)) > 30
    model.load_state_dict(theirs)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_the_background_has_no_box():
    torch.manual_seed(0)
    predictor = ObjectsPredictor(6, 4)
    x = torch.rand(5, 6)
    logits, deltas = predictor(x)
    rows = x @ predictor.cls_score.weight.T + predictor.cls_score.bias
    torch.testing.assert_close(logits, torch.cat([rows[:, 3:], rows[:, :3]], dim=1))
    assert not deltas[:, :4].any()
    torch.testing.assert_close(
        deltas[:, 4:], x @ predictor.bbox_pred.weight.T + predictor.bbox_pred.bias
    )


@pytest.fixture(scope="module")
def model():
    return make_small("densepose_rcnn_resnet18_fpn").eval()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (60, 80)])
def test_surfaces_fit_their_boxes(model, size):
    (found,) = model.predict(torch.rand(3, *size), score_threshold=0.0, max_detections=4)
    assert found.image_size == size and found.charts == 4 and "surface" not in found.fields
    iuv = found.iuv()
    assert iuv.shape == (3, *size) and iuv[0].max() <= 4
    assert iuv.min() >= 0 and iuv[1:].max() <= 1 and not iuv[1:, iuv[0] == 0].any()


def test_no_boxes_found(model):
    (found,) = model.predict(torch.rand(3, 60, 80), score_threshold=1.0)
    assert len(found) == 0 and found.surfaces == () and not found.iuv().any()


def test_a_batch_is_as_one_by_one(model):
    torch.manual_seed(0)
    images = [torch.rand(3, 60, 80), torch.rand(3, 60, 80)]
    options = {"score_threshold": 0.0, "max_detections": 5}
    together = model.predict(images, batch_size=2, **options)
    for image, of_batch in zip(images, together, strict=True):
        (alone,) = model.predict(image, **options)
        same = (of_batch.iuv()[0] == alone.iuv()[0]).float().mean()
        assert same > 0.98 and len(of_batch) == len(alone)


def test_maps_that_are_nan_are_drawn_and_written(model, tmp_path):
    broken = make_small("densepose_rcnn_resnet18_fpn").eval()
    for layer in broken.roi_heads.densepose_predictor.children():
        torch.nn.init.constant_(layer.bias, float("nan"))
    picture = np.zeros((60, 80, 3), np.uint8)
    (found,) = broken.predict(picture, score_threshold=0.0, max_detections=3)
    found.draw(picture)
    found.save(tmp_path / "a.json")
    found.save_iuv(tmp_path / "a.png")


def test_no_charts():
    with pytest.raises(ValueError, match="charts must be at least 1, got 0"):
        create_model("densepose_rcnn_resnet18_fpn", charts=0, width=8)


def test_the_command_line(tmp_path, capsys):
    """``--task`` has no model of its own here: it takes a file, or says that it needs one."""
    weights, picture = tmp_path / "m.safetensors", tmp_path / "a.png"
    save_model(weights, make_small("densepose_rcnn_resnet18_fpn"))
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(picture)
    asked = ["predict", str(picture), "--task", "densepose"]
    out = ["--iuv", str(tmp_path / "iuv.png"), "--out", str(tmp_path / "out.png")]
    told = ["--weights", str(weights), "--score-threshold", "0"]
    assert cli.main([*asked, *told, *out]) == 0
    iuv = np.asarray(Image.open(tmp_path / "iuv.png"))
    assert iuv.shape == (60, 80, 3) and iuv[..., 0].max() <= 4 and (tmp_path / "out.png").exists()
    assert cli.main(asked) == 2
    assert "--task must be one of classification," in capsys.readouterr().err
    other = tmp_path / "other.safetensors"
    save_model(other, make_small("fasterrcnn_resnet18_fpn"))
    assert cli.main([*asked, "--weights", str(other)]) == 2
    assert "--task densepose: fasterrcnn_resnet18_fpn is a model of" in capsys.readouterr().err
