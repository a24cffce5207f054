"""The command ``fastcv``, also ``python -m fastcv``: one module for each sub-command.

A module has ``HELP``, ``CHAPTER`` (where ``fastcv --help`` lists it), ``add_arguments(parser)`` and
``run(args)``, or sets another ``run`` as a default of its own sub-commands. A task's own commands
come with its entry in ``fastcv.models._tasks``, in the task's chapter.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import fastcv
from fastcv.cli import (
    bench,
    demo,
    doctor,
    evaluate,
    explain,
    models,
    predict,
    spectrogram,
    train,
    words,
)
from fastcv.cli._errors import UserError, sentence_for
from fastcv.models import _tasks

__all__ = ["UserError", "main"]

COMMANDS = (predict, explain, evaluate, train, demo, models, words, spectrogram, doctor, bench)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Returns:
        The process's exit status: 0; 1 where a part failed and the rest was done; 2 where nothing
        could be done, with one sentence on stderr; 130 after Ctrl-C.
    """
    args = make_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may be one that the terminal's encoding does not have.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nfastcv: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        print(f"fastcv {args.command}: {sentence}", file=sys.stderr)
        return 2
    return code


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands, those of the tasks too."""
    with_verbs = [task for task in _tasks.TASKS if task.verbs]
    # What is of all models comes first, what is of none last.
    titles = [COMMANDS[0].CHAPTER, *(task.heading for task in with_verbs)]
    chapters: dict[str, list[ModuleType]] = {title: [] for title in titles}
    for command in COMMANDS:
        chapters.setdefault(command.CHAPTER, []).append(command)
    for task in with_verbs:
        chapters[task.heading] += [importlib.import_module(verb) for verb in task.verbs]
    parser = argparse.ArgumentParser(
        prog="fastcv",
        usage="fastcv COMMAND ...",
        description=textwrap.fill((fastcv.__doc__ or "").split("\n")[0], 80),
        epilog="\n\n".join(_listed(title, verbs) for title, verbs in chapters.items())
        + "\n\n`fastcv COMMAND --help` tells more of one, `fastcv --version` which this is.",
        add_help=False,  # the list of options would take four lines to say so
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hidden: dict[str, Any] = {"help": argparse.SUPPRESS}
    parser.add_argument("-h", "--help", action="help", **hidden)
    parser.add_argument(
        "--version", action="version", version=f"fastcv {fastcv.__version__}", **hidden
    )
    commands = parser.add_subparsers(dest="command", required=True, help=argparse.SUPPRESS)
    for verbs in chapters.values():
        for verb in verbs:
            of_verb = commands.add_parser(_name(verb), prog=f"fastcv {_name(verb)}")
            if hasattr(verb, "run"):
                of_verb.set_defaults(run=verb.run)
            verb.add_arguments(of_verb)
    return parser


def _name(verb: ModuleType) -> str:
    return _tasks.verb_name(verb.__name__)


def _listed(title: str, verbs: Sequence[ModuleType]) -> str:
    return "\n".join([f"{title}:", *(f"  {_name(verb):12} {verb.HELP}" for verb in verbs)])
