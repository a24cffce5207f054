"""The command ``fastcv``, also ``python -m fastcv``: one module for each sub-command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import fastcv
from fastcv.cli import bench, demo, doctor, evaluate, explain, models, predict, train
from fastcv.cli._errors import UserError, sentence_for

__all__ = ["UserError", "main"]

COMMANDS = (predict, explain, train, evaluate, demo, models, doctor, bench)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Returns:
        The process's exit status: 0; 1 where a part failed and the rest was done; 2 where nothing
        could be done, with one sentence on stderr; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="fastcv", description=(fastcv.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--version", action="version", version=f"fastcv {fastcv.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    args = parser.parse_args(arguments)
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
