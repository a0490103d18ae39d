from pathlib import Path

import pytest
import torch

from consumer.classify import factory
from consumer.classify.compute.quota import cpu_quota


def quota(tmp_path: Path, groups: str, files: dict[str, str]) -> float | None:
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return cpu_quota(tmp_path / "groups", tmp_path / "mount")


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        (
            "0::/a/b\n",
            {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"},
            0.5,
        ),
        (
            "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n",  # seen from inside: its own group is the uppermost
            {"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            2.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_the_least_share_of_the_groups_that_can_be_seen(
    tmp_path: Path, groups: str, files: dict[str, str], expected: float | None
) -> None:
    assert quota(tmp_path, groups, files) == expected


def test_a_system_without_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("given", "share", "threads"), [(None, 1.5, 1), (None, 0.2, 1), (None, 9.0, 3), (None, None, 3), ("3", 1.0, 3)]
)
def test_torch_takes_no_more_threads_than_the_quota_but_as_many_as_it_was_told(
    monkeypatch: pytest.MonkeyPatch, given: str | None, share: float | None, threads: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(factory, "cpu_quota", lambda: share)
    torch.set_num_threads(3)
    try:
        factory.fit_threads("cpu")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
