/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions as the host sees them. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

/* ---- subscribing ---------------------------------------------------------------------- */

/* A token names the group; members of one group in this process have the same number. Lock held. 0: no memory. */
static uint64_t group_number(struct weir_inst *inst, const char *id)
{
	size_t size = strlen(id) + 1;
	struct group *group;
	struct link *at;

	for (at = inst->groups.next; at != &inst->groups; at = at->next) {
		group = weir_list_entry(at, struct group, link);
		if (strcmp(group->id, id) == 0)
			return group->number;
	}
	group = calloc(1, sizeof *group + size);
	if (!group)
		return 0;
	memcpy(group->id, id, size);
	group->number = ++inst->group_count;
	weir_list_init(&group->link);
	weir_list_append(&inst->groups, &group->link);
	return group->number;
}

/* The lowest that no other member of the group in this process has. Lock held. */
static unsigned member_number(const struct weir_inst *inst, uint64_t group)
{
	unsigned number = 0;
	struct link *at = inst->subs.next;

	while (at != &inst->subs) {
		const struct weir_sub *sub = weir_list_entry(at, struct weir_sub, link);

		at = at->next;
		if (sub->group != group || sub->member != number)
			continue;
		number++;
		at = inst->subs.next;
	}
	return number;
}

/* The topic's name is made of the pattern; the group's is made of the same names. */
static int group_spell(struct weir_inst *inst, const struct weir_topic *topic, const char *uid, char *ret, size_t size,
		       struct weir_error *err)
{
	return weir_kafka_spell(weir_kafka_setting(&inst->settings, "groupPattern"), topic->ns, topic->channel, uid,
				ret, size, err);
}

static struct weir_sub *sub_new(struct weir_inst *inst, struct weir_topic *topic, const char *group_id, uint32_t start)
{
	size_t size = strlen(group_id) + 1;
	struct weir_sub *sub = calloc(1, sizeof *sub + size);

	if (!sub)
		return NULL;
	memcpy(sub->group_id, group_id, size);
	sub->inst = inst;
	sub->topic = topic;
	sub->start = start;
	weir_list_init(&sub->link);
	weir_list_init(&sub->state.link);
	weir_list_init(&sub->stopped.link);
	weir_list_init(&sub->throttled.link);
	sub->state.sub = sub->stopped.sub = sub->throttled.sub = sub;
	sub->throttled.type = WEIR_EV_THROTTLE;
	sub->stopped.type = WEIR_EV_PAUSED;
	return sub;
}

int weir_kafka_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			 struct weir_sub **ret, struct weir_error *err)
{
	char group_id[WEIR_KAFKA_MAX_GROUP + 1];
	struct weir_sub *sub;
	int code;

	*ret = NULL;
	if (spec->start != WEIR_START_LATEST && spec->start != WEIR_START_EARLIEST)
		return weir_fail(err, WEIR_ENOTSUP, "kafka: a subscription starts at latest or earliest");
	code = group_spell(inst, topic, spec->uid, group_id, sizeof group_id, err);
	if (code)
		return code;
	sub = sub_new(inst, topic, group_id, spec->start);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "kafka: no memory for a subscription");
	pthread_mutex_lock(&inst->lock);
	sub->group = group_number(inst, group_id);
	sub->member = member_number(inst, sub->group);
	weir_list_append(&inst->subs, &sub->link);
	pthread_mutex_unlock(&inst->lock);
	if (!sub->group || pthread_create(&sub->thread, NULL, weir_kafka_consumer_thread, sub) != 0) {
		pthread_mutex_lock(&inst->lock);
		weir_list_unlink(&sub->link);
		pthread_mutex_unlock(&inst->lock);
		free(sub);
		return weir_fail(err, WEIR_ENOMEM, "kafka: no thread for a subscription");
	}
	*ret = sub;
	return WEIR_OK;
}

/* ---- stopping -------------------------------------------------------------------------- */

/* From here on nothing is reported about it. Lock held. */
static void sub_stop(struct weir_sub *sub, int64_t deadline_ns)
{
	struct weir_inst *inst = sub->inst;
	struct link *at, *next;

	for (at = inst->notices.next; at != &inst->notices; at = next) {
		struct notice *notice = weir_list_entry(at, struct notice, link);

		next = at->next;
		if (notice->sub != sub)
			continue;
		weir_list_unlink(at);
		if (notice->heap)
			free(notice);
	}
	sub->stop_ns = deadline_ns;
	atomic_store(&sub->stop, true);
	if (sub->queue)
		rd_kafka_queue_yield(sub->queue);
	pthread_cond_broadcast(&inst->changed);
}

static void sub_join(struct weir_sub *sub)
{
	pthread_join(sub->thread, NULL);
	weir_kafka_slab_drop(sub->slab);
	free(sub->waiting);
	free(sub->trackers);
	free(sub);
}

int weir_kafka_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			   struct weir_error *err)
{
	char group_id[WEIR_KAFKA_MAX_GROUP + 1];
	rd_kafka_resp_err_t native;

	memcpy(group_id, sub->group_id, strlen(sub->group_id) + 1);
	pthread_mutex_lock(&inst->lock);
	weir_list_unlink(&sub->link);
	sub_stop(sub, deadline_ns);
	pthread_mutex_unlock(&inst->lock);
	sub_join(sub);
	if (keep)
		return WEIR_OK;
	native = weir_kafka_delete_group(inst, group_id, deadline_ns);
	/* While others are members it is still theirs: the last one to go takes it along. */
	if (!native || native == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND || native == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP)
		return WEIR_OK;
	weir_kafka_fail(err, native, "deleting the group %.200s", group_id);
	return weir_fail(err, WEIR_ETIMEDOUT, "kafka: the group %.200s may be kept by the brokers: %s", group_id,
			 rd_kafka_err2str(native));
}

void weir_kafka_subs_stop(struct weir_inst *inst, int64_t deadline_ns)
{
	struct link *at;

	pthread_mutex_lock(&inst->lock);
	for (at = inst->subs.next; at != &inst->subs; at = at->next)
		sub_stop(weir_list_entry(at, struct weir_sub, link), deadline_ns);
	while (weir_list_linked(&inst->subs)) {
		struct weir_sub *sub = weir_list_entry(inst->subs.next, struct weir_sub, link);

		weir_list_unlink(&sub->link);
		pthread_mutex_unlock(&inst->lock);
		sub_join(sub);
		pthread_mutex_lock(&inst->lock);
	}
	pthread_mutex_unlock(&inst->lock);
}

/* ---- credit and figures ------------------------------------------------------------------ */

/* What is taken back is never more than there is; a debt stays. */
static int64_t credit_add(int64_t credit, int64_t delta)
{
	int64_t sum;

	if (__builtin_add_overflow(credit, delta, &sum))
		return delta > 0 ? INT64_MAX : 0;
	return delta < 0 && sum < 0 ? credit < 0 ? credit : 0 : sum;
}

int weir_kafka_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	pthread_mutex_lock(&inst->lock);
	sub->credit_records = credit_add(sub->credit_records, records);
	sub->credit_bytes = credit_add(sub->credit_bytes, bytes);
	weir_kafka_wake(inst);
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

int weir_kafka_pause(struct weir_inst *inst, struct weir_sub *sub, int on)
{
	pthread_mutex_lock(&inst->lock);
	sub->paused = on;
	if (on)
		weir_kafka_notify(inst, &sub->stopped);
	else
		weir_list_unlink(&sub->stopped.link);
	weir_kafka_wake(inst);
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

/* Where a partition ends is known from its fetches, of which at least one comes in this time while the broker is up. */
#define FETCHED_NS INT64_C(2000000000)

/* UINT64_MAX: nothing has been fetched yet. */
static uint64_t tracker_lag(const struct tracker *tracker)
{
	int64_t low, high;

	if (rd_kafka_get_watermark_offsets(tracker->sub->rk, tracker->sub->topic->name, tracker->partition, &low,
					   &high) ||
	    high < 0)
		return UINT64_MAX;
	high = high < tracker->received ? tracker->received : high;
	return (uint64_t)(high - tracker->position);
}

int weir_kafka_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret)
{
	int64_t oldest = 0, now = weir_kafka_now();
	uint64_t assigned = 0, lag;
	int32_t i;

	pthread_mutex_lock(&inst->lock);
	ret->lag = 0;
	ret->unsettled = sub->unsettled;
	ret->redelivered = sub->redelivered;
	for (i = 0; i < sub->tracker_count; i++) {
		const struct tracker *tracker = sub->trackers[i];

		if (!tracker)
			continue;
		assigned++;
		lag = tracker_lag(tracker);
		ret->lag = lag == UINT64_MAX || ret->lag == UINT64_MAX ? UINT64_MAX : ret->lag + lag;
		/* The head of a ring is its oldest that is not settled. */
		if (tracker->head != tracker->tail &&
		    (!oldest || weir_kafka_at(tracker, tracker->head)->out_ns < oldest))
			oldest = weir_kafka_at(tracker, tracker->head)->out_ns;
	}
	/* Before the group has given it partitions, or when it has none for this member. */
	if (!assigned)
		ret->lag = UINT64_MAX;
	ret->oldest_ms = oldest ? (now - oldest) / 1000000 : -1;
	if (ret->size >= sizeof *ret)
		ret->lag_ns = now - FETCHED_NS;
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}
