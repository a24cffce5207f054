"""One model, several threads: each gets what it would get alone, and the model stays as it was."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small_models import make_small
from torch import nn

import fastcv
from fastcv.explain import detection_steps
from fastcv.learn import fit
from fastcv.models._mode import alone, evaluating

PICTURE = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(0))
ANY = {"score_threshold": 0.0, "max_detections": 5}
WAIT = 20  # seconds, of what takes none


def numbers(result):
    """All that a result says, as one list of numbers."""
    if hasattr(result, "boxes"):
        return [*result.boxes.flatten().tolist(), *result.scores.tolist()]
    return result.scores.flatten().tolist()


def predict(model):
    return numbers(model.predict(PICTURE, **(ANY if hasattr(model, "detect") else {}))[0])


def predict_iter(model):
    options = ANY if hasattr(model, "detect") else {}
    found = [result for _, result in model.predict_iter([PICTURE, PICTURE], **options)]
    assert numbers(found[0]) == pytest.approx(numbers(found[1]), abs=1e-4)
    return numbers(found[0])


def predict_video(model):
    options = ANY if hasattr(model, "detect") else {}
    ((_, result),) = model.predict_video(PICTURE[None], **options)
    return numbers(result)


def explain(model):
    steps = detection_steps(model, PICTURE, score_threshold=0.0)
    return [float(len(steps.anchors)), *(x for a in steps.anchors for x in a.flatten().tolist())]


def attention(model):
    maps = model.attention_maps(PICTURE, points=[(3.0, 4.0)], score_threshold=0.0)
    return [*maps.of_objects.flatten().tolist(), *maps.of_points.flatten().tolist()]


def flags(model):
    return [module.training for module in model.modules()]


def tensors(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


class Meeting:
    """A hook that makes two threads overlap.

    The first stays in its forward until the second has begun, or until it has ended where the
    second is ``within`` the first. Else the second stays in its forward until the first has ended.
    """

    def __init__(self, within):
        self.within = within
        self.begun = {"first": threading.Event(), "second": threading.Event()}
        self.ended = {"first": threading.Event(), "second": threading.Event()}

    def __call__(self, module, inputs):
        name = threading.current_thread().name
        if name in self.begun:
            self.begun[name].set()
        if name == "first":
            assert (self.ended if self.within else self.begun)["second"].wait(WAIT)
        elif name == "second" and not self.within:
            assert self.ended["first"].wait(WAIT)

    def run(self, model, first, second):
        found = {}

        def work(call):
            name = threading.current_thread().name
            try:
                found[name] = call(model)
            finally:
                self.ended[name].set()

        layer = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
        handle = layer.register_forward_pre_hook(self)
        threads = [
            threading.Thread(target=work, args=(first,), name="first"),
            threading.Thread(target=work, args=(second,), name="second"),
        ]
        threads[0].start()
        assert self.begun["first"].wait(WAIT)
        threads[1].start()
        for thread in threads:
            thread.join(WAIT)
        handle.remove()
        return [found.get("first"), found.get("second")]


def partly_frozen(model):
    model.train()
    next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).eval()


MODES = {"train": nn.Module.train, "eval": nn.Module.eval, "partly frozen": partly_frozen}
OVERLAPS = [
    *(
        (name, predict, predict, "train")
        for name in ("resnet18", "deeplabv3_resnet50", "unet", "yolov1", "centernet_dla34")
    ),
    *(("fasterrcnn_resnet18_fpn", predict, predict, mode) for mode in MODES),
    ("resnet18", predict, predict_iter, "partly frozen"),
    ("resnet18", predict_video, predict, "train"),
    ("fcn_resnet50", predict_iter, predict_video, "train"),
    ("ssd_resnet18", explain, predict, "train"),
    ("ssd_resnet18", predict, explain, "eval"),
    ("ssd_resnet18", explain, explain, "partly frozen"),
    ("detr_resnet18", attention, predict, "train"),
    ("detr_resnet18", predict, attention, "eval"),
    ("detr_resnet18", attention, attention, "train"),
]


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(
    ("name", "first", "second", "mode"),
    OVERLAPS,
    ids=[f"{n}-{a.__name__}-{b.__name__}-{mode}" for n, a, b, mode in OVERLAPS],
)
def test_two_that_overlap(name, first, second, mode, within):
    model = make_small(name)
    MODES[mode](model)
    expected = [first(model), second(model)]
    before, modes = tensors(model), flags(model)
    found = Meeting(within).run(model, first, second)
    assert found[0] == pytest.approx(expected[0], abs=1e-3)
    assert found[1] == pytest.approx(expected[1], abs=1e-3)
    assert flags(model) == modes
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_two_models_that_share_a_part():
    one, other = make_small("resnet18"), make_small("resnet18")
    other.layer1 = one.layer1
    expected = [predict(one), predict(other)]
    found = Meeting(within=True).run(one, predict, lambda _: predict(other))
    assert found == [pytest.approx(numbers, abs=1e-4) for numbers in expected]
    assert all(flags(one) + flags(other))


def test_many_threads():
    model = make_small("fasterrcnn_resnet18_fpn")
    expected, before = predict(model), tensors(model)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: predict(model), range(24)):
            assert found == pytest.approx(expected, abs=1e-3)
    assert all(flags(model))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_generator_that_is_held_open_holds_nothing():
    model = make_small("resnet18")
    expected = predict(model)
    clip = torch.stack([PICTURE] * 3)
    open_ones = [model.predict_iter([PICTURE] * 3), model.predict_video(clip)]
    for generator in open_ones:
        next(generator)
        assert all(flags(model))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(predict, model).result(WAIT) == pytest.approx(expected, abs=1e-4)
        pool.submit(model.train).result(WAIT)
    assert all(flags(model))


@pytest.mark.parametrize("call", [predict, explain])
def test_an_error_leaves_the_mode(call, monkeypatch):
    model = make_small("ssd_resnet18")
    monkeypatch.setattr(type(model), "prepare", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(model)
    assert all(flags(model))


# Training meanwhile.


class Pictures(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return torch.rand(3, 32, 32, generator=generator), index % 3


def train(model, folder, **options):
    torch.manual_seed(0)
    return fit(
        model,
        Pictures(),
        epochs=2,
        batch_size=4,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01),
        out=folder,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


def test_fit_is_what_it_is_without_predictions(tmp_path):
    options = {"ema_decay": 0.9, "evaluate": lambda model, _: {"x": sum(predict(model))}}
    alone_model, model = make_small("resnet18"), make_small("resnet18")
    expected = train(alone_model, tmp_path / "alone", **options)
    done, counts = threading.Event(), [0, 0]

    def serve(number):
        while not done.is_set():
            assert sum(predict(model)) == pytest.approx(1, abs=1e-4)
            counts[number] += 1

    with ThreadPoolExecutor(2) as pool:
        serving = [pool.submit(serve, number) for number in range(2)]
        try:
            history = train(model, tmp_path / "meanwhile", **options)
        finally:
            done.set()
        for future in serving:
            future.result(WAIT)
    assert min(counts) > 0
    assert history.steps == expected.steps and history.epochs == expected.epochs
    state = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in alone_model.state_dict().items())


def test_train_and_eval_wait_for_predictions_at_hand():
    model = nn.Sequential(make_small("resnet18"))
    inside, leave, asked = (threading.Event() for _ in range(3))

    def hold(_):
        with evaluating(model):
            inside.set()
            assert leave.wait(WAIT)
            return flags(model)

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(hold, None)
        assert inside.wait(WAIT)
        asking = pool.submit(lambda: (asked.set(), model[0].train()))
        assert asked.wait(WAIT)
        time.sleep(0.05)
        assert not asking.done()
        leave.set()
        assert not any(held.result(WAIT))
        asking.result(WAIT)
    assert all(flags(model))


def test_whoever_wants_it_alone_gets_a_turn():
    """However many others keep coming, such as the threads of a busy server."""
    model, done = nn.Sequential(nn.Linear(2, 2)), threading.Event()

    def come():
        while not done.is_set():
            with evaluating(model):
                time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        coming = [pool.submit(come) for _ in range(4)]
        try:
            for _ in range(20):
                with alone(model):
                    assert flags(model) == [True, True]
                    with evaluating(model), alone(model), evaluating(model[0]):  # its own: no wait
                        assert flags(model) == [False, False]
        finally:
            done.set()
        for future in coming:
            future.result(WAIT)


def test_alone_with_every_model_lets_those_within_finish():
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    inside, wanted = threading.Event(), threading.Event()

    def nested():
        with evaluating(one):
            inside.set()
            assert wanted.wait(WAIT)
            time.sleep(0.05)
            with evaluating(other), alone(one):
                return flags(one) + flags(other)

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(nested)
        assert inside.wait(WAIT)
        wanted.set()
        with alone(None):
            assert found.result(WAIT) == [False, False]
            late = pool.submit(lambda: evaluating(one).__enter__())
            time.sleep(0.05)
            assert not late.done()
        late.result(WAIT)


# Deployment meanwhile.


def test_optimize_meanwhile():
    """torch's tracing replaces how every module is called, for all threads."""
    model, other = make_small("ssd_resnet18"), make_small("ssd_resnet18")
    expected, call = predict(other), nn.Module.__call__
    with ThreadPoolExecutor(4) as pool:
        optimizing = [pool.submit(fastcv.optimize, model) for _ in range(2)]
        while not all(future.done() for future in optimizing):
            for found in pool.map(predict, [other] * 2):
                assert found == pytest.approx(expected, abs=1e-3)
        for future in optimizing:
            assert predict(future.result()) == pytest.approx(expected, abs=1e-3)
    assert nn.Module.__call__ is call and all(flags(model) + flags(other))


def _nothing(module, inputs, output):
    pass


def test_optimize_copies_no_hook_of_a_prediction_at_hand():
    model, inside, leave = nn.Sequential(nn.Conv2d(3, 4, 1)), threading.Event(), threading.Event()

    def explained():
        with evaluating(model):
            handle = model[0].register_forward_hook(_nothing)
            inside.set()
            assert leave.wait(WAIT)
            handle.remove()

    with ThreadPoolExecutor(2) as pool:
        explaining = pool.submit(explained)
        assert inside.wait(WAIT)
        optimizing = pool.submit(fastcv.optimize, model)
        time.sleep(0.05)
        leave.set()
        explaining.result(WAIT)
        assert not any(m._forward_hooks for m in optimizing.result(WAIT).modules())
