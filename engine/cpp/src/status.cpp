#include "status.h"

#include "utf8.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <string_view>

namespace {

constexpr size_t sentence_bytes = 1024;

thread_local char last_error[sentence_bytes] = "";

} // namespace

namespace flowtell_core {

Error error(flowtell_status status, const char *format, ...) {
    char sentence[sentence_bytes];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return Error(status, sentence);
}

flowtell_status fail(flowtell_status status, const char *format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    // names out of a hostile bundle must not break the sentence into lines or reach a terminal's controls, and a
    // sentence that was cut off must not end within a character
    const std::string_view sentence(last_error);
    for (size_t position = 0; position < sentence.size();) {
        const size_t start = position;
        const int32_t code = next_code_point(sentence, position);
        if (code < ' ' || (code >= 0x7F && code < 0xA0)) {
            std::fill(last_error + start, last_error + position, '?');
        }
    }
    return status;
}

void require_argument(const void *argument, const char *name) {
    if (argument == nullptr) {
        throw error(FLOWTELL_INVALID_ARGUMENT, "the %s is NULL; give one", name);
    }
}

void require_struct_size(uint32_t stated_bytes, size_t known_bytes, const char *name) {
    if (stated_bytes < known_bytes) {
        throw error(FLOWTELL_INVALID_ARGUMENT,
                    "the struct_size of the %s is %u; set it to sizeof(flowtell_%s), which is %zu here", name,
                    static_cast<unsigned>(stated_bytes), name, known_bytes);
    }
}

} // namespace flowtell_core

const char *flowtell_last_error(void) { return last_error; }

const char *flowtell_status_sentence(flowtell_status status) {
    switch (status) {
    case FLOWTELL_OK:
        return "it worked";
    case FLOWTELL_INVALID_ARGUMENT:
        return "an argument cannot be: a null pointer, a size or stride out of range, or a call out of turn";
    case FLOWTELL_UNSUPPORTED_FORMAT:
        return "this version of flowtell does not know the pixel format";
    case FLOWTELL_BUFFER_TOO_SMALL:
        return "the result does not fit into the buffer";
    case FLOWTELL_BUNDLE_ERROR:
        return "the bundle cannot be used: missing, altered, malformed, or of another format";
    case FLOWTELL_PROVIDER_ERROR:
        return "no inference runtime can do what was asked, or it failed while it ran a graph";
    case FLOWTELL_NO_CLIP:
        return "no judged clip waits: push more frames, or finish";
    case FLOWTELL_OUT_OF_MEMORY:
        return "there is not enough memory";
    case FLOWTELL_INTERNAL_ERROR:
        return "flowtell has a fault; please report it";
    default:
        return "this number is no flowtell status";
    }
}
