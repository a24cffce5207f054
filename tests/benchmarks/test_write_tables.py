"""The tables say what the results file says, and the file what was measured last."""

import json

import digit_detectors
import pytest
import report
import write_tables


def row(op, threads, ratio, ours):
    info = {"op": op, "work": "some boxes", "peer": "torchvision", "threads": threads}
    return {"extra_info": {**info, "ratio": ratio, "ours_median_ms": ours, "target": 1}}


CPU = {"brand_raw": "A CPU", "family": 25, "model": 1, "count": 2, "flags": ["avx2"]}
RUN = {
    "datetime": "2026-01-02T03:04:05",
    "days": ["2026-01-02"],
    "machine_info": {"cpu": CPU, "torch": "2.14.1", "torchvision": "0.29.2"},
    "benchmarks": [
        row("nms", 1, 33.333, 1.25),
        row("nms", 2, 40.04, 1.0),
        row("identity", 1, 1, 1),
    ],
}


def test_a_row_for_each_comparison():
    wide = {**RUN, "benchmarks": [row("nms", 2, 50, 0.8), row("roi", 1, 7, 3)]}
    lines = write_tables.table({"AVX2": RUN, "AVX-512": wide}).splitlines()
    heads = "AVX2, 1 thread | AVX2, 2 threads | AVX-512, 1 thread | AVX-512, 2 threads"
    assert lines[0] == f"| op | work | against | {heads} |"
    of_nms = "**33.3** (1.25 ms) | **40** (1 ms) |  | **50** (0.8 ms)"
    assert lines[2] == f"| `nms` | some boxes | torchvision | {of_nms} |"
    assert lines[3] == "| `roi` | some boxes | torchvision |  |  | **7** (3 ms) |  |"
    assert "AVX2: A CPU, family 25, model 1, 2 cores, torch 2.14.1" in lines[-1]
    assert "2026-01-02" in lines[-1] and not any("identity" in line for line in lines)


def test_a_peer_for_scale_is_no_ratio():
    row = {"target": None, "ours_median_ms": 359.0, "peer_median_ms": 104.0}
    assert write_tables.cell(row) == "359 ms; the other: 104 ms"


def test_only_the_marked_part_changes():
    text = "before\n<!-- op table -->\nold\n<!-- end of op table -->\nafter\n"
    new = write_tables.put_into(text, "op table", "new")
    assert new == text.replace("old", "new")


def test_no_results(tmp_path):
    with pytest.raises(SystemExit, match="run `make bench` first"):
        write_tables.measured(tmp_path)


def test_the_newest_of_each_benchmark_of_a_machine(tmp_path):
    def write(name, day, cpu, *rows):
        run = {**RUN, "datetime": f"2026-01-{day}T00:00:00"}
        run["machine_info"] = {**RUN["machine_info"], "cpu": {**CPU, **cpu}}
        run["benchmarks"] = [{"fullname": n, "run": day} for n in rows]
        (tmp_path / f"{name}.json").write_text(json.dumps(run))

    write("a", "03", {}, "nms", "roi")
    write("b", "01", {}, "roi", "gram")
    write("c", "02", {"brand_raw": "another"}, "focal")
    write("d", "04", {"model": 17, "flags": ["avx2", "avx512f"]}, "nms")
    runs = write_tables.measured(tmp_path)
    rows = {b["fullname"]: b["run"] for b in runs["AVX2"]["benchmarks"]}
    assert rows == {"nms": "03", "roi": "03", "gram": "01"}
    assert runs["AVX2"]["days"] == ["2026-01-01", "2026-01-03"]
    assert [b["run"] for b in runs["AVX-512"]["benchmarks"]] == ["04"]


def test_a_partial_run_leaves_the_other_rows():
    old = {"benchmarks": [{"fullname": name, "run": 1} for name in ("nms", "roi", "focal")]}
    new = {"benchmarks": [{"fullname": name, "run": 2} for name in ("gram", "roi")]}
    rows = [(b["fullname"], b["run"]) for b in report.merged(old, new)]
    assert rows == [("nms", 1), ("roi", 2), ("focal", 1), ("gram", 2)]


def gpu_run(*rows):
    floor = {"op": "floor", "gb_per_s": 3000, "tflop_per_s": {"float16": 750}}
    about = {"gpu": "A GPU", "driver": "1", "torch": "2", "torchvision": "3"}
    return {"machine": about, "parts": {"bench": {"rows": [floor, *rows]}}}


def test_rows_of_a_gpu():
    row = {"op": "gram_matrix", "work": "w", "peer": "bmm", "target": 1, "ratio": 2.5}
    row |= {"ours_median_ms": 0.05, "of_floor": 1.234}
    lines = write_tables.gpu_table({**gpu_run(row), "day": "2026-01-02"}).splitlines()
    assert lines[2] == "| `gram_matrix` | w | bmm | **2.5** (0.05 ms) | 1.23 |"
    with_note = write_tables.gpu_table({**gpu_run({**row, "note": "n"}), "day": ""})
    assert "| w (n) | bmm |" in with_note
    assert "A GPU, driver 1" in lines[-1] and "2026-01-02" in lines[-1] and len(lines) == 5


def test_the_newest_of_a_gpu(tmp_path):
    assert write_tables.newest_on_a_gpu(tmp_path) is None
    for name, rows in (("z-2026-01-02", [{"op": "a"}]), ("a-2026-01-03", [{"op": "b"}])):
        (tmp_path / f"{name}.json").write_text(json.dumps(gpu_run(*rows)))
    (tmp_path / "a-2026-01-04.json").write_text(json.dumps({"parts": {"tests": {}}}))
    found = write_tables.newest_on_a_gpu(tmp_path)
    assert found["day"] == "2026-01-03" and found["parts"]["bench"]["rows"][1] == {"op": "b"}


def test_chosen_rows(monkeypatch):
    monkeypatch.setattr(write_tables, "CHOSEN", (("nms", "some boxes", "torchvision"),))
    monkeypatch.setattr(write_tables, "CHOSEN_ON_A_GPU", (("roi_align", "w", "torchvision"),))
    on_a_gpu = {"op": "roi_align", "work": "w", "peer": "torchvision", "target": 1, "ratio": 1.5}
    on_a_gpu = gpu_run({**on_a_gpu, "ours_median_ms": 0.25})
    on_a_gpu["machine"]["gpu"] = "NVIDIA H100 80GB HBM3"
    wide = {**RUN, "benchmarks": [row("nms", 1, 60, 1), row("nms", 2, 50, 0.8)]}
    lines = write_tables.chosen_rows({"AVX2": RUN, "AVX-512": wide}, on_a_gpu).splitlines()
    assert lines[2:] == [
        "| `nms` | some boxes | torchvision | CPU, AVX-512 | **50** (0.8 ms) |",
        "| `roi_align` | w | torchvision | H100 | **1.5** (0.25 ms) |",
    ]
    wide = {**wide, "benchmarks": wide["benchmarks"][:1]}  # one thread alone: the other's row
    lines = write_tables.chosen_rows({"AVX2": RUN, "AVX-512": wide}, on_a_gpu).splitlines()
    assert lines[2] == "| `nms` | some boxes | torchvision | CPU, AVX2 | **40** (1 ms) |"
    with pytest.raises(SystemExit, match=r"shows roi_align \(w\) against torchvision, and no"):
        write_tables.chosen_rows({"AVX2": RUN}, gpu_run())


def test_the_pages_have_what_was_measured():
    """What the two programs would write stands there already."""
    results = write_tables.RESULTS
    runs, on_a_gpu = write_tables.measured(results), write_tables.newest_on_a_gpu(results)
    detectors = json.loads(digit_detectors.RESULTS.read_text())
    parts = [
        (write_tables.PAGE, "cpu table", write_tables.table(runs)),
        (write_tables.PAGE, "gpu table", write_tables.gpu_table(on_a_gpu)),
        (write_tables.PAGE, "detector table", digit_detectors.table(detectors)),
        (write_tables.README, "chosen rows", write_tables.chosen_rows(runs, on_a_gpu)),
    ]
    for path, name, new in parts:
        assert write_tables.put_into(path.read_text(), name, new) == path.read_text(), (
            f"{path.name} is behind: run python benchmarks/write_tables.py"
        )
