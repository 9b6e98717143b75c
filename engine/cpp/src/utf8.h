// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flowtell_core {

constexpr int32_t not_utf8 = -1;

// The code point at `position`, which moves behind it; `not_utf8` where the bytes there are none, and then
// `position` moves by one byte. `position` must be inside `text`.
int32_t next_code_point(std::string_view text, size_t &position) noexcept;

bool is_utf8(std::string_view text) noexcept;

// A name for a sentence: what is longer than 200 characters is cut and ends in three points. A hostile one may be as
// long as its file.
std::string shortened(std::string_view text);

} // namespace flowtell_core
