"""The bundle's networks as PyTorch modules, in a process of its own: Keras has one backend a process.

Keras's models on its PyTorch backend are `torch.nn.Module`s whose layers call PyTorch's own convolutions,
here in PyTorch's own layout (channels first). The parent starts

    KERAS_BACKEND=torch python -m flowtell.benchmarks.torch_child BUNDLE THREADS eager|compiled

and sends clips, uint8 `[T+1, S, S, 3]`, each as a file of NumPy's after its length in eight bytes, which is
answered by the logits of its pairs and of the clip, float32 `[T + 1]`, in the same form; the first answer, an
empty array, means ready.
"""

import importlib.util
import io
import os
import sys
import weakref

import numpy as np

from flowtell.benchmarks._child import Child
from flowtell.benchmarks.contenders import MissingError

__all__ = ["open_torch"]


def open_torch(arena, mode):
    """Start the child and return a judging function, as `contenders` describes it.

    Args:
        arena: an `Arena`.
        mode: `eager`, or `compiled` for `torch.compile`, which compiles as it meets the first clip.

    Raises:
        MissingError: where PyTorch is not installed, or the child does not start or dies, with its last
            words; the judging function raises it, too.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingError("it needs PyTorch: pip install torch")
    command = [sys.executable, "-m", __name__, str(arena.bundle), str(arena.threads), mode]
    child = Child(command, os.environ | {"KERAS_BACKEND": "torch"})

    def answer():
        try:
            return _receive(child.stdout)
        except EOFError:
            raise MissingError(f"PyTorch could not run it: {child.last_words()}") from None

    try:
        answer()
    except MissingError:
        child.close()
        raise

    def judge(clips):
        outputs = []
        for clip in clips:
            _send(child.stdin, clip)
            outputs.append(answer())
        return outputs

    weakref.finalize(judge, child.close)
    return judge


def _send(pipe, array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    pipe.write(len(file.getvalue()).to_bytes(8, "little") + file.getvalue())
    pipe.flush()


def _receive(pipe):
    length = pipe.read(8)
    if len(length) < 8:
        raise EOFError
    return np.load(io.BytesIO(pipe.read(int.from_bytes(length, "little"))), allow_pickle=False)


def _serve(bundle, threads, mode):
    import torch

    from flowtell.export import keras_from_bundle
    from flowtell.training.models import build_classifier, build_detector, build_flow_network

    torch.set_num_threads(threads)
    models = keras_from_bundle(bundle)
    network = build_flow_network(models.network.config, "channels_first")
    network.set_weights(models.network.get_weights())
    classifier = build_classifier(models.classifier.config, "channels_first")
    classifier.set_weights(models.classifier.get_weights())
    settings = models.settings
    detector = build_detector(
        network,
        classifier,
        settings.flow_encoding,
        settings.crop_size,
        settings.temperature,
        models.clip_head,
    )
    if mode == "compiled":
        detector = torch.compile(detector)
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    _send(answers, np.empty(0))
    while True:
        try:
            clip = _receive(sys.stdin.buffer)
        except EOFError:  # the parent is gone
            return
        with torch.inference_mode():
            judged = detector(torch.from_numpy(clip[None]))
            output = torch.cat([judged["pair_logits"][0], judged["clip_logit"]])
        _send(answers, output.numpy().astype(np.float32))


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
