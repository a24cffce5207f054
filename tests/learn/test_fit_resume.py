"""A run that was stopped and goes on is the run that was not, to the bit."""

import signal

import pytest
import torch

from fastcv.learn import fit

pytestmark = pytest.mark.usefixtures("quick_curves")

# Whatever has a state or draws random numbers: dropout, augmentation, momentum, schedule, average.
OPTIONS = dict(dropout=0.3, accumulate=2, epochs=3)


class Breaks(Exception):
    pass


def same_files(a, b):
    """Whether two checkpoints hold the same, tensors to the bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_files(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_files, a, b))
    return a == b


def last(folder):
    return torch.load(folder / "last.pt", weights_only=True)


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    model, history = digits.train(folder, **OPTIONS)
    return folder, model.state_dict(), history


def at_step(digits, monkeypatch, step, act):
    """Have the model's loss do something in the middle of a step, once."""
    loss, done = digits.Classifier.loss, []

    def acts(self, output, targets):
        if self.batches == 2 * (step - 1) + 1 and not done:  # in the second part of the step
            done.append(True)
            act()
        return loss(self, output, targets)

    monkeypatch.setattr(digits.Classifier, "loss", acts)


def goes_on_as_whole(digits, folder, whole, **options):
    model, history = digits.train(folder, **{**OPTIONS, **options})
    assert history.steps == whole[2].steps and history.epochs == whole[2].epochs
    assert all(torch.equal(v, whole[1][k]) for k, v in model.state_dict().items())
    assert same_files(last(folder), last(whole[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [3, 8, 13])  # early, an epoch's last, in the second epoch
def test_signal(digits, whole, tmp_path, monkeypatch, step, number):
    before = signal.getsignal(number)
    at_step(digits, monkeypatch, step, lambda: signal.raise_signal(number))
    with pytest.raises(SystemExit, match=f"after step {step}; all is saved in .* same command"):
        digits.train(tmp_path, **OPTIONS)
    assert signal.getsignal(number) is before
    assert last(tmp_path)["position"] == ((step - 1) // 8, (step - 1) % 8 + 1)
    assert (tmp_path / "history.csv").read_text().count("\n") == 1 + step
    assert (tmp_path / "curves.png").exists()
    goes_on_as_whole(digits, tmp_path, whole)


def test_second_signal_strikes_at_once(digits, tmp_path, monkeypatch):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(digits, monkeypatch, 3, twice)
    # A shell starts what runs in its background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            digits.train(tmp_path, **OPTIONS)
    finally:
        signal.signal(signal.SIGINT, before)


def test_signal_with_workers(digits, whole, tmp_path, monkeypatch):
    at_step(digits, monkeypatch, 11, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit):
        digits.train(tmp_path, workers=1, **OPTIONS)
    goes_on_as_whole(digits, tmp_path, whole)


def test_crash_goes_on_from_save_every(digits, whole, tmp_path, monkeypatch):
    def crash():
        raise Breaks

    at_step(digits, monkeypatch, 15, crash)
    with pytest.raises(Breaks):
        digits.train(tmp_path, save_every=3, **OPTIONS)
    assert last(tmp_path)["position"] == (1, 6)
    goes_on_as_whole(digits, tmp_path, whole, save_every=3)


def test_mistake_in_evaluate_costs_no_epoch(digits, whole, tmp_path):
    def mistake(model, data):
        raise Breaks

    with pytest.raises(Breaks):
        digits.train(tmp_path, evaluate=mistake, **OPTIONS)
    assert last(tmp_path)["position"] == (0, 8)
    goes_on_as_whole(digits, tmp_path, whole)


def test_crash_while_writing_leaves_the_old(digits, whole, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def breaks_the_third_time(checkpoint, path):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise Breaks
        save(checkpoint, path)

    monkeypatch.setattr(torch, "save", breaks_the_third_time)
    with pytest.raises(Breaks):
        digits.train(tmp_path, **OPTIONS)
    assert last(tmp_path)["position"] == (1, 0)
    assert {f.name for f in tmp_path.iterdir()} == {"last.pt", "history.csv", "epochs.csv"}
    goes_on_as_whole(digits, tmp_path, whole)


def test_more_epochs_without_a_schedule(digits, tmp_path):
    _, straight = digits.train(tmp_path / "straight", scheduler=None, epochs=3)
    digits.train(tmp_path / "more", scheduler=None, epochs=1)
    _, more = digits.train(tmp_path / "more", scheduler=None, epochs=3)
    assert more.steps == straight.steps


def test_finished_run_is_not_run_again(digits, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(digits.Classifier, "loss", None)
    goes_on_as_whole(digits, whole[0], whole)


def test_resume_false_starts_anew(digits, tmp_path):
    digits.train(tmp_path, epochs=1, seed=5)
    _, history = digits.train(tmp_path, epochs=1, seed=6, resume=False)
    assert len(history.steps) == 8 and last(tmp_path)["settings"]["seed"] == 6


def test_best_is_remembered(digits, tmp_path, monkeypatch):
    values = iter([0.5, 0.9, 0.7, 0.8])
    options = dict(evaluate=lambda model, data: {"m": next(values)}, best="m", epochs=4)
    at_step(digits, monkeypatch, 10, lambda: signal.raise_signal(signal.SIGINT))  # 20 single parts
    with pytest.raises(SystemExit):
        digits.train(tmp_path, **options)
    third = (tmp_path / "best.safetensors").read_bytes()
    digits.train(tmp_path, **options)
    assert (tmp_path / "best.safetensors").read_bytes() == third
    assert last(tmp_path)["best"] == 0.9


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 64}, "batch_size was 32 and is now 64"),
        ({"seed": 1, "ema_decay": None}, "ema_decay was 0.95 and is now None"),
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"accumulate": 1}, "accumulate was 2 and is now 1"),
        ({"clip_norm": 2.0}, "clip_norm was 1.0 and is now 2.0"),
        ({"precision": "bf16-mixed"}, "precision was '32-true' and is now 'bf16-mixed'"),
        ({"epochs": 4}, "epochs was 3 and is now 4"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=0.2)}, "optimizer was .*0.1.* is now .*0.2"),
        ({"scheduler": None}, r"scheduler was \['MultiStepLR'\] and is now \[None\]"),
    ],
)
def test_other_settings(digits, whole, options, message):
    with pytest.raises(ValueError, match=f"cannot resume from .*last.pt.*{message}.*resume=False"):
        digits.train(whole[0], **{**OPTIONS, **options})


def test_other_data_and_model(digits, whole):
    with pytest.raises(ValueError, match=r"len\(train_data\) was 256 and is now 128"):
        digits.train(whole[0], train_data=digits.Digits(128), **OPTIONS)
    with pytest.raises(
        ValueError, match=r"model was 'Classifier with .* is now 'Toy with 9 weights'"
    ):
        fit(
            digits.Toy(),
            digits.toy_data(),
            epochs=1,
            batch_size=8,
            optimizer=dict.fromkeys(("mover", "judge"), digits.make_sgd),
            out=whole[0],
            devices="cpu",
            progress=False,
            tensorboard=False,
        )
