"""Weights and vocabulary of sgrvinod's captioner, whose checkpoints are whole pickled modules.

    python -m fastcv.models.language.unpickle_captioner BEST_checkpoint.pth.tar WORDMAP.json \\
        captioner.safetensors

No code of the file is run: see ``_pickled_modules``. The word map has ``<pad>`` first and the other
three special words last; here all four come first, so the rows of the first and the last layer
change their order. What is written is a file of ``show_attend_and_tell`` with its vocabulary.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fastcv.language.vocabulary import SPECIAL
from fastcv.models._pickled_modules import tensors_of_modules
from fastcv.models._registry import create_model
from fastcv.models._weights import load_state_dict, save_model

BY_WORD = ("decoder.embedding.weight", "decoder.fc.weight", "decoder.fc.bias")
"""The tensors that have a row for each word."""


def read_word_map(path: Path) -> list[str]:
    """The words of a word map, in the order of its numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no word map.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        held = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    numbers = sorted(held.values()) if isinstance(held, dict) and _has_numbers(held) else []
    if not numbers or numbers != list(range(len(numbers))):
        raise ValueError(f"{path} must map words to 0, 1, 2, ..., each number once")
    missing = [word for word in SPECIAL if word not in held]
    if missing:
        raise ValueError(f"{path} must have {', '.join(SPECIAL)}, it lacks {', '.join(missing)}")
    return sorted(held, key=lambda word: int(held[word]))


def _has_numbers(held: dict[str, object]) -> bool:
    return all(type(number) is int for number in held.values())


def in_our_order(
    state: dict[str, Tensor], word_map: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Rows by our ids, and the words without the four special ones.

    Args:
        state: of the whole model; the tensors ``BY_WORD`` have a row for each word.
        word_map: the words in the order of the rows.

    Raises:
        ValueError: the checkpoint has another number of words.

    Example:
        >>> import torch
        >>> from fastcv.models.language.unpickle_captioner import in_our_order
        >>> rows = {"decoder.fc.bias": torch.arange(6.0)}
        >>> state, words = in_our_order(rows, ["<pad>", "a", "cat", "<unk>", "<start>", "<end>"])
        >>> state["decoder.fc.bias"].tolist(), words
        ([0.0, 4.0, 5.0, 3.0, 1.0, 2.0], ['a', 'cat'])
    """
    words = [word for word in word_map if word not in SPECIAL]
    row_of = {word: row for row, word in enumerate(word_map)}
    order = [row_of[word] for word in (*SPECIAL, *words)]
    changed = dict(state)
    for key in BY_WORD:
        if key not in state:
            continue
        if len(state[key]) != len(order):
            raise ValueError(
                f"the word map has {len(order)} words, and the checkpoint {len(state[key])}: they "
                "must be of one training"
            )
        changed[key] = state[key][order]
    return changed, words


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", help="sgrvinod's BEST_checkpoint_....pth.tar")
    parser.add_argument("word_map", help="the WORDMAP_....json of the same training")
    parser.add_argument("out", help="a .safetensors, for create_model's weights")
    args = parser.parse_args(arguments)
    if not args.out.endswith(".safetensors"):
        parser.error(f"out must end in .safetensors, got {args.out!r}")
    try:
        convert(args.checkpoint, args.word_map, args.out)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    print(args.out)


def convert(checkpoint: str, word_map: str, out: str) -> None:
    """Writes the file of weights.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: one is of another kind, or they are not of one training.
    """
    names = read_word_map(Path(word_map))
    state = {
        f"{part}.{key}": tensor
        for part in ("encoder", "decoder")
        for key, tensor in tensors_of_modules(checkpoint, part).items()
    }
    state, words = in_our_order(state, names)
    sizes = {
        "width": ("encoder.resnet.0.weight", 0),
        "embedding": ("decoder.embedding.weight", 1),
        "hidden": ("decoder.decode_step.weight_hh", 1),
        "attention_size": ("decoder.attention.encoder_att.weight", 0),
    }
    lacking = [key for key, _ in sizes.values() if key not in state]
    if lacking:
        raise ValueError(f"{checkpoint} is not of sgrvinod's captioner: it has no {lacking[0]}")
    config: dict[str, Any] = {name: state[key].shape[dim] for name, (key, dim) in sizes.items()}
    model = create_model("show_attend_and_tell", words=words, **config)
    load_state_dict(model, state, f"{checkpoint} does not fit show_attend_and_tell")
    save_model(out, model)


if __name__ == "__main__":
    main()
