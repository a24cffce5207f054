"""YOLO v1: its sizes, its grid, darknet's files, and that it learns."""

import struct

import numpy as np
import pytest
import torch
from torch import nn

from fastcv.data import DrawnDigits
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model
from fastcv.models.detection._darknet import read_darknet
from fastcv.nn.layers.locally_connected import LocallyConnected2d

TINY = {"num_classes": 3, "grid": 2, "width": 4, "hidden": 16}


def tiny(**options):
    torch.manual_seed(0)
    return create_model("yolov1", **{**TINY, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@pytest.mark.parametrize(
    ("name", "count", "depth"), [("yolov1", 271_703_550, 30), ("yolov1_darknet", 197_301_875, 35)]
)
def test_the_published_networks(name, count, depth):
    with torch.device("meta"):
        model = create_model(name)
        predictions = model.dense(torch.rand(1, 3, 448, 448))
    assert sum(p.numel() for p in model.parameters()) == count
    assert predictions.shape == (1, 7, 7, depth)
    assert model.transform.fixed_size == (448, 448) and model.classes[20] == "tvmonitor"
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 24
    assert [i for i, c in enumerate(convolutions) if c.stride == (2, 2)] == [0, 21]
    assert all(m.negative_slope == 0.1 for m in model.modules() if isinstance(m, nn.LeakyReLU))


def test_darknets_layer_sizes():
    """Of yolov1.cfg: 24 convolutions with norms, 7 x 7 local kernels, 1715 outputs."""
    with torch.device("meta"):
        model = create_model("yolov1_darknet")
    (local,) = (m for m in model.modules() if isinstance(m, LocallyConnected2d))
    assert local.weight.shape == (49, 256, 9 * 1024)
    assert model.head[-1].out_features == 1715
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == 24


def test_predictions_are_the_heads_numbers_cell_by_cell():
    """The head's order is darknet's: all classes, all confidences, all boxes."""
    model = tiny()
    cells, boxes, classes = 4, 2, 2
    model.features, model.head = nn.Identity(), nn.Identity()
    flat = torch.arange(cells * (classes + 5 * boxes))[None].float()
    predictions = model.dense(flat)
    assert predictions.shape == (1, 2, 2, 12)
    for row in range(2):
        for column in range(2):
            i = row * 2 + column
            want = []
            for j in range(boxes):
                first = cells * (classes + boxes) + (i * boxes + j) * 4
                want += [*range(first, first + 4), cells * classes + i * boxes + j]
            want += [i * classes, i * classes + 1]
            assert predictions[0, row, column].tolist() == want


def test_decoding():
    model = tiny(grid=7)
    output = model([torch.rand(3, 100, 200)])
    predictions = torch.zeros_like(output.predictions)
    # Row 2, column 5, the second box: the centre at a quarter and a half of the cell.
    predictions[0, 2, 5] = torch.tensor([0, 0, 0, 0, 0, 0.25, 0.5, 0.5, 0.4, 0.9, 0.1, 0.8])
    (found,) = model.detect(output._replace(predictions=predictions), score_threshold=0.2)
    x, y = 5.25 / 7 * 200, 2.5 / 7 * 100
    want = torch.tensor([[x - 25, y - 8, x + 25, y + 8]])  # 0.25 and 0.16 of the sides
    torch.testing.assert_close(found.boxes, want)
    assert found.labels.tolist() == [2] and found.scores.item() == pytest.approx(0.72)
    (found,) = model.detect(output._replace(predictions=predictions), score_threshold=0.05)
    assert found.labels.tolist() == [2, 1]  # another class of the same box is not suppressed
    assert len(model.detect(output._replace(predictions=predictions), max_detections=1)[0][0]) == 1


def test_suppression_and_clipping():
    model = tiny(grid=7)
    output = model([torch.rand(3, 70, 70)])
    predictions = torch.zeros_like(output.predictions)
    for row, x, confidence in ((0, 0.5, 0.6), (0, 0.6, 0.9)):
        first = 0 if confidence == 0.6 else 5
        predictions[0, row, 0, first : first + 5] = torch.tensor([x, 0.5, 0.8, 0.8, confidence])
        predictions[0, row, 0, 10] = 1.0
    (found,) = model.detect(output._replace(predictions=predictions))
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.boxes.min() == 0
    both = model.detect(output._replace(predictions=predictions), iou_threshold=1.0)[0]
    assert len(both.scores) == 2


def test_images_are_squashed_to_a_square():
    model = tiny(last_stride=1)
    assert model.transform.fixed_size == (64, 64) and tiny().transform.fixed_size == (128, 128)
    image = torch.rand(3, 64, 64)
    wide = image.repeat_interleave(3, dim=2)  # three times as wide
    with torch.no_grad():
        a, b = model.eval()([image, wide]).predictions
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def write_darknet(path, layers, version=(0, 2, 0), seen="<q"):
    """As darknet's save_weights: bias, then scales, means and variances, then weights."""
    with path.open("wb") as file:
        file.write(struct.pack("<iii", *version) + struct.pack(seen, 64))
        for layer, norm in layers:
            parts = [layer.bias]
            if norm is not None:
                parts = [norm.bias, norm.weight, norm.running_mean, norm.running_var]
            for part in [*parts, layer.weight]:
                file.write(part.detach().numpy().astype("<f4").tobytes())


def layers_of(model):
    kinds = (nn.Conv2d, nn.Linear, LocallyConnected2d)
    modules = list(model.modules())
    return [
        (m, after if isinstance(after, nn.BatchNorm2d) else None)
        for m, after in zip(modules, [*modules[1:], None], strict=True)
        if isinstance(m, kinds)
    ]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("version", "seen"), [((0, 1, 0), "<i"), ((0, 2, 0), "<q")])
def test_reads_darknets_files(tmp_path, batch_norm, version, seen):
    model = tiny(batch_norm=batch_norm)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    path = tmp_path / "yolov1.weights"
    write_darknet(path, layers_of(model), version, seen)
    found = create_model("yolov1", weights=str(path), batch_norm=batch_norm, **TINY)
    for key, value in model.state_dict().items():
        if "num_batches" not in key:
            assert torch.equal(found.state_dict()[key], value), key


@pytest.mark.parametrize("of_file", [2, 5, 21])
def test_a_file_of_other_classes(tmp_path, of_file):
    """All but the last layer, which has the classes, the confidences and the boxes, is kept."""
    trained = tiny(num_classes=of_file, batch_norm=True)
    for tensor in trained.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    path = tmp_path / "yolov1.weights"
    write_darknet(path, layers_of(trained))
    with pytest.warns(UserWarning, match=r"is of other classes: .*: head.4.weight, head.4.bias$"):
        found = create_model("yolov1", weights=str(path), batch_norm=True, **TINY)
    fresh, before, now = (m.state_dict() for m in (tiny(batch_norm=True), trained, found))
    for key, value in now.items():
        if "num_batches" not in key and not key.startswith("head.4"):
            assert torch.equal(value, before[key]), key
    assert now["head.4.weight"].shape == fresh["head.4.weight"].shape
    assert now["head.4.bias"].tolist() == fresh["head.4.bias"].tolist()
    assert len(found.classes) == 3
    same = create_model(
        "yolov1", weights=str(path), batch_norm=True, **{**TINY, "num_classes": of_file}
    )
    assert torch.equal(same.head[4].weight, trained.head[4].weight)


def test_a_file_of_other_classes_must_be_asked_for(tmp_path):
    path = tmp_path / "yolov1.weights"
    config = {key: value for key, value in TINY.items() if key != "num_classes"}
    write_darknet(path, layers_of(tiny()))
    with pytest.raises(ValueError, match=r"does not fit yolov1: wrong shape: head\.4\.\w+ is"):
        create_model("yolov1", weights=str(path), **config)


@pytest.mark.parametrize("numbers", [-17, -16, 17, 4 * 17 + 1, -12 * 4 * 17])
def test_refuses_a_file_of_no_number_of_classes(tmp_path, numbers):
    """Of a class there are 4 outputs with 16 weights and a bias each."""
    path = tmp_path / "yolov1.weights"
    write_darknet(path, layers_of(tiny()))
    content = path.read_bytes()
    path.write_bytes(content[: 4 * numbers] if numbers < 0 else content + bytes(4 * numbers))
    with pytest.raises(ValueError, match="it is of another network"):
        create_model("yolov1", weights=str(path), **TINY)


@pytest.mark.parametrize("classes", [-3, -2])
def test_refuses_a_file_without_classes(tmp_path, classes):
    path = tmp_path / "yolov1.weights"
    write_darknet(path, layers_of(tiny()))
    path.write_bytes(path.read_bytes()[: classes * 4 * 17 * 4])
    with pytest.raises(ValueError, match=r"does not fit yolov1: wrong shape: head\.4\.\w+ is"):
        create_model("yolov1", weights=str(path), **TINY)


def test_refuses_another_networks_file(tmp_path):
    path = tmp_path / "yolov1.weights"
    write_darknet(path, layers_of(tiny(batch_norm=True)))
    with pytest.raises(ValueError, match=r"numbers and this model has .*yolov1_darknet that of"):
        create_model("yolov1", weights=str(path), **TINY)
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="is too short to be a file of darknet's"):
        create_model("yolov1", weights=str(path), **TINY)


def test_refuses_transposed_layers(tmp_path):
    path = tmp_path / "old.weights"
    write_darknet(path, layers_of(tiny()), version=(0, 1001, 0))
    with pytest.raises(ValueError, match="its connected layers are transposed"):
        create_model("yolov1", weights=str(path), **TINY)


def test_a_local_layers_numbers(tmp_path):
    """Darknet: a bias for every output, then for every place kernels in a row."""
    model = nn.Sequential(LocallyConnected2d(2, 3, (2, 2)))
    path = tmp_path / "local.weights"
    numbers = np.arange(12 + 4 * 3 * 18, dtype="<f4")
    path.write_bytes(struct.pack("<iiiq", 0, 2, 0, 0) + numbers.tobytes())
    state = read_darknet(path, model)
    assert state["0.bias"].flatten().tolist() == list(range(12))
    assert state["0.weight"][1, 2, 5] == 12 + (1 * 3 + 2) * 18 + 5


class Some(list):
    classes = DrawnDigits.classes


@pytest.mark.slow
def test_learns_drawn_digits():
    """Six scenes, until it knows them."""
    torch.manual_seed(0)
    digits = DrawnDigits("train", size=(128, 128), max_digits=3, digit_size=(30, 60))
    scenes = Some([digits[i] for i in range(6)])
    model = create_model(
        "yolov1",
        num_classes=11,
        grid=4,
        last_stride=1,
        width=8,
        hidden=128,
        batch_norm=True,
        dropout=0.0,
    )
    images, targets = map(list, zip(*scenes, strict=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(80):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    model.classes = DrawnDigits.classes
    assert evaluate_detector(model, scenes, batch_size=6)["AP50"] > 0.8
