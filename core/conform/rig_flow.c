/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, subscriptions, publishing, receiving: each operation of the table, written into the history. */
#include "conform/rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conform/case.h"

enum { READY_MS = 15000, NEXT_MS = 10000, DRAIN_MS = 20000, QUIET_MS = 50, IDLE_MS = 25, SMALLEST_STORE = 500 };

#define MANY_BYTES (INT64_C(1) << 40)

/* ---- calls that must not block ------------------------------------------- */

static int64_t begin(struct weir_rig *rig, const char *what)
{
	weir_rig_doing(rig, what);
	return weir_clock_now_ns();
}

static void end(struct weir_rig *rig, const char *what, int64_t since_ns)
{
	int64_t took = weir_clock_now_ns() - since_ns;

	if (took > atomic_load(&rig->shared->longest_ns)) {
		atomic_store(&rig->shared->longest_ns, took);
		snprintf(rig->shared->longest, sizeof rig->shared->longest, "%s", what);
	}
	weir_rig_doing(rig, "-");
}

/* ---- topics -------------------------------------------------------------- */

/* The same number for the same word in every process of the case. */
static uint32_t topic_number(struct weir_rig *rig, const char *word)
{
	uint32_t count = atomic_load(&rig->shared->topics);

	for (uint32_t i = 0; i < count; i++)
		if (strcmp(rig->shared->topic_names[i], word) == 0)
			return i + 1;
	if (count == WEIR_RIG_TOPICS)
		weir_rig_fail(rig, "the kit: too many topics in one case");
	snprintf(rig->shared->topic_names[count], sizeof rig->shared->topic_names[0], "%s", word);
	atomic_store(&rig->shared->topics, count + 1);
	return count + 1;
}

struct weir_rig_topic *weir_rig_topic(struct weir_rig *rig, const char *word)
{
	struct weir_rig_topic *topic = &rig->topics[rig->topic_count];
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t deadline_ns = weir_rig_deadline(rig, READY_MS);
	uint64_t before = rig->seen[WEIR_EV_TOPIC_READY] + rig->seen[WEIR_EV_TOPIC_FAILED];
	int64_t since;
	int code;

	if (rig->topic_count == WEIR_RIG_TOPICS)
		weir_rig_fail(rig, "the kit: too many topics in one case");
	memset(topic, 0, sizeof *topic);
	topic->number = topic_number(rig, word);
	snprintf(topic->name, sizeof topic->name, "%" PRIx64 "-%s-%s", rig->target->run, rig->conform_case->id, word);
	since = begin(rig, "topic_open");
	code = rig->ops->topic_open(rig->inst, "conform", topic->name, &topic->topic, &err);
	end(rig, "topic_open", since);
	if (code)
		weir_rig_fail(rig, "topic_open(\"%s\"): %s: %s", topic->name, weir_code_name(code), err.text);
	rig->topic_count++;
	while (rig->seen[WEIR_EV_TOPIC_READY] + rig->seen[WEIR_EV_TOPIC_FAILED] == before &&
	       weir_clock_now_ns() < deadline_ns)
		weir_rig_pump(rig, deadline_ns);
	if (rig->seen[WEIR_EV_TOPIC_FAILED] || rig->seen[WEIR_EV_TOPIC_READY] == 0)
		weir_rig_fail(rig, "topic \"%s\" did not become ready: %s", topic->name, rig->last_error.text);
	return topic;
}

/* ---- subscriptions ------------------------------------------------------- */

static uint32_t reader_number(struct weir_rig *rig, uint32_t topic, const char *uid)
{
	uint32_t count = atomic_load(&rig->shared->readers);

	for (uint32_t i = 0; i < count; i++)
		if (rig->shared->uid_topic[i] == topic && strcmp(rig->shared->uids[i], uid) == 0)
			return i + 1;
	if (count == WEIR_RIG_SUBS)
		weir_rig_fail(rig, "the kit: too many subscriptions in one case");
	snprintf(rig->shared->uids[count], sizeof rig->shared->uids[0], "%s", uid);
	rig->shared->uid_topic[count] = topic;
	atomic_store(&rig->shared->readers, count + 1);
	return count + 1;
}

static struct weir_rig_sub *sub_place(struct weir_rig *rig)
{
	for (uint32_t i = 0; i < rig->sub_count; i++)
		if (!rig->subs[i].sub)
			return &rig->subs[i];
	if (rig->sub_count == WEIR_RIG_SUBS)
		weir_rig_fail(rig, "the kit: too many members in one case");
	return &rig->subs[rig->sub_count++];
}

/* The member is noted before the call: its first events may come from another thread's poll. */
int weir_rig_try_subscribe(struct weir_rig *rig, struct weir_rig_topic *topic, const char *uid,
			   const struct weir_sub_spec *spec, struct weir_rig_sub **ret)
{
	struct weir_rig_sub *sub = sub_place(rig);
	struct weir_sub_spec full = *spec;
	struct weir_error err = WEIR_ERROR_INIT;
	char name[128];
	int64_t since;
	int code;

	memset(sub, 0, sizeof *sub);
	sub->topic = topic;
	sub->reader = reader_number(rig, topic->number, uid);
	sub->member = atomic_fetch_add(&rig->shared->members, 1) + 1;
	snprintf(sub->uid, sizeof sub->uid, "%s", uid);
	snprintf(name, sizeof name, "%" PRIx64 "-%s-%s", rig->target->run, rig->conform_case->id, uid);
	full.size = sizeof full;
	full.name = full.uid = name;
	if (!full.max_unsettled)
		full.max_unsettled = 65536;
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_SUBSCRIBE,
					      .reader = sub->reader,
					      .member = sub->member,
					      .topic = topic->number,
					      .arg = spec->start });
	since = begin(rig, "subscribe");
	code = rig->ops->subscribe(rig->inst, topic->topic, &full, &sub->sub, &err);
	end(rig, "subscribe", since);
	if (code) {
		sub->sub = NULL;
		rig->last_error = err;
	}
	*ret = code ? NULL : sub;
	return code;
}

void weir_rig_await_ready(struct weir_rig *rig, struct weir_rig_sub *sub)
{
	int64_t deadline_ns = weir_rig_deadline(rig, READY_MS);

	while (!sub->ready && weir_clock_now_ns() < deadline_ns && !rig->seen[WEIR_EV_SUB_FAILED])
		weir_rig_pump(rig, deadline_ns);
	if (!sub->ready)
		weir_rig_fail(rig, "subscription %s did not become ready: %s", sub->uid,
			      rig->last_error.text[0] ? rig->last_error.text : "nothing was reported");
}

struct weir_rig_sub *weir_rig_subscribe(struct weir_rig *rig, struct weir_rig_topic *topic, const char *uid,
					enum weir_start start)
{
	struct weir_sub_spec spec = { .start = start };
	struct weir_rig_sub *sub;
	int code = weir_rig_try_subscribe(rig, topic, uid, &spec, &sub);

	if (code)
		weir_rig_fail(rig, "subscribe: %s: %s", weir_code_name(code), rig->last_error.text);
	weir_rig_await_ready(rig, sub);
	return sub;
}

/* What arrived for it and was not looked at is not the case's any more. */
static void forget_deliveries(struct weir_rig *rig, const struct weir_rig_sub *sub)
{
	size_t kept = 0;

	for (size_t i = 0; i < rig->delivery_count; i++) {
		struct weir_rig_delivery *delivery = &rig->deliveries[rig->delivery_first + i];

		if (delivery->sub != sub)
			rig->deliveries[rig->delivery_first + kept++] = *delivery;
		else if (delivery->event.lease)
			rig->ops->release(delivery->event.lease);
	}
	rig->delivery_count = kept;
}

void weir_rig_end(struct weir_rig *rig, struct weir_rig_sub *sub, bool keep)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	forget_deliveries(rig, sub);
	weir_rig_doing(rig, "unsubscribe");
	code = rig->ops->unsubscribe(rig->inst, sub->sub, keep, weir_rig_deadline(rig, NEXT_MS), &err);
	weir_rig_doing(rig, "-");
	if (code)
		weir_rig_fail(rig, "unsubscribe: %s: %s", weir_code_name(code), err.text);
	weir_rig_note(
	    rig, &(struct weir_op){ .kind = WEIR_OP_ENDED, .reader = sub->reader, .member = sub->member, .arg = keep });
	sub->sub = NULL;
}

void weir_rig_credit_bytes(struct weir_rig *rig, struct weir_rig_sub *sub, int64_t records, int64_t bytes)
{
	int64_t since;
	int code;

	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_CREDIT, .member = sub->member, .arg = records });
	since = begin(rig, "credit");
	code = rig->ops->credit(rig->inst, sub->sub, records, bytes);
	end(rig, "credit", since);
	if (code)
		weir_rig_fail(rig, "credit: %s", weir_code_name(code));
}

void weir_rig_credit(struct weir_rig *rig, struct weir_rig_sub *sub, int64_t records)
{
	weir_rig_credit_bytes(rig, sub, records, records > 0 ? MANY_BYTES / 1024 : 0);
}

int weir_rig_pause(struct weir_rig *rig, struct weir_rig_sub *sub, bool on)
{
	int64_t since;
	int code;

	if (!on)
		weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_RESUME, .member = sub->member });
	since = begin(rig, "pause");
	code = rig->ops->pause(rig->inst, sub->sub, on);
	end(rig, "pause", since);
	return code;
}

/* ---- publishing ---------------------------------------------------------- */

static int publish(struct weir_rig *rig, struct weir_rig_topic *topic, const struct weir_record *record,
		   uint64_t number, struct weir_error *err)
{
	struct weir_publish item = { .size = sizeof item, .topic = topic->topic, .tag = number, .record = *record };
	struct weir_error error = WEIR_ERROR_INIT;
	size_t accepted = 99;
	int64_t since;
	int code;

	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_PUBLISH,
					      .number = number,
					      .topic = topic->number,
					      .key = weir_rig_key(rig, number) });
	since = begin(rig, "publish");
	code = rig->ops->publish(rig->inst, &item, 1, &accepted, &error);
	end(rig, "publish", since);
	if (accepted > 1 || (accepted == 1) != (code == WEIR_OK))
		weir_rig_fail(rig, "publish answered %s with %zu of 1 items accepted", weir_code_name(code), accepted);
	if (code)
		weir_rig_note(rig,
			      &(struct weir_op){ .kind = WEIR_OP_REFUSED, .number = number, .code = (uint16_t)code });
	if (err)
		*err = error;
	return code;
}

int weir_rig_try_send(struct weir_rig *rig, struct weir_rig_topic *topic, uint64_t *number, struct weir_error *err)
{
	struct weir_rig_made made;
	int code;

	*number = atomic_fetch_add(&rig->shared->next_number, 1) + 1;
	if (!weir_rig_make(rig, *number, &made))
		weir_rig_fail(rig, "the kit has no memory");
	code = publish(rig, topic, &made.record, *number, err);
	/* The driver has copied it: what it takes afterwards is not what was published. */
	memset(made.body, 0xa5, made.record.body.len);
	weir_rig_made_fini(&made);
	return code;
}

/* A backend that is small on purpose and says so is not asked for more than it holds; but a few hundred it must. */
static void refused(struct weir_rig *rig, int code, uint64_t sent, const struct weir_error *err)
{
	if (code == WEIR_ELIMIT && sent >= SMALLEST_STORE)
		weir_rig_skip(rig, "it holds %" PRIu64 " records and then says that it is full", sent);
	weir_rig_fail(rig, "publish: %s: %s", weir_code_name(code), err->text);
}

uint64_t weir_rig_send(struct weir_rig *rig, struct weir_rig_topic *topic, uint64_t count)
{
	int64_t deadline_ns = weir_rig_deadline(rig, DRAIN_MS);
	uint64_t first = 0, number;

	for (uint64_t i = 0; i < count; i++) {
		struct weir_error err = WEIR_ERROR_INIT;
		int code;

		while ((code = weir_rig_try_send(rig, topic, &number, &err)) == WEIR_EAGAIN &&
		       weir_clock_now_ns() < deadline_ns)
			weir_rig_try_await(rig, WEIR_EV_WRITABLE, rig->seen[WEIR_EV_WRITABLE] + 1,
					   weir_rig_deadline(rig, 100));
		if (code)
			refused(rig, code, rig->sent, &err);
		rig->sent++;
		if (!first)
			first = number;
	}
	return first;
}

uint64_t weir_rig_publish(struct weir_rig *rig, struct weir_rig_topic *topic, uint64_t count)
{
	uint64_t before = rig->unpersisted, first = weir_rig_send(rig, topic, count);

	weir_rig_await_done(rig);
	if (rig->unpersisted != before)
		weir_rig_fail(rig, "a publish was not persisted: %s", rig->last_error.text);
	return first;
}

int weir_rig_try_send_record(struct weir_rig *rig, struct weir_rig_topic *topic, const struct weir_record *record,
			     uint64_t *number, struct weir_error *err)
{
	int code;

	*number = atomic_fetch_add(&rig->shared->next_number, 1) + 1;
	weir_rig_custom_add(rig, *number, record, topic->number);
	code = publish(rig, topic, record, *number, err);
	if (!code)
		rig->sent++;
	return code;
}

void weir_rig_publish_record(struct weir_rig *rig, struct weir_rig_topic *topic, const struct weir_record *record)
{
	struct weir_error err = WEIR_ERROR_INIT;
	uint64_t number;
	int code = weir_rig_try_send_record(rig, topic, record, &number, &err);

	if (code)
		weir_rig_fail(rig, "publish: %s: %s", weir_code_name(code), err.text);
	weir_rig_await_done(rig);
	if (rig->latest_done.outcome != WEIR_PERSISTED)
		weir_rig_fail(rig, "a publish was not persisted: %s", rig->last_error.text);
}

/* ---- events -------------------------------------------------------------- */

static struct weir_rig_sub *sub_of(struct weir_rig *rig, const struct weir_sub *sub)
{
	for (uint32_t i = 0; sub && i < rig->sub_count; i++)
		if (rig->subs[i].sub == sub)
			return &rig->subs[i];
	return NULL;
}

static void keep_delivery(struct weir_rig *rig, const struct weir_rig_delivery *delivery)
{
	if (rig->delivery_first && !rig->delivery_count)
		rig->delivery_first = 0;
	if (rig->delivery_first + rig->delivery_count == rig->delivery_room) {
		size_t room = rig->delivery_room ? rig->delivery_room * 2 : 256;
		struct weir_rig_delivery *more = weir_mem_realloc(rig->deliveries, room * sizeof *more);

		if (!more)
			weir_rig_fail(rig, "the kit has no memory");
		rig->deliveries = more;
		rig->delivery_room = room;
	}
	rig->deliveries[rig->delivery_first + rig->delivery_count++] = *delivery;
}

static void on_deliver(struct weir_rig *rig, const struct weir_driver_event *event)
{
	struct weir_rig_delivery delivery = { .event = *event, .sub = sub_of(rig, event->sub) };
	uint32_t flags = event->flags & WEIR_MSG_REDELIVERED ? WEIR_OP_REDELIVERED : 0;

	if (!delivery.sub)
		weir_rig_fail(rig, "a delivery was reported for a subscription that is not open");
	delivery.number = weir_rig_recognise(rig, &event->record, &flags);
	if (event->flags & WEIR_MSG_DAMAGED)
		flags |= WEIR_OP_DAMAGED;
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_DELIVER,
					      .reader = delivery.sub->reader,
					      .member = delivery.sub->member,
					      .topic = delivery.sub->topic->number,
					      .number = delivery.number,
					      .attempt = event->attempt,
					      .flags = flags });
	if (!rig->keep_leases && event->lease) {
		rig->ops->release(event->lease);
		delivery.event.lease = NULL;
		memset(&delivery.event.record, 0, sizeof delivery.event.record);
	}
	if (rig->auto_ack)
		weir_rig_ack(rig, &delivery);
	else
		keep_delivery(rig, &delivery);
}

static void note_member(struct weir_rig *rig, const struct weir_driver_event *event, enum weir_op_kind kind)
{
	struct weir_rig_sub *sub = sub_of(rig, event->sub);

	if (!sub)
		weir_rig_fail(rig, "event %u was reported for a subscription that is not open", event->type);
	if (kind == WEIR_OP_READY)
		sub->ready = true;
	weir_rig_note(rig, &(struct weir_op){ .kind = (uint16_t)kind, .reader = sub->reader, .member = sub->member });
}

static void on_event(struct weir_rig *rig, const struct weir_driver_event *event)
{
	if (event->type == 0 || event->type >= WEIR_RIG_EVENT_TYPES)
		weir_rig_fail(rig, "an event of type %u was reported; there is none", event->type);
	rig->seen[event->type]++;
	if (event->error)
		rig->last_error = *event->error;
	if (event->type == WEIR_EV_DELIVER) {
		on_deliver(rig, event);
	} else if (event->type == WEIR_EV_PUBLISHED) {
		rig->completed++;
		rig->persisted += event->outcome == WEIR_PERSISTED;
		rig->unpersisted += event->outcome != WEIR_PERSISTED;
		rig->latest_done = *event;
		weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_DONE,
						      .number = event->tag,
						      .arg = event->outcome,
						      .code = event->error ? event->error->code : 0 });
	} else if (event->type == WEIR_EV_SUB_READY) {
		note_member(rig, event, WEIR_OP_READY);
	} else if (event->type == WEIR_EV_PAUSED) {
		note_member(rig, event, WEIR_OP_PAUSED);
	} else if (event->type == WEIR_EV_REVOKED) {
		note_member(rig, event, WEIR_OP_REVOKED);
	} else if (event->type == WEIR_EV_DOWN) {
		weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_DOWN });
	}
}

size_t weir_rig_pump(struct weir_rig *rig, int64_t deadline_ns)
{
	struct weir_driver_event events[WEIR_RIG_EVENTS + 1];
	size_t count = 0;
	int code;

	memset(events, 0, sizeof events);
	for (size_t i = 0; i < WEIR_RIG_EVENTS; i++)
		events[i].size = sizeof events[i];
	memset(&events[WEIR_RIG_EVENTS], 0x5a, sizeof events[0]);
	weir_rig_doing(rig, "poll");
	code = rig->ops->poll(rig->inst, events, WEIR_RIG_EVENTS, deadline_ns, &count);
	weir_rig_doing(rig, "-");
	if (code)
		weir_rig_fail(rig, "poll: %s", weir_code_name(code));
	if (count > WEIR_RIG_EVENTS || events[WEIR_RIG_EVENTS].type != 0x5a5a5a5a)
		weir_rig_fail(rig, "poll filled more events than there is room for");
	for (size_t i = 0; i < count; i++)
		on_event(rig, &events[i]);
	return count;
}

bool weir_rig_try_await(struct weir_rig *rig, unsigned type, uint64_t count, int64_t deadline_ns)
{
	while (rig->seen[type] < count && weir_clock_now_ns() < deadline_ns)
		weir_rig_pump(rig, deadline_ns);
	return rig->seen[type] >= count;
}

void weir_rig_await(struct weir_rig *rig, unsigned type, uint64_t count)
{
	if (!weir_rig_try_await(rig, type, count, weir_rig_deadline(rig, NEXT_MS)))
		weir_rig_fail(rig, "event %u was reported %" PRIu64 " times, not %" PRIu64, type, rig->seen[type],
			      count);
}

/* ---- deliveries ---------------------------------------------------------- */

static bool take(struct weir_rig *rig, const struct weir_rig_sub *sub, struct weir_rig_delivery *ret)
{
	for (size_t i = 0; i < rig->delivery_count; i++) {
		struct weir_rig_delivery *delivery = &rig->deliveries[rig->delivery_first + i];

		if (sub && delivery->sub != sub)
			continue;
		*ret = *delivery;
		memmove(rig->deliveries + rig->delivery_first + 1, rig->deliveries + rig->delivery_first,
			i * sizeof *delivery);
		rig->delivery_first++;
		rig->delivery_count--;
		return true;
	}
	return false;
}

bool weir_rig_try_next(struct weir_rig *rig, struct weir_rig_sub *sub, int64_t deadline_ns,
		       struct weir_rig_delivery *ret)
{
	for (;;) {
		if (take(rig, sub, ret))
			return true;
		if (!weir_rig_pump(rig, deadline_ns) && weir_clock_now_ns() >= deadline_ns)
			return false;
	}
}

struct weir_rig_delivery weir_rig_next(struct weir_rig *rig, struct weir_rig_sub *sub)
{
	struct weir_rig_delivery delivery;

	if (!weir_rig_try_next(rig, sub, weir_rig_deadline(rig, NEXT_MS), &delivery))
		weir_rig_fail(rig, "no delivery came to %s", sub ? sub->uid : "anybody");
	return delivery;
}

uint16_t weir_rig_settle(struct weir_rig *rig, const struct weir_rig_delivery *delivery, int verb, int64_t arg)
{
	uint16_t code = 999;
	int64_t since = begin(rig, "settle");
	int result = rig->ops->settle(rig->inst, delivery->sub->sub, verb, &delivery->event.token, 1, arg, &code);

	end(rig, "settle", since);
	if (result)
		code = (uint16_t)result;
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_SETTLE,
					      .reader = delivery->sub->reader,
					      .member = delivery->sub->member,
					      .number = delivery->number,
					      .attempt = (uint32_t)(verb == WEIR_EXTEND ? arg : 0),
					      .arg = verb,
					      .code = code });
	return code;
}

void weir_rig_ack(struct weir_rig *rig, const struct weir_rig_delivery *delivery)
{
	uint16_t code = weir_rig_settle(rig, delivery, WEIR_ACK, 0);

	if (code)
		weir_rig_fail(rig, "ack of record %" PRIu64 ": %s", delivery->number, weir_code_name(code));
}

void weir_rig_nack(struct weir_rig *rig, const struct weir_rig_delivery *delivery, int64_t delay_ms)
{
	uint16_t code = weir_rig_settle(rig, delivery, WEIR_NACK, delay_ms);

	if (code)
		weir_rig_fail(rig, "nack of record %" PRIu64 ": %s", delivery->number, weir_code_name(code));
}

void weir_rig_receive(struct weir_rig *rig, struct weir_rig_sub *sub, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct weir_rig_delivery delivery = weir_rig_next(rig, sub);

		weir_rig_ack(rig, &delivery);
	}
}

static bool whole(const struct weir_rig *rig, uint32_t reader)
{
	return weir_judge_missing(rig->history->ops, atomic_load(&rig->history->count), &rig->rules, reader) == 0;
}

void weir_rig_drain(struct weir_rig *rig, struct weir_rig_sub *sub)
{
	int64_t deadline_ns = weir_rig_deadline(rig, DRAIN_MS);
	struct weir_rig_delivery delivery;
	uint64_t taken = 0;

	weir_rig_credit(rig, sub, 1024);
	while (weir_clock_now_ns() < deadline_ns) {
		int64_t idle_ns = weir_rig_deadline(rig, IDLE_MS);

		if (weir_rig_try_next(rig, sub, idle_ns, &delivery)) {
			weir_rig_ack(rig, &delivery);
			if (++taken % 512 == 0)
				weir_rig_credit(rig, sub, 512);
			continue;
		}
		if (rig->completed >= rig->sent && whole(rig, sub->reader))
			break;
	}
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_WHOLE, .reader = sub->reader });
	atomic_fetch_add(&rig->shared->judged, 1);
}

void weir_rig_silence(struct weir_rig *rig, struct weir_rig_sub *sub)
{
	struct weir_rig_delivery delivery;

	if (weir_rig_try_next(rig, sub, weir_rig_deadline(rig, QUIET_MS), &delivery))
		weir_rig_fail(rig, "record %" PRIu64 " was delivered; nothing should have been", delivery.number);
	atomic_fetch_add(&rig->shared->judged, 1);
}

void weir_rig_marker(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_rig_sub *sub)
{
	uint64_t number = weir_rig_publish(rig, topic, 1);
	struct weir_rig_delivery delivery = weir_rig_next(rig, sub);

	WEIR_EXPECT(rig, delivery.number == number, "record %" PRIu64 " came; the next was to be record %" PRIu64,
		    delivery.number, number);
	weir_rig_ack(rig, &delivery);
}
