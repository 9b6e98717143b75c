"""`flowtell info`: what a bundle is, what it was trained on, and whether its files are what it says."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from ._bundle import Bundle, default_bundle_path
from ._cli_text import printable

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Show the bundle named in `argv`; return 0. Every graph is read and checked first."""
    parser = argparse.ArgumentParser(prog="flowtell info", description="Show and verify a bundle.")
    parser.add_argument(
        "bundle",
        nargs="?",
        default=default_bundle_path(),
        metavar="BUNDLE",
        help="its folder (default: the own one)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv[1:])
    bundle = Bundle.open(arguments.bundle)
    bundle.verify()
    facts = bundle_facts(bundle)
    print(json.dumps(facts, allow_nan=False) if arguments.json else "\n".join(map(printable, _lines(facts))))
    return 0


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Return everything the manifest says as plain data, with the bundle's folder and hash."""
    manifest = bundle.manifest
    graphs = {
        graph: {precision: asdict(entry) for precision, entry in precisions.items()}
        for graph, precisions in manifest.graphs.items()
    }
    return {
        "path": str(bundle.path),
        "sha256": bundle.sha256,
        "name": manifest.name,
        "licence": manifest.licence,
        "colour_order": manifest.colour_order,
        "crop_size": manifest.crop_size,
        "pairs_per_clip": manifest.pairs_per_clip,
        "crop_margin": manifest.crop_margin,
        "face_score_threshold": manifest.face_score_threshold,
        "flow_encoding": manifest.flow_encoding,
        "weights_storage": manifest.weights_storage,
        "graphs": graphs,
        "temperature": manifest.temperature,
        "thresholds": [asdict(threshold) for threshold in manifest.thresholds],
        "training_data": [asdict(source) for source in manifest.training_data],
        "least_evidence": asdict(manifest.least_evidence),
        "certificates": [dict(certificate) for certificate in manifest.certificates],
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"bundle     {facts['name']} at {facts['path']}",
        f"sha256     {facts['sha256']}",
        f"licence    {facts['licence']}",
        f"clips      {facts['pairs_per_clip']} pairs, {facts['crop_size']} px, margin {facts['crop_margin']}",
        f"flow       {facts['flow_encoding']}",
        f"weights    {facts['weights_storage']}, calibration temperature {facts['temperature']:g}",
    ]
    for graph, precisions in facts["graphs"].items():
        for precision, entry in precisions.items():
            size = f"{entry['bytes'] / 1e6:.1f} MB"
            lines.append(f"graph      {graph} {precision}: {entry['file']}, {size}, verified")
    for threshold in facts["thresholds"]:
        lines.append(f"threshold  {threshold['fake_probability']:g}: {threshold['operating_point']}")
    least = facts["least_evidence"]
    if any(least.values()):
        pairs, face_px = least["pairs"], least["face_px"]
        lines.append(f"abstains   below {pairs} frame pairs of deciding faces, or {face_px} px of face")
    for source in facts["training_data"]:
        lines.append(f"trained on {source['name']} ({source['terms']})")
    for certificate in facts["certificates"]:
        lines.append(f"certified  {json.dumps(certificate, allow_nan=False)}")
    return lines
