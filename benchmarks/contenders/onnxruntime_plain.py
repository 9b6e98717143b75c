"""What tf2onnx gives by itself, in ONNX Runtime: two graphs, each frame encoded twice, flow between them."""

from flowtell.benchmarks.contenders import mean_output, require_mean
from flowtell.benchmarks.runtimes import onnxruntime_session

NAME = "ONNX Runtime, plain graphs"
SUMMARY = "flow network and classifier as tf2onnx converts them, default session options, one clip a call"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    require_mean(arena.models)
    flow, classifier = (onnxruntime_session(graph, arena.threads) for graph in arena.plain_graphs)

    def judge(clips):
        outputs = []
        for clip in clips:
            (moved,) = flow.run(None, {"image1": clip[:-1], "image2": clip[1:]})
            outputs.append(mean_output(classifier.run(None, {"flow": moved})[0]))
        return outputs

    return judge
