"""What each stage of judging a video costs: reading it, finding faces, cutting them out, the detector."""

__all__ = ["stage_times"]


def stage_times(detector, videos, clips_per_video):
    """Return milliseconds of work for a frame pair, a dict of stage to float; empty where nothing was judged.

    Every frame is read and every face followed, so those stages are shared out over all pairs of the faces;
    the detector's over the pairs that it judged. What is cut out to be judged counts with following: the more
    of a file is judged, the more that stage takes. Stages run beside each other: they add up to work, not to
    a wait.

    Args:
        detector: an open `flowtell.Detector`.
        videos: paths.
        clips_per_video: at most so many are judged of each.
    """
    results = [detector.detect(video, max_clips=clips_per_video) for video in videos]
    judged, seen = (sum(getattr(r, name) for r in results) for name in ("pairs_judged", "pairs_total"))
    if not judged:
        return {}
    pairs = {"decode": seen, "faces": seen, "crop": seen, "detector": judged}
    return {
        stage: sum(getattr(result.timing_ms, stage) for result in results) / count
        for stage, count in pairs.items()
    }
