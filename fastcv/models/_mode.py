"""Eval mode for a while, of a model that several threads use."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

_changed = threading.Condition()
# By id of a module. Whoever fills these tables holds the modules, so no id gets another meaning.
_readers: dict[int, list[int]] = {}  # the threads that run it in eval mode, once for each entry
_flags: dict[int, bool] = {}  # what the last of them puts back
_owners: dict[int, int] = {}  # the thread that has it alone
_ALL = 0  # in place of an id: every module there is


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; every module's own flag is put back after, frozen ones stay frozen.

    Any number of threads may be inside: the first sets the flags, the last puts them back. A thread
    waits only while another has the model ``alone``.
    """
    me, modules = threading.get_ident(), list(model.modules())
    ids = [id(module) for module in modules]
    with _changed:
        _changed.wait_for(lambda: not _is_blocked(me, ids))
        for key, module in zip(ids, modules, strict=True):
            if key not in _readers:
                _readers[key], _flags[key] = [], module.training
                if module.training:
                    module.training = False
            _readers[key].append(me)
    try:
        yield
    finally:
        with _changed:
            for key, module in zip(ids, modules, strict=True):
                _readers[key].remove(me)
                if not _readers[key]:
                    del _readers[key]
                    if _flags.pop(key):
                        module.training = True
            _changed.notify_all()


@contextmanager
def alone(model: nn.Module | None) -> Iterator[None]:
    """Inside, no other thread evaluates the model: for what must not be seen halfway.

    This thread waits until the others have left, and those that come then wait for it. In the midst
    of a prediction of its own it does not wait.

    Args:
        model: None: every model.
    """
    me = threading.get_ident()
    modules = [] if model is None else list(model.modules())
    ids = [_ALL] if model is None else [id(module) for module in modules]
    mine: list[int] = []
    try:
        with _changed:
            if not _is_inside(me, ids):
                _changed.wait_for(lambda: not _is_blocked(me, ids))
                mine += (key for key in ids if key not in _owners)
                _owners.update(dict.fromkeys(mine, me))  # before it waits: others may keep coming
                _changed.wait_for(lambda: not _has_other_readers(me, ids))
        yield
    finally:
        with _changed:
            for key in mine:
                del _owners[key]
            _changed.notify_all()


def _is_blocked(thread: int, ids: list[int]) -> bool:
    """Whether others have the modules alone, and do not wait for this very thread to leave."""
    if not _owners:
        return False
    owned = _owners if _ALL in ids else ids
    if any(_owners.get(key, thread) != thread for key in owned) and not _is_inside(thread, ids):
        return True
    return _owners.get(_ALL, thread) != thread and not _is_inside(thread, [_ALL])


def _is_inside(thread: int, ids: list[int]) -> bool:
    return any(thread in readers for readers in _readers_of(ids))


def _has_other_readers(thread: int, ids: list[int]) -> bool:
    return any(reader != thread for readers in _readers_of(ids) for reader in readers)


def _readers_of(ids: list[int]) -> Iterable[list[int]]:
    return _readers.values() if _ALL in ids else (_readers.get(key, []) for key in ids)


def _forget() -> None:
    """A forked process has none of its parent's other threads: nobody would ever leave."""
    global _changed
    _changed = threading.Condition()
    for table in (_readers, _flags, _owners):
        table.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
