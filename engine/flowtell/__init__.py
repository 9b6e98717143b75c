"""flowtell tells whether the face in a video was manipulated, from its optical flow.

>>> import flowtell
>>> detector = flowtell.Detector.open()
>>> result = detector.detect("clip.mp4")
>>> print(result.verdict, result.fake_probability)
"""

from ._bundle import Bundle, default_bundle_path
from ._clips import FaceClip
from ._detector import ClipScores, Detector
from ._effort import Effort
from ._errors import BundleError, DecodeError, FlowtellError, InputError, IsolationError, ProviderError
from ._pipeline import Progress, iter_face_clips
from ._profile import Profile
from ._result import BundleIdentity, ClipResult, FaceResult, Result, TimingMs
from ._stream import Stream, StreamScore
from ._version import __version__

__all__ = [
    "Bundle",
    "BundleError",
    "BundleIdentity",
    "ClipResult",
    "ClipScores",
    "DecodeError",
    "Detector",
    "Effort",
    "FaceClip",
    "FaceResult",
    "FlowtellError",
    "InputError",
    "IsolationError",
    "Profile",
    "Progress",
    "ProviderError",
    "Result",
    "Stream",
    "StreamScore",
    "TimingMs",
    "__version__",
    "default_bundle_path",
    "iter_face_clips",
]
