// Opens a bundle: a folder with manifest.json and its ONNX graphs, none of which is trusted.
#pragma once

#include "manifest.h"

#include <cstdint>
#include <string>
#include <vector>

namespace flowtell_core {

struct Bundle {
    std::string folder;
    Manifest manifest;
    std::string sha256; // of the manifest's bytes

    // Throws Error(FLOWTELL_BUNDLE_ERROR) where there is no bundle, or its manifest is not one this version reads.
    static Bundle open(const std::string &folder);

    // The bytes of one graph: the very ones that were hashed and inspected. Throws Error(FLOWTELL_BUNDLE_ERROR).
    std::vector<uint8_t> read_graph(const std::string &graph, const std::string &precision) const;
};

// What read_graph demands of the bytes themselves; `file` is for the sentence. Throws Error(FLOWTELL_BUNDLE_ERROR).
void require_portable_graph(const uint8_t *data, size_t size, const std::string &file, const std::string &precision);

} // namespace flowtell_core
