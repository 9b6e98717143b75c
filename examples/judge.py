"""Judges a video file in a few lines, and prints what the examples in C and C++ print for the same frames.

python examples/judge.py VIDEO [BUNDLE]
"""

from __future__ import annotations

import sys

import flowtell


def main() -> int:
    """Judge the file named on the command line."""
    if len(sys.argv) not in (2, 3):
        print("usage: python examples/judge.py VIDEO [BUNDLE]", file=sys.stderr)
        return 2
    # file names are bytes: one that the terminal cannot show must not end the run
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with flowtell.Detector.open(sys.argv[2] if len(sys.argv) == 3 else None) as detector:
            result = detector.detect(sys.argv[1])
    except flowtell.FlowtellError as error:
        print(f"judge: {error}", file=sys.stderr)
        return 1
    if result.fake_probability is None:
        print(f"undecided: {result.reason}")
    else:
        print(f"{result.verdict} {result.fake_probability:.6f}")
    for face in result.faces:
        print(f"face {face.track}: {face.fake_probability:.6f} from {len(face.clips)} clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
