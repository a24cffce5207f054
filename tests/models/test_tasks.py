"""Walks the tasks' entries: each must be whole, and the command line must show all of it."""

import sys
from dataclasses import replace
from types import ModuleType

import pyarrow as pa
import pytest
import torch

import fastcv
from fastcv import cli
from fastcv.classes import KeypointSchema
from fastcv.cli import _options, _ray
from fastcv.models import Model, _tasks
from fastcv.models._registry import find_model
from fastcv.models._tasks import TASKS, Data, Files, Option, Task, task_of_result
from fastcv.results import (
    Answer,
    Audio,
    Caption,
    Classification,
    DenseCorrespondence,
    Detections,
    Faces,
    Generated,
    Instances,
    Keypoints,
    Panoptic,
    Ranking,
    Result,
    Segmentation,
    SoundClasses,
    SoundMap,
    Speech,
)

BOX = {
    "boxes": torch.tensor([[1.0, 2, 7, 5]]),
    "scores": torch.tensor([0.75]),
    "labels": torch.tensor([1]),
    "classes": ("background", "cat"),
    "image_size": (6, 8),
}
SAMPLES = {
    "classification": Classification(torch.tensor([0.25, 0.75]), ("dog", "cat")),
    "detection": Detections(**BOX),
    "segmentation": Segmentation(torch.tensor([[0, 1], [1, 1]]), ("background", "cat")),
    "instance": Instances(**BOX, masks=torch.ones(1, 6, 8, dtype=torch.bool)),
    "panoptic": Panoptic.from_map(
        torch.tensor([[1, 1, 2], [0, 3, 2]], dtype=torch.int32),
        {1: 0, 2: 1, 3: 1},
        ("grass", "cat"),
        (1,),
        scores={2: 0.75, 3: 0.5},
    ),
    "keypoints": Keypoints(
        **BOX,
        keypoints=torch.tensor([[[2.0, 3, 1], [6.0, 4, 1]]]),
        keypoint_scores=torch.tensor([[2.0, 1]]),
        schema=KeypointSchema(("tip", "end")),
    ),
    "densepose": DenseCorrespondence(**BOX, surfaces=(torch.ones(3, 3, 6),), charts=2),
    "faces": Faces(
        **BOX, keypoints=torch.tensor([[[2.0, 3, 1]] * 5]), keypoint_scores=torch.ones(1, 5)
    ),
    "translation": Generated(torch.rand(1, 3, 6, 8)),
    "text_to_image": Generated(torch.rand(2, 3, 6, 8), texts=("a cat", "a dog")),
    "generation": Generated(torch.rand(2, 3, 6, 8)),
    "matching": Ranking(torch.tensor([0.75]), torch.tensor([2]), texts=["a red seven"]),
    "vqa": Answer(torch.tensor([0.25, 0.75]), ("no", "yes"), "is it red?"),
    "sound": SoundClasses(
        Classification(torch.tensor([0.25, 0.75]), ("bee", "dog")),
        Classification(torch.tensor([0.75, 0.25]), ("park", "shop")),
    ),
    "sound_localization": SoundMap(torch.tensor([[0.25, 0.75]]), image_size=(6, 8)),
    "spoken_images": Ranking(torch.tensor([7.5]), torch.tensor([2]), texts=["a.wav"]),
    "captioning": Caption(("a", "cat"), torch.tensor([-0.5, -0.25, -0.125])),
    "speech": Speech(
        torch.zeros(512), 22_050, mel=torch.zeros(4, 2), alignment=torch.ones(2, 1), symbols=("a",)
    ),
    "separation": Audio(torch.zeros(800), 8000),
}
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def options_of(task):
    """All that a task brings to the command line."""
    return [
        *task.predict_options,
        *(files.option for files in task.files),
        *task.evaluate_options,
        *(data.option for data in task.data),
    ]


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


def sample(task):
    assert task.name in SAMPLES, f"SAMPLES in {__file__} needs a result of task {task.name!r}"
    return SAMPLES[task.name]


# Entries.


def test_names_are_given_once():
    for values in zip(*((t.name, t.title, t.models) for t in TASKS), strict=True):
        assert all(values) and len(set(values)) == len(values)


@every_task
def test_has_a_base_and_a_result(task):
    assert issubclass(_tasks._named(task.base), Model)
    assert issubclass(_tasks._named(task.result), Result)


@every_task
def test_has_models(task):
    assert fastcv.list_models(task.name)


@every_task
def test_the_default_model_has_weights(task):
    if task.default_model is not None:
        entry = find_model(task.default_model)
        assert entry.name == task.default_model and entry.task == task.name
        assert entry.weights


@every_task
def test_annotated_data_and_metrics_come_together(task):
    assert bool(task.data) == (task.evaluate is not None)
    assert task.data or not task.evaluate_options
    assert all(callable(data.open) for data in task.data)


@every_task
def test_a_result_is_its_tasks_own(task):
    assert task.has_result(sample(task))
    # Of generators nothing predicts: where a command has their result, a translator made it.
    first = {"generation": "translation", "text_to_image": "translation"}
    predicts = {**first, "spoken_images": "matching"}.get(task.name, task.name)
    assert task_of_result(sample(task)).name == predicts


@every_task
def test_a_row_has_the_columns(task):
    row = task.row(sample(task))
    assert row.keys() == task.columns.keys()
    for name, kind in task.columns.items():  # and Arrow takes them as what they are called
        assert pa.array([row[name]], type=_ray._arrow_type(pa, kind)).to_pylist() == [row[name]]


@every_task
def test_files_are_written_by_a_method_of_the_result(task):
    for files in task.files:
        assert files.suffix.startswith(".")
        assert callable(getattr(_tasks._named(task.result), files.save))


def test_a_flag_means_one_thing():
    meaning = {}
    for option in (option for task in TASKS for option in options_of(task)):
        assert option.flag.startswith("--")
        assert meaning.setdefault(option.flag, option) == option
    columns, defaults = {}, {}
    for task in TASKS:
        for known, own in ((columns, task.columns), (defaults, task.predict_defaults)):
            for name, value in own.items():
                assert known.setdefault(name, value) == value, f"{name} differs in {task.name}"


# The command line.


def test_help_fits_a_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = help_of(capsys).splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_help_shows_each_option(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "400")  # a line each
    shown = help_of(capsys, command).splitlines()
    for task in TASKS:
        brought = (
            [*task.predict_options, *(files.option for files in task.files)]
            if command == "predict"
            else [*task.evaluate_options, *(data.option for data in task.data)]
        )
        for option in brought:
            at = next(i for i, x in enumerate(shown) if x.lstrip().startswith(option.flag + " "))
            # The help of one with many values has a line of its own.
            assert any(line.endswith(option.help) for line in shown[at : at + 2])


def test_the_task_argument_names_the_default_models(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    shown = help_of(capsys, "predict")
    for task in TASKS:
        assert (f"{task.name} ({task.default_model})" in shown) == bool(task.default_model)


@pytest.fixture
def rhyming(monkeypatch):
    """A task that only this file knows, with one of each thing that a task can bring."""
    verb = ModuleType("fastcv.cli.rhyme")
    verb.HELP = "says what is in pictures"
    verb.add_arguments = lambda parser: parser.add_argument("--words", type=int)
    verb.run = lambda args: args.words
    monkeypatch.setitem(sys.modules, verb.__name__, verb)
    task = Task(
        name="rhyming",
        title="Rhymes",
        models="rhymers",
        base=TASKS[0].base,
        result=TASKS[0].result,
        default_model="rhymer",
        predict_options=(Option("--beams", "sentences at a time", {"type": int}),),
        predict_defaults={"beams": 3},
        evaluate_options=(Option("--longest", "words of a sentence", {"type": int}),),
        files=(Files(Option("--rhymes", "texts"), ".txt", "save_text", "texts", "none"),),
        data=(Data(Option("--sentences", "pictures and texts"), lambda classes, path: path),),
        evaluate=lambda model, data, options: {"of": data, **options},
        columns={"rhyme": "string"},
        verbs=(verb.__name__,),
    )
    monkeypatch.setattr(_tasks, "TASKS", (*TASKS, task))
    return task


def test_an_entry_is_enough_for_a_new_task(rhyming, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert "Rhymes:\n  rhyme        says what is in pictures\n" in help_of(capsys)
    predict, evaluate = help_of(capsys, "predict"), help_of(capsys, "evaluate")
    assert "rhyming (rhymer)" in predict
    for shown, flags in (
        (predict, ("--beams", "--rhymes")),
        (evaluate, ("--longest", "--sentences")),
    ):
        assert all(flag in shown for flag in flags)
    assert cli.main(["rhyme", "--words", "5"]) == 5


@pytest.mark.parametrize("title", list(dict.fromkeys(c.CHAPTER for c in cli.COMMANDS)))
def test_a_task_with_the_title_of_a_chapter_adds_to_it(title, rhyming, capsys, monkeypatch):
    other = replace(rhyming, title=title)
    monkeypatch.setattr(_tasks, "TASKS", (*TASKS, other))
    shown = help_of(capsys)
    for command in cli.COMMANDS:
        assert f"  {command.__name__.rpartition('.')[2]:12} {command.HELP}\n" in shown
    chapter = shown.partition(f"{title}:\n")[2].partition("\n\n")[0]
    assert chapter.endswith("\n  rhyme        says what is in pictures")
    assert cli.main(["rhyme", "--words", "5"]) == 5


class Rhymer(Model):
    """Takes the option that its task brings."""

    model_name = "rhymer"

    def predict_options(self):
        return ["beams", "longest"]


def test_commands_know_what_a_new_task_brings(rhyming, capsys, monkeypatch):
    parse = cli.make_parser().parse_args
    args = parse(["predict", "a.png", "--beams", "7"])
    assert _options.given_to_predict(args) == {"beams": 7}
    assert _options.options_for(Rhymer(), {}) == {"beams": 3}
    assert _options.options_for(Rhymer(), {"beams": 7}) == {"beams": 7}
    assert _ray._columns()["rhyme"] == "string"
    monkeypatch.setattr("fastcv.cli.evaluate.load", lambda *_: Rhymer())
    monkeypatch.setattr(_tasks.Task, "has_model", lambda self, model: self.name == "rhyming")
    assert cli.main(["evaluate", "--model", "m", "--sentences", "here", "--longest", "9"]) == 0
    assert capsys.readouterr().out == "longest              9\n"
    assert cli.main(["evaluate", "--model", "m", "--coco", "a", "b", "--longest", "9"]) == 2
    assert "--longest are of rhymers: --sentences" in capsys.readouterr().err
