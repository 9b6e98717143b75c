"""The tuner finds what trying everything would find, sooner; a sweep goes on where it was stopped."""

import json
import re
from dataclasses import replace
from importlib import resources

import jsonschema
import numpy as np
import pytest

import flowtell
from flowtell import samples
from flowtell.__main__ import main
from flowtell.benchmarks._cli_tune import _race_lines
from flowtell.benchmarks.detector_system import sample_clips
from flowtell.benchmarks.probe import Measured, Probe, Probes
from flowtell.benchmarks.settings_grid import Grid, Point, grid_of
from flowtell.benchmarks.sweep import Store, write_samples
from flowtell.benchmarks.sweep_picture import unbeaten
from flowtell.benchmarks.tuner import TURNS, Limits, race, tune

GRID = Grid(("cpu", "openvino"), ("fp32", "fp16", "int8"), (1, 2), (1, 2, 4, 8), (16,))

MEASURED_BY = {"videos_sha256": ["c" * 64], "clips": 2, "duration_s": 1.0}


class Machine:
    """A made-up machine: rates multiply, with noise; a call holds memory by its clips and threads."""

    def __init__(self, seed, noise=0.02):
        self._rng = np.random.default_rng(seed)
        self._noise = noise
        self.speed = {
            (provider, precision): rate
            for provider, base in (("cpu", 5.0), ("openvino", self._rng.uniform(4.0, 8.0)))
            for precision, rate in (("fp32", base), ("fp16", 0.8 * base), ("int8", 2 * base))
        }
        self.batch_gain = self._rng.uniform(0.9, 1.2)
        self.tried = []

    def true_rate(self, point):
        gain = 1 + (self.batch_gain - 1) * (1 - 1 / point.clips_per_call)
        return self.speed[point.provider, point.precision] * point.threads**0.95 * gain

    def measure(self, point):
        self.tried.append(point)
        rate = self.true_rate(point) * (1 + self._noise * self._rng.normal())
        busy = point.threads * point.clips_per_call
        drift = {"fp32": 1e-6, "fp16": 1e-2, "int8": 0.1}[point.precision]
        return Measured(
            logit_drift=drift,
            verdict_flips=0,
            pairs_per_s=rate,
            rounds=(rate,),
            latency_ms=1e3 * busy * point.pairs / rate,
            open_ms=100.0,
            peak_memory_mb=200.0 + 100.0 * busy,
        )


@pytest.mark.parametrize("seed", range(20))
def test_its_choice_is_near_the_best_of_all_in_a_third_of_the_points(seed):
    machine = Machine(seed)
    choice = tune(GRID, machine.measure, Limits())
    best = max(machine.true_rate(point) for point in GRID.points())
    # a tenth is what trials of two seconds can tell apart
    assert machine.true_rate(choice.point) >= 0.9 * best
    assert len(choice.trials) == len(machine.tried) <= len(GRID.points()) / 2
    assert len(set(machine.tried)) <= len(GRID.points()) / 3  # those tried again are open already


@pytest.mark.parametrize(
    ("limits", "keeps"),
    [
        (Limits(drift=0.05), lambda point, measured: point.precision != "int8"),
        (Limits(memory_mb=350), lambda point, measured: measured.peak_memory_mb <= 350),
        (Limits(latency_ms=2000), lambda point, measured: measured.latency_ms <= 2000),
    ],
)
def test_its_choice_keeps_to_the_limits(limits, keeps):
    choice = tune(GRID, Machine(1).measure, limits)
    assert keeps(choice.point, choice.measured)


def test_threads_are_taken_away_where_memory_asks_for_it():
    choice = tune(GRID, Machine(2).measure, Limits(memory_mb=310))
    assert (choice.point.threads, choice.point.clips_per_call) == (1, 1)


def test_where_nothing_keeps_to_the_limits_there_is_no_choice():
    choice = tune(GRID, Machine(3).measure, Limits(memory_mb=10))
    assert choice.point is None
    assert choice.trials


@pytest.mark.parametrize("seed", range(10))
def test_a_slow_minute_of_the_machine_decides_nothing(seed):
    """Half of the first trials run at three quarters of their speed; those raced again do not."""
    machine = Machine(seed)
    slow = np.random.default_rng(seed)

    def measure(point):
        first = point not in machine.tried
        measured = machine.measure(point)
        return replace(measured, pairs_per_s=measured.pairs_per_s * (slow.choice([0.8, 1.0]) if first else 1))

    choice = tune(GRID, measure, Limits())
    trials = [measured.pairs_per_s for point, measured in choice.trials if point == choice.point]
    assert len(trials) == 1 + TURNS
    assert choice.measured.pairs_per_s == pytest.approx(machine.true_rate(choice.point), rel=0.1)
    assert choice.measured.pairs_per_s == sorted(trials)[1]


def test_what_does_not_run_is_not_chosen():
    machine = Machine(4)

    def measure(point):
        if point.provider == "openvino":
            return Measured(failed="openvino cannot load it")
        return machine.measure(point)

    assert tune(GRID, measure, Limits()).point.provider == "cpu"


def test_a_race_takes_turns():
    order = []
    raced = race(["a", "b"], lambda point: order.append(point) or len(order), 3)
    assert order == ["a", "b"] * 3
    assert raced == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_probes_stay_open_to_be_measured_again(tiny_bundle, tmp_path):
    """The rate is of every measurement, the time to open of the one process that all of them ran in."""
    detector = flowtell.Detector.open(tiny_bundle, provider="cpu")
    clips = sample_clips(detector, [samples.natural_path()], 2, 4)
    write_samples(detector, clips, tmp_path / "4.npz")
    points = [Point("cpu", "fp32", 1, count, 4) for count in range(1, Probes.KEPT + 2)]
    with Probes(tiny_bundle, {4: tmp_path / "4.npz"}, 0.01) as probes:
        first = [probes(point) for point in points]
        again = [probes(point) for point in reversed(points)]
    assert all(measured.pairs_per_s > 0 and measured.logit_drift == 0 for measured in first + again)
    same = [a.open_ms == b.open_ms for a, b in zip(first, reversed(again), strict=True)]
    assert same == [False] + [True] * Probes.KEPT  # the oldest had made room


def test_a_probe_that_cannot_run_says_why(tiny_bundle, tmp_path):
    with Probe(tiny_bundle, Point("cpu", "fp16", 1, 1, 4), tmp_path / "none.npz") as probe:
        assert "none.npz" in probe.measure(0.1).failed
    detector = flowtell.Detector.open(tiny_bundle, provider="cpu")
    write_samples(detector, sample_clips(detector, [samples.natural_path()], 1, 4), tmp_path / "4.npz")
    with Probe(tiny_bundle, Point("cpu", "fp16", 1, 1, 4), tmp_path / "4.npz") as probe:
        assert "fp16" in probe.measure(0.1).failed
        assert "fp16" in probe.measure(0.1).failed


def test_nothing_beats_what_is_on_the_front():
    machine = Machine(5, noise=0)
    found = {point: machine.measure(point) for point in GRID.points()}
    front = unbeaten(found)
    for point in found:
        beaten = [
            other
            for other in found.values()
            if other.pairs_per_s > found[point].pairs_per_s and other.latency_ms < found[point].latency_ms
        ]
        assert not (beaten and point in front)


def test_a_store_is_gone_on_with_and_a_line_cut_short_is_forgotten(tmp_path):
    path = tmp_path / "sweep.jsonl"
    points = GRID.points()[:2]
    measured = Machine(6).measure(points[0])
    store = Store(path, "a" * 64, MEASURED_BY)
    store.add(points[0], measured)
    store.add(points[1], measured)
    path.write_bytes(path.read_bytes()[:-20])
    again = Store(path, "a" * 64, MEASURED_BY)
    assert again.measured == {points[0]: measured}
    again.add(points[1], measured)
    assert Store(path, "a" * 64, MEASURED_BY).measured == {points[0]: measured, points[1]: measured}


def test_an_empty_file_is_a_new_store(tmp_path):
    path = tmp_path / "sweep.jsonl"
    path.touch()
    Store(path, "a" * 64, MEASURED_BY)
    assert Store(path, "a" * 64, MEASURED_BY).measured == {}


def test_a_store_of_another_bundle_is_refused(tmp_path):
    path = tmp_path / "sweep.jsonl"
    Store(path, "a" * 64, MEASURED_BY)
    with pytest.raises(flowtell.InputError, match="another bundle or processor"):
        Store(path, "b" * 64, MEASURED_BY)
    with pytest.raises(flowtell.InputError, match="measured otherwise"):
        Store(path, "a" * 64, MEASURED_BY | {"duration_s": 2.0})


@pytest.mark.parametrize("text", ["no store\n", "no store", '{"schema": 2}\nhalf a line'])
def test_what_is_no_store_is_refused_and_left_as_it_was(text, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(flowtell.InputError, match="is no store of a sweep"):
        Store(path, "a" * 64, MEASURED_BY)
    assert path.read_text() == text


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(flowtell.InputError, match="cannot be read and written"):
        Store(tmp_path, "a" * 64, MEASURED_BY)


def test_the_command_writes_a_profile_that_detect_takes(tiny_bundle, tmp_path, capsys):
    profile = tmp_path / "profile.json"
    words = ["bench", "tune", str(tiny_bundle), "--providers", "cpu", "--pairs", "4", "--duration", "0.1"]
    assert main([*words, "--clips-per-call", "1", "2", "--out", str(profile)]) == 0
    assert "best: cpu fp32" in capsys.readouterr().out
    stated = json.loads(profile.read_text())
    schema = resources.files("flowtell.schemas").joinpath("profile.schema.json").read_text("utf-8")
    jsonschema.validate(stated, json.loads(schema))
    opened = flowtell.Detector.open(tiny_bundle, profile=flowtell.Profile.read(profile))
    settings = stated["settings"]
    assert (opened.threads, opened.clips_per_call) == (settings["threads"], settings["clips_per_call"])
    words = ["detect", str(samples.natural_path()), "--clips", "1", "--bundle", str(tiny_bundle)]
    assert main([*words, "--profile", str(profile), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provider"] == "CPUExecutionProvider"
    words = ["bench", "sweep", str(tiny_bundle), "--providers", "cpu", "--pairs", "4", "--duration", "0.1"]
    words += ["--clips-per-call", "1", "2", "--store", str(tmp_path / "sweep.jsonl")]
    assert main([*words, "--profile", str(profile)]) == 0
    said = capsys.readouterr().out
    assert said.count("in turn, 5 times: cpu fp32") in (3, 4)
    assert re.search(r"the profile's cpu fp32, .* reaches \d+% of the best", said)


def test_a_profile_of_another_bundle_is_refused_before_the_sweep(tiny_bundle, tmp_path, capsys):
    profile = tmp_path / "profile.json"
    settings = {"bundle_sha256": "0" * 64, "provider": "cpu", "precision": "fp32"}
    settings |= {"threads": 1, "clips_per_call": 1}
    profile.write_text(json.dumps({"schema": 1, "kind": "flowtell profile", "settings": settings}))
    store = tmp_path / "sweep.jsonl"
    words = ["bench", "sweep", str(tiny_bundle), "--store", str(store), "--profile", str(profile)]
    assert main(words) == 2
    assert "made for another bundle" in capsys.readouterr().err
    assert not store.exists()


def test_a_profile_that_does_not_run_here_is_named_and_not_ranked():
    point = Point("cpu", "fp32", 1, 1, 4)
    fails = replace(Machine(7).measure(point), pairs_per_s=None, failed="the bundle has no fp16")
    runs = Machine(7).measure(point)
    chosen = replace(point, precision="fp16")
    (said,) = _race_lines(chosen, {chosen: [fails, fails], point: [runs, runs]})
    assert said == f"the profile's {chosen} does not run here: the bundle has no fp16"


def test_ways_that_nothing_computes_are_refused(tiny_bundle, capsys):
    words = ["bench", "tune", str(tiny_bundle), "--providers", "cpu", "--precisions", "bf16"]
    assert main(words) == 2
    assert "nothing of cpu computes in bf16" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bench", "tune", str(tiny_bundle), "--providers", "opnvino"])
    assert "invalid choice: 'opnvino'" in capsys.readouterr().err


def test_a_bundle_without_a_detector_has_no_speed(tiny_bundle_copy):
    bundle = flowtell.Bundle.open(tiny_bundle_copy)
    graphs = {name: files for name, files in bundle.manifest.graphs.items() if name != "detector"}
    without = replace(bundle, manifest=replace(bundle.manifest, graphs=graphs))
    with pytest.raises(flowtell.InputError, match="has no detector"):
        grid_of(without)


def test_the_command_tunes_for_one_length_of_clips(tiny_bundle, capsys):
    assert main(["bench", "tune", str(tiny_bundle), "--pairs", "4", "8"]) == 2
    assert "give --pairs one number" in capsys.readouterr().err


def test_the_command_says_where_nothing_keeps_to_the_limits(tiny_bundle, capsys):
    words = ["bench", "tune", str(tiny_bundle), "--providers", "cpu", "--pairs", "4", "--duration", "0.1"]
    assert main([*words, "--clips-per-call", "1", "--max-memory-mb", "1"]) == 1
    assert "nothing keeps to these limits" in capsys.readouterr().out


def test_the_sweep_measures_every_point_once(tiny_bundle, tmp_path, capsys):
    store = tmp_path / "sweep.jsonl"
    words = ["bench", "sweep", str(tiny_bundle), "--providers", "cpu", "--pairs", "2", "4", "--threads", "1"]
    words += ["--clips-per-call", "1", "2", "--duration", "0.1", "--store", str(store)]
    assert main([*words, "--picture", str(tmp_path / "sweep.png")]) == 0
    lines = store.read_text().splitlines()
    assert len(lines) == 5
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert main(words) == 0
    assert store.read_text().splitlines() == lines
    assert capsys.readouterr().out.count("pairs/s") == 8


def test_points_say_what_they_are():
    point = Point("cpu", "fp32", 2, 1, 16)
    assert str(replace(point, threads=4)) == "cpu fp32, threads 4, clips a call 1, pairs a clip 16"
