"""Weights: what is known of published ones, and reading, fitting and writing files of them."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
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
        return _with_metadata(download(weights), model)
    if path.is_file():
        return _with_metadata(path, model)
    if path.suffix or os.sep in weights:
        raise FileNotFoundError(f"weights: there is no file {weights}")
    if not published:
        raise ValueError(f"weights: {model} has no published weights: pass a path or a URL")
    names = ", ".join(repr(w.name) for w in published)
    raise ValueError(f"weights must be a name, path or URL, got {weights!r}: {model} has {names}")


def _as_published(path: Path, w: Weights) -> Source:
    return Source(path, w.classes, w.preprocessing, w.config)


def _with_metadata(path: Path, model: str) -> Source:
    metadata = read_metadata(path)
    return Source(
        path,
        tuple(metadata.get("classes", ())),
        metadata.get("preprocessing", {}),
        metadata.get("config", {}) if metadata.get("model") == model else {},
    )


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

    ``{"model": ...}``, ``{"state_dict": ...}`` and ``{"model_state_dict": ...}`` around it are
    taken off, ``_orig_mod.`` in its keys, and what is no tensor beside the tensors.

    Raises:
        ValueError: it is no such file, or would run code when read.
    """
    if path.suffix == ".safetensors":
        with _open_safetensors(path) as file:
            return {own_key(key): file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
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
    if not isinstance(state, dict) or not state or not all(isinstance(key, str) for key in state):
        raise ValueError(f"{path} is no state dict: it must map names to tensors")
    return {own_key(key): value for key, value in state.items()}


def own_key(key: str) -> str:
    """Without what ``torch.compile`` puts before the keys of what it compiled, whole or a part."""
    return key.replace("_orig_mod.", "")


def load_weights(model: Model, source: Source) -> None:
    """Puts a file's weights, classes and preprocessing into a model.

    Raises:
        ValueError: the keys or shapes are not the model's; the sentence names the first three.
    """
    _, misfits = try_prefixes(model, model.read_checkpoint(source.path))
    if misfits is not None:
        raise ValueError(f"{complaint(model, source)}: {misfits}")
    model.classes = source.classes or model.classes
    model.preprocessing = {**model.preprocessing, **source.preprocessing}


def complaint(model: Model, source: Source) -> str:
    """How the sentence about weights that do not fit begins."""
    return f"{source.path} does not fit {model.model_name or type(model).__name__}"


@dataclass(frozen=True)
class Misfits:
    """Why a state dict does not load: keys, and for those of another shape ``[got, expected]``."""

    missing: list[str]
    unexpected: list[str]
    wrong_shape: dict[str, list[list[int]]]
    report: str

    @classmethod
    def of(cls, report: str) -> Misfits:
        """What torch reports.

        The model's own hooks decide what fits: they may rename or ignore keys. So what they report
        is shortened, not looked for again.
        """
        wrong = re.findall(
            r"size mismatch for (.+?): .*?Size\(\[(.*?)\]\).*?Size\(\[(.*?)\]\)", report
        )
        shapes = {key: [json.loads(f"[{numbers}]") for numbers in sizes] for key, *sizes in wrong}
        return cls(
            _keys_after("Missing key(s)", report),
            _keys_after("Unexpected key(s)", report),
            shapes,
            report,
        )

    def __str__(self) -> str:
        parts = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "wrong shape": [
                f"{key} is {got}, must be {expected}"
                for key, (got, expected) in self.wrong_shape.items()
            ],
        }
        problems = [f"{kind}: {_first_three(keys)}" for kind, keys in parts.items() if keys]
        return "; ".join(problems) or " ".join(self.report.split())


def try_prefixes(
    model: nn.Module, state: Mapping[str, Tensor], *, assign: bool = False
) -> tuple[Mapping[str, Tensor], Misfits | None]:
    """Loads a state dict, without a prefix that all keys share where it fits so.

    Whoever holds the model as a part saves its keys with that part's name: ``module.`` of
    ``DataParallel``, ``model.`` of many a ``LightningModule``. What the holder has beside it, such
    as the ``n_averaged`` of ``AveragedModel`` or a loss with weights, is left out where just one
    part is all of the model.

    Args:
        assign: as of ``load_state_dict``.

    Returns:
        The keys as they fit best, and what does not fit even so; None: all is loaded.
    """
    tried = []
    for candidate in _without_prefixes(state):
        misfits = _load(model, candidate, assign)
        if misfits is None:
            return candidate, None
        tried.append((candidate, misfits))
    whole = []
    for part in _parts(candidate):
        misfits = _load(model, part, assign)
        if misfits is None:
            whole.append(part)
        elif not misfits.missing and not misfits.unexpected:  # of other classes, perhaps
            tried.append((part, misfits))
    if len(whole) == 1:
        _load(model, whole[0], assign)  # again: other parts have left some of their tensors
        return whole[0], None
    return min(tried, key=lambda pair: len(pair[1].missing) + len(pair[1].unexpected))


def _load(model: nn.Module, state: Mapping[str, Tensor], assign: bool) -> Misfits | None:
    try:
        model.load_state_dict(state, assign=assign)
    except RuntimeError as error:
        return Misfits.of(str(error))
    return None


def _without_prefixes(state: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """As it is, without the part of the name that all keys begin with, without the next, ..."""
    yield state
    while len({key.partition(".")[0] for key in state}) == 1 and all("." in key for key in state):
        state = {key.partition(".")[2]: value for key, value in state.items()}
        yield state


def _parts(state: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
    """What has one first name each, without it; none where all have the same."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        first, _, rest = key.partition(".")
        if rest:
            parts.setdefault(first, {})[rest] = value
    return list(parts.values()) if len(state) > max(map(len, parts.values()), default=0) else []


def load_state_dict(model: nn.Module, state: Mapping[str, Tensor], complaint: str) -> None:
    """``model.load_state_dict``, with a sentence for what does not fit."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{complaint}: {Misfits.of(str(error))}") from None


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
        model: made by ``create_model``; its name, config and classes go into the file. It may be
            wrapped by ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel``.
        half: matrices and kernels as float16, half the size. Vectors stay: statistics and biases
            cost nothing and need the digits.

    Raises:
        ValueError: the model was not made by ``create_model``, or the path has another suffix.

    Example: see ``load_model``.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors, got {path.name!r}")
    model = unwrapped(model)
    if not getattr(model, "model_name", ""):
        raise ValueError("model must come from create_model, for its name is written too")
    noted = metadata_of(model)
    tensors = {}
    for key, value in model.state_dict().items():
        shrink = half and value.is_floating_point() and value.ndim > 1
        # A copy each: safetensors refuses tensors that share memory.
        copied = value.to("cpu", torch.float16 if shrink else value.dtype, copy=True)
        tensors[own_key(key)] = copied.contiguous()
    with replacing(path) as temporary:
        # Not save_file, whose files only their owner can read.
        temporary.write_bytes(save(tensors, noted))


def unwrapped(model: Any) -> Any:
    """The model in wrappers: of ``torch.compile``, and of one that runs it on several devices."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif "_orig_mod" in getattr(model, "_modules", {}):
            model = model.get_submodule("_orig_mod")
        else:
            return model


def metadata_of(model: Model) -> dict[str, str]:
    """What a ``.safetensors`` notes of its model, for ``load_model``.

    Raises:
        ValueError: it does not fit in JSON.
    """
    metadata = {
        "model": model.model_name,
        "config": dict(model.model_config),
        "classes": list(model.classes),
        "preprocessing": dict(model.preprocessing),
    }
    try:
        return {key: json.dumps(value, default=_as_dict) for key, value in metadata.items()}
    except TypeError as error:
        raise ValueError(f"what describes the model must fit in JSON: {error}") from error


def _as_dict(value: Any) -> Any:
    """What JSON has of a value in a config, such as a ``KeypointSchema``."""
    if not hasattr(value, "to_dict"):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return value.to_dict()


def _open_safetensors(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
