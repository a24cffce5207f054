"""What a model finds whose training diverged, NaN and infinities, draws and is valid JSON."""

import itertools
import json

import pytest
import torch

from fastcv.cli._arguments import write_json
from fastcv.results import AttentionMaps, Classification, Detections, Instances, Segmentation

NAN, INF = float("nan"), float("inf")
ODD = (NAN, INF, -INF, 1e30, -1e30)
IMAGE = torch.rand(3, 48, 64)
CLASSES = ("background", "cat", "dog")


def detections(boxes, scores, dtype=torch.float32):
    boxes, scores = torch.tensor(boxes, dtype=dtype), torch.tensor(scores, dtype=dtype)
    return Detections(boxes, scores, torch.ones(len(boxes)).long(), CLASSES, (48, 64))


def strict(text):
    """As JSON's standard has it; Python reads NaN and Infinity too."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def saved(result, path):
    result.save(path / "result.json")
    return strict((path / "result.json").read_text())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.filterwarnings("ignore:.* boxes:UserWarning")
def test_every_odd_box(dtype, tmp_path):
    values = [NAN, INF, -INF, 5.0] if dtype == torch.float16 else [*ODD, 5.0]
    boxes = list(itertools.product(values, repeat=4))[:: 1 if len(values) < 6 else 7]
    found = detections(boxes, [0.5, *[NAN, INF, 0.25] * len(boxes)][: len(boxes)], dtype)
    assert found.draw(IMAGE).size == (320, 240)
    rows = saved(found, tmp_path)["detections"]
    assert len(rows) == len(boxes)
    for row, box in zip(rows, boxes, strict=True):
        for got, value in zip(row["box"], torch.tensor(box, dtype=dtype).tolist(), strict=True):
            finite = torch.tensor(value).isfinite()
            assert got == (round(value, 2) if finite else None)
    strict(json.dumps(found.to_coco(image_id=1)))
    repr(found)


def test_a_nan_box_is_not_drawn_and_a_warning_says_so():
    whole = detections([[4.0, 4, 40, 30]], [0.9])
    both = detections([[4.0, 4, 40, 30], [4, NAN, 40, 30]], [0.9, 0.99])
    with pytest.warns(UserWarning, match="1 of 2 boxes .*NaN.* not drawn"):
        drawing = both.draw(IMAGE)
    assert drawing.tobytes() == whole.draw(IMAGE).tobytes()


def test_an_infinite_box_reaches_the_border():
    infinite = detections([[-INF, 4, INF, 30]], [0.9]).draw(IMAGE)
    assert infinite.tobytes() == detections([[0.0, 4, 64, 30]], [0.9]).draw(IMAGE).tobytes()


def test_coco_results_leave_them_out():
    found = detections(
        [[0.0, 0, 4, 4], [0, 0, INF, 4], [1, 1, 2, 2], [NAN] * 4], [0.5, 0.5, NAN, 1]
    )
    with pytest.warns(UserWarning, match="image 7: 3 of 4 boxes or scores are NaN or infinite"):
        rows = found.to_coco(image_id=7)
    assert rows == [{"image_id": 7, "category_id": 1, "bbox": [0.0, 0.0, 4.0, 4.0], "score": 0.5}]


def test_nan_scores_of_boxes(tmp_path):
    found = detections([[0.0, 0, 4, 4]], [NAN])
    found.draw(IMAGE)
    assert saved(found, tmp_path)["detections"][0]["score"] is None


@pytest.mark.filterwarnings("ignore:.* boxes:UserWarning")
def test_instances(tmp_path):
    masks = torch.ones(1, 48, 64, dtype=torch.bool)
    boxes, scores = torch.full((1, 4), NAN), torch.tensor([NAN])
    found = Instances(boxes, scores, torch.tensor([1]), CLASSES, (48, 64), masks=masks)
    found.draw(IMAGE)
    row = saved(found, tmp_path)["detections"][0]
    assert row["box"] == [None] * 4 and row["pixels"] == 48 * 64


@pytest.mark.parametrize("scores", [[NAN] * 3, [NAN, 0.5, 0.5], [INF, -INF, 0.2], [2.0, -1, 0]])
def test_classification(scores, tmp_path):
    found = Classification(torch.tensor(scores), CLASSES)
    found.draw(IMAGE)
    for row in saved(found, tmp_path)["classes"]:
        score = scores[row["label"]]
        assert row["score"] == (pytest.approx(score) if abs(score) < INF else None)


def test_segmentation(tmp_path):
    labels, scores = torch.ones(48, 64, dtype=torch.int64), torch.full((3, 48, 64), NAN)
    found = Segmentation(labels, CLASSES, scores)
    found.draw(IMAGE)
    assert saved(found, tmp_path)["classes"][0]["share"] == 1


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_attention(value, tmp_path):
    maps = AttentionMaps(
        *(detections([[4.0, 4, 40, 30]], [NAN]), torch.full((1, 3, 4), value)),
        *(torch.full((1, 3, 4), value), ((9.0, 9.0),)),
    )
    maps.draw(IMAGE)
    assert saved(maps, tmp_path)["objects"][0]["attention"] == [[None] * 4] * 3


def test_what_commands_write_with_json(tmp_path):
    write_json(str(tmp_path / "a.json"), {"loss": NAN, "rows": [{"x": (INF, 1.5)}, -INF, "nan"]})
    expected = {"loss": None, "rows": [{"x": [None, 1.5]}, None, "nan"]}
    assert strict((tmp_path / "a.json").read_text()) == expected
