// How the library's own functions report a failure, and how a failure leaves it.
#pragma once

#include "flowtell/flowtell.h"

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace flowtell_core {

// Thrown inside the library only; what() is the sentence for flowtell_last_error().
class Error : public std::runtime_error {
  public:
    Error(flowtell_status status, const std::string &sentence) : std::runtime_error(sentence), status_(status) {}
    flowtell_status status() const noexcept { return status_; }

  private:
    flowtell_status status_;
};

// A printf-style sentence as an Error; sentences beyond 1023 bytes are cut.
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
Error error(flowtell_status status, const char *format, ...);

// Keeps a printf-style sentence for flowtell_last_error() of this thread and hands the status back.
// Sentences beyond 1023 bytes are cut: no memory is asked for, so reporting cannot fail itself.
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
flowtell_status
fail(flowtell_status status, const char *format, ...) noexcept;

// Runs the body of a public function; nothing is thrown across the C interface.
template <typename Body> flowtell_status guarded(Body body) noexcept {
    try {
        body();
        return FLOWTELL_OK;
    } catch (const Error &failure) {
        return fail(failure.status(), "%s", failure.what());
    } catch (const std::bad_alloc &) {
        return fail(FLOWTELL_OUT_OF_MEMORY, "there is not enough memory; push smaller images or follow fewer streams");
    } catch (const std::exception &bug) {
        return fail(FLOWTELL_INTERNAL_ERROR, "flowtell has a fault, please report it: %s", bug.what());
    } catch (...) {
        return fail(FLOWTELL_INTERNAL_ERROR, "flowtell has a fault, please report it");
    }
}

// Throws FLOWTELL_INVALID_ARGUMENT where an argument is NULL.
void require_argument(const void *argument, const char *name);

// Throws FLOWTELL_INVALID_ARGUMENT where the caller's struct is older than the oldest that the library knows.
void require_struct_size(uint32_t stated_bytes, size_t known_bytes, const char *name);

} // namespace flowtell_core
