#include "plan_session.h"

#include "status.h"

namespace flowtell_core {

const bool has_plan_sessions = false;

std::unique_ptr<PlanSession> PlanSession::open(const Bundle &, const std::string &) {
    throw error(FLOWTELL_INTERNAL_ERROR, "this library was built without TensorRT");
}

} // namespace flowtell_core
