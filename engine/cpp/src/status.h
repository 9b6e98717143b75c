// How the library's own functions report a failure.
#pragma once

#include "flowtell/flowtell.h"

namespace flowtell {

// Keeps a printf-style sentence for flowtell_last_error() of this thread and hands the status back.
// Sentences beyond 255 bytes are cut: no memory is asked for, so reporting cannot fail itself.
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
flowtell_status fail(flowtell_status status, const char *format, ...) noexcept;

} // namespace flowtell
