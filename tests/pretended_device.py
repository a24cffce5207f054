"""Models keep their tensors together: with tensors that say they are on a device, and are not.

What mixes that device and the CPU fails here as it would on a GPU; values are computed on the CPU.
``test_devices.py`` runs this file in a process of its own, which has that device from then on.
"""

import pytest
import torch
from small_models import SMALL, make_small
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
from torch.utils.data import TensorDataset

import fastcv
from fastcv import explain, learn, metrics
from fastcv.explain import detection_steps, nms_steps
from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.models.classification.nearest_neighbors import NearestNeighbors
from fastcv.results import Generated

_setup_privateuseone_for_python_backend("pretended")
THERE = torch.device("pretended", 0)
COPIES = {"aten::copy_", "aten::_to_copy"}
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_"}  # indices may be on the CPU


class Pretended(torch.Tensor):
    """A CPU tensor, ``inner``, that says it is there."""

    @staticmethod
    def __new__(cls, inner):
        strides, offset = inner.stride(), inner.storage_offset()
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides, offset, dtype=inner.dtype, device=THERE
        )
        tensor.inner = inner
        return tensor

    def tolist(self):
        return self.inner.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("a tensor on a device has no numpy()")

    def __format__(self, spec):
        return format(self.item(), spec) if self.ndim == 0 else repr(self)

    def __repr__(self):
        return f"Pretended({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        return compute(op, args, kwargs or {})


class Pretence(TorchDispatchMode):
    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        return compute(op, args, kwargs or {})


def compute(op, args, kwargs):
    def tensors_of(tree):
        return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]

    there = {id(x.inner): x for x in tensors_of((args, kwargs)) if isinstance(x, Pretended)}
    name, first_there = op._schema.name, bool(args) and isinstance(args[0], Pretended)
    if name in INDEXING and there and not first_there:
        raise RuntimeError("indices are there, what they index is not")
    together = (args[:1], args[2:]) if name in INDEXING else (args, kwargs)
    here = [x for x in tensors_of(together) if x.ndim and not isinstance(x, Pretended)]
    if there and here and name not in COPIES:
        raise RuntimeError(f"{name}: tensors there meet {[list(x.shape) for x in here]} on the CPU")
    device = kwargs.get("device")
    if device is not None:
        goes_there = torch.device(device).type == THERE.type
    else:
        goes_there = first_there if name in INDEXING | COPIES else bool(there)
    inner = {k: v.inner if isinstance(v, Pretended) else v for k, v in kwargs.items()}
    if device is not None and goes_there:
        inner["device"] = torch.device("cpu")
    inner_args = tree_map(lambda x: x.inner if isinstance(x, Pretended) else x, args)
    result = op(*inner_args, **inner)
    if not goes_there:
        return result
    # An op in place returns the very tensor it was given.
    return tree_map(
        lambda x: there.get(id(x), Pretended(x)) if isinstance(x, torch.Tensor) else x, result
    )


@pytest.fixture(autouse=True)
def pretence(monkeypatch):
    # Its tensors count no versions, which is all that it does beyond no_grad.
    monkeypatch.setattr(torch, "inference_mode", lambda *args: torch.no_grad())
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=THERE) makes two steps
    torch.manual_seed(0)
    with Pretence():
        yield
    torch._C._set_only_lift_cpu_tensors(False)


def assert_there(values):
    tensors = [x for x in tree_leaves(values) if isinstance(x, torch.Tensor)]
    assert len(tensors) > 0 and all(x.device == THERE for x in tensors)


def test_the_pretence_refuses_what_a_gpu_does():
    x = torch.arange(6.0).to(THERE)
    assert_there([x, x + 1, x + torch.tensor(1.0), x[torch.tensor([1])]])
    assert x.cpu().device.type == "cpu" and x.sum().item() == 15
    with pytest.raises(RuntimeError, match=r"aten::add: tensors there meet \[\[6\]\] on the"):
        x + torch.ones(6)
    with pytest.raises(RuntimeError, match="indices are there"):
        torch.ones(6)[x > 2]
    with pytest.raises(RuntimeError, match="aten::index_put_: tensors there meet"):
        x[torch.tensor([1, 2])] = torch.ones(2)
    with pytest.raises(RuntimeError, match="fastcv::nms: tensors there"):
        fastcv.ops.nms(torch.rand(5, 4, device=THERE), torch.rand(5), 0.5)
    with pytest.raises(TypeError, match="no numpy"):
        x.numpy()


LEFT_OUT = {
    **dict.fromkeys(("alexnet", "vgg11", "zfnet"), "takes long to be made; its like are here"),
    **dict.fromkeys(
        ("scouter", "scouter_resnet18", "vse_resnet18", "vsepp_resnet18"),
        "a GRU is one kernel there, and is none here",
    ),
    **dict.fromkeys(
        ("soundnet8", "sound_localization"),
        "they take sounds: test_sounds has them",
    ),
    **dict.fromkeys(
        ("im2recipe_resnet18", "vqa_lstm_cnn"),
        "an LSTM too, and torch wants the lengths of packed texts on the CPU",
    ),
    **dict.fromkeys(
        (
            "show_and_tell",
            "show_and_tell_resnet18",
            "show_attend_and_tell_resnet18",
            "image_to_units",
        ),
        "an LSTM is one kernel there, and is none here; test_captions has what is around it",
    ),
    **dict.fromkeys(
        ("tacotron2", "looking_to_listen_2"),
        "an LSTM too, and they take no pictures",
    ),
}
RUN = [
    name
    for name in SMALL
    if not SMALL[name].like and name not in LEFT_OUT and SMALL[name].trained_by == "loss"
]
ONE_EACH = list({id(SMALL[name]): name for name in reversed(RUN)}.values())  # of a row
DETECTORS = [name for name in ONE_EACH if find_model(name).task == "detection"]


def there(name, **config):
    return make_small(name, **config).to(THERE)


@pytest.mark.parametrize("name", ONE_EACH)
def test_predictions(name):
    """Of pictures that are not there; what was found is, and draws itself."""
    model, picture = there(name).eval(), torch.rand(3, 70, 90)
    for network in (model, fastcv.optimize(model)):
        (found,) = network.predict(picture, **SMALL[name].options)
        assert_there(vars(found))
        found.draw(None if isinstance(found, Generated) else picture)
        found.to_dict()


def test_sounds():
    """Sounds are read on the CPU, and what is heard is there."""
    heard, placed = there("soundnet8"), there("sound_localization")
    sound = torch.rand(16000) - 0.5, heard.rate
    (classes,) = heard.predict(sound)
    assert_there([classes.objects.scores, classes.scenes.scores])
    classes.draw()
    (found,) = placed.predict((torch.rand(3, 70, 90), sound))
    assert_there(vars(found))
    found.draw(torch.rand(3, 70, 90))
    found.to_dict()
    batch = placed.make_batch(
        torch.rand(2, 3, 32, 32, device=THERE), torch.rand(2, 6, device=THERE)
    )
    learn_from(placed, placed.loss(placed(batch), torch.rand(2, 2, 2, device=THERE)))


def test_speech_and_pictures():
    """Sounds are read on the CPU, spectrograms and codebooks are there."""
    model = there("resdavenet_vq")
    sounds = [(torch.rand(count) - 0.5, model.rate) for count in (4000, 9000)]
    assert_there(model.prepare_texts(sounds))
    learn_from(model, model.loss(model(torch.rand(2, 3, 64, 64, device=THERE)), sounds))
    units = model.units(sounds[0])
    assert_there(vars(units))
    units.to_dict()
    (found,) = model.search(sounds[0], [torch.rand(3, 70, 90)])
    assert_there([found.scores])


def learn_from(model, losses):
    assert_there(losses)
    sum(losses.values()).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert_there(gradients)
    assert all(bool(grad.isfinite().all()) for grad in gradients)


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_learn(name):
    model, images = there(name), [torch.rand(3, 70, 90, device=THERE)]
    boxes = torch.tensor([[5.0, 5.0, 60.0, 50.0], [20.0, 30.0, 80.0, 69.0]], device=THERE)
    target = {"boxes": boxes, "labels": torch.tensor([1, 2], device=THERE)}
    proposals = () if name not in ("fast_rcnn_resnet18", "rcnn_small") else ([boxes + 1],)
    learn_from(model, model.loss(model(images, *proposals), [target]))


@pytest.mark.parametrize("name", ["googlenet", "deeplabv3_resnet50", "fcn8s_vgg16", "unet"])
def test_others_learn(name):
    model, images = there(name), torch.rand(2, 3, 64, 64, device=THERE)
    labels = torch.randint(3, (2,) if name == "googlenet" else (2, 64, 64), device=THERE)
    learn_from(model, model.loss(model(images), labels))
    if labels.ndim == 3:
        model.loss_terms = ("dice", "focal")
        learn_from(model, model.loss(model(images), labels))


def test_tiles_scales_and_flips():
    """Labels of a picture that is too large for one pass are gathered on the CPU."""
    picture, model = torch.rand(3, 150, 90), there("unet")
    (found,) = model.predict(picture, tile=64, scales=(0.5, 1.0), flip=True)
    assert found.labels.device.type == "cpu"
    assert_there(vars(model.predict(picture, scales=(0.5, 1.0), flip=True)[0]))


@pytest.mark.parametrize("form", ["lists", "tensors", "detections"])
def test_masks_of_boxes_from_elsewhere(form):
    model, boxes = there("hypercolumns_vgg16"), [[5.0, 5.0, 60.0, 50.0]]
    given = {"boxes": boxes, "labels": [1]}
    if form != "lists":
        given = {"boxes": torch.tensor(boxes), "labels": torch.tensor([1])}
    if form == "detections":
        found = fastcv.results.Detections(
            given["boxes"], torch.ones(1), given["labels"], model.classes, (70, 90)
        )
        given = {"boxes": found}
    (found,) = model.predict(torch.rand(3, 70, 90), **given)
    assert_there(vars(found))
    assert len(found[found.scores > 0.5]) == 1


@pytest.mark.parametrize(
    "name", ("fasterrcnn_resnet18_fpn", "retinanet_resnet18_fpn", "ssd_resnet18", "yolov1")
)
def test_explained(name, tmp_path):
    steps = detection_steps(there(name), torch.rand(3, 70, 90))
    steps.save(tmp_path / "steps.png")
    boxes = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10]], device=THERE)
    assert nms_steps(boxes, torch.tensor([0.8, 0.9], device=THERE), 0.5) == [(1, [0])]


@pytest.mark.parametrize(
    "method",
    [
        explain.activations,
        explain.saliency,
        lambda model, images: explain.saliency(model, images, 1, samples=2),
        explain.deconvnet,
        explain.guided_backprop,
        explain.cam,
        explain.grad_cam,
        explain.guided_grad_cam,
        lambda model, images: explain.occlusion(model, images, window=32, stride=32, fill="blur"),
    ],
)
def test_maps(method, tmp_path):
    model = there("resnet18")
    found = method(model, torch.rand(2, 3, 64, 64))
    assert_there(vars(found))
    found.boxes()
    found.save(tmp_path / "maps.png")
    found.save(tmp_path / "maps.json")
    rows = explain.faithfulness(model, torch.rand(2, 3, 64, 64), {"it": found}, steps=2)
    assert 0 <= rows["it"].deletion <= 1


@pytest.mark.parametrize("name", ["retinanet_resnet18_fpn", "unet"])
def test_maps_of_other_tasks(name):
    model = there(name)
    layer = "backbone.body.layer4" if name in DETECTORS else "auto"
    assert_there(vars(explain.grad_cam(model, torch.rand(3, 64, 96), layer=layer)))
    assert_there(vars(explain.saliency(model, torch.rand(3, 64, 96))))


def test_attention():
    model = there("detr_resnet18").eval()
    maps = model.attention_maps(torch.rand(3, 70, 90), points=[(5, 5)], score_threshold=0.0)
    maps.draw(torch.rand(3, 70, 90))
    maps.to_dict()


class Cell(torch.nn.Module):
    """In place of an LSTM's step."""

    def __init__(self, cell):
        super().__init__()
        self.layer = torch.nn.Linear(cell.input_size + cell.hidden_size, cell.hidden_size)

    def forward(self, x, state):
        hidden = self.layer(torch.cat([x, state[0]], dim=1)).tanh()
        return hidden, hidden


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_captions(kind):
    model, picture = (
        make_small("show_attend_and_tell_resnet18", attention=kind),
        torch.rand(3, 40, 50),
    )
    model.decoder.decode_step = Cell(model.decoder.decode_step)
    model = model.to(THERE)
    for method in ("greedy", "beam", "sample"):
        (found,) = model.predict(picture, method=method, max_words=4)
        assert_there(vars(found))
        found.draw(picture)
        found.draw_attention(picture)
        found.to_dict()
    ids = torch.tensor([[1, 4, 5, 2], [1, 4, 2, 0]], device=THERE)
    images = torch.rand(2, 3, 64, 64, device=THERE)
    if kind == "soft":  # a draw is one kernel there
        learn_from(model, model.loss(model(images), (ids, torch.tensor([4, 3], device=THERE))))


class Items(list):
    classes = ("background", "cat", "dog")


def test_measured():
    classifier = there("resnet18", width=4).eval()
    images = TensorDataset(torch.rand(6, 3, 32, 32), torch.arange(6) % 3)
    assert 0 <= metrics.evaluate_classifier(classifier, images)["acc@1"] <= 1
    pixels = Items([(torch.rand(3, 64, 64), torch.randint(3, (64, 64)))])
    assert 0 <= metrics.evaluate_segmenter(there("unet").eval(), pixels)["miou"] <= 1
    cat = {"boxes": torch.tensor([[8.0, 8, 56, 40]]), "labels": torch.tensor([1]), "image_id": 7}
    detector = there("ssd_resnet18")
    scenes = Items([(torch.rand(3, 64, 64), cat)])
    assert 0 <= metrics.evaluate_detector(detector, scenes, score_threshold=0.0)["AP"] <= 1


def test_learned_from_little():
    teacher, student = (there("resnet18", width=width) for width in (4, 2))
    both = learn.Distillation(teacher, student)
    images, labels = torch.rand(4, 3, 32, 32, device=THERE), torch.tensor([0, 1, 2, 2]).to(THERE)
    learn_from(student, both.loss(both(images), labels))
    assert learn.new_head(student, ("cat", "dog")).weight.device == THERE
    learn.add_noise(student)
    assert_there(student.train()(images))


def test_fitted_without_gradients():
    points, labels = torch.rand(20, 12), torch.arange(20) % 3
    near = NearestNeighbors(k=3).remember(points, labels).to(THERE)
    assert_there(near(points[:4].to(THERE)))
    svm = create_model("hog_svm").to(THERE)
    windows, kinds = torch.rand(6, 3, *svm.window_size), torch.tensor([1, 1, 1, 0, 0, 0])
    svm.fit(windows, kinds, [torch.rand(3, 200, 200)])
    assert_there(vars(svm.predict(torch.rand(3, 200, 160))[0]))
    boxes = torch.tensor([[8.0, 8, 56, 40], [10, 20, 80, 80]])
    scene = {"boxes": boxes, "labels": torch.tensor([1, 2]), "image_id": 1}
    near_and_far = torch.cat([boxes + 2, torch.tensor([[50.0, 50, 90, 90], [0, 0, 20, 20]])])
    scenes = Items([(torch.rand(3, 96, 96), scene | {"proposals": near_and_far})] * 2)
    rcnn = there("rcnn_small").fit_svms(scenes)
    assert_there(vars(rcnn.predict(torch.rand(3, 96, 96))[0]))
