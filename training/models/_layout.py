"""Where the channels stand: the one place that knows `channels_last` from `channels_first`."""

from keras import ops

__all__ = ["channel_axis", "concat_channels", "spatial_size", "to_channels_last"]


def channel_axis(data_format):
    """Return the axis of the channels in a 4-D tensor: 3 for `channels_last`, 1 for `channels_first`.

    Raises:
        ValueError: for any other `data_format`.
    """
    if data_format == "channels_last":
        return 3
    if data_format == "channels_first":
        return 1
    raise ValueError(f"data_format must be 'channels_last' or 'channels_first', not {data_format!r}")


def spatial_size(x, data_format):
    """Return (height, width) of a 4-D tensor: integers where static, scalar tensors where not."""
    shape = ops.shape(x)
    return (shape[1], shape[2]) if channel_axis(data_format) == 3 else (shape[2], shape[3])


def concat_channels(tensors, data_format):
    """Concatenate 4-D tensors along their channels."""
    return ops.concatenate(tensors, axis=channel_axis(data_format))


def to_channels_last(x, data_format):
    """Return a 4-D tensor as [N, H, W, C]."""
    return x if channel_axis(data_format) == 3 else ops.transpose(x, (0, 2, 3, 1))
