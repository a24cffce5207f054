"""The programs of docs/learn.md do what the page says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "learn.md"


def run(number, epochs, fewer):
    """A program of the page, for fewer epochs; returns its names."""
    program = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[number]
    names = {}
    exec(program.replace(epochs, f"{fewer}, tensorboard=False, progress=False"), names)
    return names


def test_program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(0, "epochs=15", "epochs=3")
    assert names["history"].epochs[-1]["accuracy"] > 0.85  # of digits not trained on
    assert "'accuracy': 0." in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "runs" / "digits").iterdir()} == {
        "last.pt",
        "model.safetensors",
        "best.safetensors",
        "history.csv",
        "epochs.csv",
        "curves.png",
    }


def test_program_with_players(tmp_path, monkeypatch, capsys, quick_curves):
    monkeypatch.chdir(tmp_path)
    steps = run(1, "epochs=10", "epochs=2")["history"].steps
    assert capsys.readouterr().out == "samples/epoch_0002.png\n"
    assert (tmp_path / "runs" / "painter" / "samples" / "epoch_0002.png").exists()
    painted = [row["generator/l1"] for row in steps]
    assert sum(painted[-10:]) < 0.7 * sum(painted[:10])
