/* SPDX-License-Identifier: Apache-2.0 */
/* What poll() reports: notices, completions, deliveries. And the timer for events that wait to come again. */
#include "natss.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../common/events.h"

enum {
	TURN = 32, /* events that one subscription gets before the next one has its turn */
	SEQUENCE_BITS = 48,
	MAX_ERRORS = sizeof((struct weir_inst *)0)->errors / sizeof(struct weir_error),
};

/* ---- notices and completions ------------------------------------------------------- */

static void report_notice(struct weir_inst *inst, struct notice *notice, struct events *events)
{
	struct weir_driver_event *event = weir_events_add(events);

	event->type = notice->type;
	event->topic = notice->topic;
	event->sub = notice->sub;
	event->token.epoch = notice->epoch;
	event->position = notice->position;
	event->position_end = notice->position_end;
	if (notice->error.code && notice->type != WEIR_EV_UP) {
		inst->errors[events->errors] = notice->error;
		event->error = &inst->errors[events->errors++];
	}
	weir_list_unlink(&notice->link);
}

static void report_notices(struct weir_inst *inst, struct events *events)
{
	while (events->count < events->max && events->errors < MAX_ERRORS && weir_list_linked(&inst->notices))
		report_notice(inst, weir_list_entry(inst->notices.next, struct notice, link), events);
}

static void describe(const struct item *item, struct weir_error *err)
{
	weir_fail(err, item->code, "natss: publishing to %.200s: %s", item->topic->name,
		  item->why ? item->why : weir_code_text(item->code));
	if (item->outcome == WEIR_UNKNOWN)
		err->retry = WEIR_RETRY_MAY_DUP;
	else if (err->retry == WEIR_RETRY_MAY_DUP)
		err->retry = WEIR_RETRY_SAFE;
}

static void report_item(struct weir_inst *inst, const struct item *item, struct events *events)
{
	struct weir_driver_event *event = weir_events_add(events);

	event->type = WEIR_EV_PUBLISHED;
	event->topic = item->topic;
	event->tag = item->tag;
	event->outcome = item->outcome;
	if (item->outcome == WEIR_PERSISTED)
		return;
	describe(item, &inst->errors[events->errors]);
	event->error = &inst->errors[events->errors++];
}

static void report_items(struct weir_inst *inst, struct events *events, size_t max)
{
	while (events->count < max && events->errors < MAX_ERRORS && inst->done.first) {
		struct item *item = weir_natss_items_take(&inst->done);

		report_item(inst, item, events);
		inst->pending--;
		inst->pending_bytes -= item->len;
		free(item);
	}
	if (inst->want_writable && inst->pending <= WEIR_NATSS_MAX_INFLIGHT / 2 &&
	    inst->pending_bytes <= WEIR_NATSS_MAX_BYTES / 2) {
		inst->want_writable = false;
		weir_natss_notify(inst, &inst->writable);
	}
}

/* ---- deliveries --------------------------------------------------------------------------- */

static void hand_out(struct weir_sub *sub, struct entry *entry, int64_t now_ns, struct weir_driver_event *event)
{
	weir_natss_inflight_hand_out(&sub->inflight, entry, now_ns);
	sub->credit_records--;
	sub->credit_bytes -= (int64_t)entry->len;
	sub->redelivered += entry->attempt > 1;
	event->type = WEIR_EV_DELIVER;
	event->sub = sub;
	event->token =
	    (struct weir_token){ sub->epoch, sub->lane, (uint64_t)entry->attempt << SEQUENCE_BITS | entry->sequence };
	event->attempt = entry->attempt;
	event->flags = entry->attempt > 1 ? WEIR_MSG_REDELIVERED : 0u;
	event->position = entry->sequence;
	event->time_ms = entry->time_ns / 1000000;
	event->record.body = (struct weir_buf){ entry->data, entry->len };
	event->lease = entry;
}

/* Gives one subscription its turn. */
static void report_sub(struct weir_sub *sub, struct events *events, int64_t now_ns)
{
	for (int left = TURN; left && events->count < events->max && weir_list_linked(&sub->ready_link); left--) {
		struct entry *entry = weir_natss_inflight_next(&sub->inflight, now_ns);

		if (entry)
			hand_out(sub, entry, now_ns, weir_events_add(events));
		weir_natss_sub_refresh(sub);
		if (!entry)
			break;
	}
	if (weir_list_linked(&sub->ready_link))
		weir_list_append(&sub->session.inst->ready, &sub->ready_link);
}

static void report_deliveries(struct weir_inst *inst, struct events *events)
{
	int64_t now_ns = weir_natss_now();

	while (events->count < events->max && weir_list_linked(&inst->ready))
		report_sub(weir_list_entry(inst->ready.next, struct weir_sub, ready_link), events, now_ns);
}

/* ---- the timer ------------------------------------------------------------------------------ */

/* When the first event is due that waits for a subscription that may have it; 0: none. */
static int64_t next_due(struct weir_inst *inst)
{
	int64_t due = INT64_MAX;

	for (struct link *at = inst->subs.next; at != &inst->subs; at = at->next) {
		const struct weir_sub *sub = weir_list_entry(at, struct weir_sub, link);
		int64_t its = weir_natss_inflight_due(&sub->inflight);

		if (!sub->paused && sub->credit_records > 0 && sub->credit_bytes > 0 && its < due)
			due = its;
	}
	return due == INT64_MAX ? 0 : due;
}

void weir_natss_timer_arm(struct weir_inst *inst)
{
	struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
	int64_t due = next_due(inst);

	if (due == inst->armed_ns)
		return;
	inst->armed_ns = due;
	spec.it_value.tv_sec = due / 1000000000;
	spec.it_value.tv_nsec = due % 1000000000;
	timerfd_settime(inst->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void timer_take(struct weir_inst *inst)
{
	uint64_t value;

	if (!inst->armed_ns || inst->armed_ns > weir_natss_now())
		return;
	if (read(inst->timer_fd, &value, sizeof value) < 0)
		value = 0; /* the clock was ahead of the timer; it is armed anew below */
	inst->armed_ns = -1;
	for (struct link *at = inst->subs.next; at != &inst->subs; at = at->next)
		weir_natss_sub_refresh(weir_list_entry(at, struct weir_sub, link));
}

/* ---- poll ------------------------------------------------------------------------------------- */

static void wake_take(struct weir_inst *inst)
{
	uint64_t value;

	/* Where it is signalled and there is nothing to read yet, somebody is about to write. */
	if (atomic_load(&inst->signalled) && read(inst->wake_fd, &value, sizeof value) == sizeof value)
		atomic_store(&inst->signalled, false);
}

static void arrivals_take(struct weir_inst *inst)
{
	if (!atomic_exchange(&inst->arrivals, false))
		return;
	for (struct link *at = inst->subs.next; at != &inst->subs; at = at->next)
		weir_natss_arrivals_take(weir_list_entry(at, struct weir_sub, link));
}

static void report(struct weir_inst *inst, struct events *events)
{
	weir_natss_lock(inst);
	wake_take(inst);
	timer_take(inst);
	arrivals_take(inst);
	weir_natss_confirmed_take(inst);
	report_notices(inst, events);
	/* Deliveries get half of a batch at least, or publishers that never pause would starve them. */
	report_items(inst, events, weir_list_linked(&inst->ready) ? (events->max + 1) / 2 : events->max);
	report_deliveries(inst, events);
	report_items(inst, events, events->max);
	weir_natss_timer_arm(inst);
	if (!weir_natss_has_events(inst))
		wake_take(inst);
	weir_natss_unlock(inst);
}

int weir_natss_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
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
