// Hostile bytes into the bundle loader. The first byte of an input says where the rest goes: into the manifest's
// parser, into the walk over a graph, or, as a graph with an honest hash, through a whole bundle on disk.
#include "bundle.h"
#include "json.h"
#include "sha256.h"
#include "status.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

namespace {

using flowtell_core::Error;

void load_manifest(const uint8_t *data, size_t size) {
    try {
        flowtell_core::manifest_from_text({reinterpret_cast<const char *>(data), size});
    } catch (const Error &) {
    }
}

void walk_graph(const uint8_t *data, size_t size) {
    try {
        flowtell_core::require_portable_graph(data, size, "fuzzed.onnx", "fp32");
    } catch (const Error &) {
    }
}

const std::string &scratch_folder() {
    static const std::string folder = [] {
        char name[] = "/tmp/flowtell-fuzz-XXXXXX";
        if (::mkdtemp(name) == nullptr) {
            std::abort();
        }
        return std::string(name);
    }();
    return folder;
}

void load_bundle(const uint8_t *data, size_t size) {
    const std::string &folder = scratch_folder();
    const std::string entry = "{\"fp32\": {\"file\": \"g.onnx\", \"sha256\": \"" +
                              flowtell_core::sha256_hex(data, size) + "\", \"bytes\": " + std::to_string(size) + "}}";
    std::ofstream(folder + "/g.onnx", std::ios::binary)
        .write(reinterpret_cast<const char *>(data), static_cast<std::streamsize>(size));
    std::ofstream(folder + "/manifest.json")
        << "{\"format\": 2, \"name\": \"n\", \"licence\": \"l\", \"colour_order\": \"RGB\", \"crop_size\": 64, "
           "\"pairs_per_clip\": 16, \"crop_margin\": 1.3, \"face_score_threshold\": 0.6, \"flow_encoding\": \"uv\", "
           "\"weights_storage\": \"w\", \"graphs\": {\"faces\": "
        << entry << ", \"cuts\": " << entry << ", \"crop\": " << entry
        << "}, \"temperature\": 1.0, \"thresholds\": [], \"training_data\": [], \"certificates\": []}";
    try {
        flowtell_core::Bundle::open(folder).read_graph("crop", "fp32");
    } catch (const Error &) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    switch (data[0] % 16) { // files cost time: one input in sixteen goes to disk
    case 0:
        load_bundle(data + 1, size - 1);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        load_manifest(data + 1, size - 1);
        break;
    default:
        walk_graph(data + 1, size - 1);
    }
    return 0;
}
