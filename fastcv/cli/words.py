"""``fastcv words``: word vectors, asked and trained."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastcv.cli._arguments import add_json_argument, check_json, write_json
from fastcv.cli._errors import UserError
from fastcv.models._tasks import positive

if TYPE_CHECKING:
    from fastcv.language import WordVectors

HELP = "word vectors: nearest words, analogies, training on a text"
CHAPTER = "Language"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Word vectors: train them on a text, and ask what they know."
    verbs = parser.add_subparsers(dest="verb", required=True)
    nearest = verbs.add_parser("nearest", help="the words that are nearest to one")
    nearest.add_argument("word", nargs="+")
    nearest.set_defaults(run=run_nearest)
    analogy = verbs.add_parser("analogy", help="what is to C as B is to A: man king woman")
    analogy.add_argument("words", nargs=3, metavar=("A", "B", "C"))
    analogy.add_argument(
        "--method", choices=("add", "mul"), default="add", help="3CosAdd (default) or 3CosMul"
    )
    analogy.set_defaults(run=run_analogy)
    for verb in (nearest, analogy):
        verb.add_argument(
            "--weights",
            metavar="FILE",
            required=True,
            help=".safetensors that `fastcv words train` wrote, text of word2vec or GloVe, or .npy "
            "with its words in a .txt or .parquet beside it",
        )
        verb.add_argument("-k", type=positive, default=10, metavar="N", help="default 10")
        add_json_argument(verb, "also write words and scores as JSON")
    train = verbs.add_parser("train", help="word2vec on a text file")
    train.add_argument("text", help="UTF-8, a sentence or paragraph a line")
    train.add_argument(
        "--out", metavar="FILE", default="words.safetensors", help="words.safetensors"
    )
    train.add_argument("--dim", type=positive, default=100, metavar="N", help="default 100")
    train.add_argument("--window", type=positive, default=5, metavar="N", help="default 5")
    train.add_argument(
        "--min-count", type=positive, default=5, metavar="N", help="leave rarer words out (5)"
    )
    train.add_argument("--epochs", type=positive, default=5, metavar="N", help="default 5")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=run_train)


def run_nearest(args: argparse.Namespace) -> int:
    check_json(args.json)
    vectors = load(args.weights)
    found = {word: vectors.nearest(word, args.k) for word in args.word}
    for word, near in found.items():
        if len(found) > 1:
            print(f"{word}:")
        _print(near)
    write_json(args.json, found)
    return 0


def run_analogy(args: argparse.Namespace) -> int:
    check_json(args.json)
    a, b, c = args.words
    found = load(args.weights).analogy(a, b, c, args.k, args.method)
    _print(found)
    write_json(args.json, found)
    return 0


def run_train(args: argparse.Namespace) -> int:
    from fastcv.language import read_sentences, word2vec

    if Path(args.out).suffix != ".safetensors":
        raise UserError(f"--out must end in .safetensors, got {args.out}")
    vectors = word2vec(
        read_sentences(args.text),
        dim=args.dim,
        window=args.window,
        min_count=args.min_count,
        epochs=args.epochs,
        seed=args.seed,
    )
    vectors.save(args.out)
    print(f"{args.out}: {vectors!r}")
    return 0


def load(path: str) -> WordVectors:
    """Word vectors of any format that is read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none.
    """
    from fastcv.language import WordVectors, read_numpy_vectors, read_word2vec

    if Path(path).suffix == ".safetensors":
        return WordVectors.load(path)
    if Path(path).suffix == ".npy":
        return read_numpy_vectors(path)
    return read_word2vec(path)


def _print(found: list[tuple[str, float]]) -> None:
    for word, score in found:
        print(f"{score:6.3f}  {word}")
