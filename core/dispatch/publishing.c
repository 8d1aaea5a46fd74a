/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/publishing.h"

#include "base/log.h"

static int outcome_code(const struct weir_completion *completion)
{
	int code = completion->error ? completion->error->code : WEIR_OK;

	switch (completion->outcome) {
	case WEIR_PERSISTED:
		return WEIR_OK;
	case WEIR_NOT_PERSISTED:
		return code ? code : WEIR_EUNAVAIL;
	default:
		return WEIR_EUNKNOWN;
	}
}

/* On a pump. */
static void on_completions(void *ctx, const struct weir_completion *completions, size_t count)
{
	struct weir_publishing *publishing = ctx;

	for (size_t i = 0; i < count; i++) {
		/* Cannot be full: there are no more completions than items let through. */
		if (!weir_mailbox_put(&publishing->mailbox, completions[i].tag, outcome_code(&completions[i])))
			weir_log(WEIR_LOG_ERROR, "a publish completed more than once: completion dropped");
	}
	weir_mailbox_send(&publishing->mailbox);
}

static void on_mail(struct weir_mailbox *mailbox, const struct weir_mail *mail, size_t count)
{
	/* The mailbox is the first member. */
	struct weir_publishing *publishing = (struct weir_publishing *)mailbox;

	publishing->outstanding -= count;
	for (size_t i = 0; i < count; i++)
		publishing->published(publishing->ctx, mail[i].value, mail[i].code);
}

int weir_publishing_init(struct weir_publishing *publishing, weir_runtime *runtime, struct weir_loop *loop,
			 size_t max_outstanding, weir_published_fn *published, void *ctx)
{
	/* Twice: while a batch is being received its slots are still taken, and more may be published meanwhile. */
	int code = weir_mailbox_init(&publishing->mailbox, loop, 2 * max_outstanding, on_mail);

	if (code)
		return code;
	publishing->published = published;
	publishing->ctx = ctx;
	publishing->outstanding = 0;
	publishing->max_outstanding = max_outstanding;
	code = weir_publisher_new(runtime, on_completions, publishing, &publishing->publisher);
	if (code) {
		publishing->publisher = NULL;
		weir_mailbox_fini(&publishing->mailbox);
	}
	return code;
}

void weir_publishing_fini(struct weir_publishing *publishing)
{
	if (publishing->publisher)
		weir_publisher_free(publishing->publisher);
	publishing->publisher = NULL;
	weir_mailbox_fini(&publishing->mailbox);
}

int weir_publishing_publish(struct weir_publishing *publishing, weir_channel *channel,
			    const struct weir_publish_item *items, size_t count, int atomic, size_t *accepted,
			    struct weir_error *err)
{
	size_t room = publishing->max_outstanding - publishing->outstanding;
	size_t some = count < room ? count : room;
	int code = WEIR_OK;

	*accepted = 0;
	if (atomic && some < count)
		return weir_fail(err, WEIR_EAGAIN, "too many events are being published at once");
	if (some)
		code = weir_channel_publish(channel, publishing->publisher, items, some, atomic, accepted, err);
	publishing->outstanding += *accepted;
	if (!code && some < count)
		return weir_fail(err, WEIR_EAGAIN, "too many events are being published at once");
	return code;
}
