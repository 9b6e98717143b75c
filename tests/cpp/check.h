/* Counts and prints what does not hold, with the sentence of the latest failed call. */
#ifndef CHECK_H
#define CHECK_H

#include <flowtell/flowtell.h>

#include <stdio.h>

static int failures = 0;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold (last error: %s)\n", __FILE__, __LINE__, #condition,              \
                    flowtell_last_error());                                                                            \
            ++failures;                                                                                                \
        }                                                                                                              \
    } while (0)

#endif
