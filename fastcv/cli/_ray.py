"""``fastcv predict --engine ray``: many processes, on one machine or a cluster, into Parquet."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.cli._errors import UserError
from fastcv.cli._model import find_device
from fastcv.cli._options import given_to_predict, load_to_predict
from fastcv.models import _tasks
from fastcv.models._tasks import task_of_result

if TYPE_CHECKING:
    from fastcv.models import Model

CHUNK = 64  # images in a Parquet file, and what is lost when a run is stopped


def run(args: argparse.Namespace, pictures: list[Path]) -> int:
    if args.json is not None:
        raise UserError(
            "--json is of --engine local: the results of ray are Parquet files in --out"
        )
    if args.out is None or Path(args.out).is_file():
        raise UserError(
            f"--engine ray writes Parquet files: --out must be a folder, got {args.out}"
        )
    for files in (files for task in _tasks.TASKS for files in task.files):
        if getattr(args, files.option.name) is not None:
            flag, content = files.option.flag, files.content
            raise UserError(f"{flag} is of --engine local: ray's Parquet files hold {content}")
    if args.weights is not None and Path(args.weights).is_file():
        args.weights = str(Path(args.weights).absolute())  # workers may run in another folder
    device = find_device(args.device).type

    def make(device: str = device) -> tuple[Model, dict[str, Any]]:
        model, options = load_to_predict(args, device)
        return model, options | {"progress": False}

    make("cpu")  # a wrong name or file shows here, as a sentence, and a download happens once
    done, broken = predict_to_parquet(
        pictures,
        Path(args.out),
        make,
        settings={
            "model": args.model or args.task,
            "weights": args.weights,
            "score_threshold": None,
            **given_to_predict(args),
        },
        workers=args.workers,
        batch_size=args.batch_size,
        gpus=int(device == "cuda"),
    )
    skipped = f", {len(pictures) - done} were there already" if done < len(pictures) else ""
    print(f"{args.out}: {done} images{skipped}; {broken} could not be read")
    return 1 if broken else 0


def predict_to_parquet(
    files: list[Path],
    out: Path,
    make: Callable[[], tuple[Model, dict[str, Any]]],
    *,
    settings: dict[str, Any],
    workers: int | None = None,
    batch_size: int = 1,
    gpus: int = 0,
    chunk: int = CHUNK,
) -> tuple[int, int]:
    """Predictions for many images, by Ray Data; a second run does only what is left.

    Each file in ``out`` holds up to ``chunk`` rows of ``path`` (absolute), ``height``, ``width``,
    ``boxes``, ``scores``, ``labels``, ``names``, ``label_map`` (of a segmenter: a PNG with a
    palette; its scores are the classes' shares of the pixels), and ``error``, which is null unless
    the image could not be read.

    Args:
        files: images, at paths that every worker sees.
        out: a folder that every worker sees.
        make: builds the model and the options of its ``predict``, once in each worker.
        settings: what the results depend on; noted in the files, and compared when they are added
            to.
        workers: processes with a model each; None: as many as there are cores, or GPUs.
        batch_size: images at a time through a model.
        gpus: of each worker.
        chunk: images in a Parquet file.

    Returns:
        How many images were done now, and how many of these could not be read.

    Raises:
        UserError: ``out`` has results of other settings, or there are fewer GPUs than workers.
    """
    ray = need("ray", extra="scale")
    need("ray.data", extra="scale")
    seen = paths_done(out, settings)
    # Bytes, for a name need not be UTF-8, as Ray's and Parquet's text must be.
    paths = [os.fsencode(p) for p in (str(f.absolute()) for f in files) if _text(p) not in seen]
    if not paths:
        return 0, 0
    if not ray.is_initialized():
        local = {"num_cpus": max(workers or 0, os.cpu_count() or 1), "include_dashboard": False}
        ray.init(log_to_driver=False, **({} if os.environ.get("RAY_ADDRESS") else local))
    there = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))
    if gpus and (workers or 1) > there:
        raise UserError(f"--workers {workers}: each needs a GPU, and there are {there}")
    chunk = min(chunk, math.ceil(len(paths) / (workers or there)))
    chunks = [paths[i : i + chunk] for i in range(0, len(paths), chunk)]
    counts = (
        ray.data.from_items([{"paths": c} for c in chunks], override_num_blocks=len(chunks))
        .map(
            _Worker,
            fn_constructor_args=(make, out.absolute(), settings, batch_size),
            compute=ray.data.ActorPoolStrategy(size=min(workers or there, len(chunks))),
            num_cpus=1,
            num_gpus=gpus,
        )
        .take_all()
    )
    return sum(c["done"] for c in counts), sum(c["broken"] for c in counts)


def paths_done(out: Path, settings: dict[str, Any]) -> set[str]:
    """The paths in a folder of results, which must be of the same settings."""
    parquet = need("pyarrow.parquet", extra="scale")
    done: set[str] = set()
    for file in sorted(out.glob("[!.]*.parquet")):
        table = parquet.read_table(file, columns=["path"])
        noted = json.loads((table.schema.metadata or {}).get(b"fastcv", b"null"))
        if noted != settings:
            raise UserError(
                f"{out} has results of {noted}, not of {settings}: choose another --out"
            )
        done.update(table["path"].to_pylist())
    return done


class _Worker:
    """Holds a model; each call turns a chunk of paths into one Parquet file."""

    def __init__(
        self,
        make: Callable[[], tuple[Model, dict[str, Any]]],
        out: Path,
        settings: dict[str, Any],
        batch_size: int,
    ) -> None:
        self.model, self.options = make()
        self.out, self.settings, self.batch_size = out, settings, batch_size

    def __call__(self, row: dict[str, Any]) -> dict[str, int]:
        paths = [Path(os.fsdecode(p)) for p in row["paths"]]
        found = self.model.predict_iter(
            paths, batch_size=self.batch_size, on_error="yield", **self.options
        )
        rows = [self._row(path, result) for path, result in found]
        # The name is the work's: a chunk that is done again after a crash replaces itself.
        name = hashlib.sha256(b"\n".join(map(os.fsencode, row["paths"]))).hexdigest()[:16]
        self._write(self.out / f"{name}.parquet", rows)
        return {"done": len(rows), "broken": sum("error" in row for row in rows)}

    def _row(self, path: Path, result: Any) -> dict[str, Any]:
        if isinstance(result, Exception):
            return {"path": _text(str(path)), "error": _text(str(result))}
        height, width = result.image_size
        row = task_of_result(result).row(result)
        missing: dict[str, Any] = {
            name: [] for name, kind in _columns().items() if kind.startswith("list")
        }
        return {"path": _text(str(path)), "height": height, "width": width, **missing, **row}

    def _write(self, path: Path, rows: list[dict[str, Any]]) -> None:
        pa = need("pyarrow", extra="scale")
        parquet = need("pyarrow.parquet", extra="scale")
        types = {
            "path": "string",
            "height": "int32",
            "width": "int32",
            **_columns(),
            "error": "string",
        }
        schema = pa.schema(
            [(name, _arrow_type(pa, text)) for name, text in types.items()],
            metadata={"fastcv": json.dumps(self.settings)},
        )
        with replacing(path) as temporary:
            parquet.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def _text(path: str) -> str:
    """As it is; bytes of a file's name that are no UTF-8 as ``\\xe9``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _columns() -> dict[str, str]:
    """Those of every task: the files have them all, whichever task wrote them."""
    return {name: kind for task in _tasks.TASKS for name, kind in task.columns.items()}


def _arrow_type(pa: Any, text: str) -> Any:
    """Of an entry's ``columns``: ``"list<float>"``, ``"list<list<float>[4]>"``."""
    inside = re.fullmatch(r"list<(.*)>(?:\[(\d+)\])?", text)
    if inside is None:
        return getattr(pa, {"float": "float32"}.get(text, text))()
    return pa.list_(_arrow_type(pa, inside[1]), int(inside[2] or -1))
