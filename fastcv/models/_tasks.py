"""The tasks, an entry each: all that the commands, the docs and the tests know of one.

Nothing here loads torch: the command line reads the entries before it knows what to do.
"""

from __future__ import annotations

import argparse
import importlib
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastcv.models import _task_data as annotated

if TYPE_CHECKING:
    from fastcv.models._model import Model
    from fastcv.results import Result


@dataclass(frozen=True)
class Option:
    """An argument of the command line that a task brings.

    Args:
        flag: such as ``"--tile"``; ``predict`` takes it by the same name.
        help: for people.
        settings: what else argparse's ``add_argument`` takes.
        missing: what is told of a model whose ``predict`` does not take it; by default that.
    """

    flag: str
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""

    @property
    def name(self) -> str:
        """As ``predict`` and the parsed arguments have it."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Files:
    """Files that ``fastcv predict`` writes for each picture, beside drawings.

    Args:
        option: of which the value is a file or a folder.
        suffix: of the files.
        save: the result's method that writes one.
        content: what is in them, as in "rows hold the label maps".
        missing: what is told of a model of another task.
    """

    option: Option
    suffix: str
    save: str
    content: str
    missing: str


@dataclass(frozen=True)
class Data:
    """A way to name annotated pictures on the command line of ``fastcv evaluate`` and ``train``.

    Args:
        option: of which the values say where they are.
        open: makes the data set of the model's class names and those values.
        own: the function of the task's ``Training.module`` that opens them to train on, with
            classes of their own; None: they only evaluate.
    """

    option: Option
    open: Callable[..., Any]
    own: str | None = None

    @property
    def values(self) -> int:
        """How many values the option has."""
        return int(self.option.settings.get("nargs", 1))


@dataclass(frozen=True)
class Training:
    """How a task's models learn from somebody's own pictures.

    Args:
        module: has the functions that ``Data.own`` names, ``AUGMENT``, ``config``, ``examples``
            and ``truth``: ``fastcv.learn.own_data.boxes`` is one to begin from.
        best: the metric by which the best weights are kept; greater is better.
        batch_size: where none is asked for.
        lr: AdamW's learning rate at that batch size, of a model with random weights.
        augment: the names of ways to change pictures, the default first.
        base: the full name of the class of the task's models that learn so; empty: all do.
    """

    module: str
    best: str
    batch_size: int
    lr: float
    augment: Sequence[str] = ("flip", "none", "color", "strong")
    base: str = ""

    def takes_model(self, name: str) -> bool:
        """Whether a model learns so."""
        from fastcv.models._registry import find_model

        made = typing.get_type_hints(find_model(name).build).get("return", object)
        return not self.base or issubclass(made, _named(self.base))


@dataclass(frozen=True)
class Task:
    """What is known of a task.

    Args:
        name: as ``register(..., task=name)`` has it.
        title: a heading.
        chapter: a heading of several tasks, where README and ``fastcv --help`` list this one; by
            default its own.
        models: what its models are called, as in "--tile is of segmenters".
        base: the full name of the models' base class.
        result: the full name of what ``predict`` returns.
        default_model: of ``--task``, with published weights; None where there is none.
        predict_options: arguments of ``fastcv predict``.
        predict_defaults: what the commands ask of ``predict`` unless they are told otherwise.
        evaluate_options: arguments of ``fastcv evaluate``.
        files: what else ``fastcv predict`` can write.
        data: annotated pictures that evaluate it.
        evaluate: ``(model, data, options) -> metrics``; options are some of ``evaluate_options``,
            and ``progress`` where bars are or are not wanted.
        training: how its models learn from ``data``, where they can.
        columns: of a row of results, by name, as Arrow's types.
        row: a result's values for them.
        verbs: modules of commands of its own, such as ``"fastcv.cli.caption"``.
    """

    name: str
    title: str
    models: str
    base: str
    result: str
    default_model: str | None = None
    predict_options: Sequence[Option] = ()
    predict_defaults: Mapping[str, Any] = field(default_factory=dict)
    evaluate_options: Sequence[Option] = ()
    files: Sequence[Files] = ()
    data: Sequence[Data] = ()
    evaluate: Callable[[Model, Any, dict[str, Any]], dict[str, Any]] | None = None
    training: Training | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    row: Callable[[Result], dict[str, Any]] = lambda result: {}
    verbs: Sequence[str] = ()
    chapter: str = ""

    @property
    def heading(self) -> str:
        """The chapter, or the title of a task that is one by itself."""
        return self.chapter or self.title

    def has_model(self, model: Any) -> bool:
        """Whether a model is of this task."""
        return isinstance(model, _named(self.base))

    def has_result(self, result: Any) -> bool:
        """Whether a result is this task's."""
        return isinstance(result, _named(self.result))

    def takes(self, flag: str) -> bool:
        """Whether ``flag`` names annotated pictures that evaluate it."""
        return any(data.option.flag == flag for data in self.data)


def task_of_result(result: Any) -> Task:
    """The task whose result this is, of several the most special.

    Raises:
        TypeError: no task's.
    """
    found = [task for task in TASKS if task.has_result(result)]
    if not found:
        raise TypeError(f"no task has results of type {type(result).__name__}")
    return max(found, key=lambda task: len(_named(task.result).__mro__))


def task_of_model(name: str) -> Task:
    """The task of a model's name.

    Raises:
        ValueError: there is no such model, or its task has no entry.
    """
    from fastcv.models._registry import find_model

    entry = find_model(name)
    for task in TASKS:
        if task.name == entry.task:
            return task
    raise ValueError(f"{entry.name} is a model of {entry.task}, which is no task of the commands")


def verb_name(module: str) -> str:
    """What a command is called, of its module's name: ``locate-sound`` of ``….locate_sound``."""
    return module.rpartition(".")[2].replace("_", "-")


def _named(name: str) -> type:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def positive(text: str) -> int:
    """argparse's type of a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def numbers(text: str) -> list[float]:
    """argparse's type of numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them, got {text!r}"
        ) from None


def lines(path: str) -> list[str]:
    """argparse's type of a file of texts, a line each."""
    try:
        return annotated.read_texts(path)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


CLIPS = "video"
"""What ``--task`` says of clips. It is no task: any model of pictures takes clips as well."""
CLIP_MODEL = "maskrcnn_resnet50_fpn"  # of --task video where no model is named
SCORE_THRESHOLD = 0.5  # for people who look; evaluation keeps lower scores

THRESHOLD = Option(
    "--score-threshold",
    f"leave out what is less sure (default {SCORE_THRESHOLD})",
    {"type": float, "metavar": "X"},
    missing="scores every class, it has none",
)
VIEWS = (
    Option(
        "--tile",
        "large pictures: in overlapping tiles of N x N pixels, a multiple of 32",
        {"type": positive, "metavar": "N"},
    ),
    Option("--overlap", "of tiles; by default a quarter", {"type": int, "metavar": "N"}),
    Option(
        "--scales",
        "average over sizes, such as 0.75,1,1.25",
        {"type": numbers, "metavar": "X,Y,.."},
    ),
    Option(
        "--flip",
        "average with the mirrored picture",
        {"action": "store_true", "default": None},
    ),
)
MODE = Option(
    "--mode",
    "eval, or paper: dropout and each picture's own statistics, as pix2pix tests",
    {"choices": ("eval", "paper")},
)
SEED = Option("--seed", "of dropout in --mode paper", {"type": int, "metavar": "N"})
PASSWORD = Option(
    "--password",
    "of face_identity_transformer: its bits, as 0110100110010110; swap 0 and 1 to recover",
    {"metavar": "BITS"},
    missing="takes no password",
)
FOLDER = Option(
    "--folder", "for a classifier: a folder of images for each class", {"metavar": "ROOT"}
)
COCO = Option("--coco", "COCO's format", {"nargs": 2, "metavar": ("IMAGES", "JSON")})
VOC = Option(
    "--voc",
    "PASCAL VOC's, .../VOC2007 test: boxes, or label maps for a segmenter",
    {"nargs": 2, "metavar": ("ROOT", "SET")},
)
MASKS = Option(
    "--masks",
    "for a segmenter: a folder of images, and one of label maps (.png) of the same names",
    {"nargs": 2, "metavar": ("IMAGES", "MASKS")},
)
COCO_PANOPTIC = Option(
    "--coco-panoptic",
    "COCO's panoptic format: a folder of images, one of PNGs of ids, and the JSON",
    {"nargs": 3, "metavar": ("IMAGES", "MASKS", "JSON")},
)
VQA = Option(
    "--vqa",
    "VQA's format: a folder of images, the JSON of questions, and the one of answers",
    {"nargs": 3, "metavar": ("IMAGES", "QUESTIONS", "ANNOTATIONS")},
)
CAPTIONS = Option(
    "--captions",
    "for a captioner: a folder of images, and captions as COCO's or Karpathy's JSON or as CSV",
    {"nargs": 2, "metavar": ("IMAGES", "FILE")},
)
DECODING = (
    Option(
        "--method",
        "of captioners: greedy (default), beam or sample",
        {"choices": ("greedy", "beam", "sample")},
        missing="writes no sentences",
    ),
    Option(
        "--beam-size",
        "of --method beam (default 3)",
        {"type": positive, "metavar": "N"},
        missing="writes no sentences",
    ),
    Option(
        "--max-words",
        "a caption of so many words ends there (default 50)",
        {"type": positive, "metavar": "N"},
        missing="writes no sentences",
    ),
)
TEXTS = Option(
    "--texts",
    "of a joint embedding: a file of texts, a line each, to be ranked for each picture",
    {"type": lines, "metavar": "FILE"},
    missing="matches no texts",
)
OBJECTS = {
    "boxes": "list<list<float>[4]>",
    "scores": "list<float>",
    "labels": "list<int64>",
    "names": "list<string>",
}
CLASSES = {name: OBJECTS[name] for name in ("scores", "labels", "names")}

TASKS = (
    Task(
        name="classification",
        title="Classification",
        models="classifiers",
        base="fastcv.models.classification._classifier.Classifier",
        result="fastcv.results.Classification",
        default_model="resnet50",
        data=(Data(FOLDER, annotated.image_folder, own="folder"),),
        evaluate=annotated.evaluate_classifier,
        training=Training("fastcv.learn.own_data.classes", "acc@1", batch_size=32, lr=1e-3),
        columns=CLASSES,
        row=annotated.row_of_classes,
    ),
    Task(
        name="detection",
        title="Detection",
        models="detectors",
        base="fastcv.models.detection._detector.Detector",
        result="fastcv.results.Detections",
        default_model="fasterrcnn_resnet50_fpn",
        predict_options=(THRESHOLD,),
        predict_defaults={"score_threshold": SCORE_THRESHOLD},
        data=(
            Data(COCO, annotated.coco_boxes, own="coco"),
            Data(VOC, annotated.voc_boxes, own="voc"),
        ),
        evaluate=annotated.evaluate_detector,
        training=Training("fastcv.learn.own_data.boxes", "AP", batch_size=8, lr=1e-3),
        columns=OBJECTS,
        row=annotated.row_of_objects,
    ),
    Task(
        name="segmentation",
        title="Segmentation",
        models="segmenters",
        base="fastcv.models.segmentation._segmenter.Segmenter",
        result="fastcv.results.Segmentation",
        default_model="deeplabv3_resnet50",
        predict_options=VIEWS,
        predict_defaults={"keep_scores": False},
        evaluate_options=VIEWS,
        files=(
            Files(
                Option("--labels", "label maps as PNGs with a palette", {"metavar": "PATH"}),
                ".png",
                "save_labels",
                "the label maps",
                missing="does not segment, it has no label maps",
            ),
        ),
        data=(
            Data(MASKS, annotated.mask_folder, own="masks"),
            Data(VOC, annotated.voc_masks, own="voc"),
        ),
        evaluate=annotated.evaluate_segmenter,
        training=Training("fastcv.learn.own_data.label_maps", "miou", batch_size=16, lr=2e-3),
        columns={**CLASSES, "label_map": "binary"},
        row=annotated.row_of_label_map,
    ),
    Task(
        name="instance",
        title="Instance segmentation",
        models="instance segmenters",
        base="fastcv.models.instance._instance_segmenter.InstanceSegmenter",
        result="fastcv.results.Instances",
        default_model="maskrcnn_resnet50_fpn",
        predict_options=(THRESHOLD,),
        predict_defaults={"score_threshold": SCORE_THRESHOLD},
        data=(Data(COCO, annotated.coco_masks, own="coco"),),
        evaluate=annotated.evaluate_instances,
        training=Training(
            "fastcv.learn.own_data.masks",
            "AP",
            batch_size=8,
            lr=1e-3,
            base="fastcv.models.detection._detector.Detector",
        ),
        columns={**OBJECTS, "masks": "list<string>"},
        row=annotated.row_of_masks,
    ),
    Task(
        name="panoptic",
        title="Panoptic segmentation",
        models="panoptic segmenters",
        base="fastcv.models.panoptic._panoptic_segmenter.PanopticSegmenter",
        result="fastcv.results.Panoptic",
        files=(
            Files(
                Option(
                    "--panoptic", "segments as PNGs of ids with JSON, COCO's", {"metavar": "PATH"}
                ),
                ".png",
                "save_segments",
                "the segments",
                missing="is no panoptic segmenter, it has no segments",
            ),
        ),
        data=(Data(COCO_PANOPTIC, annotated.coco_panoptic),),
        evaluate=annotated.evaluate_panoptic,
        columns={**CLASSES, "ids": "list<int64>", "segment_map": "binary"},
        row=annotated.row_of_segments,
    ),
    Task(
        name="keypoints",
        title="Keypoints",
        chapter="Landmarks",
        models="keypoint detectors",
        base="fastcv.models.landmarks._keypoint_detector.KeypointDetector",
        result="fastcv.results.Keypoints",
        default_model="keypointrcnn_resnet50_fpn",
        predict_options=(THRESHOLD,),
        predict_defaults={"score_threshold": SCORE_THRESHOLD},
        data=(Data(COCO, annotated.coco_keypoints, own="coco"),),
        evaluate=annotated.evaluate_keypoints,
        training=Training(
            "fastcv.learn.own_data.keypoints",
            "AP",
            batch_size=8,
            lr=1e-3,
            base="fastcv.models.detection._detector.Detector",
        ),
        columns={**OBJECTS, "keypoints": "list<list<float>>"},
        row=annotated.row_of_keypoints,
    ),
    Task(
        name="faces",
        title="Faces",
        chapter="Landmarks",
        models="face detectors",
        base="fastcv.models.landmarks._face_detector.FaceDetector",
        result="fastcv.results.Faces",
        default_model="retinaface_mobilenet025",
        predict_options=(THRESHOLD,),
        predict_defaults={"score_threshold": SCORE_THRESHOLD},
        data=(Data(COCO, annotated.coco_keypoints),),
        evaluate=annotated.evaluate_faces,
        columns={**OBJECTS, "keypoints": "list<list<float>>"},
        row=annotated.row_of_keypoints,
    ),
    Task(
        name="densepose",
        title="Dense correspondence",
        chapter="Landmarks",
        models="models of dense pose",
        base="fastcv.models.landmarks._dense_pose_detector.DensePoseDetector",
        result="fastcv.results.DenseCorrespondence",
        predict_options=(THRESHOLD,),
        predict_defaults={"score_threshold": SCORE_THRESHOLD},
        files=(
            Files(
                Option("--iuv", "I, U and V of each pixel as PNGs", {"metavar": "PATH"}),
                ".png",
                "save_iuv",
                "I, U and V",
                missing="knows no surfaces, it has no I, U and V",
            ),
        ),
        data=(Data(COCO, annotated.coco_surfaces),),
        evaluate=annotated.evaluate_surfaces,
        columns={**OBJECTS, "iuv": "binary"},
        row=annotated.row_of_surfaces,
    ),
    Task(
        # Before generation, whose results are the same: of the two, only these models predict.
        name="translation",
        title="Image translation",
        chapter="Generation",
        models="translators",
        base="fastcv.models.generative._translator.ImageTranslator",
        result="fastcv.results.Generated",
        predict_options=(*VIEWS[:2], MODE, SEED, PASSWORD),
        columns={"picture": "binary"},
        row=annotated.row_of_picture,
        verbs=("fastcv.cli.translate", "fastcv.cli.superres", "fastcv.cli.style"),
    ),
    Task(
        name="text_to_image",
        title="Text to image",
        chapter="Language",
        models="models of text to image",
        base="fastcv.models.language._text_to_image.TextToImage",
        result="fastcv.results.Generated",
        verbs=("fastcv.cli.imagine",),
    ),
    Task(
        name="generation",
        title="Generation",
        models="generators",
        base="fastcv.models.generative._generator.Generator",
        result="fastcv.results.Generated",
        verbs=("fastcv.cli.generate",),
    ),
    Task(
        name="matching",
        title="Pictures and texts",
        chapter="Language",
        models="joint embeddings",
        base="fastcv.models.language._joint_embedding.JointEmbedding",
        result="fastcv.results.Ranking",
        predict_options=(TEXTS,),
        columns={"texts": "list<string>", "scores": "list<float>"},
        row=annotated.row_of_texts,
        verbs=("fastcv.cli.search",),
    ),
    Task(
        name="vqa",
        title="Visual question answering",
        chapter="Language",
        models="question answerers",
        base="fastcv.models.language._question_answerer.QuestionAnswerer",
        result="fastcv.results.Answer",
        data=(Data(VQA, annotated.question_folder),),
        evaluate=annotated.evaluate_answers,
        columns={"question": "string", "answers": "list<string>", "scores": "list<float>"},
        row=annotated.row_of_answers,
        verbs=("fastcv.cli.ask",),
    ),
    Task(
        name="captioning",
        title="Captioning",
        chapter="Language",
        models="captioners",
        base="fastcv.models.language._captioner.Captioner",
        result="fastcv.results.Caption",
        predict_options=DECODING,
        evaluate_options=DECODING,
        files=(
            Files(
                Option("--attention", "where was looked at each word", {"metavar": "PATH"}),
                ".png",
                "save_attention",
                "strips of where was looked at each word",
                missing="writes no sentences, it has no attention",
            ),
        ),
        data=(Data(CAPTIONS, annotated.caption_folder),),
        evaluate=annotated.evaluate_captioner,
        columns={"caption": "string", "log_prob": "float"},
        row=annotated.row_of_caption,
        verbs=("fastcv.cli.caption",),
    ),
    Task(
        name="sound",
        title="Sounds",
        chapter="Audio",
        models="sound networks",
        base="fastcv.models.audio.soundnet.SoundNet",
        result="fastcv.results.SoundClasses",
    ),
    Task(
        name="sound_localization",
        title="Sound localisation",
        chapter="Audio",
        models="sound localizers",
        base="fastcv.models.audio._localizer.SoundLocalizer",
        result="fastcv.results.SoundMap",
        verbs=("fastcv.cli.locate_sound",),
    ),
    Task(
        name="speech",
        title="Speech",
        chapter="Audio",
        models="voices",
        base="fastcv.models.audio._speaker.Speaker",
        result="fastcv.results.Speech",
        verbs=("fastcv.cli.speak",),
    ),
    Task(
        name="separation",
        title="Speech separation",
        chapter="Audio",
        models="separators of voices",
        base="fastcv.models.audio._separator.VoiceSeparator",
        result="fastcv.results.Audio",
        verbs=("fastcv.cli.separate",),
    ),
    Task(
        name="spoken_images",
        title="Pictures and speech",
        chapter="Audio",
        models="embeddings of pictures and speech",
        base="fastcv.models.audio.resdavenet_vq.ResDAVEnetVQ",
        result="fastcv.results.Ranking",
        verbs=("fastcv.cli.listen",),
    ),
)
