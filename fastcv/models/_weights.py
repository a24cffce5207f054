"""Weights: what is known of published ones, and reading, fitting and writing files of them."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fastcv._files import replacing
from fastcv.models._download import download

if TYPE_CHECKING:
    from fastcv.models._model import Model


@dataclass(frozen=True)
class Weights:
    """Published weights of a model.

    Args:
        name: such as ``"COCO_V1"``.
        url: where they are.
        sha256: the file's hash in hex, whole or its first 8 digits or more.
        classes: names by label.
        preprocessing: what ``prepare`` of the model reads.
        licence: of the weights.
        source: who published them, and where it is described.
        metric: what the publisher measured, in per cent, such as ``{"box mAP": 37.0}``.
        config: what the builder must be told for them, such as ``{"frozen_norm": True}``.
    """

    name: str
    url: str
    sha256: str
    classes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    source: str = ""
    metric: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A local file of weights, and what comes with them."""

    path: Path
    classes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def fetch(weights: str, published: Sequence[Weights], model: str) -> Source:
    """The file that ``weights`` means: a published name, ``"default"``, a path or a URL.

    A published file is known by its URL and by its own name, too, so that it comes with the same
    classes, preprocessing and config however it is asked for.

    Raises:
        ValueError: none of those, or a published file that is not what it should be.
        FileNotFoundError: it looks like a path, and is not there.
        ConnectionError: it cannot be downloaded.
    """
    path = Path(weights).expanduser()
    for w in published:
        named = weights == w.url or weights.lower() == w.name.lower()
        if named or (weights == "default" and w is published[-1]):
            return _as_published(download(w.url, w.sha256), w)
        if path.name == w.url.rpartition("/")[2] and path.is_file():
            return _as_published(path, w)
    if weights.startswith(("http://", "https://")):
        return _with_metadata(download(weights))
    if path.is_file():
        return _with_metadata(path)
    if path.suffix or os.sep in weights:
        raise FileNotFoundError(f"weights: there is no file {weights}")
    if not published:
        raise ValueError(f"weights: {model} has no published weights: pass a path or a URL")
    names = ", ".join(repr(w.name) for w in published)
    raise ValueError(f"weights must be a name, path or URL, got {weights!r}: {model} has {names}")


def _as_published(path: Path, w: Weights) -> Source:
    return Source(path, w.classes, w.preprocessing, w.config)


def _with_metadata(path: Path) -> Source:
    metadata = read_metadata(path)
    return Source(path, tuple(metadata.get("classes", ())), metadata.get("preprocessing", {}))


def read_metadata(path: Path) -> dict[str, Any]:
    """What ``save_model`` noted in a ``.safetensors``; empty for any other file."""
    if path.suffix != ".safetensors":
        return {}
    with _open_safetensors(path) as file:
        metadata = file.metadata() or {}
    known = ("model", "config", "classes", "preprocessing")
    return {key: json.loads(metadata[key]) for key in known if key in metadata}


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, or of any ``torch.save`` of a state dict.

    ``{"model": ...}``, ``{"state_dict": ...}`` and ``{"model_state_dict": ...}`` around it and
    ``module.`` before its keys are taken off, and what is no tensor beside the tensors.

    Raises:
        ValueError: it is no such file, or would run code when read.
    """
    if path.suffix == ".safetensors":
        with _open_safetensors(path) as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors, or is no checkpoint: only what torch loads with "
            "weights_only=True is read, for a pickle can run any code"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"{path} is no checkpoint that torch can read") from error
    for wrapper in ("state_dict", "model", "model_state_dict"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if isinstance(state, dict):
        for key in [key for key, value in state.items() if not isinstance(value, Tensor)]:
            del state[key]
    if not isinstance(state, dict) or not state:
        raise ValueError(f"{path} is no state dict: it must map names to tensors")
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def load_weights(model: Model, source: Source) -> None:
    """Puts a file's weights, classes and preprocessing into a model.

    Raises:
        ValueError: the keys or shapes are not the model's; the sentence names the first three.
    """
    name = model.model_name or type(model).__name__
    load_state_dict(model, model.read_checkpoint(source.path), f"{source.path} does not fit {name}")
    model.classes = source.classes or model.classes
    model.preprocessing = {**model.preprocessing, **source.preprocessing}


def load_state_dict(model: nn.Module, state: Mapping[str, Tensor], complaint: str) -> None:
    """``model.load_state_dict``, with a sentence for what does not fit.

    The model's own hooks decide what fits: they may rename or ignore keys. So what they report is
    shortened, not looked for again.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        report = str(error)
    else:
        return
    wrong = re.findall(r"size mismatch for (.+?): .*?Size\((.*?)\).*?Size\((.*?)\)", report)
    parts = {
        "missing": _keys_after("Missing key(s)", report),
        "unexpected": _keys_after("Unexpected key(s)", report),
        "wrong shape": [f"{key} is {got}, must be {expected}" for key, got, expected in wrong],
    }
    problems = [f"{kind}: {_first_three(keys)}" for kind, keys in parts.items() if keys]
    raise ValueError(f"{complaint}: {'; '.join(problems) or report}")


def _keys_after(title: str, text: str) -> list[str]:
    line = next((line for line in text.splitlines() if title in line), "")
    return re.findall(r'"([^"]+)"', line)


def _first_three(keys: list[str]) -> str:
    rest = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + rest


def save_model(path: str | os.PathLike[str], model: Model, *, half: bool = False) -> None:
    """Writes a ``.safetensors`` that ``load_model`` reads by itself.

    Args:
        path: where; written whole or not at all.
        model: made by ``create_model``; its name, config and classes go into the file.
        half: matrices and kernels as float16, half the size. Vectors stay: statistics and biases
            cost nothing and need the digits.

    Raises:
        ValueError: the model was not made by ``create_model``, or the path has another suffix.

    Example: see ``load_model``.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors, got {path.name!r}")
    if not model.model_name:
        raise ValueError("model must come from create_model, for its name is written too")
    metadata = {
        "model": model.model_name,
        "config": dict(model.model_config),
        "classes": list(model.classes),
        "preprocessing": dict(model.preprocessing),
    }
    try:
        noted = {key: json.dumps(value) for key, value in metadata.items()}
    except TypeError as error:
        raise ValueError(f"what describes the model must fit in JSON: {error}") from error
    tensors = {}
    for key, value in model.state_dict().items():
        shrink = half and value.is_floating_point() and value.ndim > 1
        # A copy each: safetensors refuses tensors that share memory.
        tensors[key] = value.to("cpu", torch.float16 if shrink else value.dtype, copy=True)
        tensors[key] = tensors[key].contiguous()
    with replacing(path) as temporary:
        # Not save_file, whose files only their owner can read.
        temporary.write_bytes(save(tensors, noted))


def _open_safetensors(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
