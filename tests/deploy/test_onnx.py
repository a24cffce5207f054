"""fastcv.export_onnx: onnxruntime finds what the model finds."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import onnxruntime
import pytest
import skimage.data
import torch
from real_weights import retinaface_onnx
from small_models import SMALL, make_small
from torch import nn

import fastcv
from fastcv.deploy._onnx_ops import TRANSLATIONS
from fastcv.models._image_model import ImageModel
from fastcv.models._registry import find_model
from fastcv.models.detection._detector import Detector
from fastcv.nn import FoundBoxes
from fastcv.nn.detection.keypoint_branch import heatmap_peaks
from fastcv.nn.panoptic.instance_selection import without_covered
from fastcv.nn.panoptic.panoptic_logits import panoptic_logits

# What the file of each task's models gives, where it is a picture's map or row.
OUTPUTS = {
    "classification": ["scores"],
    "segmentation": ["labels", "scores"],
    "keypoints": ["heatmaps"],
}
FACES = ["boxes", "scores", "labels", "landmarks"]


def run(path, image):
    """The outputs by name, as tensors, of ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(None, {"image": image.numpy()})
    return dict(zip(names, map(torch.from_numpy, found), strict=True))


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


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["random", "real"])
def test_face_detector(weights, tmp_path):
    torch.manual_seed(0)
    model = fastcv.create_model("retinaface_mobilenet025")
    if weights == "real":
        (tmp_path / "weights.onnx").write_bytes(retinaface_onnx())
        model = fastcv.create_model("retinaface_mobilenet025", tmp_path / "weights.onnx")
        photograph = skimage.data.astronaut()[20:220, 140:300].copy()
        image = torch.tensor(photograph).permute(2, 0, 1) / 255
    else:
        image = torch.rand(3, 64, 80)
        with torch.no_grad():
            for _ in range(10):
                model([torch.rand(3, 64, 80)] * 2)  # statistics that fit the weights
    path = tmp_path / "faces.onnx"
    fastcv.export_onnx(model, path, image_size=tuple(image.shape[1:]))
    got, (found,) = run(path, image), model.predict(image)
    assert list(got) == FACES and len(found) == len(got["boxes"]) > 0
    assert (got["labels"] == 1).all()
    # Of random weights some scores are as near each other as the two runtimes are: in any order.
    theirs = torch.cat([got["scores"][:, None], got["boxes"], got["landmarks"].flatten(1)], 1)
    keypoints = found.keypoints[..., :2].flatten(1)
    ours = torch.cat([found.scores[:, None], found.boxes, keypoints], 1)
    distance = torch.cdist(theirs, ours, p=float("inf"))
    assert max(distance.amin(0).max(), distance.amin(1).max()) < 1e-2


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


# Every model: it exports and agrees, or a sentence says why it does not.


@cache
def without_memory(name):
    with torch.device("meta"):
        return fastcv.create_model(name, **SMALL[name].config)


NAMES = fastcv.list_models()
BRANCHES = {
    "maskrcnn_resnet18_fpn": "masks",
    "keypointrcnn_resnet18_fpn": "heatmaps",
    "densepose_rcnn_resnet18_fpn": "surface",
}


PANOPTIC = ["upsnet_resnet18_fpn", "vpsnet_resnet18_fpn"]
PROTOTYPES = ["yolact_resnet18", "yolactedge_resnet18"]
# tests/models/generative/test_translator.py compares them with eager.
TRANSLATORS = [
    "pix2pix_unet64",
    "cyclegan_resnet9",
    "srresnet_x4",
    "style_transfer",
    "perceptual_sr_x4",
]


def is_exported(model):
    return isinstance(model, ImageModel) and not model.no_onnx


EXPORTED = [name for name in NAMES if is_exported(without_memory(name))]


def is_generator(name):  # they take no images: test_onnx_generators.py
    return find_model(name).task in ("generation", "text_to_image")


WITHOUT_A_FILE = (
    "detection",
    "instance",
    "translation",
    "matching",
    "vqa",
    "captioning",
    "sound",
    "sound_localization",
    "spoken_images",
    "speech",
    "separation",
)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in EXPORTED and not is_generator(n)])
def test_a_sentence_says_why_a_model_is_not_exported(name, tmp_path):
    model = without_memory(name)
    with pytest.raises((TypeError, NotImplementedError)) as error:
        fastcv.export_onnx(model, tmp_path / "x.onnx", image_size=(64, 64))
    kind = type(model).__name__
    why = f"{kind} cannot be written as ONNX: " if isinstance(model, ImageModel) else "got " + kind
    assert find_model(name).task in WITHOUT_A_FILE
    assert why in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


ABOVE = (
    "fasterrcnn_resnet18_fpn",
    "retinanet_resnet18_fpn",
    "ssd_resnet18",
    "retinaface_mobilenet025",
)
TESTED = {type(without_memory(name)) for name in ABOVE}
SMALL_ONES = {type(without_memory(n)): n for n in EXPORTED if not SMALL[n].like}
ONE_OF_EACH = {kind: name for kind, name in SMALL_ONES.items() if kind not in TESTED}
ONE_OF_EACH_DETECTOR = [n for n in ONE_OF_EACH.values() if find_model(n).task == "detection"]


def layers(name):
    return sum(1 for _ in without_memory(name).modules())


# Of each class of classifiers and segmenters the one with the fewest layers, for each is exported
# by itself; and those with deformable convolutions.
OTHERS = [
    n for n in EXPORTED if find_model(n).task in OUTPUTS and n not in BRANCHES and not SMALL[n].like
]
FEWEST = {type(without_memory(n)): n for n in sorted(OTHERS, key=layers, reverse=True)}
DEFORMABLE = ["resnet50_dcn", "resnet50_dcnv2"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOTYPES)
def test_prototypes_agree(name, tmp_path):
    """The masks that a runtime can make of the outputs are those of ``predict``."""
    model, image = make_small(name).eval(), torch.rand(3, 64, 80)
    last = model.prediction_layers[0].conf_layer
    while not len(model.predict(image, nms="exact")[0]) > 5:
        last.weight.data.mul_(2)  # until there is something to find
    fastcv.export_onnx(model, tmp_path / "yolact.onnx", image_size=(64, 80))
    got, (found,) = run(tmp_path / "yolact.onnx", image), model.predict(image, nms="exact")
    assert list(got) == ["boxes", "scores", "labels", "coefficients", "prototypes"]
    assert len(got["boxes"]) == len(found)
    # The order of additions differs; boxes are up to 80.
    torch.testing.assert_close(got["scores"], found.scores, rtol=1e-4, atol=1e-5)
    same = (got["boxes"][:, None] - found.boxes).abs().amax(-1) < 1e-2
    assert same.any(0).all() and same.any(1).all()
    of = same.float().argmax(1)  # two of almost the same score may change places
    masks = fastcv.ops.proto_masks(got["prototypes"], got["coefficients"], got["boxes"], (64, 80))
    assert (masks == found.masks[of]).float().mean() > 0.99 and masks.any()


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 25),
    reason="ONNX Runtime has no DeformConv on the CPU before 1.25",
)
@pytest.mark.parametrize("name", PANOPTIC)
def test_panoptic_parts_agree(name, tmp_path):
    """The panoptic map that a runtime's outputs make is that of ``predict``."""
    config = {"num_classes": 5, "num_stuff": 2, "min_stuff_area": 0}
    model, size = make_small(name, **config).eval(), (64, 96)
    image = torch.rand(3, *size)
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)  # until there is much to find
        expected = model.onnx_outputs(image)
    fastcv.export_onnx(model, tmp_path / "panoptic.onnx", image_size=size)
    got = run(tmp_path / "panoptic.onnx", image)
    assert list(got) == ["boxes", "scores", "labels", "masks", "semantic"] == list(expected)
    assert len(got["boxes"]) > 2 and got["semantic"].shape == (5, 16, 24)
    # The order of additions differs; boxes are up to 96, logits about 1.
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    boxes = FoundBoxes(got["boxes"], got["scores"], got["labels"])
    kept = without_covered(boxes, got["masks"], size, max_overlap=0.3)
    full = torch.nn.functional.interpolate(
        got["semantic"][None], scale_factor=4, mode="bilinear", align_corners=False
    )[0]
    logits = panoptic_logits(
        full,
        got["boxes"][kept],
        got["labels"][kept],
        got["masks"][kept],
        num_stuff=2,
        unknown=model.unknown,
    )
    ids = logits.argmax(0) + 1
    ids[ids > 2 + len(kept)] = 0  # unknown is void
    (found,) = model.predict(image)
    assert (ids == found.segment_map).float().mean() > 0.99


AGREE = list(dict.fromkeys([*DEFORMABLE, *FEWEST.values()]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in AGREE if find_model(n).task == "keypoints"])
def test_heatmaps_agree(name, tmp_path):
    size = (70, 90)
    model = make_small(name).train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(2, 3, 64, 64))  # statistics that fit the weights
    image = torch.rand(3, *size)
    fastcv.export_onnx(model, tmp_path / "model.onnx", image_size=size)
    got = run(tmp_path / "model.onnx", image)
    assert list(got) == ["heatmaps"] and model.training
    with torch.no_grad():
        expected = model.eval()(model.crop_whole(image))[0, -1]
    assert expected.shape == (4, 16, 16) and expected.std() > 1e-3
    torch.testing.assert_close(got["heatmaps"], expected, rtol=1e-3, atol=2e-5)


def test_every_exported_model_is_like_one_that_is_tested():
    with_parts = (*BRANCHES, *PROTOTYPES, *PANOPTIC, *TRANSLATORS)
    tested = (*ABOVE, *ONE_OF_EACH_DETECTOR, *FEWEST.values(), *with_parts)
    alike = {type(without_memory(name)) for name in tested}
    assert {type(without_memory(name)) for name in EXPORTED} == alike


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 25),
    reason="ONNX Runtime has no DeformConv on the CPU before 1.25",
)
@pytest.mark.parametrize("name", ONE_OF_EACH_DETECTOR)
def test_every_detector_agrees(name, tmp_path):
    hourglass = {"dims": (8, 8), "modules": (1, 1)} if "hourglass" in name else {}
    model = make_small(name, **hourglass).eval()
    path, images = tmp_path / "detector.onnx", torch.rand(3, 3, 64, 80)
    last = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    while not all(len(found) for found in model.predict(images)):
        last.weight.data.mul_(2)  # until there is something to find
    fastcv.export_onnx(model, path, image_size=(64, 80))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shares = []
    for image, found in zip(images, model.predict(images), strict=True):
        boxes, scores, labels = map(torch.from_numpy, session.run(None, {"image": image.numpy()}))
        same = (
            (torch.cdist(boxes, found.boxes, p=float("inf")) < 1e-2)
            & ((scores[:, None] - found.scores).abs() < 1e-5)
            & (labels[:, None] == found.labels)
        )
        shares += [same.any(dim=1), same.any(dim=0)]
    # Maps agree to 1e-6, but in those of random weights neighbours are as near each other: a few
    # peaks are there in one and not in the other.
    assert torch.cat(shares).float().mean() > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("name", BRANCHES)
def test_branches_agree(name, tmp_path):
    model, image = make_small(name).eval(), torch.rand(3, 64, 80)
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)  # until there is much to find
        expected = model.onnx_outputs(image)
    fastcv.export_onnx(model, tmp_path / "branch.onnx", image_size=(64, 80))
    got = run(tmp_path / "branch.onnx", image)
    assert list(got) == ["boxes", "scores", "labels", BRANCHES[name]] == list(expected)
    assert len(got["boxes"]) > 5
    # The order of additions differs; boxes are up to 80, probabilities and logits about 1.
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)
    (found,) = model.predict(image)
    if name.startswith("mask"):
        pasted = fastcv.ops.paste_masks(got["masks"], got["boxes"], (64, 80))
        assert (pasted == found.masks).float().mean() > 0.99 and pasted.any()
    elif name.startswith("keypoint"):
        to_batch = model([image]).batch.sizes[0][0] / 64
        points, _ = heatmap_peaks(got["heatmaps"], got["boxes"] * to_batch)
        assert ((points / to_batch - found.keypoints[..., :2]).abs() < 1).float().mean() > 0.99


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 25),
    reason="ONNX Runtime has no DeformConv on the CPU before 1.25",
)
@pytest.mark.parametrize("name", [n for n in AGREE if find_model(n).task != "keypoints"])
def test_every_classifier_and_segmenter_agrees(name, tmp_path):
    model, task = make_small(name).train(), find_model(name).task
    with torch.no_grad():
        for _ in range(3):
            # Statistics that fit the weights: without them values grow from layer to layer, and
            # with them the last digits, by which two runtimes differ.
            model(torch.rand(2, *SMALL[name].shape))
    path = tmp_path / "model.onnx"
    fastcv.export_onnx(model, path, image_size=(70, 90))
    assert model.training
    image = torch.rand(3, 70, 90)
    got, (found,) = run(path, image), model.predict(image)
    assert list(got) == OUTPUTS[task]
    torch.testing.assert_close(got["scores"], found.scores, rtol=1e-3, atol=2e-5)
    assert found.scores.std() > 1e-4  # there is something to tell apart
    if task == "segmentation":
        assert got["labels"].dtype == torch.int64 and got["labels"].shape == (70, 90)
        first, second = found.scores.topk(2, dim=0).values
        assert torch.equal(got["labels"], got["scores"].argmax(dim=0))
        differ = got["labels"] != found.labels
        assert not (differ & (first - second > 1e-4)).any()  # where it is no tie


class Ops(nn.Module):
    """The ops with forms of their own in ONNX, in ways that the models do not use them."""

    def forward(self, x, weight, offset, mask, boxes, scores, labels):
        ops = fastcv.ops
        return (
            ops.deform_conv2d(x, offset, weight, None, (2, 1), (1, 2), (1, 2), mask),
            ops.deform_conv2d(x, offset, weight, weight[:, 0, 0, 0], (2, 1), (1, 2), (1, 2)),
            ops.conv_transpose2d(x, weight[:4, :, :2], None, 3, 1, (1, 2), 2, 2),
            ops.conv_transpose2d(x, weight[:4, :, :2], weight[:2, 0, 0, 0]),
            *(ops.corner_pool(x, way) for way in ("top", "bottom", "left", "right")),
            ops.corner_pool(x[..., :1], "left"),
            *ops.batched_soft_nms(boxes, scores, labels, "gaussian", sigma=0.5),
            *ops.batched_soft_nms(boxes[:0], scores[:0], labels[:0], "gaussian", sigma=0.5),
        )


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 25),
    reason="ONNX Runtime has no DeformConv on the CPU before 1.25",
)
def test_ops(tmp_path):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 4, 9, 7), torch.randn(6, 2, 3, 2)
    size = (5, 9)  # of the deformable convolutions' output
    corners = torch.rand(60, 2) * 40
    inputs = {
        "x": x,
        "weight": weight,
        "offset": torch.randn(2, 2 * 2 * 6, *size) * 3,
        "mask": torch.rand(2, 2 * 6, *size),
        "boxes": torch.cat([corners, corners + torch.rand(60, 2) * 30], dim=1),
        "scores": torch.rand(60),
        "labels": torch.randint(-1, 2, (60,)),
    }
    expected = Ops()(*inputs.values())
    program = torch.onnx.export(
        Ops().eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        opset_version=19,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    program.save(tmp_path / "ops.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "ops.onnx", providers=["CPUExecutionProvider"]
    )
    names = {entry.name for entry in session.get_inputs()}
    got = session.run(None, {k: v.numpy() for k, v in inputs.items() if k in names})
    assert len(expected[9]) > 20  # boxes that soft NMS keeps
    for ours, theirs in zip(expected, got, strict=True):
        # The order of additions differs, over up to 12 products of normal numbers.
        torch.testing.assert_close(torch.from_numpy(theirs), ours, rtol=1e-4, atol=1e-5)


def test_an_op_that_onnx_does_not_have(tmp_path):
    class Own(Detector):
        classes = ("background", "a")

        def forward(self, images):
            return images

        def detect(self, output):
            (image,) = output
            keep = fastcv.ops.nms(image[0, :4, :4], image[0, 0, :4], 0.5)
            boxes = image[0, :4, :4][keep]
            return [fastcv.nn.FoundBoxes(boxes, boxes[:, 0], keep)]

    sentence = r"^Own cannot be written as ONNX: .*fastcv.nms"
    with pytest.raises(NotImplementedError, match=sentence) as error:
        fastcv.export_onnx(Own(), tmp_path / "x.onnx", image_size=(8, 8))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_is_no_model_of_pictures(tmp_path):
    sentence = r"^model must be a classifier, a detector or a segmenter, got Linear$"
    with pytest.raises(TypeError, match=sentence):
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
