"""A prepared set made by hand, small enough to train on in seconds."""

import hashlib
import os
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from flowtell import FaceClip
from flowtell.training.clip_records import write_clips, write_flow
from flowtell.training.flow_features import flow_step, pair_flow
from flowtell.training.models import FLOW_PRESETS, build_flow_network
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.recipe import JUDGED_NAME, PREPARED_NAME
from flowtell.training.run_folder import file_sha256, write_json

SIDE_PX, PAIRS, PEOPLE = 64, 4, 6


@dataclass(frozen=True)
class MadeSet:
    """The set, and the folder of the flow network that its flow is of."""

    prepared: PreparedSet
    network: Path


@pytest.fixture(scope="session")
def made_set(tmp_path_factory):
    """Six people with a real and a fake video each; originals glide, fakes flicker."""
    folder = tmp_path_factory.mktemp("made")
    keras.utils.set_random_seed(1)
    network = build_flow_network("tiny")
    # Fresh heads give flow of hundredths of a pixel, in which nothing can be told apart.
    for variable in network.trainable_variables:
        if variable.shape[-1] == 2:
            variable.assign(15 * variable)
    (folder / "network").mkdir()
    network.save_weights(folder / "network" / "flow.weights.h5")
    write_json(folder / "network" / "flow.json", {"flow": FLOW_PRESETS["tiny"].to_dict()})
    step = flow_step(network)
    rng = np.random.default_rng(0)
    entries = []
    for part in ("clips", "flow"):
        (folder / "set" / part).mkdir(parents=True)
    for number in range(2 * PEOPLE):
        label = number % 2
        clips = [_clip(rng, label) for _ in range(2)]
        facts = {
            "video": f"{'fake' if label else 'real'}/{number // 2}.mp4",
            "label": label,
            "method": "flicker" if label else "glide",
            "compression": "c23",
            "identities": [f"person{number // 2}"],
        }
        shard, flow = (folder / "set" / part / f"{number:05d}.tfrecord" for part in ("clips", "flow"))
        write_clips(shard, clips, facts)
        write_flow(flow, [pair_flow(step, c.frames[:-1], c.frames[1:], 4) for c in clips])
        entries.append(
            {
                "number": number,
                "video_sha256": hashlib.sha256(facts["video"].encode()).hexdigest(),
                **facts,
                "clips": [{"track": 0, "start_s": 0.0, "end_s": 0.2, "box": list(c.box)} for c in clips],
                "dropped": {"short": 0, "background": 0},
                "reason": None,
                "shard": {"file": shard.name, "sha256": file_sha256(shard)},
            }
        )
    settings = {"pairs_per_clip": PAIRS, "crop_size": SIDE_PX, "crop_margin": 1.3}
    flow = {"source": "network", "sha256": file_sha256(folder / "network" / "flow.weights.h5")}
    index = {"format": 1, "settings": settings, "flow": flow, "videos": entries}
    write_json(folder / "set" / "index.json", index)
    return MadeSet(PreparedSet.open(folder / "set"), folder / "network")


def _clip(rng, label):
    if label:
        frames = rng.integers(0, 256, (PAIRS + 1, SIDE_PX, SIDE_PX, 3))
    else:
        picture = np.cumsum(rng.normal(0, 9, (SIDE_PX, SIDE_PX + PAIRS, 3)), 1) + 128
        frames = np.stack([picture[:, k : k + SIDE_PX] for k in range(PAIRS + 1)]).clip(0, 255)
    times_s = tuple(k / 20 for k in range(PAIRS + 1))
    return FaceClip(0, 0.0, 0.2, (0, 0, SIDE_PX, SIDE_PX), False, frames.astype(np.uint8), times_s)


@pytest.fixture
def run(made_set, tmp_path):
    """The folder of a run whose clips are cut and have their flow."""
    for name in (PREPARED_NAME, JUDGED_NAME):
        shutil.copytree(made_set.prepared.folder, tmp_path / name)
    return tmp_path
