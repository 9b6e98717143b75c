/* A program of someone who installed flowtell: says that header, library and package belong together, and opens a
 * bundle.
 *
 *     consumer VERSION [BUNDLE] */
#include <flowtell/flowtell.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    flowtell_options options = {sizeof options, argc > 2 ? argv[2] : NULL, "cpu", NULL, NULL};
    flowtell_detector *detector = NULL;
    if (argc < 2 || strcmp(argv[1], flowtell_version()) != 0 || flowtell_abi_version() != FLOWTELL_ABI_VERSION) {
        fprintf(stderr, "the package says %s, the library %s\n", argc > 1 ? argv[1] : "nothing", flowtell_version());
        return 1;
    }
    if (argc > 2 && flowtell_detector_open(&options, &detector) != FLOWTELL_OK) {
        fprintf(stderr, "%s\n", flowtell_last_error());
        return 1;
    }
    flowtell_detector_close(detector);
    return printf("consumer: flowtell %s\n", flowtell_version()) < 0;
}
