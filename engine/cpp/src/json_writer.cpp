// Writes what json.dumps of Python writes, so that results of both hosts can be compared as text.
#include "decimal.h"
#include "json.h"
#include "utf8.h"

#include <charconv>
#include <cstdio>

namespace {

void append_unit(std::string &result, int32_t unit) {
    char escape[7];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(unit) & 0xFFFFU);
    result += escape;
}

} // namespace

std::string flowtell_core::json_quoted(std::string_view text) {
    static constexpr std::string_view names = "\"\\bfnrt", characters = "\"\\\b\f\n\r\t";
    std::string result = "\"";
    for (size_t position = 0; position < text.size();) {
        const char first = text[position];
        const int32_t code = next_code_point(text, position);
        if (code == not_utf8) {
            append_unit(result, 0xDC00 + static_cast<uint8_t>(first));
        } else if (const size_t name = characters.find(first); code < 0x80 && name != std::string_view::npos) {
            result += '\\';
            result += names[name];
        } else if (code < 0x20 || (code > 0x7E && code < 0x10000)) {
            append_unit(result, code);
        } else if (code >= 0x10000) {
            append_unit(result, 0xD800 + ((code - 0x10000) >> 10));
            append_unit(result, 0xDC00 + ((code - 0x10000) & 0x3FF));
        } else {
            result += first;
        }
    }
    return result + '"';
}

std::string flowtell_core::json_number(double value) {
    const std::string scientific = scientific_from(value);
    const size_t mark = scientific.find('e');
    const char *exponent_text = scientific.data() + mark + (scientific[mark + 1] == '+' ? 2 : 1);
    int exponent = 0;
    std::from_chars(exponent_text, scientific.data() + scientific.size(), exponent);
    if (exponent < -4 || exponent >= 16) {
        return scientific;
    }
    const bool is_negative = scientific[0] == '-';
    std::string digits(scientific.substr(is_negative ? 1 : 0, mark - (is_negative ? 1 : 0)));
    if (digits.size() > 1) {
        digits.erase(1, 1); // the point
    }
    std::string result = is_negative ? "-" : "";
    if (exponent < 0) {
        return result + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
    }
    const auto whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() <= whole) {
        return result + digits + std::string(whole - digits.size(), '0') + ".0";
    }
    return result + digits.substr(0, whole) + '.' + digits.substr(whole);
}
