/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a subscription begins, and where it goes on if its place is gone. The position is committed by the member that
 * owns the partition, with its generation: the coordinator refuses a commit of
 * anybody else, so two members that start at the same time cannot overwrite
 * each other's start.
 */
#include "kafka.h"

#include <poll.h>

enum { PAUSE_MS = 50 };

struct commit_answer {
	bool there;
	rd_kafka_resp_err_t native;
};

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t native, rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct commit_answer *answer = opaque;
	int i;

	(void)rk;
	answer->there = true;
	answer->native = native;
	for (i = 0; !answer->native && list && i < list->cnt; i++)
		answer->native = list->elems[i].err;
}

/*
 * The queue is not destroyed before the answer came, or the answer would write
 * to a frame that is gone: librdkafka gives every commit an answer at the
 * latest when the client is destroyed, and purges those of a queue that is.
 */
rd_kafka_resp_err_t weir_kafka_commit_wait(struct weir_sub *sub, const rd_kafka_topic_partition_list_t *list,
					   int64_t deadline_ns)
{
	struct commit_answer answer = { false, RD_KAFKA_RESP_ERR__TIMED_OUT };
	rd_kafka_queue_t *queue = rd_kafka_queue_new(sub->rk);
	rd_kafka_resp_err_t native = rd_kafka_commit_queue(sub->rk, list, queue, on_commit, &answer);
	int left;

	while (!native && !answer.there && (left = weir_kafka_left_ms(deadline_ns, 100)) > 0)
		rd_kafka_queue_poll_callback(queue, left);
	rd_kafka_queue_destroy(queue);
	return native ? native : answer.native;
}

/* Where a partition that nobody committed for begins. Of one that was added later, nothing may be missed. */
static bool start_ask(struct weir_sub *sub, rd_kafka_topic_partition_t *at)
{
	bool earliest = sub->start == WEIR_START_EARLIEST || sub->ready;
	int64_t low, high;

	if (rd_kafka_query_watermark_offsets(sub->rk, at->topic, at->partition, &low, &high, WEIR_KAFKA_TRY_MS))
		return false;
	at->offset = earliest ? low : high;
	return true;
}

/* One attempt. */
static bool starts_try(struct weir_sub *sub, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *fresh;
	bool ok = true;
	int i;

	if (rd_kafka_committed(sub->rk, list, WEIR_KAFKA_TRY_MS))
		return false;
	fresh = rd_kafka_topic_partition_list_new(list->cnt);
	for (i = 0; i < list->cnt && ok; i++) {
		ok = !list->elems[i].err;
		if (!ok || list->elems[i].offset >= 0)
			continue;
		ok = start_ask(sub, &list->elems[i]);
		rd_kafka_topic_partition_list_add(fresh, list->elems[i].topic, list->elems[i].partition)->offset =
		    list->elems[i].offset;
	}
	if (ok && fresh->cnt)
		ok = !weir_kafka_commit_wait(sub, fresh,
					     weir_kafka_now() + WEIR_KAFKA_COMMIT_WAIT_MS * INT64_C(1000000));
	rd_kafka_topic_partition_list_destroy(fresh);
	return ok;
}

bool weir_kafka_starts_find(struct weir_sub *sub, rd_kafka_topic_partition_list_t *list)
{
	while (!atomic_load(&sub->stop) && !rd_kafka_assignment_lost(sub->rk)) {
		if (starts_try(sub, list))
			return true;
		poll(NULL, 0, PAUSE_MS);
	}
	return false;
}

bool weir_kafka_starts_complete(struct weir_sub *sub)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(sub->topic->partitions);
	bool complete;
	int i;

	for (i = 0; i < sub->topic->partitions; i++)
		rd_kafka_topic_partition_list_add(list, sub->topic->name, i);
	complete = rd_kafka_committed(sub->rk, list, WEIR_KAFKA_TRY_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
	for (i = 0; i < list->cnt && complete; i++)
		complete = !list->elems[i].err && list->elems[i].offset >= 0;
	rd_kafka_topic_partition_list_destroy(list);
	return complete;
}

/* ---- lost positions ------------------------------------------------------------------- */

/* The one that is lost, if any. Only this thread adds and removes trackers: it stays. */
static struct tracker *lost_next(struct weir_sub *sub)
{
	struct tracker *tracker = NULL;
	int32_t i;

	pthread_mutex_lock(&sub->inst->lock);
	for (i = 0; sub->lost && i < sub->tracker_count && !tracker; i++)
		if (sub->trackers[i] && sub->trackers[i]->lost)
			tracker = sub->trackers[i];
	sub->lost = tracker != NULL;
	pthread_mutex_unlock(&sub->inst->lock);
	return tracker;
}

/* Retention went on behind our back: what is out and what waits is in our memory, the rest is not there any more. */
static void skip(struct tracker *tracker, int64_t low)
{
	struct notice *notice;

	pthread_mutex_lock(&tracker->sub->inst->lock);
	notice = low > tracker->received ? weir_kafka_tracker_notice(tracker, WEIR_EV_GAP) : NULL;
	if (notice) {
		notice->position = (uint64_t)tracker->received;
		notice->position_end = (uint64_t)low - 1;
		weir_fail(&notice->error, WEIR_ENOTFOUND, "kafka: %.200s, partition %d: removed by retention",
			  tracker->sub->topic->name, (int)tracker->partition);
		weir_kafka_notify(tracker->sub->inst, notice);
	}
	if (tracker->head == tracker->tail)
		tracker->position = low;
	tracker->received = low;
	tracker->lost = false;
	pthread_mutex_unlock(&tracker->sub->inst->lock);
}

static void lost_again(struct weir_sub *sub, int32_t partition)
{
	pthread_mutex_lock(&sub->inst->lock);
	if (sub->trackers[partition])
		sub->trackers[partition]->lost = sub->lost = true;
	pthread_mutex_unlock(&sub->inst->lock);
}

/* Fetching has stopped: it begins again where we say. */
static bool fetch_again(struct weir_sub *sub, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_error_t *error = rd_kafka_incremental_unassign(sub->rk, list);

	if (!error)
		error = rd_kafka_incremental_assign(sub->rk, list);
	if (!error)
		return true;
	weir_kafka_log(sub->inst, 1, "kafka: the group %.200s: going on at another position: %s", sub->group_id,
		       rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return false;
}

static bool lost_try(struct weir_sub *sub, struct tracker *tracker)
{
	rd_kafka_topic_partition_list_t *list;
	int64_t low, high;
	bool ok = true;

	if (rd_kafka_query_watermark_offsets(sub->rk, sub->topic->name, tracker->partition, &low, &high,
					     WEIR_KAFKA_TRY_MS))
		return false;
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, sub->topic->name, tracker->partition)->offset = low;
	if (low >= tracker->received) {
		skip(tracker, low);
	} else {
		/* The topic was made anew, or cut off: what we have of the old one has no place in it. */
		weir_kafka_log(sub->inst, 0,
			       "kafka: %s, partition %d: ends at %lld, before the position %lld; begins again at %lld",
			       sub->topic->name, (int)tracker->partition, (long long)high, (long long)tracker->received,
			       (long long)low);
		ok = weir_kafka_tracker_renew(sub, &list->elems[0]);
	}
	ok = ok && fetch_again(sub, list);
	if (!ok)
		lost_again(sub, list->elems[0].partition);
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

void weir_kafka_lost_find(struct weir_sub *sub)
{
	struct tracker *tracker;

	while ((tracker = lost_next(sub)) && !atomic_load(&sub->stop))
		if (!lost_try(sub, tracker))
			return;
}
