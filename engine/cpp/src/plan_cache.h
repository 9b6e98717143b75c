// Reads the cache of TensorRT plans that `flowtell plan` fills: engine/flowtell/_plan_cache.py states its format, and
// docs/decisions/0021-what-shows-that-a-plan-was-made-here.md why it is so.
#pragma once

#include "bundle.h"

#include <cstdint>
#include <string>
#include <vector>

namespace flowtell_core {

// Everything that a plan depends on; the graph is a bundle's detector.
struct PlanKey {
    std::string backend; // "tensorrt" or "tensorrt_rtx"
    std::string compute_capability;
    std::string gpu; // empty for tensorrt_rtx
    std::string graph_sha256;
    std::string precision;
    int32_t crop_size = 0;
    int32_t pairs_per_clip = 0;
    std::string version; // of TensorRT, all four numbers

    // The key as a plan's file holds it.
    std::string canonical() const;
};

// The plan of a key, the very bytes that were found to be made here for it.
// Throws Error(FLOWTELL_PROVIDER_ERROR) where there is none, or a file that is not what it should be.
std::vector<uint8_t> read_plan(const PlanKey &key);

// HMAC-SHA256 (RFC 2104) of `data` as 64 lower-case hexadecimal digits; `secret` has at most 64 bytes.
std::string hmac_sha256_hex(const std::string &secret, const uint8_t *data, size_t size);

} // namespace flowtell_core
