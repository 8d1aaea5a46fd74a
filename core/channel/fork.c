/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic uint64_t *page;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void wipe_in_child(void)
{
	atomic_store(page, 0);
}

static void make_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *got = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (got == MAP_FAILED)
		return;
	page = got;
	/* Kernels before 4.14 cannot wipe; then at least fork(3) is noticed. */
	if (madvise(got, size, MADV_WIPEONFORK) != 0 && pthread_atfork(NULL, NULL, wipe_in_child) != 0) {
		munmap(got, size);
		page = NULL;
	}
}

uint64_t weir_fork_mark(void)
{
	uint64_t none = 0, mark;

	pthread_once(&once, make_page);
	if (!page)
		return 0;
	/* Later than any mark of a parent, so different from all of them. */
	mark = (uint64_t)weir_clock_now_ns();
	if (atomic_compare_exchange_strong(page, &none, mark))
		return mark;
	return none;
}

bool weir_forked(uint64_t mark)
{
	return atomic_load_explicit(page, memory_order_relaxed) != mark;
}
