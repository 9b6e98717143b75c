"""Threads by default are as many as the process has cores for, in a container with a quota, too."""

from __future__ import annotations

import os

import pytest

from flowtell._usable_cores import usable_cores

MANY = 64


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return `machine(files)`: the cores that are usable on a large machine whose files say so."""
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)))
    else:
        monkeypatch.setattr(os, "cpu_count", lambda: MANY)

    def cores(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return usable_cores(tmp_path)

    return cores


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", MANY),
        ("9900000 100000", MANY),
        ("", MANY),
        ("what 1", MANY),
        ("5 0", MANY),
    ],
)
def test_a_quota_of_a_container(machine, said, wanted):
    # its own group, by the name that the host has for it, is not there
    files = {"proc/self/cgroup": "0::/docker/4f\n", "sys/fs/cgroup/cpu.max": said}
    assert machine(files) == wanted


def test_the_least_of_all_groups_around_it_counts(machine):
    folder = "sys/fs/cgroup/a.slice"
    files = {"proc/self/cgroup": "0::/a.slice/b\n", f"{folder}/cpu.max": "300000 100000"}
    assert machine({**files, f"{folder}/b/cpu.max": "800000 100000"}) == 3
    assert machine({f"{folder}/b/cpu.max": "max 100000"}) == 3
    assert machine({f"{folder}/b/cpu.max": "100000 100000"}) == 1


def test_a_quota_of_version_1(machine):
    folder = "sys/fs/cgroup/cpu,cpuacct/docker"
    files = {"proc/self/cgroup": "5:memory:/docker\n4:cpu,cpuacct:/docker\n0::/\n"}
    assert machine(files) == MANY
    assert machine({f"{folder}/cpu.cfs_quota_us": "-1\n", f"{folder}/cpu.cfs_period_us": "100000\n"}) == MANY
    assert machine({f"{folder}/cpu.cfs_quota_us": "400000\n"}) == 4


def test_without_groups_all_cores_are_usable(machine):
    assert machine({}) == MANY
