/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t made;
static _Atomic uint64_t fail_in;    /* 0: off; 1: the next one fails */
static _Atomic bool fail_is_sticky; /* fail_in stays at 1 */

/* Counts down towards the allocation that is to fail; true when this is it. */
static bool must_fail(void)
{
	uint64_t left = atomic_load(&fail_in);

	while (left) {
		uint64_t next = left == 1 && atomic_load(&fail_is_sticky) ? 1 : left - 1;

		if (atomic_compare_exchange_weak(&fail_in, &left, next))
			return left == 1;
	}
	return false;
}

static bool may_allocate(void)
{
	atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
	return !atomic_load_explicit(&fail_in, memory_order_relaxed) || !must_fail();
}

void *weir_mem_alloc(size_t size)
{
	return may_allocate() ? malloc(size ? size : 1) : NULL;
}

void *weir_mem_zalloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || !may_allocate())
		return NULL;
	return calloc(1, bytes ? bytes : 1);
}

void *weir_mem_realloc(void *old, size_t size)
{
	return may_allocate() ? realloc(old, size ? size : 1) : NULL;
}

void weir_mem_free(void *mem)
{
	free(mem);
}

char *weir_mem_strdup(const char *text)
{
	return weir_mem_strndup(text, strlen(text));
}

char *weir_mem_strndup(const char *text, size_t len)
{
	char *copy = len < SIZE_MAX ? weir_mem_alloc(len + 1) : NULL;

	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

uint64_t weir_mem_count(void)
{
	return atomic_load_explicit(&made, memory_order_relaxed);
}

void weir_mem_fail(uint64_t nth, int sticky)
{
	atomic_store(&fail_is_sticky, sticky != 0);
	atomic_store(&fail_in, nth);
}
