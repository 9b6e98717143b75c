// The sum of doubles, rounded once: the same in every language and whatever the order.
#pragma once

#include <vector>

namespace flowtell_core {

// Finite values whose sum is finite. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
// Predicates" (1997); Python's math.fsum gives the same.
double exact_sum(const std::vector<double> &values);

} // namespace flowtell_core
