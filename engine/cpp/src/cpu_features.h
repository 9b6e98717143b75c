// What this CPU can do, as far as the system tells.

#ifndef FLOWTELL_CPU_FEATURES_H
#define FLOWTELL_CPU_FEATURES_H

namespace flowtell_core {

// Whether products of one-byte numbers are summed without saturating on the way (VNNI). Only Linux is asked; elsewhere
// the answer is no, which is slower where it is wrong and never less exact.
bool has_vnni();

} // namespace flowtell_core

#endif
