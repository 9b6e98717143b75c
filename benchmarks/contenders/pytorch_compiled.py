"""The networks as PyTorch modules, compiled by TorchInductor, which needs a C++ compiler."""

from flowtell.benchmarks.torch_child import open_torch

NAME = "PyTorch, torch.compile"
SUMMARY = "the same modules through torch.compile with its default settings; compiled before the first turn"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    return open_torch(arena, "compiled")
