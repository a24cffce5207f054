"""``fastcv predict --engine ray``: many processes, on one machine or a cluster, into Parquet."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.cli._errors import UserError
from fastcv.cli._model import find_device, load
from fastcv.cli.predict import given_options, options_for, read_all

if TYPE_CHECKING:
    from fastcv.models import System
    from fastcv.results import Segmentation

CHUNK = 64  # images in a Parquet file, and what is lost when a run is stopped


def run(args: argparse.Namespace, files: list[Path]) -> int:
    if args.json is not None:
        raise UserError(
            "--json is of --engine local: the results of ray are Parquet files in --out"
        )
    if args.out is None or Path(args.out).is_file():
        raise UserError(
            f"--engine ray writes Parquet files: --out must be a folder, got {args.out}"
        )
    if args.labels is not None:
        raise UserError("--labels is of --engine local: ray's Parquet files hold the label maps")
    name, weights, task, given = args.model, args.weights, args.task, given_options(args)
    if weights is not None and Path(weights).is_file():
        weights = str(Path(weights).absolute())  # workers may run in another folder
    device = find_device(args.device).type

    def make(device: str = device) -> tuple[System, dict[str, Any]]:
        model = load(name, weights, device, task)
        return model, options_for(model, given) | {"progress": False}

    make("cpu")  # a wrong name or file shows here, as a sentence, and a download happens once
    done, broken = predict_to_parquet(
        files,
        Path(args.out),
        make,
        settings={"model": name or task, "weights": weights, "score_threshold": None} | given,
        workers=args.workers,
        batch_size=args.batch_size,
        gpus=int(device == "cuda"),
    )
    skipped = f", {len(files) - done} were there already" if done < len(files) else ""
    print(f"{args.out}: {done} images{skipped}; {broken} could not be read")
    return 1 if broken else 0


def predict_to_parquet(
    files: list[Path],
    out: Path,
    make: Callable[[], tuple[System, dict[str, Any]]],
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
    paths = [p for p in (str(f.absolute()) for f in files) if p not in seen]
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
        make: Callable[[], tuple[System, dict[str, Any]]],
        out: Path,
        settings: dict[str, Any],
        batch_size: int,
    ) -> None:
        self.model, self.options = make()
        self.out, self.settings, self.batch_size = out, settings, batch_size

    def __call__(self, row: dict[str, Any]) -> dict[str, int]:
        paths = [Path(p) for p in row["paths"]]
        rows = [
            r
            for i in range(0, len(paths), self.batch_size)
            for r in self._rows(paths[i : i + self.batch_size])
        ]
        # The name is the work's: a chunk that is done again after a crash replaces itself.
        name = hashlib.sha256("\n".join(row["paths"]).encode()).hexdigest()[:16]
        self._write(self.out / f"{name}.parquet", rows)
        return {"done": len(rows), "broken": sum(r["error"] is not None for r in rows)}

    def _rows(self, paths: list[Path]) -> Iterator[dict[str, Any]]:
        images, errors = read_all(paths)
        for path, sentence in errors.items():
            yield {"path": str(path), "error": sentence}
        found = self.model.predict(
            list(images.values()), batch_size=self.batch_size, **self.options
        )
        from fastcv.results import Segmentation

        for (path, image), result in zip(images.items(), found, strict=True):
            said = result.to_dict()
            finds = said.get("detections") or said.get("classes") or []
            yield {
                "path": str(path),
                "height": image.shape[1],
                "width": image.shape[2],
                "boxes": [f["box"] for f in finds if "box" in f],
                "scores": [f["share" if "share" in f else "score"] for f in finds],
                "labels": [f["label"] for f in finds],
                "names": [f["name"] for f in finds],
                "label_map": _png(result) if isinstance(result, Segmentation) else None,
                "error": None,
            }

    def _write(self, path: Path, rows: list[dict[str, Any]]) -> None:
        pa = need("pyarrow", extra="scale")
        parquet = need("pyarrow.parquet", extra="scale")
        schema = pa.schema(
            [
                ("path", pa.string()),
                ("height", pa.int32()),
                ("width", pa.int32()),
                ("boxes", pa.list_(pa.list_(pa.float32(), 4))),
                ("scores", pa.list_(pa.float32())),
                ("labels", pa.list_(pa.int64())),
                ("names", pa.list_(pa.string())),
                ("label_map", pa.binary()),
                ("error", pa.string()),
            ],
            metadata={"fastcv": json.dumps(self.settings)},
        )
        with replacing(path) as temporary:
            parquet.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def _png(result: Segmentation) -> bytes:
    file = io.BytesIO()
    result.label_image().save(file, "PNG")
    return file.getvalue()
