"""The networks as PyTorch modules, called as they are."""

from flowtell.benchmarks.torch_child import open_torch

NAME = "PyTorch, eager"
SUMMARY = "the fused model as PyTorch modules, channels first, one clip a call under inference_mode"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    return open_torch(arena, "eager")
