// Fills in a struct of the caller's, who may know a shorter or a longer one than the library does.
#pragma once

#include "status.h"

#include <algorithm>
#include <cstring>

namespace flowtell_core {

// Writes `filled` up to the caller's struct_size, which stays as it is; `name` is the struct's without its prefix.
// Throws Error(FLOWTELL_INVALID_ARGUMENT) where `target` is NULL or shorter than the struct of this ABI version.
template <typename Struct> void fill_struct(Struct filled, Struct *target, const char *name) {
    require_argument(target, name);
    require_struct_size(target->struct_size, sizeof(Struct), name);
    filled.struct_size = target->struct_size;
    std::memcpy(target, &filled, std::min<size_t>(target->struct_size, sizeof(Struct)));
}

} // namespace flowtell_core
