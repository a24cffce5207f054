"""The rows of a run as text, CSV and picture."""

import numpy as np
from PIL import Image

from fastcv.learn import History

STEPS = [
    {"epoch": 1 + i // 60, "step": i + 1, "lr": 0.1, "loss": 3 / (i + 1), "a": 2 / (i + 1)}
    for i in range(120)
]
EPOCHS = [{"epoch": 1, "step": 60, "AP": 0.3}, {"epoch": 2, "step": 120, "AP": 0.5, "late": 1.0}]


def drawn(path, history):
    history.draw(path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def colours(picture):
    """How many pixels are neither grey nor nearly so."""
    return (picture.max(2) - picture.min(2) > 60).sum()


def test_draws_what_there_is(tmp_path):
    whole = drawn(tmp_path / "a.png", History(STEPS, EPOCHS))
    losses = drawn(tmp_path / "b.png", History(STEPS))
    assert whole.shape[1] == losses.shape[1] * 3 // 2
    assert colours(losses) > 500 and colours(whole) > colours(losses)
    assert colours(drawn(tmp_path / "c.png", History())) == 0
    assert colours(drawn(tmp_path / "d.png", History(STEPS[:1]))) > 0


def test_writes(tmp_path):
    History(STEPS[:1], EPOCHS).write(tmp_path)
    assert (tmp_path / "history.csv").read_text().split() == [
        "epoch,step,lr,loss,a",
        "1,1,0.1,3.0,2.0",
    ]
    assert (tmp_path / "epochs.csv").read_text().split() == [
        "epoch,step,AP,late",
        "1,60,0.3,",
        "2,120,0.5,1.0",
    ]


def test_state():
    ragged = [*STEPS, {"epoch": 3, "step": 121, "b": 0.1}]
    state = History(ragged, EPOCHS).state()
    again = History.from_state(state)
    assert (again.steps, again.epochs) == (ragged, EPOCHS)
    assert [list(map(type, row.values())) for row in again.steps[-2:]] == [
        [int, int, float, float, float],
        [int, int, float],
    ]
    assert History.from_state(History().state()).steps == []


def test_repr():
    assert repr(History()) == "History(0 steps, 0 epochs evaluated)"
    players = History([{"epoch": 1, "step": 1, "g/loss": 2.0, "d/loss": 0.123456, "d/x": 1.0}])
    assert repr(players) == "History(1 step, 0 epochs evaluated; g/loss 2, d/loss 0.1235)"
