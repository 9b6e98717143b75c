// Doubles as decimal text, whatever locale the program is in.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flowtell_core {

// The double nearest to a number as JSON writes it; none where that lies beyond the range, on either side.
std::optional<double> double_from(std::string_view number);

// The shortest text that reads back as `value`, which is finite: "-2.5e+00", one digit before the point.
std::string scientific_from(double value);

} // namespace flowtell_core
