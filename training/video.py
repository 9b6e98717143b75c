"""What training asks of a video file: its key frames, to paint with, and what tells it from others."""

import av

from flowtell import InputError
from flowtell.training.run_folder import file_sha256

__all__ = ["read_key_frames", "readable_video_sha256", "video_sha256"]


def read_key_frames(path):
    """Yield the key frames of a video in order as uint8 `[H, W, 3]` RGB, the others left undecoded.

    A file without a video stream has none.

    Raises:
        InputError: if it cannot be read, or not to its end.
    """
    try:
        with av.open(str(path)) as container:
            for stream in container.streams.video[:1]:
                stream.codec_context.skip_frame = "NONKEY"
                for frame in container.decode(stream):
                    yield frame.to_ndarray(format="rgb24", threads=1)
    except av.error.FFmpegError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}): leave it out") from error


def readable_video_sha256(path):
    """Return the hash of a video's bytes.

    Raises:
        InputError: they cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"the video '{path}' cannot be read: {error.strerror}") from error


def video_sha256(path):
    """Return the hash of a video's bytes, or None where they cannot be read, which is no reason to stop."""
    try:
        return file_sha256(path)
    except OSError:
        return None
