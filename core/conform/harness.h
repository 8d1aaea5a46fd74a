/* SPDX-License-Identifier: Apache-2.0 */
/* conform/harness: runs the program that controls the server. See weir/harness.h. */
#ifndef WEIR_CONFORM_HARNESS_H
#define WEIR_CONFORM_HARNESS_H

#include <stddef.h>
#include <stdint.h>

enum { WEIR_HARNESS_ARGS = 4 };

/*
 * Runs `program verb args...`, args ended by NULL; standard input is `input`
 * (NULL: none), what it prints goes to `output`, terminated, cut to fit (NULL:
 * not wanted). Its exit status; -1: it could not be run, or did not end by
 * deadline_ns and was killed.
 */
int weir_harness_run(const char *program, const char *verb, const char *const args[WEIR_HARNESS_ARGS],
		     const char *input, char *output, size_t size, int64_t deadline_ns);

#endif
