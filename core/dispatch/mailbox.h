/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/mailbox: from a pump to a loop, in batches, without locks and without
 * allocating: a ring with one writer and one reader. However many entries are
 * put, the loop is woken once.
 */
#ifndef WEIR_DISPATCH_MAILBOX_H
#define WEIR_DISPATCH_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct weir_mail {
	uint64_t value;
	int code;
};

struct weir_mailbox;
/* On the loop's thread. `mail` is borrowed until it returns. */
typedef void weir_mailbox_fn(struct weir_mailbox *mailbox, const struct weir_mail *mail, size_t count);

struct weir_mailbox {
	struct weir_task task;
	struct weir_loop *loop;
	weir_mailbox_fn *receive;
	struct weir_mail *slots;
	size_t mask;
	size_t written;         /* the writer's own */
	_Atomic size_t visible; /* written, and for the reader to see */
	_Atomic size_t taken;   /* by the reader */
	_Atomic bool posted;
};

/* Room for at least `capacity` entries. WEIR_ENOMEM. */
int weir_mailbox_init(struct weir_mailbox *mailbox, struct weir_loop *loop, size_t capacity, weir_mailbox_fn *receive);
/* When neither the writer nor the loop runs any more. */
void weir_mailbox_fini(struct weir_mailbox *mailbox);

/* The writer: puts an entry; false: full. The reader sees it after the next send. */
bool weir_mailbox_put(struct weir_mailbox *mailbox, uint64_t value, int code);
void weir_mailbox_send(struct weir_mailbox *mailbox);

/* The reader: hands everything that was sent to `receive`. The loop does it; otherwise only when it does not run. */
void weir_mailbox_take(struct weir_mailbox *mailbox);

#endif
