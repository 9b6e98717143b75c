#include "exact_sum.h"

#include <cmath>
#include <utility>

double flowtell_core::exact_sum(const std::vector<double> &values) {
    // Parts that do not overlap, smallest first; together they are the sum without any rounding.
    std::vector<double> parts;
    for (double value : values) {
        size_t kept = 0;
        for (double part : parts) {
            if (std::abs(value) < std::abs(part)) {
                std::swap(value, part);
            }
            const double rounded = value + part;
            const double rest = part - (rounded - value);
            if (rest != 0.0) {
                parts[kept++] = rest;
            }
            value = rounded;
        }
        parts.resize(kept);
        parts.push_back(value);
    }
    if (parts.empty()) {
        return 0.0;
    }
    double sum = parts.back();
    double rest = 0.0;
    parts.pop_back();
    while (!parts.empty() && rest == 0.0) {
        const double before = sum;
        sum = before + parts.back();
        rest = parts.back() - (sum - before);
        parts.pop_back();
    }
    // A rest of exactly half a unit was rounded to even; what lies below it says which way is nearer.
    if (rest != 0.0 && !parts.empty() && (rest < 0.0) == (parts.back() < 0.0)) {
        const double moved = sum + 2.0 * rest;
        if (moved - sum == 2.0 * rest) {
            sum = moved;
        }
    }
    return sum;
}
