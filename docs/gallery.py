"""Draws the docs' pictures whose programs, or what these are made of, have changed.

    python docs/gallery.py        what changed since the pictures under docs/images were drawn
    python docs/gallery.py all    every picture, as after an update of torch or matplotlib

Each picture is drawn by running what its page shows, so an example that no longer runs fails
`make docs`. docs/images/drawn.json holds a hash of what each picture was drawn by. Commit it with
the pictures: a fresh clone then draws only what changed since.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
import time
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from picture_sources import Sources

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

# What each program writes to its `--out`: a picture, or those of a folder.
# The slowest come first: at the end one core would wait for them.
PROGRAMS: dict[str, str | tuple[str, ...]] = {
    "examples/explain_classes.py": "explain_classes.png",
    "examples/explain_digits.py": ("explain_digits.png", "explain_faithfulness.png"),
    "examples/explain_two_objects.py": "explain_two_objects.png",
    "examples/planted_bias.py": "planted_bias.png",
    "examples/explain_methods.py": "explain_methods.png",
    "examples/explain_relu.py": "explain_relu.png",
    "examples/digit_neighbours.py": (
        "explain_neighbours.png",
        "explain_map.png",
        "explain_top_patches.png",
    ),
    "examples/explain_patches.py": "explain_patches.png",
    "examples/explain_filters.py": "explain_filters.png",
    "examples/fcn_strides.py": "fcn_strides.png",
    "examples/hypercolumn_heatmaps.py": "hypercolumns.png",
    "examples/deeplab_decoder.py": "deeplab_decoder.png",
    "examples/nms_steps.py": "nms_steps.png",
    "examples/drawn_digits.py": "drawn_digits.png",
    "examples/drawn_faces.py": "drawn_faces.png",
    "examples/drawn_scenes.py": "drawn_scenes.png",
    "examples/drawn_identities.py": "drawn_identities.png",
    "examples/real_faces.py": "retinaface.png",
    "examples/dense_crf.py": "dense_crf.png",
    "examples/checkerboard.py": "checkerboard.png",
    "examples/atrous_rates.py": "atrous_rates.png",
    "examples/aspp_fields.py": "aspp_fields.png",
    "examples/feature_maps.py alexnet": "alexnet.png",
    "examples/feature_maps.py vgg16": "vgg.png",
    "examples/feature_maps.py googlenet": "googlenet.png",
    "examples/pool_switches.py": "pool_switches.png",
    "examples/instances_and_keypoints.py": "instances_and_keypoints.png",
    "examples/dense_correspondence.py": "dense_correspondence.png",
    "examples/yolact_prototypes.py": "yolact_prototypes.png",
    "examples/attention_strip.py": "attention_strip.png",
    "examples/hourglass_stacks.py": "hourglass_stacks.png",
    "examples/moved_digits.py": "moved_digits.png",
    "examples/three_tasks.py": "three_tasks.png",
    "examples/clip_ids.py": "clip_ids.png",
    "examples/landmark_heatmaps.py": "landmark_heatmaps.png",
    "examples/lenet_digits.py": "lenet.png",
    "examples/nearest_digits.py": "nearest_digits.png",
    "examples/receptive_fields.py": "receptive_fields.png",
    "examples/densenet_memory.py": "densenet_memory.png",
    "examples/se_gates.py": "se_gates.png",
    "examples/linear_bottlenecks.py": "linear_bottlenecks.png",
    "examples/digit_maps.py": ("cam.png", "scouter.png"),
    "examples/progan_units.py": "progan.png",
    "examples/patches_of_a_discriminator.py": "patch_gan.png",
    "examples/best_discriminators.py": "best_discriminators.png",
    "examples/black_or_white.py": "black_or_white.png",
    "examples/ring_of_modes.py": "ring_of_modes.png",
    "examples/generated_digits.py": ("generated_digits.png", "two_players.png"),
    "examples/photo_losses.py": "photo_losses.png",
    "examples/styles.py": "styles.png",
    "examples/style_layers.py": "style_layers.png",
    "examples/dissected_digits.py": ("dissection.png", "painted_units.png"),
    "examples/translated_digits.py": (
        "translated_digits.png",
        "coloured_digits.png",
        "digits_on_slate.png",
    ),
    "examples/efficientnet_scaling.py": "efficientnet_scaling.png",
    "examples/xception_cost.py": "xception_cost.png",
    "examples/deformable_taps.py": "deformable_taps.png",
    "examples/few_pixels.py": "few_pixels.png",
    "examples/retinanet_anchors.py": "retinanet_anchors.png",
    "examples/ssd_priors.py": "ssd_priors.png",
    "examples/augmentations.py": "augmentations.png",
    "examples/learn_from_little.py": "learn_from_little.png",
    "examples/yolo_grid.py": "yolo_grid.png",
    "examples/detr_attention.py": "detr_attention.png",
    "examples/one_and_two_stages.py": ("detection_steps.png", "one_and_two_stages.png"),
    "examples/classifier_metrics.py": ("confusion.png", "reliability.png"),
    "examples/dataset_bias.py": ("bias_means.png", "bias_boxes.png"),
    "examples/selective_search.py": "selective_search.png",
    "examples/roi_pooling.py": "roi_pooling.png",
    "examples/rcnn_crops.py": "rcnn_crops.png",
    "examples/hog_faces.py": "hog_faces.png",
    "examples/explain_axis.py": "explain_axis.png",
    "examples/unet_bridges.py": "unet.png",
    "examples/word_plane.py": "word_plane.png",
    "examples/five_forms.py": "five_forms.png",
    "examples/chirps.py": "chirps.png",
    "examples/windowing.py": "windowing.png",
    "examples/joint_space.py": (
        "joint_search.png",
        "picture_analogies.png",
        "joint_space.png",
    ),
    "examples/drawn_recipes.py": "drawn_recipes.png",
    "examples/vqa_answers.py": "vqa_answers.png",
    "examples/modality_shares.py": "modality_shares.png",
    "examples/corner_pooling.py": "corner_pooling.png",
    "examples/keypoint_triplets.py": "keypoint_triplets.png",
    "examples/centernet_peaks.py": "centernet_peaks.png",
    "-m fastcv demo": ("digits.png",),
}
# What programs import: imported once, by the process from which theirs are forked.
SHARED = (
    "matplotlib.pyplot",
    "skimage.data",
    "sklearn.datasets",
    "torch._dynamo",  # by the first optimizer
    "fastcv.models._registry",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("which", choices=("changed", "all"), nargs="?", default="changed")
    everything = parser.parse_args().which == "all"
    sources = Sources(ROOT)
    hashes = {program: hash_of(program, sources) for program in PROGRAMS}
    programs = list(PROGRAMS) if everything else changed(hashes, IMAGES)
    print(f"{len(programs)} of {len(PROGRAMS)} programs have pictures to draw", flush=True)
    failed = draw(programs, hashes, IMAGES)
    if failed:
        print(f"{len(failed)} failed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def hash_of(program: str, sources: Sources) -> str:
    """The hash of a program as it is written above, with its arguments."""
    name, *arguments = program.split()
    if name == "-m":  # fastcv's command: the sub-command's module has what it does
        name = f"fastcv/cli/{arguments[1]}.py"
    return sources.hash_of(sources.root / name, *arguments)


def names(pictures: str | tuple[str, ...]) -> tuple[str, ...]:
    return (pictures,) if isinstance(pictures, str) else pictures


def changed(hashes: dict[str, str], images: Path) -> list[str]:
    """The programs of which a picture is missing, or was drawn by something else."""
    drawn = read_drawn(images)

    def is_current(picture: str, program: str) -> bool:
        return drawn.get(picture) == hashes[program] and (images / picture).exists()

    return [
        program
        for program, pictures in PROGRAMS.items()
        if not all(is_current(picture, program) for picture in names(pictures))
    ]


def draw(programs: list[str], hashes: dict[str, str], images: Path) -> list[str]:
    """Runs each in a process of its own, one for each core at a time; returns what failed."""
    if not programs:
        return []
    os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch: the cores have a program each
    sys.path.insert(0, str(ROOT))  # the fastcv that is hashed, whichever is installed
    for module in SHARED:
        importlib.import_module(module)
    fork = multiprocessing.get_context("fork")
    waiting, failed = list(programs), []
    running: dict[int, tuple[BaseProcess, str, Path, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                program, folder = waiting.pop(0), Path(tempfile.mkdtemp(dir=scratch))
                process = fork.Process(target=run, args=(program, folder))
                process.start()
                running[process.sentinel] = process, program, folder, time.monotonic()
            for sentinel in wait(list(running)):
                process, program, folder, began = running.pop(sentinel)
                process.join()
                fault = f"exit status {process.exitcode}" if process.exitcode else ""
                fault = fault or keep(folder, names(PROGRAMS[program]), hashes[program], images)
                if fault:
                    failed.append(program)
                    print((folder / "log.txt").read_text("utf-8", "replace"), file=sys.stderr)
                seconds = time.monotonic() - began
                print(f"{program}: {fault or 'drawn'}, {seconds:.1f} s", flush=True)
    return failed


def run(program: str, folder: Path) -> None:
    """Runs a program in this process, which has nothing else to do; what it says is in log.txt."""
    with open(folder / "log.txt", "wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(ROOT)
    pictures = PROGRAMS[program]
    out = folder / pictures if isinstance(pictures, str) else folder
    name, *arguments = [*program.split(), "--out", str(out)]
    if name == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [name, *arguments]
        sys.path.insert(0, str(Path(name).parent.resolve()))
        runpy.run_path(name, run_name="__main__")


def keep(folder: Path, pictures: tuple[str, ...], hash_: str, images: Path) -> str:
    """Moves a program's pictures to the docs and notes the hash; or says which is missing."""
    from fastcv._files import replacing

    missing = [p for p in pictures if not (folder / p).exists()]
    if missing:
        return f"did not write {' and '.join(missing)}"
    for picture in pictures:
        with replacing(images / picture) as temporary:
            shutil.copyfile(folder / picture, temporary)
    noted = read_drawn(images) | dict.fromkeys(pictures, hash_)
    with replacing(images / "drawn.json") as temporary:
        temporary.write_text(json.dumps(noted, indent=0, sort_keys=True) + "\n", "utf-8")
    return ""


def read_drawn(images: Path) -> dict[str, str]:
    """The hash with which each picture was drawn."""
    path = images / "drawn.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
