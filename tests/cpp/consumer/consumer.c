/* A program of someone who installed flowtell: says that header, library and package belong together. */
#include <flowtell/flowtell.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 2 || strcmp(argv[1], flowtell_version()) != 0) {
        fprintf(stderr, "the package says %s, the library %s\n", argc == 2 ? argv[1] : "nothing", flowtell_version());
        return 1;
    }
    return flowtell_abi_version() == FLOWTELL_ABI_VERSION ? 0 : 1;
}
