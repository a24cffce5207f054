"""Which errors are a user's, to be told in a sentence, and which are bugs, to be shown whole."""

from __future__ import annotations

import traceback


class UserError(Exception):
    """Something that the user of the command can mend; its text is the sentence they see."""


def sentence_for(error: Exception) -> str | None:
    """What to tell the user; None: it is a bug, and its traceback is needed.

    fastcv raises ValueError and ImportError with a sentence for people. The same kinds out of
    another library are bugs of ours.
    """
    if isinstance(error, (UserError, ConnectionError)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    if isinstance(error, (ValueError, ImportError, FileNotFoundError)) and _is_ours(error):
        return str(error)
    return None


def _is_ours(error: Exception) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith("fastcv.")
