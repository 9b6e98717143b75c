"""The runtimes that contenders use, on so many threads as they are given."""

from flowtell import InputError, ProviderError
from flowtell._onnxruntime import load_onnxruntime
from flowtell._provider_openvino import shared_core, why_not

__all__ = ["limit_keras", "onnxruntime_session", "openvino_model"]


def limit_keras(threads):
    """Let Keras in this process compute on so many threads; only before it has computed anything.

    Raises:
        flowtell.InputError: Keras runs on something else than TensorFlow, whose threads are its own.
    """
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"--threads limits Keras on TensorFlow only, and it runs on {backend}: leave --threads out, or "
            "set KERAS_BACKEND=tensorflow"
        )
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def onnxruntime_session(graph, threads):
    """Return an ONNX Runtime session on the CPU with its default options but for the threads.

    Args:
        graph: bytes of an ONNX file.
        threads: of one call.
    """
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def openvino_model(graph, threads, precision="f32"):
    """Return a compiled OpenVINO model on the CPU, its precision asked for by name: the default may be lower.

    Args:
        graph: bytes of an ONNX file.
        threads: of one call.
        precision: that OpenVINO is told to compute in.

    Raises:
        flowtell.ProviderError: where OpenVINO is not installed, or cannot be loaded.
    """
    reason = why_not()
    if reason is not None:
        raise ProviderError(reason)
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    core = shared_core()
    return core.compile_model(core.read_model(graph, b""), "CPU", settings)
