// What stands in where the standard library reads and writes no doubles, against what does here.
#include "decimal.h"

#include <charconv>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

#ifdef __cpp_lib_to_chars

static int failures = 0;

static void check(bool holds, double value, const std::string &text) {
    if (!holds) {
        std::printf("%.17g: \"%s\"\n", value, text.c_str());
        ++failures;
    }
}

static void compare(double value) {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
    const std::string wanted(buffer, end), found = flowtell_core::scientific_from(value);
    check(found == wanted, value, found);
    check(flowtell_core::double_from(found) == value, value, found);
}

int main() {
    std::setlocale(LC_ALL, "de_DE.UTF-8"); // a comma for the point, where it is installed
    for (const double value : {0.0, -0.0, 1.0, 0.1, 1.0 / 3, -2.5, 1.5e300, 1.7976931348623157e308, 5e-324, 2.2e-308}) {
        compare(value);
    }
    for (int exponent = -1074; exponent < 1024; ++exponent) {
        compare(std::ldexp(1.0, exponent));
    }
    std::mt19937_64 random(1);
    for (int i = 0; i < 100000; ++i) {
        const uint64_t bits = random();
        double value;
        std::memcpy(&value, &bits, sizeof value);
        if (std::isfinite(value)) {
            compare(value);
        }
    }
    check(flowtell_core::double_from("12E-1") == 1.2, 1.2, "12E-1");
    check(flowtell_core::double_from("1" + std::string(500, '0') + "e-500") == 1.0, 1.0, "1 and 500 zeros");
    for (const char *beyond : {"1e309", "-1e309", "1e-400", "1e9223372036854775807"}) {
        check(!flowtell_core::double_from(beyond), 0.0, beyond);
    }
    return failures != 0;
}

#else

int main() { return 77; } // there is nothing to hold it against

#endif
