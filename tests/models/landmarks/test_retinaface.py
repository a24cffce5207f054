"""RetinaFace: its sizes, keys and priors, its loss by a scalar oracle, its errors, real faces."""

import math

import onnx
import onnxruntime
import pytest
import skimage.data
import torch
from real_weights import retinaface_onnx

from fastcv.models import create_model
from fastcv.models.landmarks.retinaface import FaceOutput
from fastcv.nn.detection.transform import ImageBatch


def tiny(**options):
    torch.manual_seed(0)
    return create_model("retinaface_mobilenet025", **options)


def target(*boxes, labels=None, keypoints=None):
    boxes = torch.tensor(boxes).reshape(-1, 4)
    labels = [1] * len(boxes) if labels is None else labels
    found = {"boxes": boxes, "labels": torch.tensor(labels, dtype=torch.int64)}
    return found if keypoints is None else {**found, "keypoints": keypoints}


@pytest.mark.parametrize(
    ("name", "count", "per_map"),
    [("retinaface_mobilenet025", 426_608, (64, 128, 256)), ("retinaface_resnet50", 27_293_600, ())],
)
def test_parameters_and_priors(name, count, per_map):
    with torch.device("meta"):
        model = create_model(name)
        logits, deltas, landmarks, priors = model.dense(torch.zeros(2, 3, 640, 640))
    assert sum(p.numel() for p in model.parameters()) == count
    assert len(priors) == 16_800
    assert [x.shape for x in (logits, deltas, landmarks)] == [
        (2, 16_800, columns) for columns in (2, 4, 10)
    ]
    if per_map:
        assert model.body.out_channels == per_map


# Of biubug6's state dicts: the first and the last of each part.
KEYS = {
    "retinaface_mobilenet025": """
        body.stage1.0.0.weight body.stage1.0.1.running_var body.stage1.5.3.weight
        body.stage1.5.4.bias body.stage2.0.0.weight body.stage2.5.4.weight body.stage3.1.3.weight
        fpn.output1.0.weight fpn.output3.1.bias fpn.merge1.0.weight fpn.merge2.1.weight
        ssh1.conv3X3.0.weight ssh1.conv5X5_1.0.weight ssh2.conv5X5_2.1.weight
        ssh3.conv7X7_2.0.weight ssh3.conv7x7_3.1.running_mean ClassHead.0.conv1x1.weight
        ClassHead.2.conv1x1.bias BboxHead.0.conv1x1.weight LandmarkHead.2.conv1x1.bias
    """,
    "retinaface_resnet50": """
        body.conv1.weight body.bn1.running_mean body.layer1.0.downsample.0.weight
        body.layer4.2.bn3.num_batches_tracked fpn.output1.0.weight fpn.merge2.1.bias
        ssh1.conv3X3.0.weight ssh3.conv7x7_3.1.weight ClassHead.0.conv1x1.weight
        BboxHead.1.conv1x1.bias LandmarkHead.2.conv1x1.weight
    """,
}


@pytest.mark.parametrize("name", KEYS)
def test_biubug6s_keys(name):
    with torch.device("meta"):
        model = create_model(name)
    state = model.state_dict()
    assert set(KEYS[name].split()) <= set(state)
    parts = {"body", "fpn", "ssh1", "ssh2", "ssh3", "ClassHead", "BboxHead", "LandmarkHead"}
    assert {key.split(".")[0] for key in state} == parts
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == ({0.1} if "mobilenet" in name else set())


def test_keys_with_module_before_them(tmp_path):
    model, other = tiny(), create_model("retinaface_mobilenet025")
    wrapped = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save(wrapped, tmp_path / "mobilenet0.25_Final.pth")
    other.load_state_dict(wrapped)
    read = create_model("retinaface_mobilenet025", str(tmp_path / "mobilenet0.25_Final.pth"))
    for copy in (other, read):
        for key, value in model.state_dict().items():
            assert torch.equal(copy.state_dict()[key], value)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**wrapped, "module.priors": torch.zeros(1)})


def test_priors_by_hand():
    expected = []
    for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for row in range(math.ceil(50 / stride)):
            for column in range(math.ceil(70 / stride)):
                for size in sizes:
                    x, y = (column + 0.5) * stride, (row + 0.5) * stride
                    expected.append([x - size / 2, y - size / 2, x + size / 2, y + size / 2])
    *_, priors = tiny().eval().dense(torch.zeros(1, 3, 50, 70))
    assert priors.tolist() == expected


def test_prepares_as_caffe_did():
    image = torch.tensor([1.0, 0.5, 0.0])[:, None, None].expand(3, 4, 6)
    (pixels,) = tiny().transform([image]).tensors
    assert pixels.shape == (3, 4, 6)
    # Blue, green and red, 0 to 255, less their means.
    expected = torch.tensor([0.0 - 104, 127.5 - 117, 255.0 - 123])
    torch.testing.assert_close(pixels[:, 2, 3], expected, rtol=0, atol=1e-4)


def test_pictures_keep_their_size_up_to_the_largest():
    model = tiny(max_size=100)
    batch = model.transform([torch.rand(3, 40, 80), torch.rand(3, 150, 50), torch.rand(3, 1, 1)])
    assert batch.sizes == [(40, 80), (100, 33), (1, 1)]
    assert batch.tensors.shape == (3, 3, 100, 80)


# The loss.


def smooth(error):
    return 0.5 * error * error if abs(error) < 1 else abs(error) - 0.5


def overlap(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
    return wide * high / union


def matched(boxes, priors):
    """Of each prior the number of its face, or None."""
    faces = []
    for prior in priors:
        ious = [overlap(box, prior) for box in boxes]
        best = max(range(len(boxes)), key=lambda i: ious[i]) if boxes else None
        faces.append(best if best is not None and ious[best] >= 0.35 else None)
    for number, box in enumerate(boxes):
        ious = [overlap(box, prior) for prior in priors]
        if max(ious) >= 0.2:
            faces[ious.index(max(ious))] = number
    return faces


def oracle(logits, deltas, landmarks, priors, targets):
    """The three terms with loops over numbers alone."""
    positives = marked = 0
    classes = boxes_off = points_off = 0.0
    for b, aim in enumerate(targets):
        faces = matched(aim["boxes"].tolist(), priors)
        costs = []
        for n, face in enumerate(faces):
            off, on = logits[b][n]
            total = math.log(math.exp(off) + math.exp(on))
            costs.append(total - (off if face is None else on))
        own = sum(face is not None for face in faces)
        pairs = list(zip(costs, faces, strict=True))
        negatives = sorted((cost for cost, face in pairs if face is None), reverse=True)
        classes += sum(cost for cost, face in pairs if face is not None)
        classes += sum(negatives[: 7 * own])
        positives += own
        for n, face in enumerate(faces):
            if face is None:
                continue
            x1, y1, x2, y2 = priors[n]
            wide, high, x, y = x2 - x1, y2 - y1, (x1 + x2) / 2, (y1 + y2) / 2
            a1, b1, a2, b2 = aim["boxes"][face].tolist()
            expected = [
                ((a1 + a2) / 2 - x) / wide / 0.1,
                ((b1 + b2) / 2 - y) / high / 0.1,
                math.log((a2 - a1) / wide) / 0.2,
                math.log((b2 - b1) / high) / 0.2,
            ]
            boxes_off += sum(smooth(p - t) for p, t in zip(deltas[b][n], expected, strict=True))
            if "keypoints" not in aim or int(aim["labels"][face]) == -1:
                continue
            known = False
            for k, (px, py, seen) in enumerate(aim["keypoints"][face].tolist()):
                if seen > 0:
                    known = True
                    points_off += smooth(landmarks[b][n][2 * k] - (px - x) / wide / 0.1)
                    points_off += smooth(landmarks[b][n][2 * k + 1] - (py - y) / high / 0.1)
            marked += known
    return {
        "classification": classes / max(positives, 1),
        "bbox_regression": 2 * boxes_off / max(positives, 1),
        "landmark_regression": points_off / max(marked, 1),
    }


def some_landmarks(boxes, seed, seen=2.0):
    boxes = torch.tensor(boxes).reshape(-1, 1, 4)
    share = torch.rand(len(boxes), 5, 2, generator=torch.Generator().manual_seed(seed))
    points = boxes[..., :2] + share * (boxes[..., 2:] - boxes[..., :2])
    return torch.cat([points, torch.full_like(points[..., :1], seen)], dim=-1)


TWO = [[4.0, 6, 38, 40], [60.0, 20, 130, 95]]
FAR = [[20.0, 30, 52, 62], [30.0, 40, 46, 70]]
HALF = some_landmarks(TWO, 3)
HALF[0, 1:3, 2] = 0
CASES = {
    "landmarks of all": [target(*TWO, keypoints=some_landmarks(TWO, 1)), target()],
    "-1: unknown": [
        target(*TWO, labels=[-1, 1], keypoints=some_landmarks(TWO, 1)),
        target(*FAR, labels=[1, -1], keypoints=some_landmarks(FAR, 2)),
    ],
    "all unknown": [target(*TWO, labels=[-1, -1]), target(*FAR, labels=[-1, -1])],
    "no landmarks given": [target(*TWO), target(*FAR)],
    "some are hidden": [target(*TWO, keypoints=HALF), target(*FAR)],
    "a face too small for any prior": [
        target([3.0, 3, 6, 6], keypoints=some_landmarks([[3.0, 3, 6, 6]], 1)),
        target(*TWO, keypoints=some_landmarks(TWO, 1)),
    ],
    "no faces": [target(), target(keypoints=torch.zeros(0, 5, 3))],
}


@pytest.mark.parametrize("case", CASES)
def test_loss_by_a_scalar_oracle(case):
    model, targets = tiny(), CASES[case]
    generator = torch.Generator().manual_seed(5)
    *_, priors = model.dense(torch.zeros(2, 3, 96, 144))
    logits, deltas, landmarks = (
        2 * torch.randn(2, len(priors), columns, generator=generator) for columns in (2, 4, 10)
    )
    batch = ImageBatch(torch.zeros(2, 3, 96, 144), [(96, 144)] * 2, [(96, 144)] * 2)
    losses = model.loss(FaceOutput(batch, logits, deltas, landmarks, priors), targets)
    values = (x.double().tolist() for x in (logits, deltas, landmarks))
    expected = oracle(*values, priors.tolist(), targets)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_crowds_are_left_out():
    model = tiny()
    output = model([torch.rand(3, 96, 144)] * 2)
    keypoints = some_landmarks(TWO, 1)
    both = target(*TWO, keypoints=keypoints) | {"iscrowd": torch.tensor([True, False])}
    one = target(TWO[1], keypoints=keypoints[1:])
    ours, expected = (model.loss(output, [aim, target(*FAR)]) for aim in (both, one))
    assert ours == expected


def test_landmarks_of_pictures_that_are_made_smaller():
    boxes = [[20.0, 20, 180, 180]]
    aim = target(*boxes, keypoints=some_landmarks(boxes, 1))
    half = target([10.0, 10, 90, 90], keypoints=aim["keypoints"] * torch.tensor([0.5, 0.5, 1]))
    model = tiny(max_size=120).eval()
    image = torch.rand(3, 240, 200)
    output = model([image])
    small = output._replace(batch=output.batch._replace(original_sizes=output.batch.sizes))
    for name, value in model.loss(output, [aim]).items():
        torch.testing.assert_close(value, model.loss(small, [half])[name])
    whole, halved = model.detect(output)[0], model.detect(small)[0]
    torch.testing.assert_close(whole.landmarks, 2 * halved.landmarks)
    torch.testing.assert_close(whole.boxes, 2 * halved.boxes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keypoints": torch.zeros(2, 4, 3)}, r"keypoints must be floating \[2, 5, 3\]"),
        ({"keypoints": torch.zeros(1, 5, 3)}, r"keypoints must be floating \[2, 5, 3\]"),
        ({"keypoints": torch.zeros(2, 5, 3).long()}, "got torch.int64"),
        ({"keypoints": [[0.0]]}, "got list"),
        ({"labels": torch.tensor([1, 2])}, "the label of box 1 must be 1 to 1"),
        ({"labels": torch.tensor([0, 1])}, "the label of box 0 must be 1 to 1"),
        ({"boxes": torch.tensor([[4.0, 6, 4, 40], [6, 2, 13, 9]])}, "box 0 must have x1 < x2"),
        ({"boxes": torch.tensor([[4.0, 6, math.nan, 40], [6, 2, 13, 9]])}, "box 0 must have"),
    ],
)
def test_targets_that_cannot_be_right(change, words):
    model = tiny().eval()
    output = model([torch.rand(3, 96, 144)])
    with pytest.raises(ValueError, match=r"targets\[0\]: .*" + words) as error:
        model.loss(output, [target(*TWO, keypoints=some_landmarks(TWO, 1)) | change])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_visible_landmark_without_a_place(value):
    model, keypoints = tiny().eval(), some_landmarks(TWO, 1)
    keypoints[1, 3, 0] = value
    output = model([torch.rand(3, 96, 144)])
    with pytest.raises(ValueError, match="keypoint 3 of face 1 is visible and must have a place"):
        model.loss(output, [target(*TWO, keypoints=keypoints)])
    keypoints[1, 3, 2] = 0  # hidden: any place will do
    losses = model.loss(output, [target(*TWO, keypoints=keypoints)])
    assert all(value.isfinite() for value in losses.values())


# What it finds.


def output_of(model, logits, deltas, landmarks, size=(96, 144)):
    *_, priors = model.dense(torch.zeros(1, 3, *size))
    batch = ImageBatch(torch.zeros(1, 3, *size), [size], [size])
    return FaceOutput(batch, logits, deltas, landmarks, priors)


def test_decodes_one_face():
    model = tiny().eval()
    *_, priors = model.dense(torch.zeros(1, 3, 96, 144))
    number = 100
    x1, y1, x2, y2 = priors[number].tolist()
    side, x, y = x2 - x1, (x1 + x2) / 2, (y1 + y2) / 2
    logits = torch.zeros(1, len(priors), 2)
    logits[..., 0], logits[0, number, 0], logits[0, number, 1] = 9, 0, 2
    deltas, landmarks = torch.zeros(1, len(priors), 4), torch.zeros(1, len(priors), 10)
    deltas[0, number] = torch.tensor([1.0, -2.0, 1.5, 0.5])
    landmarks[0, number] = torch.arange(10.0)
    (found,) = model.detect(output_of(model, logits, deltas, landmarks))
    wide, high = side * math.exp(0.2 * 1.5), side * math.exp(0.2 * 0.5)
    x, y = x + 0.1 * side, y - 0.2 * side
    expected = torch.tensor([[x - wide / 2, y - high / 2, x + wide / 2, y + high / 2]])
    torch.testing.assert_close(found.boxes, expected.clamp(min=0))
    assert found.scores.item() == pytest.approx(1 / (1 + math.exp(-2)), rel=1e-5)
    middle = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2])
    offsets = 0.1 * side * torch.arange(10.0).reshape(5, 2)
    torch.testing.assert_close(found.landmarks[0], middle + offsets)


def test_logits_that_are_nan_find_nothing():
    model = tiny().eval()
    output = model([torch.rand(3, 96, 144)])
    broken = output._replace(logits=torch.full_like(output.logits, math.nan))
    (found,) = model.postprocess(broken)
    assert len(found) == 0 and found.keypoints.shape == (0, 5, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 7)])
def test_small_pictures(size):
    (found,) = tiny().predict(torch.rand(3, *size))
    assert found.image_size == size
    low, high = found.boxes[:, :2], found.boxes[:, 2:]
    assert (low >= 0).all() and (high <= torch.tensor([size[1], size[0]])).all()


def test_a_batch_finds_what_single_pictures_do():
    model, images = tiny(), list(torch.rand(2, 3, 64, 96))
    together = model.predict(images, batch_size=2, score_threshold=0.4)
    for found, image in zip(together, images, strict=True):
        (alone,) = model.predict(image, score_threshold=0.4)
        torch.testing.assert_close(found.boxes, alone.boxes, rtol=1e-4, atol=1e-3)


# With trained weights.


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "retinaface_mv1_0.25.onnx"
    path.write_bytes(retinaface_onnx())
    return path


@pytest.fixture(scope="module")
def trained(file):
    return create_model("retinaface_mobilenet025", file).eval()


def test_another_onnx_file_is_told(file, tmp_path):
    with pytest.raises(ValueError, match=r"other\.onnx is no ONNX file") as error:
        (tmp_path / "other.onnx").write_bytes(b"no such thing")
        create_model("retinaface_mobilenet025", tmp_path / "other.onnx")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"does not fit retinaface_resnet50: missing: body\.conv1"):
        create_model("retinaface_resnet50", file)
    graph = onnx.load(file)
    for node in graph.graph.node:
        node.name = ""
    onnx.save(graph, tmp_path / "nameless.onnx")
    with pytest.raises(ValueError, match="no convolution that says which layer"):
        create_model("retinaface_mobilenet025", tmp_path / "nameless.onnx")


def test_maps_of_the_trained_network_are_those_of_its_file(trained, file):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    pixels = 255 * torch.rand(1, 3, 90, 121) - 110
    expected = dict(
        zip(
            [output.name for output in session.get_outputs()],
            map(torch.from_numpy, session.run(None, {"input": pixels.numpy()})),
            strict=True,
        )
    )
    with torch.no_grad():
        logits, deltas, landmarks, _ = trained.dense(pixels)
    close = {"rtol": 1e-4, "atol": 1e-4}  # 13 layers in another order of additions
    torch.testing.assert_close(logits.softmax(2), expected["conf"], **close)
    torch.testing.assert_close(deltas, expected["loc"], **close)
    torch.testing.assert_close(landmarks, expected["landmarks"], **close)


def test_a_face_on_a_photograph(trained):
    (found,) = trained.predict(skimage.data.astronaut(), score_threshold=0.5)
    assert len(found) == 1 and found.scores.item() > 0.99
    # Looked up in the photograph by eye, to some ten pixels: the box, then each landmark.
    expected = torch.tensor([178.0, 57, 273, 177])
    assert (found.boxes[0] - expected).abs().max() < 12
    places = {
        "right_eye": (205, 101),
        "left_eye": (247, 103),
        "nose": (224, 129),
        "right_mouth": (203, 138),
        "left_mouth": (244, 140),
    }
    for name, place in places.items():
        assert math.dist(found.point(0, name), place) < 6, name
    for image in (skimage.data.coffee(), skimage.data.chelsea(), skimage.data.brick()):
        (none,) = trained.predict(image, score_threshold=0.5)
        assert len(none) == 0


def test_a_mirrored_photograph_changes_sides(trained):
    photograph = skimage.data.astronaut()
    (found,), (mirrored,) = (
        trained.predict(x, score_threshold=0.5) for x in (photograph, photograph[:, ::-1].copy())
    )
    back = mirrored.keypoints[0, found.schema.flip_order, :2]
    back[:, 0] = 512 - back[:, 0]
    assert (back - found.keypoints[0, :, :2]).abs().max() < 4


def test_an_aligned_face_is_aligned(trained):
    (found,) = trained.predict(skimage.data.astronaut(), score_threshold=0.5)
    cut = found.aligned(skimage.data.astronaut(), size=112)
    assert cut.shape == (1, 3, 112, 112) and cut.min() >= 0 and cut.max() <= 1
    large = torch.nn.functional.interpolate(cut, scale_factor=3, mode="bilinear")
    wide = torch.nn.functional.pad(large, (150, 150, 150, 150), value=0.5)[0]
    (again,) = trained.predict(wide, score_threshold=0.3)
    eyes = (again.keypoints[0, :2, :2] - 150) / 3
    expected = torch.tensor([[38.3, 51.7], [73.5, 51.5]])
    assert (eyes - expected).abs().max() < 4
