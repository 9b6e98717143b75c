"""Graph passes: pure functions from model to model, one a file, applied in the order of ``standard_passes``.

They run while the weights are still graph inputs: a model is a few hundred kilobytes and copying it is free.
"""

from flowtell.export.passes._opaque import COST_VOLUME_OP, LSTM_OP, OPAQUE_DOMAIN, WARP_OP
from flowtell.export.passes.drop_unused import drop_unused
from flowtell.export.passes.fold_weight_chains import RECIPES_KEY, fold_weight_chains
from flowtell.export.passes.fuse_conv_bias import fuse_conv_bias
from flowtell.export.passes.lower_cost_volume import lower_cost_volume
from flowtell.export.passes.lower_lstm import lower_lstm
from flowtell.export.passes.lower_warp import lower_warp
from flowtell.export.passes.permute_dense import permute_dense
from flowtell.export.passes.pool_means import pool_means
from flowtell.export.passes.shorten_names import shorten_names

__all__ = [
    "COST_VOLUME_OP",
    "LSTM_OP",
    "OPAQUE_DOMAIN",
    "RECIPES_KEY",
    "WARP_OP",
    "drop_unused",
    "fold_weight_chains",
    "fuse_conv_bias",
    "lower_cost_volume",
    "lower_lstm",
    "lower_warp",
    "permute_dense",
    "pool_means",
    "shorten_names",
    "standard_passes",
]


def standard_passes(model, weight_names):
    """Apply every pass.

    Args:
        model: as ``flowtell.export._trace.trace`` returns it.
        weight_names: which graph inputs are weights.

    Returns:
        The model with operators of the default domain only, weights still inputs, in the form their consumers
        want.
    """
    model = lower_cost_volume(model)
    model = lower_warp(model)
    model = lower_lstm(model)
    model = fuse_conv_bias(model, weight_names)
    model = permute_dense(model, weight_names)
    model = fold_weight_chains(model, weight_names)
    model = pool_means(drop_unused(model))
    return shorten_names(drop_unused(model))
