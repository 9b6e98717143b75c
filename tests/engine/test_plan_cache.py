"""The cache of TensorRT plans opens what was made here for exactly this, whatever bears the right name."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from hostile_plans import ATTACKS, PLAN, folder, hard_link

from flowtell import Bundle, ProviderError
from flowtell._plan_cache import NoPlanError, PlanCache, RefusedPlanError
from flowtell._plan_key import PlanKey, profile_of

if sys.platform == "win32":
    pytest.skip("plans are not kept on Windows", allow_module_level=True)

KEY = PlanKey(
    graph_sha256="0" * 64,
    backend="tensorrt_rtx",
    version="1.7.1.116",
    gpu="",
    compute_capability="8.6",
    precision="fp32",
    profile={"clips": ((1, 2, 64, 64, 3), (1, 17, 64, 64, 3), (8, 17, 64, 64, 3))},
    system="Linux-x86_64",
)
KILLS, SEED = 12, 20261125


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return PlanCache.open()


@pytest.fixture
def path(cache):
    """Where a plan for KEY lies."""
    with cache.locked(never):
        return cache.write(KEY, PLAN)


@pytest.fixture
def secret(tmp_path, path):
    return tmp_path / "state" / "flowtell" / "plan-secret"


def never():
    raise AssertionError("nobody else holds the lock")


def test_what_was_written_is_read_and_is_this_user_s_alone(cache, path, secret):
    assert cache.read(KEY) == PLAN
    assert [file.stat().st_mode & 0o777 for file in (path, secret)] == [0o600, 0o600]
    folders = (path.parent, path.parent.parent, secret.parent)
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
    assert sorted(file.name for file in path.parent.iterdir()) == sorted([path.name, "lock"])


def test_a_file_is_what_the_format_says(path, secret):
    first, code, rest = path.read_bytes().split(b"\n", 2)
    key, plan = rest.split(b"\n", 1)
    assert (first, plan) == (b"flowtell plan 1", PLAN)
    assert code.decode() == hmac.new(secret.read_bytes(), rest, "sha256").hexdigest()
    assert json.loads(key) == {
        "backend": "tensorrt_rtx",
        "compute_capability": "8.6",
        "gpu": "",
        "graph_sha256": "0" * 64,
        "precision": "fp32",
        "profile": {"clips": [[1, 2, 64, 64, 3], [1, 17, 64, 64, 3], [8, 17, 64, 64, 3]]},
        "system": "Linux-x86_64",
        "version": "1.7.1.116",
    }
    assert path.name == hashlib.sha256(key).hexdigest() + ".plan"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_sha256", "1" * 64),
        ("backend", "tensorrt"),
        ("version", "1.7.1.117"),
        ("gpu", "NVIDIA A10"),
        ("compute_capability", "8.9"),
        ("precision", "fp16"),
        ("profile", {"clips": ((1, 2, 64, 64, 3), (1, 17, 64, 64, 3), (9, 17, 64, 64, 3))}),
        ("system", "Linux-aarch64"),
    ],
)
def test_every_word_of_the_key_tells_plans_apart(cache, path, field, value):
    other = replace(KEY, **{field: value})
    with pytest.raises(NoPlanError):
        cache.read(other)
    path.rename(cache.path(other))  # the right code, for another key
    with pytest.raises(RefusedPlanError, match="is a plan for something else"):
        cache.read(other)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_was_not_made_here_is_not_opened_and_can_be_replaced(cache, path, secret, attack):
    attack(path, secret)
    with pytest.raises(RefusedPlanError, match=ATTACKS[attack]):
        cache.read(KEY)
    if attack is folder:  # nothing of flowtell makes one, and nothing of flowtell deletes one
        with cache.locked(never), pytest.raises(ProviderError, match="cannot be written: Is a directory"):
            cache.write(KEY, PLAN)
        return
    with cache.locked(never):
        cache.write(KEY, PLAN)
    if attack is hard_link:
        path.with_name("second").unlink()
    assert cache.read(KEY) == PLAN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_another_user_s_file_is_not_opened(cache, path, secret):
    for mine in (path, secret):
        os.chown(mine, 65534, 65534)
        with pytest.raises(RefusedPlanError, match="is another user's"):
            cache.read(KEY)
        os.chown(mine, 0, 0)
    os.chown(path.parent, 65534, 65534)
    with pytest.raises(ProviderError, match="can be written to by others"):
        PlanCache.open()


def test_a_cache_folder_that_is_a_link_is_not_used(cache, path):
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to("moved")
    with pytest.raises(ProviderError, match=r"plans' is a link"):
        PlanCache.open()


def test_a_cache_carried_elsewhere_is_not_opened_there(cache, path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another state"))
    with pytest.raises(RefusedPlanError, match="no plan was made here before"):
        PlanCache.open().read(KEY)


def test_one_builds_at_a_time(cache):
    waited, order = threading.Event(), []

    def second():
        with cache.locked(waited.set):
            order.append("second")

    with cache.locked(never):
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


# For each line it reads, forks two processes that replace a plan on and on: they have to wait for each other.
WRITERS = """
import json, os, sys
from flowtell._plan_cache import PlanCache
from flowtell._plan_key import PlanKey
key, plan = PlanKey(**json.loads(sys.argv[1])), bytes(range(256)) * 8000
for line in sys.stdin:
    writers = []
    for _ in range(2):
        writers.append(os.fork())
        if not writers[-1]:
            cache = PlanCache.open()
            for number in range(1 << 30):
                with cache.locked(lambda: None):
                    cache.write(key, plan + f"{os.getpid()} {number}".encode())
    print(*writers, flush=True)
    print(*(os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in writers), flush=True)
"""


def test_sigkill_while_writing_leaves_a_whole_plan_and_no_lock(cache, path):
    generator = random.Random(SEED)
    read = set()
    command = [sys.executable, "-c", WRITERS, KEY.canonical().decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        for _ in range(KILLS):
            writers.stdin.write("\n")
            writers.stdin.flush()
            both = [int(writer) for writer in writers.stdout.readline().split()]
            time.sleep(generator.uniform(0, 0.12))
            for writer in both:
                os.kill(writer, signal.SIGKILL)
            assert writers.stdout.readline().split() == [str(-signal.SIGKILL)] * 2
            plan = cache.read(KEY)
            assert plan == PLAN or plan.startswith(bytes(range(256)) * 8000)
            read.add(plan)
        writers.stdin.close()
    assert len(read) > 1, "no writer was quick enough to write once"
    with cache.locked(never):
        assert sorted(file.name for file in path.parent.iterdir()) == sorted([path.name, "lock"])


def test_profiles_are_those_of_the_bundle(tiny_bundle):
    manifest = Bundle.open(tiny_bundle).manifest
    assert profile_of("detector", manifest) == KEY.profile
    assert profile_of("classifier", manifest) == {"flow": ((1, 16, 16, 2), (16, 16, 16, 2), (128, 16, 16, 2))}
    with_residual = replace(manifest, flow_encoding="uv_residual")
    assert profile_of("classifier", with_residual)["flow"][0] == (1, 16, 16, 3)
    assert set(profile_of("flow", manifest)) == {"image1", "image2"}
    assert profile_of("faces", manifest) is None
