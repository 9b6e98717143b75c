#include "decimal.h"

#include <charconv>

// <charconv> has doubles from GCC 11 on; Ubuntu 20.04 and Apple's library of Xcode 16 have it without them.
#if defined(__cpp_lib_to_chars) && !defined(FLOWTELL_WITHOUT_CHARCONV)

std::optional<double> flowtell_core::double_from(std::string_view number) {
    double value = 0.0;
    const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
    return read.ec == std::errc::result_out_of_range ? std::nullopt : std::optional<double>(value);
}

std::string flowtell_core::scientific_from(double value) {
    char buffer[32]; // hold every double
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
    return {buffer, end};
}

#else

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <locale>
#include <locale.h>
#include <new>
#include <sstream>
#ifdef __APPLE__
#include <xlocale.h>
#endif

namespace {

locale_t c_locale() {
    static const locale_t locale = ::newlocale(LC_ALL_MASK, "C", static_cast<locale_t>(nullptr));
    if (locale == static_cast<locale_t>(nullptr)) {
        throw std::bad_alloc();
    }
    return locale;
}

} // namespace

std::optional<double> flowtell_core::double_from(std::string_view number) {
    const std::string text(number); // ends in a zero
    errno = 0;
    const double value = ::strtod_l(text.c_str(), nullptr, c_locale());
    // a number below the normal ones is an error of range, too, and still a number
    return errno == ERANGE && (value == 0.0 || std::isinf(value)) ? std::nullopt : std::optional<double>(value);
}

std::string flowtell_core::scientific_from(double value) {
    std::string text;
    for (int digits = 0; digits < std::numeric_limits<double>::max_digits10; ++digits) {
        std::ostringstream out;
        out.imbue(std::locale::classic());
        out.precision(digits);
        out << std::scientific << value;
        text = out.str();
        if (double_from(text) == value) {
            break;
        }
        // below a power of two doubles lie closer: there what reads back may be the next text, not the nearest
        std::string next = text;
        char &last = next[next.find('e') - 1];
        if (last < '9' && (++last, double_from(next) == value)) {
            return next;
        }
    }
    return text;
}

#endif
