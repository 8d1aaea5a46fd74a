/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/mailbox.h"

#include "base/mem.h"

static void mailbox_run(struct weir_task *task)
{
	/* The task is the first member. */
	struct weir_mailbox *mailbox = (struct weir_mailbox *)task;

	/* Before looking: what is sent from here on posts the task again. */
	atomic_store(&mailbox->posted, false);
	weir_mailbox_take(mailbox);
}

int weir_mailbox_init(struct weir_mailbox *mailbox, struct weir_loop *loop, size_t capacity, weir_mailbox_fn *receive)
{
	size_t size = 16;

	while (size < capacity)
		size *= 2;
	*mailbox = (struct weir_mailbox){ .loop = loop, .receive = receive, .mask = size - 1 };
	mailbox->task.run = mailbox_run;
	mailbox->slots = weir_mem_alloc(size * sizeof *mailbox->slots);
	return mailbox->slots ? WEIR_OK : WEIR_ENOMEM;
}

void weir_mailbox_fini(struct weir_mailbox *mailbox)
{
	weir_mem_free(mailbox->slots);
	mailbox->slots = NULL;
}

bool weir_mailbox_put(struct weir_mailbox *mailbox, uint64_t value, int code)
{
	size_t taken = atomic_load_explicit(&mailbox->taken, memory_order_acquire);

	if (mailbox->written - taken > mailbox->mask)
		return false;
	mailbox->slots[mailbox->written++ & mailbox->mask] = (struct weir_mail){ value, code };
	return true;
}

void weir_mailbox_send(struct weir_mailbox *mailbox)
{
	atomic_store(&mailbox->visible, mailbox->written);
	if (!atomic_exchange(&mailbox->posted, true))
		weir_loop_post(mailbox->loop, &mailbox->task);
}

void weir_mailbox_take(struct weir_mailbox *mailbox)
{
	size_t visible = atomic_load(&mailbox->visible);
	size_t taken = atomic_load_explicit(&mailbox->taken, memory_order_relaxed);

	while (taken != visible) {
		size_t at = taken & mailbox->mask;
		size_t count = visible - taken;

		if (count > mailbox->mask + 1 - at)
			count = mailbox->mask + 1 - at;
		mailbox->receive(mailbox, &mailbox->slots[at], count);
		taken += count;
		atomic_store_explicit(&mailbox->taken, taken, memory_order_release);
	}
}
