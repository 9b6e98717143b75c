"""Key frames of videos, as a source of pictures."""

import av

__all__ = ["read_key_frames"]


def read_key_frames(path):
    """Yield the key frames of a video in order as uint8 `[H, W, 3]` RGB, the others left undecoded.

    Raises:
        FileNotFoundError: if there is no such file.
        av.error.FFmpegError: if it cannot be decoded.
    """
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONKEY"
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")
