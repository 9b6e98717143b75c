#include "json.h"

#include "decimal.h"
#include "utf8.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_set>

namespace {

using flowtell_core::JsonError;
using flowtell_core::JsonValue;
using Kind = JsonValue::Kind;

// A manifest nests 6 levels; a certificate is free but has no reason to go deeper than this.
constexpr int max_depth = 100;

// Python refuses to turn longer decimals into integers; no number of a manifest comes near.
constexpr size_t max_digits = 4300;

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    JsonValue document() {
        JsonValue value = read_value(0);
        skip_space();
        if (position_ != text_.size()) {
            refuse("there is more after the end");
        }
        return value;
    }

  private:
    [[noreturn]] void refuse(const std::string &why) const {
        throw JsonError(why + " at byte " + std::to_string(position_));
    }

    bool at(char wanted) const { return position_ < text_.size() && text_[position_] == wanted; }

    bool take(char wanted) {
        if (!at(wanted)) {
            return false;
        }
        ++position_;
        return true;
    }

    void skip_space() {
        while (at(' ') || at('\t') || at('\n') || at('\r')) {
            ++position_;
        }
    }

    bool take_word(std::string_view word) {
        if (text_.substr(position_, word.size()) != word) {
            return false;
        }
        position_ += word.size();
        return true;
    }

    JsonValue read_value(int depth) {
        if (depth > max_depth) {
            refuse("it is nested deeper than " + std::to_string(max_depth) + " levels");
        }
        skip_space();
        JsonValue value;
        if (at('{')) {
            read_object(value, depth);
        } else if (at('[')) {
            read_array(value, depth);
        } else if (at('"')) {
            value.kind = Kind::text;
            value.text = read_string();
        } else if (take_word("true")) {
            value.kind = Kind::boolean;
            value.boolean = true;
        } else if (take_word("false")) {
            value.kind = Kind::boolean;
        } else if (!take_word("null")) {
            for (const char *name : {"NaN", "Infinity", "-Infinity"}) {
                if (take_word(name)) {
                    throw JsonError(std::string(name) + " is not a number that JSON has");
                }
            }
            read_number(value);
        }
        return value;
    }

    void read_object(JsonValue &value, int depth) {
        value.kind = Kind::object;
        ++position_;
        std::unordered_set<std::string> seen;
        skip_space();
        if (take('}')) {
            return;
        }
        do {
            skip_space();
            if (!at('"')) {
                refuse("a key in double quotes is missing");
            }
            std::string key = read_string();
            if (!seen.insert(key).second) {
                throw JsonError("the key '" + flowtell_core::shortened(key) + "' appears twice");
            }
            skip_space();
            if (!take(':')) {
                refuse("a colon is missing");
            }
            value.members.emplace_back(std::move(key), read_value(depth + 1));
            skip_space();
        } while (take(','));
        if (!take('}')) {
            refuse("a comma or a closing brace is missing");
        }
    }

    void read_array(JsonValue &value, int depth) {
        value.kind = Kind::array;
        ++position_;
        skip_space();
        if (take(']')) {
            return;
        }
        do {
            value.items.push_back(read_value(depth + 1));
            skip_space();
        } while (take(','));
        if (!take(']')) {
            refuse("a comma or a closing bracket is missing");
        }
    }

    std::string read_string() {
        ++position_;
        std::string result;
        while (!take('"')) {
            if (position_ >= text_.size()) {
                refuse("a string has no end");
            }
            if (static_cast<unsigned char>(text_[position_]) < 0x20) {
                refuse("a control character stands in a string");
            }
            if (take('\\')) {
                read_escape(result);
            } else {
                result += text_[position_++];
            }
        }
        return result;
    }

    void read_escape(std::string &result) {
        static constexpr std::string_view names = "\"\\/bfnrt", characters = "\"\\/\b\f\n\r\t";
        if (position_ >= text_.size()) {
            refuse("a string has no end");
        }
        const char name = text_[position_++];
        if (const size_t index = names.find(name); index != std::string_view::npos) {
            result += characters[index];
            return;
        }
        if (name != 'u') {
            refuse("an escape that JSON does not have");
        }
        uint32_t code = read_hex();
        if (code >= 0xD800 && code < 0xDC00 && take_word("\\u")) {
            const uint32_t low = read_hex();
            if (low < 0xDC00 || low > 0xDFFF) {
                refuse("half a surrogate pair");
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else if (code >= 0xD800 && code <= 0xDFFF) {
            refuse("half a surrogate pair");
        }
        append_utf8(result, code);
    }

    uint32_t read_hex() {
        const std::string_view digits = text_.substr(position_, 4);
        uint32_t code = 0;
        const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (digits.size() != 4 || failure != std::errc() || end != digits.data() + 4) {
            refuse("four hexadecimal digits are missing");
        }
        position_ += 4;
        return code;
    }

    static void append_utf8(std::string &result, uint32_t code) {
        const auto append = [&](uint32_t byte) { result += static_cast<char>(byte); };
        if (code < 0x80) {
            append(code);
        } else if (code < 0x800) {
            append(0xC0 | code >> 6);
            append(0x80 | (code & 0x3F));
        } else if (code < 0x10000) {
            append(0xE0 | code >> 12);
            append(0x80 | (code >> 6 & 0x3F));
            append(0x80 | (code & 0x3F));
        } else {
            append(0xF0 | code >> 18);
            append(0x80 | (code >> 12 & 0x3F));
            append(0x80 | (code >> 6 & 0x3F));
            append(0x80 | (code & 0x3F));
        }
    }

    size_t skip_digits() {
        const size_t start = position_;
        while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') {
            ++position_;
        }
        return position_ - start;
    }

    void read_number(JsonValue &value) {
        const size_t start = position_;
        const bool is_negative = take('-');
        const bool leading_zero = at('0');
        const size_t whole = skip_digits();
        if (whole == 0 || (leading_zero && whole > 1)) {
            position_ = start;
            refuse("no value begins");
        }
        value.kind = Kind::integer;
        if (take('.')) {
            value.kind = Kind::real;
            if (skip_digits() == 0) {
                refuse("digits are missing after a point");
            }
        }
        if (take('e') || take('E')) {
            value.kind = Kind::real;
            if (!take('+')) {
                take('-');
            }
            if (skip_digits() == 0) {
                refuse("digits are missing in an exponent");
            }
        }
        const std::string_view number = text_.substr(start, position_ - start);
        if (value.kind == Kind::integer && whole > max_digits) {
            refuse("an integer of more than " + std::to_string(max_digits) + " digits");
        }
        value.real = real_from(number, is_negative);
        const char *end = number.data() + number.size();
        if (value.kind == Kind::integer && std::from_chars(number.data(), end, value.integer).ec != std::errc()) {
            using Limits = std::numeric_limits<int64_t>;
            value.integer = is_negative ? Limits::min() : Limits::max();
        }
    }

    // What lies beyond the range is infinite, or zero where it is too small.
    static double real_from(std::string_view number, bool is_negative) {
        if (const std::optional<double> value = flowtell_core::double_from(number)) {
            return *value;
        }
        const size_t mark = number.find_first_of("eE");
        const std::string_view digits = number.substr(0, mark);
        const size_t first = digits.find_first_of("123456789");
        const size_t point = std::min(digits.find('.'), digits.size());
        const auto place = static_cast<int64_t>(point) - static_cast<int64_t>(first);
        constexpr int64_t farthest = int64_t{1} << 40; // farther than a manifest has digits
        int64_t exponent = 0;
        if (mark != std::string_view::npos) {
            const bool has_plus = number[mark + 1] == '+';
            const char *begin = number.data() + mark + (has_plus ? 2 : 1);
            if (std::from_chars(begin, number.data() + number.size(), exponent).ec != std::errc()) {
                exponent = *begin == '-' ? -farthest : farthest;
            }
            exponent = std::clamp(exponent, -farthest, farthest);
        }
        const double magnitude = place + exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
        return is_negative ? -magnitude : magnitude;
    }

    std::string_view text_;
    size_t position_ = 0;
};

} // namespace

namespace flowtell_core {

const JsonValue *JsonValue::find(std::string_view key) const noexcept {
    for (const auto &[name, value] : members) {
        if (name == key) {
            return &value;
        }
    }
    return nullptr;
}

JsonValue json_from_text(std::string_view text) {
    if (!is_utf8(text)) {
        throw JsonError("it is not UTF-8");
    }
    return Reader(text).document();
}

} // namespace flowtell_core
