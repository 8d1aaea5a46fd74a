/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/mem: every allocation of the core goes through here, so that tests can
 * make any of them fail and benches can count them.
 *
 * All functions may be called from any thread. They return NULL when memory is
 * short; nothing in Weir aborts for that.
 */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *weir_mem_alloc(size_t size);
/* Zeroed; `count * size` is checked for overflow. */
void *weir_mem_zalloc(size_t count, size_t size);
void *weir_mem_realloc(void *old, size_t size);
/* NULL is allowed. */
void weir_mem_free(void *mem);
char *weir_mem_strdup(const char *text);
/* A NUL-terminated copy of `len` bytes. */
char *weir_mem_strndup(const char *text, size_t len);

/* Number of allocations made so far in this process, for benches. */
uint64_t weir_mem_count(void);

/*
 * For tests: the `nth` allocation from now on fails (1: the next), and all
 * after it too if `sticky`. 0 switches it off.
 */
void weir_mem_fail(uint64_t nth, int sticky);

#endif
