"""What judging costs, from the price of the machine that does it."""

__all__ = ["FRAMES_PER_S", "cost_of_video"]

FRAMES_PER_S = 30
"""Of the hour of video that is priced: what most phones and sites use."""


def cost_of_video(machine_hour, pairs_per_s):
    """Return what an hour of video costs, as a dict of plain values.

    Args:
        machine_hour: price of an hour of the machine, in any currency.
        pairs_per_s: that it judges, one face in every frame and every pair judged.
    """
    hours = FRAMES_PER_S / pairs_per_s
    return {
        "machine_hour": machine_hour,
        "frames_per_s": FRAMES_PER_S,
        "hour_of_video": machine_hour * hours,
    }
