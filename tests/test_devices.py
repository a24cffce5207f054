"""Runs ``pretended_device.py``: a device, once registered, is there for all of a process."""

import subprocess
import sys
from pathlib import Path


def test_models_keep_their_tensors_together():
    checks = Path(__file__).with_name("pretended_device.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--color=no", "--tb=short", str(checks)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout
