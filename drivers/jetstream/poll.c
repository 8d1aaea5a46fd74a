/* SPDX-License-Identifier: Apache-2.0 */
/* What poll() reports: notices, completions, deliveries. */
#include "jetstream.h"

#include <string.h>
#include <unistd.h>

#include "../common/events.h"

enum {
	TURN = 32, /* messages that one subscription gets before the next one has its turn */
	ATTEMPT_SHIFT = 48,
	MAX_ERRORS = sizeof((struct weir_inst *)0)->errors / sizeof(struct weir_error),
};

/* ---- notices and completions ------------------------------------------------------------- */

static void report_notices(struct weir_inst *inst, struct events *events)
{
	while (events->count < events->max && events->errors < MAX_ERRORS && weir_list_linked(&inst->notices)) {
		struct notice *notice = weir_list_entry(inst->notices.next, struct notice, link);
		struct weir_driver_event *event = weir_events_add(events);

		event->type = notice->type;
		event->topic = notice->topic;
		event->sub = notice->sub;
		event->token.epoch = notice->epoch;
		event->position = notice->position;
		event->position_end = notice->position_end;
		if (notice->sub)
			event->token.lane = notice->sub->number << 32;
		if (notice->error.code && notice->type != WEIR_EV_UP) {
			inst->errors[events->errors] = notice->error;
			event->error = &inst->errors[events->errors++];
		}
		weir_list_unlink(&notice->link);
	}
}

static void completion_error(const struct completion *done, struct weir_error *err)
{
	const char *words = done->native ? done->topic->words : "", *why = *words ? words : weir_code_text(done->code);

	if (done->code == WEIR_ETIMEDOUT)
		why = "the server did not confirm it in time";
	weir_fail(err, done->code, "jetstream: publishing to the stream %.150s: %s", done->topic->stream, why);
	if (done->native)
		weir_error_native(err, "jetstream", done->native);
	err->scope = WEIR_SCOPE_CALL;
	if (done->outcome == WEIR_UNKNOWN)
		err->retry = WEIR_RETRY_MAY_DUP;
	else if (err->retry == WEIR_RETRY_MAY_DUP)
		err->retry = WEIR_RETRY_SAFE;
}

static void report_completions(struct weir_inst *inst, struct events *events, size_t max)
{
	while (events->count < max && events->errors < MAX_ERRORS && inst->done_count) {
		const struct completion *done = &inst->done[inst->done_head];
		struct weir_driver_event *event = weir_events_add(events);

		event->type = WEIR_EV_PUBLISHED;
		event->topic = done->topic;
		event->tag = done->tag;
		event->outcome = done->outcome;
		event->position = done->position;
		if (done->outcome != WEIR_PERSISTED) {
			completion_error(done, &inst->errors[events->errors]);
			event->error = &inst->errors[events->errors++];
		}
		inst->done_head = (inst->done_head + 1) & (WEIR_JS_MAX_INFLIGHT - 1);
		inst->done_count--;
		inst->pending--;
	}
	if (inst->want_writable && inst->pending <= inst->writable_at) {
		inst->want_writable = false;
		weir_js_notify(inst, &inst->writable);
	}
}

/* ---- deliveries ------------------------------------------------------------------------------ */

static void hand_out(struct weir_sub *sub, struct entry *entry, int64_t now, struct weir_driver_event *event)
{
	struct record *record = entry->record;

	entry->state = ENTRY_OUT;
	entry->out_ns = now;
	/* Two thirds of it at least are left on the server's side, and it is told at once if they are not. */
	entry->deadline_ns = now + (int64_t)sub->ack_wait_ms * WEIR_JS_MS;
	weir_list_append(&sub->out, &entry->link);
	sub->ready_count--;
	sub->unsettled++;
	sub->inst->out_count++;
	sub->redelivered += entry->attempt > 1;
	sub->credit_records--;
	sub->credit_bytes -= record->bytes;
	if (entry->seq > sub->highest)
		sub->highest = entry->seq;
	atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
	event->type = WEIR_EV_DELIVER;
	event->sub = sub;
	event->token = (struct weir_token){ sub->epoch, sub->number << 32,
					    (uint64_t)(entry->attempt & 0xffff) << ATTEMPT_SHIFT | entry->seq };
	event->attempt = entry->attempt;
	event->flags = entry->attempt > 1 ? WEIR_MSG_REDELIVERED : 0u;
	event->position = entry->seq;
	event->time_ms = entry->time_ns / WEIR_JS_MS;
	event->record = record->content;
	event->lease = record;
}

static bool willing(const struct weir_sub *sub)
{
	return !sub->paused && !sub->closing && !sub->barrier && sub->credit_records > 0 && sub->credit_bytes > 0 &&
	       weir_list_linked(&sub->ready);
}

/* Gives one subscription its turn; true if it got anything. */
static bool report_sub(struct weir_sub *sub, struct events *events, int64_t now)
{
	size_t before = events->count;
	int left = TURN;

	while (left-- && events->count < events->max && willing(sub) && weir_js_words_reserve(sub->inst, 1))
		hand_out(sub, weir_list_entry(sub->ready.next, struct entry, link), now, weir_events_add(events));
	return events->count > before;
}

/* Another one is the first each time. */
static struct link *first_sub(struct weir_inst *inst)
{
	struct link *at = inst->subs.next;
	uint64_t count = 0, skip;

	for (at = inst->subs.next; at != &inst->subs; at = at->next)
		count++;
	at = inst->subs.next;
	for (skip = count ? inst->turn++ % count : 0; skip; skip--)
		at = at->next;
	return at;
}

static void report_deliveries(struct weir_inst *inst, struct events *events)
{
	struct link *first, *at;
	int64_t now = weir_js_now();
	bool any = true;

	if (!weir_list_linked(&inst->subs))
		return;
	first = first_sub(inst);
	while (any && events->count < events->max) {
		any = false;
		at = first;
		do {
			any |= report_sub(weir_list_entry(at, struct weir_sub, link), events, now);
			at = at->next == &inst->subs ? inst->subs.next : at->next;
		} while (at != first && events->count < events->max);
	}
}

/* ---- poll -------------------------------------------------------------------------------------- */

/* Whether there is more than what was just reported. */
static bool more(const struct weir_inst *inst)
{
	struct link *at;

	if (inst->done_count || weir_list_linked(&inst->notices))
		return true;
	for (at = inst->subs.next; at != &inst->subs; at = at->next)
		if (willing(weir_list_entry(at, struct weir_sub, link)))
			return true;
	return false;
}

static void report(struct weir_inst *inst, struct events *events)
{
	uint64_t value;

	/* Before anything is looked at: what comes while we look raises the descriptor again. */
	if (read(inst->event_fd, &value, sizeof value) < 0)
		value = 0; /* nothing was there: poll() is called without that too */
	atomic_store(&inst->raised, false);
	pthread_mutex_lock(&inst->lock);
	report_notices(inst, events);
	/* Deliveries get half of a batch at least, or publishers that never pause would starve them. */
	report_completions(inst, events, weir_list_linked(&inst->subs) ? (events->max + 1) / 2 : events->max);
	report_deliveries(inst, events);
	report_completions(inst, events, events->max);
	report_notices(inst, events);
	if (more(inst))
		weir_js_raise(inst);
	pthread_mutex_unlock(&inst->lock);
}

int weir_js_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		 size_t *count)
{
	struct events array = weir_events_of(events, max);

	*count = 0;
	if (!max)
		return WEIR_OK;
	do {
		report(inst, &array);
	} while (!array.count && weir_events_await(inst->event_fd, timeout_ns));
	*count = array.count;
	return WEIR_OK;
}
