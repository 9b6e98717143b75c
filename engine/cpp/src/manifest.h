// The manifest of a bundle: manifest.json, format 2, parsed as strictly as engine/flowtell/_manifest.py does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flowtell_core {

constexpr uint64_t max_manifest_bytes = uint64_t{1} << 20;
constexpr uint64_t max_graph_bytes = uint64_t{1} << 29;

struct GraphFile {
    std::string file;   // plain file name in the bundle's folder
    std::string sha256; // 64 lower-case hexadecimal digits
    uint64_t bytes = 0;
};

// What a video must show for a verdict; with less the detector abstains.
struct LeastEvidence {
    int64_t pairs = 0;   // on which a face was followed, summed over faces
    int64_t face_px = 0; // longer side of the largest face that decides
};

struct Manifest {
    using Precisions = std::vector<std::pair<std::string, GraphFile>>;

    std::string name, licence;
    int32_t crop_size = 0;          // S, in px
    int32_t pairs_per_clip = 0;     // T
    double crop_margin = 0.0;       // side of the crop over the longer side of the face
    std::vector<double> thresholds; // fake probabilities; verdicts use the first
    LeastEvidence least_evidence;
    std::vector<std::pair<std::string, Precisions>> graphs;

    // NULL where the bundle has no such graph in that precision.
    const GraphFile *graph(std::string_view name, std::string_view precision) const noexcept;
};

// Throws Error(FLOWTELL_BUNDLE_ERROR) for anything but a well-formed manifest of format 2.
Manifest manifest_from_text(std::string_view text);

} // namespace flowtell_core
