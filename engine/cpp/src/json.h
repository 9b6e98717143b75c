// A strict reader of JSON (RFC 8259) for manifests: no duplicate keys, no NaN, bounded depth, UTF-8 only.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flowtell_core {

// Thrown for text that is not JSON as this reader takes it; what() says why and where.
class JsonError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct JsonValue {
    enum class Kind { null, boolean, integer, real, text, array, object };

    Kind kind = Kind::null;
    bool boolean = false;
    int64_t integer = 0; // clamped to the range of int64
    double real = 0.0;   // of an integer too; infinite where a number is beyond double
    std::string text;
    std::vector<JsonValue> items;                           // of an array
    std::vector<std::pair<std::string, JsonValue>> members; // of an object, in order

    // The member called `key`, or NULL.
    const JsonValue *find(std::string_view key) const noexcept;
};

// Throws JsonError.
JsonValue json_from_text(std::string_view text);

// `text` in double quotes with JSON's escapes, ASCII only. Bytes that are no UTF-8 become lone surrogates
// U+DC80 to U+DCFF, as Python writes them.
std::string json_quoted(std::string_view text);

// The shortest decimal that reads back as `value`, as Python's repr and json write it; `value` must be finite.
std::string json_number(double value);

} // namespace flowtell_core
