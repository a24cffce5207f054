"""Progress on the terminal and in TensorBoard."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fastcv._extras import need
from fastcv.learn.history import Row


class Log:
    """A bar for each epoch and curves in TensorBoard, on rank 0; nothing on other processes.

    The bar tells the time that is left of its epoch, and behind it that of the whole run.

    Args:
        folder: the run's; TensorBoard's files go to ``tensorboard`` in it.
        rank0: whether this process is the one that shows and writes.
        progress: show bars.
        tensorboard: write curves; None writes them where tensorboard is installed.
        step: how many steps are done; curves of a run that had got further are cut off here.
    """

    def __init__(
        self, folder: Path, rank0: bool, progress: bool, tensorboard: bool | None, step: int
    ) -> None:
        self.shows = rank0 and progress
        self.bar: tqdm[Any] = tqdm(disable=True)
        self.begun, self.images, self.images_left = time.monotonic(), 0, 0
        self.writer = None
        if tensorboard is None:
            tensorboard = importlib.util.find_spec("tensorboard") is not None
        if rank0 and tensorboard:
            need("tensorboard", extra="train")
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(folder / "tensorboard", purge_step=step + 1)
        if step:
            self.say(f"going on after step {step} of the run in {folder}")

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        if self.writer is not None:
            self.writer.close()

    def say(self, sentence: str) -> None:
        if self.shows:
            tqdm.write(sentence)

    def start_epoch(self, epoch: int, epochs: int, done: int, images: int) -> None:
        self.bar.close()
        self.images_left = (epochs - epoch) * images - done
        self.bar = tqdm(
            desc=f"epoch {epoch + 1}/{epochs}",
            initial=done,
            total=images,
            unit=" images",
            disable=not self.shows,
        )

    def step(self, row: Row, images: int) -> None:
        terms = {k: v for k, v in row.items() if k not in ("epoch", "step")}
        self.images, self.images_left = self.images + images, self.images_left - images
        left = (time.monotonic() - self.begun) * self.images_left / self.images
        told = {"left": tqdm.format_interval(left), **{k: f"{v:.3g}" for k, v in terms.items()}}
        self.bar.set_postfix(told, refresh=False)
        self.bar.update(images)
        if self.bar.n == self.bar.total:
            self.bar.close()  # its rate is that of training, without what comes after
        self._write("train", terms, row["step"])

    def metrics(self, row: Row) -> None:
        metrics = {k: v for k, v in row.items() if k not in ("epoch", "step")}
        self.say(
            f"epoch {row['epoch']:.0f}: " + ", ".join(f"{k} {v:.4g}" for k, v in metrics.items())
        )
        self._write("val", metrics, row["step"])

    def _write(self, group: str, values: Row, step: float) -> None:
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, int(step))
