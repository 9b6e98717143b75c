#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace {

thread_local char last_error[256] = "";

} // namespace

namespace flowtell {

flowtell_status fail(flowtell_status status, const char *format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

} // namespace flowtell

const char *flowtell_last_error(void) { return last_error; }

const char *flowtell_status_sentence(flowtell_status status) {
    switch (status) {
    case FLOWTELL_OK:
        return "It worked.";
    case FLOWTELL_INVALID_ARGUMENT:
        return "An argument cannot be: a null pointer, or a size or stride out of range.";
    case FLOWTELL_UNSUPPORTED_FORMAT:
        return "This version of flowtell does not know the pixel format.";
    case FLOWTELL_BUFFER_TOO_SMALL:
        return "The result does not fit into the buffer.";
    default:
        return "This number is no flowtell status.";
    }
}
