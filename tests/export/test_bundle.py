"""Writing bundles and model folders, and getting the models back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from tolerances import TOLERANCES

import flowtell
from flowtell.export import _bundle_folder
from flowtell.export.bundle import facts_from_bundle, keras_from_bundle, write_bundle
from flowtell.export.bundle_facts import BundleFacts, LeastEvidence
from flowtell.export.model_folder import read_model_folder, write_model_folder
from flowtell.export.tiny import tiny_models, write_tiny_bundle
from flowtell.export.trained_models import models_from_graph


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A tiny bundle, just written."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(folder)
    return folder


def test_a_mount_point_is_refused_before_anything_is_traced(tmp_path, monkeypatch):
    monkeypatch.setattr(_bundle_folder.os.path, "ismount", lambda path: True)
    with pytest.raises(flowtell.InputError, match=r"is a mount point, .* name a folder in it"):
        _bundle_folder.require_replaceable(tmp_path)
    _bundle_folder.require_replaceable(tmp_path / "new")


def test_a_model_folder_stays_whole_where_it_cannot_be_written_anew(written, tmp_path, monkeypatch):
    models, facts = keras_from_bundle(written), facts_from_bundle(written)
    write_model_folder(tmp_path, models, *facts)
    models.assign({path: 2 * weight for path, weight in models.weights().items()})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(path, *args, **kwargs):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(models.classifier, "save_weights", fails)
    with pytest.raises(OSError, match="No space left"):
        write_model_folder(tmp_path, models, *facts)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_committed_tiny_bundle_is_what_its_script_writes(written, tiny_bundle):
    ours, theirs = keras_from_bundle(written).weights(), keras_from_bundle(tiny_bundle).weights()
    for path, weight in theirs.items():
        np.testing.assert_array_equal(ours[path], weight, err_msg=path)
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 64, 64, 3), dtype=np.uint8)
    scores = [flowtell.Detector.open(folder).score_clips(clips) for folder in (written, tiny_bundle)]
    # Not the same bytes: another version of tf2onnx may order the same nodes differently.
    np.testing.assert_allclose(
        scores[0].pair_logits, scores[1].pair_logits, atol=TOLERANCES["small_graph"].value
    )


def test_the_engine_opens_it_and_finds_every_file_as_stated(written):
    bundle = flowtell.Bundle.open(written)
    bundle.verify()
    assert set(bundle.manifest.graphs) == {"faces", "cuts", "crop", "detector"}
    assert {file.name for file in written.iterdir()} == {
        "LICENSE", "MODEL_CARD.md", "NOTICE", "manifest.json",
        "crop.onnx", "cuts.onnx", "detector.onnx", "faces.onnx",
    }  # fmt: skip


def test_models_come_back_with_their_settings(written):
    wanted, back = tiny_models(), keras_from_bundle(written)
    assert back.settings == wanted.settings
    assert back.to_dict() == wanted.to_dict()
    assert back.weights().keys() == wanted.weights().keys()


@pytest.mark.parametrize("least", [LeastEvidence(), LeastEvidence(pairs=32, face_px=96)])
def test_facts_and_papers_survive_a_bundle(written, tmp_path, least):
    facts, papers = facts_from_bundle(written)
    facts = replace(facts, least_evidence=least)
    write_bundle(tmp_path / "again", keras_from_bundle(written), facts, papers, "float32")
    assert facts_from_bundle(tmp_path / "again") == (facts, papers)


def test_a_bundle_replaces_a_bundle(tiny_bundle_copy, models):
    facts, papers = facts_from_bundle(tiny_bundle_copy)
    before = flowtell.Bundle.open(tiny_bundle_copy).sha256
    write_bundle(tiny_bundle_copy, models, facts, papers, "float32")
    after = flowtell.Bundle.open(tiny_bundle_copy)
    after.verify()
    assert after.sha256 != before
    assert [p.name for p in tiny_bundle_copy.parent.iterdir()] == [tiny_bundle_copy.name]


def test_a_folder_of_other_things_is_left_alone(tmp_path, models, tiny_bundle):
    (tmp_path / "thesis.txt").write_text("years of work")
    facts, papers = facts_from_bundle(tiny_bundle)
    with pytest.raises(flowtell.InputError, match="holds files but no bundle"):
        write_bundle(tmp_path, models, facts, papers)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_manifest_of_another_program_makes_no_bundle(tmp_path, models, tiny_bundle):
    (tmp_path / "manifest.json").write_text('{"name": "a web page", "start_url": "/"}')
    with pytest.raises(flowtell.InputError, match="holds files but no bundle"):
        write_bundle(tmp_path, models, *facts_from_bundle(tiny_bundle))
    assert "web page" in (tmp_path / "manifest.json").read_text()


@pytest.mark.parametrize("name", ["notes.txt", ".git", "weights.onnx"])
def test_a_bundle_among_other_things_is_left_alone(tiny_bundle_copy, models, name):
    facts, papers = facts_from_bundle(tiny_bundle_copy)
    if name == "notes.txt":
        (tiny_bundle_copy / name).write_text("mine")
    else:
        (tiny_bundle_copy / name).mkdir()
    with pytest.raises(flowtell.InputError, match=f"more than a bundle .{name}."):
        write_bundle(tiny_bundle_copy, models, facts, papers)
    assert (tiny_bundle_copy / name).exists()
    flowtell.Bundle.open(tiny_bundle_copy).verify()


def test_a_graph_added_to_a_bundle_goes_with_it(tiny_bundle_copy, models):
    (tiny_bundle_copy / "flow.onnx").write_bytes(b"made from the old bundle")
    write_bundle(tiny_bundle_copy, models, *facts_from_bundle(tiny_bundle_copy))
    assert not (tiny_bundle_copy / "flow.onnx").exists()


def test_a_failure_leaves_the_old_bundle(tiny_bundle_copy, models, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(_bundle_folder, "write_capture_graphs", fail)
    before = flowtell.Bundle.open(tiny_bundle_copy).sha256
    facts, papers = facts_from_bundle(tiny_bundle_copy)
    with pytest.raises(OSError, match="no space"):
        write_bundle(tiny_bundle_copy, models, facts, papers)
    bundle = flowtell.Bundle.open(tiny_bundle_copy)
    bundle.verify()
    assert bundle.sha256 == before
    assert [p.name for p in tiny_bundle_copy.parent.iterdir()] == [tiny_bundle_copy.name]


def test_a_detector_needs_a_threshold_and_papers(tmp_path, models, tiny_bundle):
    facts, papers = facts_from_bundle(tiny_bundle)
    with pytest.raises(flowtell.InputError, match="threshold"):
        write_bundle(tmp_path / "b", models, BundleFacts("name", "licence"), papers)
    with pytest.raises(flowtell.InputError, match="NOTICE is missing"):
        write_bundle(tmp_path / "b", models, facts, {n: t for n, t in papers.items() if n != "NOTICE"})
    assert not list(tmp_path.iterdir())


def test_model_folder_round_trip(tmp_path, models, tiny_bundle):
    facts, papers = facts_from_bundle(tiny_bundle)
    facts = replace(facts, least_evidence=LeastEvidence(pairs=32, face_px=96))
    write_model_folder(tmp_path / "model", models, facts, papers)
    back, back_facts, back_papers = read_model_folder(tmp_path / "model")
    assert (back_facts, back_papers) == (facts, papers)
    assert back.to_dict() == models.to_dict()
    for path, weight in models.weights().items():
        np.testing.assert_array_equal(back.weights()[path], weight, err_msg=path)


def _without_a_paper(folder):
    (folder / "NOTICE").unlink()
    return "NOTICE"


def _with_a_paper_in_another_encoding(folder):
    (folder / "NOTICE").write_bytes("Müller".encode("latin-1"))
    return "UTF-8"


@pytest.mark.parametrize("damage", [_without_a_paper, _with_a_paper_in_another_encoding])
def test_a_bundle_whose_papers_cannot_be_read_is_refused_in_a_sentence(tiny_bundle_copy, damage):
    with pytest.raises(flowtell.InputError, match=damage(tiny_bundle_copy)):
        facts_from_bundle(tiny_bundle_copy)


def _without_json(folder):
    (folder / "model.json").unlink()
    return r"model\.json"


def _with_text(folder):
    (folder / "model.json").write_text("not JSON")
    return "is not JSON"


def _with_another_format(folder):
    (folder / "model.json").write_text('{"format": 2}')
    return "format 2"


def _with_an_unknown_setting(folder):
    described = json.loads((folder / "model.json").read_text())
    described["flow"]["colour"] = "blue"
    (folder / "model.json").write_text(json.dumps(described))
    return "does not describe"


def _with_other_widths(folder):
    described = json.loads((folder / "model.json").read_text())
    described["classifier"]["head_units"] = [5]
    (folder / "model.json").write_text(json.dumps(described))
    return "does not fit"


def _without_weights(folder):
    (folder / "flow.weights.h5").unlink()
    return r"flow\.weights\.h5"


@pytest.mark.parametrize(
    "damage",
    [
        _without_json,
        _with_text,
        _with_another_format,
        _with_an_unknown_setting,
        _with_other_widths,
        _without_weights,
        _without_a_paper,
        _with_a_paper_in_another_encoding,
    ],
)
def test_a_damaged_model_folder_is_refused_in_a_sentence(tmp_path, models, tiny_bundle, damage):
    write_model_folder(tmp_path, models, *facts_from_bundle(tiny_bundle))
    with pytest.raises(flowtell.InputError, match=damage(tmp_path)):
        read_model_folder(tmp_path)


def test_flow_of_odd_sizes_agrees_with_keras(models, tiny_graphs):
    """flow.onnx pads to multiples of 64, enlarges and cuts back; Keras does the same by other means."""
    from keras import ops

    session = onnxruntime.InferenceSession(
        tiny_graphs["flow"].SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rebuilt = models_from_graph(tiny_graphs["detector"])
    blocks = np.random.default_rng(0).integers(0, 256, (2, 1, 9, 11, 3), dtype=np.uint8)
    first, second = blocks.repeat(13, axis=2).repeat(17, axis=3)
    (flow,) = session.run(["flow"], {"image1": first, "image2": second})
    assert flow.shape == (1, 117, 187, 2)
    planes = [
        np.pad(i, ((0, 0), (0, 11), (0, 5), (0, 0)), mode="edge").astype(np.float32) for i in (first, second)
    ]
    quarter = rebuilt.network(*planes)[-1] * 20
    wanted = np.asarray(ops.image.resize(quarter, (128, 192), interpolation="bilinear"))[:, :117, :187]
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(flow, wanted, atol=TOLERANCES["flow_px"].value)


def test_classifier_alone_says_what_the_detector_says(tiny_graphs):
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)
    outputs = {}
    sessions = {
        name: onnxruntime.InferenceSession(
            tiny_graphs[name].SerializeToString(), providers=["CPUExecutionProvider"]
        )
        for name in ("detector", "classifier")
    }
    outputs = sessions["detector"].run(["pair_logits", "flow"], {"clips": clips})
    (logits,) = sessions["classifier"].run(["logits"], {"flow": outputs[1].reshape(-1, 16, 16, 2)})
    np.testing.assert_allclose(logits, outputs[0].ravel(), atol=TOLERANCES["small_graph"].value)
