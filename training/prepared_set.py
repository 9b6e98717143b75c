"""A prepared set: face clips of labelled videos, cut once, with their flow where it was asked for.

    index.json                what is in it: settings, and for each video its clips or why it gave none
    clips/00000.tfrecord      the clips of video 0 (`flowtell.training.clip_records` states the format)
    flow/00000.tfrecord       their flow, where the set has it

`index.json` is written last and depends on nothing but the videos and the settings.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from flowtell import InputError
from flowtell.training.clip_records import read_arrays
from flowtell.training.labels import LabelledVideo
from flowtell.training.run_folder import file_sha256

__all__ = ["INDEX_FORMAT", "INDEX_NAME", "PreparedSet", "other_crops"]

INDEX_FORMAT = 1
INDEX_NAME = "index.json"


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set that was opened.

    Attributes:
        folder: where it lies.
        index: the content of `index.json`.
        videos: the `LabelledVideo`s that gave at least one clip.
        numbers: the number of each of them in the index.
    """

    folder: Path
    index: dict
    videos: list[LabelledVideo]
    numbers: list[int]
    _known: set[Path] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, folder):
        """Read the index.

        Raises:
            InputError: there is no finished set, or it has another format.
        """
        folder = Path(folder)
        path = folder / INDEX_NAME
        if not path.is_file():
            raise InputError(
                f"'{folder}' holds no finished prepared set: run flowtell prepare --out {folder}"
            )
        try:
            index = json.loads(path.read_text("utf-8"))
            if index["format"] != INDEX_FORMAT:
                raise InputError(f"'{path}' has format {index['format']!r}; prepare the videos again")
            used = [entry for entry in index["videos"] if entry["clips"]]
            videos = [_labelled(entry) for entry in used]
        except InputError:
            # a ValueError, too, and said already
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"'{path}' is no index of a prepared set: {error!r}") from error
        return cls(folder, index, videos, [entry["number"] for entry in used])

    @property
    def has_flow(self):
        """Whether the flow of the clips is stored."""
        return self.index["flow"] is not None

    @property
    def pairs_per_clip(self):
        """T, of every clip."""
        return self.index["settings"]["pairs_per_clip"]

    @property
    def crop_size(self):
        """S, side of the crops in px."""
        return self.index["settings"]["crop_size"]

    def entry(self, position):
        """Return what the index says of `videos[position]`."""
        return self.index["videos"][self.numbers[position]]

    def clips(self, position):
        """Return the clips of `videos[position]`, uint8 `[N, T+1, S, S, 3]` RGB.

        Raises:
            InputError: the shard is missing, cut short or corrupt.
        """
        return self._arrays(position, "clips", "frames")

    def flow(self, position):
        """Return the flow of the clips of `videos[position]`, float16 `[N, T, S/4, S/4, 2]` in px of a crop.

        Raises:
            InputError: the set has no flow, or the shard is missing, cut short or corrupt.
        """
        if not self.has_flow:
            raise InputError(
                f"'{self.folder}' holds no flow: run flowtell prepare again with --flow and a bundle or a "
                "trained flow network"
            )
        return self._arrays(position, "flow", "flow")

    def frame_pairs(self, position):
        """Return the frames that each flow is from, and to: uint8 `[N, T, S, S, 3]`; else as `clips`."""
        clips = self.clips(position)
        return clips[:, :-1], clips[:, 1:]

    def _arrays(self, position, part, name):
        entry = self.entry(position)
        path = self.folder / part / f"{entry['number']:05d}.tfrecord"
        arrays = read_arrays(path, name)
        if part == "clips":
            self._require_own(path, entry["shard"])
        if len(arrays) != len(entry["clips"]):
            raise InputError(
                f"the shard '{path}' holds {len(arrays)} clips where the index has {len(entry['clips'])}: "
                "run flowtell prepare again"
            )
        return arrays

    def _require_own(self, path, shard):
        """Refuse a shard that is whole and another's, as of two sets that were mixed; each is hashed once."""
        if shard is None or path in self._known:
            return
        if file_sha256(path) != shard["sha256"]:
            raise InputError(f"the shard '{path}' is not the one of the index: run flowtell prepare again")
        self._known.add(path)

    def clips_sha256(self):
        """Return the hash of each shard of clips, in the index's order: of the set whatever its flow."""
        return [entry["shard"]["sha256"] for entry in self.index["videos"] if entry["shard"]]

    def sha256(self):
        """Return the hash of the index, which covers every shard through its hash."""
        return file_sha256(self.folder / INDEX_NAME)


def other_crops(prepared):
    """Return a sentence where a set's faces are cropped in another way than the engine's, or None."""
    if prepared.index["settings"].get("faces", "engine") == "engine":
        return None
    return (
        "these faces were found anew in each frame, and a detector looks at one box a clip: figures of this "
        "set are not those of flowtell detect, for which evaluate on a set of --faces engine"
    )


def _labelled(entry):
    return LabelledVideo(
        Path(entry["video"]),
        entry["label"],
        frozenset(entry["identities"]),
        entry["method"],
        entry["compression"],
    )
