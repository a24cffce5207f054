"""How long, in what batches and how fast, where nobody says; what a task's module must have."""

import pytest

from fastcv.learn.own_data._plan import Plan, make_plan
from fastcv.models._tasks import TASKS

LEARNS = [task for task in TASKS if task.training is not None]


@pytest.mark.parametrize("task", LEARNS, ids=lambda task: task.name)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 30, 180, 5000, 10**6])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_plan_can_be_run(task, n, processes):
    if n < processes:
        return
    nothing = dict.fromkeys(("epochs", "batch_size", "lr"))
    plan = make_plan(task.training, n, processes=processes, from_weights=False, **nothing)
    assert 12 <= plan.epochs <= 100
    assert processes <= plan.batch_size <= n and plan.batch_size % processes == 0
    assert plan.lr == pytest.approx(
        task.training.lr * (plan.batch_size / task.training.batch_size) ** 0.5
    )
    tuned = make_plan(task.training, n, processes=processes, from_weights=True, **nothing)
    assert tuned.lr == plan.lr / 2 and tuned.epochs <= plan.epochs
    given = {"epochs": 3, "batch_size": 6, "lr": 0.5}
    assert make_plan(task.training, n, processes=processes, from_weights=True, **given) == (
        type(plan)(**given)
    )


@pytest.mark.parametrize("task", LEARNS, ids=lambda task: task.name)
def test_a_module_has_what_training_calls(task):
    module = __import__(task.training.module, fromlist=["truth"])
    assert set(module.AUGMENT) == set(task.training.augment)
    for name in ("config", "examples", "truth", *(data.own for data in task.data)):
        assert callable(getattr(module, name))


def test_a_plan_in_words():
    assert str(Plan(1, 8, 0.001)).startswith(
        "1 epoch in batches of 8; AdamW up to a rate of 0.001 "
    )
    assert str(Plan(12, 8, 0.001)).startswith("12 epochs in batches of 8; ")
