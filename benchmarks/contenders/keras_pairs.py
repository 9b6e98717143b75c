"""What the scripts that users come from do: Keras, `predict` on a batch of one pair."""

from flowtell.benchmarks.contenders import mean_output, require_mean

NAME = "Keras, predict on one pair"
SUMMARY = "the Keras models, one pair at a time through predict"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    require_mean(arena.models)
    model = arena.models.detector()

    def judge(clips):
        return [
            mean_output(
                [model.predict(clip[None, t : t + 2], verbose=0)["pair_logits"] for t in range(len(clip) - 1)]
            )
            for clip in clips
        ]

    return judge
