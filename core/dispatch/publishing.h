/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/publishing: a publisher whose completions arrive on a loop, in
 * batches. One for each loop that publishes.
 */
#ifndef WEIR_DISPATCH_PUBLISHING_H
#define WEIR_DISPATCH_PUBLISHING_H

#include <weir/channel.h>

#include "dispatch/mailbox.h"

struct weir_publishing;
/* On the loop's thread. `code`: WEIR_OK only if it is persisted. WEIR_EUNKNOWN: it may be. */
typedef void weir_published_fn(void *ctx, uint64_t tag, int code);

struct weir_publishing {
	struct weir_mailbox mailbox;
	weir_publisher *publisher;
	weir_published_fn *published;
	void *ctx;
	size_t outstanding, max_outstanding; /* items without a completion so far */
};

/* WEIR_ENOMEM. */
int weir_publishing_init(struct weir_publishing *publishing, weir_runtime *runtime, struct weir_loop *loop,
			 size_t max_outstanding, weir_published_fn *published, void *ctx);
/* When the loop does not run any more. Nobody is told of what is still outstanding. */
void weir_publishing_fini(struct weir_publishing *publishing);

/* As weir_channel_publish(); WEIR_EAGAIN too when more would be outstanding than allowed. On the loop's thread. */
int weir_publishing_publish(struct weir_publishing *publishing, weir_channel *channel,
			    const struct weir_publish_item *items, size_t count, int atomic, size_t *accepted,
			    struct weir_error *err);

#endif
