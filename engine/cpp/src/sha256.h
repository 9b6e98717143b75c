// SHA-256 as FIPS 180-4 defines it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace flowtell_core {

// The digest of `size` bytes as 64 lower-case hexadecimal digits.
std::string sha256_hex(const uint8_t *data, size_t size);

} // namespace flowtell_core
