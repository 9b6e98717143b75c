#include "flowtell/flowtell.h"

uint32_t flowtell_abi_version(void) { return FLOWTELL_ABI_VERSION; }

const char *flowtell_version(void) { return FLOWTELL_VERSION; }
