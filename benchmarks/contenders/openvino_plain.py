"""The same plain graphs in OpenVINO, float32 asked for by name: its default may be lower."""

from flowtell import ProviderError
from flowtell.benchmarks.contenders import MissingError, mean_output, require_mean
from flowtell.benchmarks.runtimes import openvino_model

NAME = "OpenVINO, plain graphs"
SUMMARY = "flow network and classifier as tf2onnx converts them, OpenVINO on the CPU in f32, one clip a call"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    require_mean(arena.models)
    try:
        flow, classifier = (openvino_model(graph, arena.threads) for graph in arena.plain_graphs)
    except ProviderError as error:
        raise MissingError(str(error)) from error

    def judge(clips):
        outputs = []
        for clip in clips:
            moved = flow({"image1": clip[:-1], "image2": clip[1:]})[0]
            outputs.append(mean_output(classifier({"flow": moved})[0]))
        return outputs

    return judge
