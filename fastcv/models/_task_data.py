"""What the tasks' entries call: data sets to evaluate on, metrics, rows of results.

Each imports what it needs when it is called: an entry must not load torch.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcv.models._model import Model


def image_folder(classes: Sequence[str], root: str) -> Any:
    """The images with the model's labels, by the names of the folders.

    Raises:
        ValueError: a folder that no class of the model is called.
    """
    from fastcv.data import ImageFolder

    data = ImageFolder(root)
    label_of = {name: label for label, name in reversed(list(enumerate(classes)))}
    strange = [name for name in data.classes if name not in label_of]
    if strange:
        raise ValueError(
            f"{root} has a folder {strange[0]!r}, and the model has no such class: folders must "
            f"be named as its classes, such as {', '.join(map(repr, classes[:3]))}"
        )
    data.samples = [(path, label_of[data.classes[label]]) for path, label in data.samples]
    return data


def coco_boxes(classes: Sequence[str], images: str, annotations: str) -> Any:
    from fastcv.data import CocoDetection

    return _of_classes(classes, CocoDetection(images, annotations))


def coco_masks(classes: Sequence[str], images: str, annotations: str) -> Any:
    from fastcv.data import CocoDetection

    return _of_classes(classes, CocoDetection(images, annotations, masks=True))


def coco_panoptic(classes: Sequence[str], images: str, masks: str, annotations: str) -> Any:
    """Labels are the model's, by the classes' names."""
    from fastcv.data import CocoPanoptic, StuffFirst

    return StuffFirst(CocoPanoptic(images, masks, annotations), classes)


def coco_keypoints(classes: Sequence[str], images: str, annotations: str) -> Any:
    from fastcv.data import CocoDetection

    return _of_classes(classes, CocoDetection(images, annotations, keypoints=True))


def coco_surfaces(classes: Sequence[str], images: str, annotations: str) -> Any:
    from fastcv.data import CocoDensePose

    return _of_classes(classes, CocoDensePose(images, annotations))


def voc_boxes(classes: Sequence[str], root: str, image_set: str) -> Any:
    """Labels are the model's, by the objects' names."""
    from fastcv.data import VocDetection

    return VocDetection(root, image_set, classes=classes[1:])


def voc_masks(classes: Sequence[str], root: str, image_set: str) -> Any:
    from fastcv.data import VocSegmentation

    data = VocSegmentation(root, image_set)
    data.classes = names_in(root) or data.classes
    return _of_classes(classes, data)


def mask_folder(classes: Sequence[str], images: str, masks: str) -> Any:
    from fastcv.data import MaskFolder

    return _of_classes(classes, MaskFolder(images, masks, classes=names_in(masks)))


def question_folder(classes: Sequence[str], images: str, questions: str, annotations: str) -> Any:
    from fastcv.data import QuestionFolder

    return QuestionFolder(images, questions, annotations)


def caption_folder(classes: Sequence[str], images: str, captions: str) -> Any:
    from fastcv.data import CaptionFolder

    return CaptionFolder(images, captions)


def names_in(folder: str) -> tuple[str, ...]:
    """The names by label in a folder's ``classes.txt``, one a line; none where it has none."""
    path = Path(folder, "classes.txt")
    if not path.is_file():
        return ()
    return tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())


def _of_classes(classes: Sequence[str], data: Any) -> Any:
    """The data set, whose labels must mean what the model's do."""
    check_classes(classes, data.classes)
    return data


def check_classes(classes: Sequence[str], own: Sequence[str]) -> None:
    """That labels mean what the model's do.

    Args:
        classes: the model's names by label.
        own: the annotations'.

    Raises:
        ValueError: the first label whose names differ.
    """
    for label, name in enumerate(own):
        own = classes[label] if label < len(classes) else "not there"
        if label > 0 and name not in (own, "(unused)") and own != f"class {label}":
            raise ValueError(
                f"label {label} is {name!r} in the annotations and {own!r} in the model: the "
                "metrics would mean nothing"
            )


def evaluate_classifier(model: Model, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_classifier(model, data, **{"progress": True, **options})


def evaluate_detector(model: Model, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_detector(model, data, **options)


def evaluate_instances(model: Model, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_instances(model, data, **options)


def evaluate_panoptic(model: Model, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_panoptic(model, data, **{"progress": True, **options})


def evaluate_keypoints(model: Any, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_keypoints(model, data, **options)


def evaluate_faces(model: Any, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_faces(model, data, **options)


def evaluate_surfaces(model: Any, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_dense_correspondence(model, data, **options)


def evaluate_segmenter(model: Model, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_segmenter(model, data, **{"progress": True, **options})


def evaluate_answers(model: Any, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return dict(metrics.evaluate_answers(model, data, **{"progress": True, **options}))


def evaluate_captioner(model: Model, data: Any, options: dict[str, Any]) -> dict[str, Any]:
    from fastcv import metrics

    return metrics.evaluate_captioner(model, data, **{"progress": True, **options})


def row_of_classes(result: Any) -> dict[str, Any]:
    classes = result.to_dict()["classes"]
    return {
        "scores": [row["score"] for row in classes],
        "labels": [row["label"] for row in classes],
        "names": [row["name"] for row in classes],
    }


def row_of_objects(result: Any) -> dict[str, Any]:
    objects = result.to_dict()["detections"]
    return {
        "boxes": [row["box"] for row in objects],
        "scores": [row["score"] for row in objects],
        "labels": [row["label"] for row in objects],
        "names": [row["name"] for row in objects],
    }


def row_of_masks(result: Any) -> dict[str, Any]:
    """The masks are COCO's compressed RLE, of the picture's height and width."""
    return {**row_of_objects(result), "masks": [rle["counts"] for rle in result.rle()]}


def row_of_keypoints(result: Any) -> dict[str, Any]:
    """Of each object the keypoints one after the other: x, y, visibility, score."""
    objects = result.to_dict()["detections"]
    keypoints = [[x for point in row["keypoints"].values() for x in point] for row in objects]
    return {**row_of_objects(result), "keypoints": keypoints}


def row_of_surfaces(result: Any) -> dict[str, Any]:
    """I, U and V of all pixels are a PNG."""
    return {**row_of_objects(result), "iuv": result.iuv_png()}


def row_of_segments(result: Any) -> dict[str, Any]:
    """The ids of all pixels are a PNG, as COCO has it; a segment without a score has 1."""
    from fastcv.results._panoptic_files import id_image

    segments = result.to_dict()["segments"]
    file = io.BytesIO()
    id_image(result.segment_map).save(file, "PNG")
    return {
        "scores": [1.0 if row["score"] is None else row["score"] for row in segments],
        "labels": [row["label"] for row in segments],
        "names": [row["name"] for row in segments],
        "ids": [row["id"] for row in segments],
        "segment_map": file.getvalue(),
    }


def row_of_label_map(result: Any) -> dict[str, Any]:
    """The scores are the classes' shares of the pixels."""
    classes = result.to_dict()["classes"]
    file = io.BytesIO()
    result.label_image().save(file, "PNG")
    return {
        "scores": [row["share"] for row in classes],
        "labels": [row["label"] for row in classes],
        "names": [row["name"] for row in classes],
        "label_map": file.getvalue(),
    }


def row_of_picture(result: Any) -> dict[str, Any]:
    """The picture that was made is a PNG."""
    file = io.BytesIO()
    result.draw().save(file, "PNG")
    return {"picture": file.getvalue()}


def row_of_texts(result: Any) -> dict[str, Any]:
    """What was ranked: texts, or the names of files."""
    return {
        "texts": [result.name(i) for i in range(len(result))],
        "scores": result.scores.tolist(),
    }


def read_texts(path: str) -> list[str]:
    """The texts of a file, a line each; see ``fastcv.language.read_texts``."""
    from fastcv.language import read_texts as read

    return read(path)


def row_of_answers(result: Any) -> dict[str, Any]:
    answers = result.to_dict()["answers"]
    return {
        "question": result.question,
        "answers": [row["text"] for row in answers],
        "scores": [row["score"] for row in answers],
    }


def row_of_caption(result: Any) -> dict[str, Any]:
    """The sentence, and its log-probability."""
    return {"caption": result.text, "log_prob": result.log_prob}
