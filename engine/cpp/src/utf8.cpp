#include "utf8.h"

namespace {

constexpr int shown_characters = 200;

} // namespace

int32_t flowtell_core::next_code_point(std::string_view text, size_t &position) noexcept {
    const auto byte_at = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
    const size_t start = position++;
    const uint8_t first = byte_at(start);
    if (first < 0x80) {
        return first;
    }
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    // 0x80 to 0xC1 begin nothing or an overlong form; above 0xF4 lies nothing
    if (first < 0xC2 || first > 0xF4 || text.size() - start <= static_cast<size_t>(more)) {
        return not_utf8;
    }
    int32_t code = first & (0x3F >> more);
    for (int i = 1; i <= more; ++i) {
        const uint8_t next = byte_at(start + static_cast<size_t>(i));
        if ((next & 0xC0) != 0x80) {
            return not_utf8;
        }
        code = code << 6 | (next & 0x3F);
    }
    const int32_t lowest = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    if (code < lowest || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return not_utf8;
    }
    position = start + static_cast<size_t>(more) + 1;
    return code;
}

bool flowtell_core::is_utf8(std::string_view text) noexcept {
    for (size_t position = 0; position < text.size();) {
        if (next_code_point(text, position) == not_utf8) {
            return false;
        }
    }
    return true;
}

std::string flowtell_core::shortened(std::string_view text) {
    size_t end = 0;
    for (int shown = 0; shown < shown_characters && end < text.size(); ++shown) {
        next_code_point(text, end);
    }
    return std::string(text.substr(0, end)) + (end < text.size() ? "..." : "");
}
