/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription's thread: its consumer, rebalances, commits. It never touches
 * records: partitions' queues are not forwarded to the consumer's.
 */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

enum { READY_MS = 50 };

/* ---- telling ------------------------------------------------------------------------------ */

static void report(struct weir_sub *sub, uint32_t type, const struct weir_error *why)
{
	pthread_mutex_lock(&sub->inst->lock);
	if (!atomic_load(&sub->stop)) {
		sub->state.type = type;
		if (why)
			sub->state.error = *why;
		sub->ready = type == WEIR_EV_SUB_READY;
		weir_kafka_notify(sub->inst, &sub->state);
	}
	pthread_mutex_unlock(&sub->inst->lock);
}

/* For information: if there is no memory for it, tokens answer all the same. Lock held. */
static void report_partition(const struct tracker *tracker, uint32_t type)
{
	struct notice *notice;

	if (!atomic_load(&tracker->sub->stop) && (notice = weir_kafka_tracker_notice(tracker, type)))
		weir_kafka_notify(tracker->sub->inst, notice);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct weir_sub *sub = rd_kafka_opaque(rk);

	if (sub && strcmp(facility, "CONFWARN") != 0)
		weir_kafka_log(sub->inst,
			       level <= 3   ? 1
			       : level <= 5 ? 2
					    : 3,
			       "librdkafka: %s: %.300s", facility, text);
}

static void on_throttle(rd_kafka_t *rk, const char *broker, int32_t id, int ms, void *opaque)
{
	struct weir_sub *sub = opaque;

	(void)rk;
	(void)id;
	weir_kafka_throttled(sub->inst, &sub->throttled, broker, ms);
}

/* ---- commits ---------------------------------------------------------------------------------- */

static void add_position(rd_kafka_topic_partition_list_t *list, const struct tracker *tracker)
{
	rd_kafka_topic_partition_list_add(list, tracker->sub->topic->name, tracker->partition)->offset =
	    tracker->position;
}

static void commit_due(struct weir_sub *sub)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	int32_t i;

	pthread_mutex_lock(&sub->inst->lock);
	for (i = 0; i < sub->tracker_count; i++) {
		struct tracker *tracker = sub->trackers[i];

		if (!tracker || tracker->position <= tracker->sent)
			continue;
		tracker->sent = tracker->position;
		add_position(list, tracker);
	}
	sub->inst->commits += list->cnt > 0;
	pthread_mutex_unlock(&sub->inst->lock);
	if (list->cnt)
		rd_kafka_commit(sub->rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

/* What was not taken is sent again with the next ones. */
static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t native, rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct weir_sub *sub = opaque;
	int i;

	(void)rk;
	pthread_mutex_lock(&sub->inst->lock);
	for (i = 0; list && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *at = &list->elems[i];
		struct tracker *tracker = at->partition < sub->tracker_count ? sub->trackers[at->partition] : NULL;

		if (!tracker)
			continue;
		if (!native && !at->err && at->offset > tracker->committed)
			tracker->committed = at->offset;
		else if (native || at->err)
			tracker->sent = tracker->committed;
	}
	pthread_mutex_unlock(&sub->inst->lock);
}

/* ---- rebalances ---------------------------------------------------------------------------------- */

static struct tracker *tracker_make(struct weir_sub *sub, const rd_kafka_topic_partition_t *at)
{
	struct tracker *tracker = weir_kafka_tracker_new(sub, at->partition, at->offset);
	const uint64_t one = 1;

	if (!tracker || !tracker->queue) {
		weir_kafka_tracker_free(tracker);
		return NULL;
	}
	/* Before the assignment: what the application has set then stays. */
	rd_kafka_queue_forward(tracker->queue, NULL);
	rd_kafka_queue_io_event_enable(tracker->queue, sub->inst->wake_fd, &one, sizeof one);
	return tracker;
}

/* Lock held. */
static bool table_grow(struct weir_sub *sub, int32_t partition)
{
	struct tracker **trackers;

	if (partition < sub->tracker_count)
		return true;
	trackers = realloc(sub->trackers, (size_t)(partition + 1) * sizeof(struct tracker *));
	if (!trackers)
		return false;
	memset(trackers + sub->tracker_count, 0,
	       (size_t)(partition + 1 - sub->tracker_count) * sizeof(struct tracker *));
	sub->trackers = trackers;
	sub->tracker_count = partition + 1;
	return true;
}

static bool tracker_add(struct weir_sub *sub, const rd_kafka_topic_partition_t *at)
{
	struct tracker *tracker = tracker_make(sub, at);
	bool ok;

	pthread_mutex_lock(&sub->inst->lock);
	ok = tracker && table_grow(sub, at->partition);
	if (ok) {
		tracker->epoch = sub->inst->next_epoch++;
		sub->trackers[at->partition] = tracker;
		report_partition(tracker, WEIR_EV_ASSIGNED);
	}
	pthread_mutex_unlock(&sub->inst->lock);
	if (!ok)
		weir_kafka_tracker_free(tracker);
	return ok;
}

bool weir_kafka_tracker_renew(struct weir_sub *sub, const rd_kafka_topic_partition_t *at)
{
	struct tracker *old;

	pthread_mutex_lock(&sub->inst->lock);
	old = sub->trackers[at->partition];
	sub->trackers[at->partition] = NULL;
	sub->unsettled -= old->out;
	report_partition(old, WEIR_EV_REVOKED);
	pthread_mutex_unlock(&sub->inst->lock);
	weir_kafka_tracker_free(old);
	return tracker_add(sub, at);
}

static void fail(struct weir_sub *sub, int code, const char *why)
{
	struct weir_error err = WEIR_ERROR_INIT;

	weir_fail(&err, code, "kafka: the group %.200s: %s", sub->group_id, why);
	err.scope = WEIR_SCOPE_SUBSCRIPTION;
	report(sub, WEIR_EV_SUB_FAILED, &err);
	sub->broken = true;
}

static void done_with(struct weir_sub *sub, rd_kafka_error_t *error, const char *what)
{
	if (!error)
		return;
	weir_kafka_log(sub->inst, 1, "kafka: the group %.200s: %s: %s", sub->group_id, what,
		       rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

static void on_assign(struct weir_sub *sub, rd_kafka_topic_partition_list_t *list)
{
	bool found = weir_kafka_starts_find(sub, list), ok = true;
	int i;

	for (i = 0; found && ok && i < list->cnt; i++)
		ok = tracker_add(sub, &list->elems[i]);
	if (!ok)
		fail(sub, WEIR_ENOMEM, "no memory for a partition");
	done_with(sub, rd_kafka_incremental_assign(sub->rk, list), "assigning");
	/* If it was stopped, or lost the assignment, no position is known: nothing must be fetched. */
	if (!found)
		rd_kafka_pause_partitions(sub->rk, list);
	weir_kafka_wake(sub->inst);
}

/* Takes the trackers away from poll() and settle(): from here on their tokens are stale. */
static rd_kafka_topic_partition_list_t *trackers_take(struct weir_sub *sub, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *positions = rd_kafka_topic_partition_list_new(list->cnt);
	int i;

	for (i = 0; i < list->cnt; i++) {
		int32_t partition = list->elems[i].partition;
		struct tracker *tracker;

		pthread_mutex_lock(&sub->inst->lock);
		tracker = partition < sub->tracker_count ? sub->trackers[partition] : NULL;
		if (tracker) {
			sub->trackers[partition] = NULL;
			sub->unsettled -= tracker->out;
			if (tracker->position > tracker->committed)
				add_position(positions, tracker);
			report_partition(tracker, WEIR_EV_REVOKED);
		}
		pthread_mutex_unlock(&sub->inst->lock);
		weir_kafka_tracker_free(tracker);
	}
	return positions;
}

static void on_revoke(struct weir_sub *sub, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *positions = trackers_take(sub, list);
	int64_t deadline = weir_kafka_now() + WEIR_KAFKA_COMMIT_WAIT_MS * INT64_C(1000000);
	rd_kafka_resp_err_t native = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (atomic_load(&sub->stop) && sub->stop_ns < deadline)
		deadline = sub->stop_ns;
	if (positions->cnt && !rd_kafka_assignment_lost(sub->rk))
		native = weir_kafka_commit_wait(sub, positions, deadline);
	if (native)
		weir_kafka_log(sub->inst, 1,
			       "kafka: the group %.200s: the last commit failed, events will come again: %s",
			       sub->group_id, rd_kafka_err2str(native));
	rd_kafka_topic_partition_list_destroy(positions);
	if (strcmp(rd_kafka_rebalance_protocol(sub->rk), "COOPERATIVE") == 0)
		done_with(sub, rd_kafka_incremental_unassign(sub->rk, list), "unassigning");
	else
		rd_kafka_assign(sub->rk, NULL);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t native, rd_kafka_topic_partition_list_t *list,
			 void *opaque)
{
	struct weir_sub *sub = opaque;

	if (native == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		on_assign(sub, list);
	else if (native == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
		on_revoke(sub, list);
	else
		rd_kafka_assign(rk, NULL);
}

/* ---- the thread ------------------------------------------------------------------------------------- */

static bool topic_await(struct weir_sub *sub)
{
	struct weir_inst *inst = sub->inst;
	struct weir_error why = WEIR_ERROR_INIT;
	enum topic_state state;

	pthread_mutex_lock(&inst->lock);
	while (!atomic_load(&sub->stop) && sub->topic->state == TOPIC_WANTED)
		pthread_cond_wait(&inst->changed, &inst->lock);
	state = sub->topic->state;
	why = sub->topic->notice.error;
	pthread_mutex_unlock(&inst->lock);
	if (state == TOPIC_FAILED)
		report(sub, WEIR_EV_SUB_FAILED, &why);
	return state == TOPIC_READY && !atomic_load(&sub->stop);
}

static void on_refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
	struct weir_sub *sub = opaque;

	(void)config;
	weir_kafka_oauth_refresh(sub->inst, rk);
}

/* Static membership: a member that comes back under its name gets its partitions back, without a rebalance. */
static bool instance_set(const struct weir_sub *sub, rd_kafka_conf_t *conf, struct weir_error *err)
{
	const char *name = weir_kafka_setting(&sub->inst->settings, "instanceId");
	char id[WEIR_KAFKA_MAX_NAME + 1], why[256];

	if (!*name)
		return true;
	snprintf(id, sizeof id, sub->member ? "%.200s-%u" : "%.200s", name, sub->member);
	if (rd_kafka_conf_set(conf, "group.instance.id", id, why, sizeof why) == RD_KAFKA_CONF_OK)
		return true;
	weir_fail(err, WEIR_EINVAL, "kafka.instanceId: %.200s", why);
	return false;
}

static bool consumer_open(struct weir_sub *sub)
{
	struct weir_error err = WEIR_ERROR_INIT;
	rd_kafka_conf_t *conf = NULL;
	char why[256] = "";

	if (weir_kafka_conf(&sub->inst->settings, ROLE_CONSUMER, &conf, &err)) {
		report(sub, WEIR_EV_SUB_FAILED, &err);
		return false;
	}
	rd_kafka_conf_set(conf, "group.id", sub->group_id, why, sizeof why);
	if (!instance_set(sub, conf, &err)) {
		rd_kafka_conf_destroy(conf);
		report(sub, WEIR_EV_SUB_FAILED, &err);
		return false;
	}
	rd_kafka_conf_set_opaque(conf, sub);
	rd_kafka_conf_set_throttle_cb(conf, on_throttle);
	if (sub->inst->oauth.on) {
		rd_kafka_conf_enable_sasl_queue(conf, 1);
		rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
	}
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
	sub->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
	if (!sub->rk) {
		rd_kafka_conf_destroy(conf);
		fail(sub, WEIR_EINVAL, why);
		return false;
	}
	if (sub->inst->oauth.on)
		rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(sub->rk));
	rd_kafka_poll_set_consumer(sub->rk);
	pthread_mutex_lock(&sub->inst->lock);
	sub->queue = rd_kafka_queue_get_consumer(sub->rk);
	pthread_mutex_unlock(&sub->inst->lock);
	return true;
}

static bool tracked(struct weir_sub *sub, int32_t partition)
{
	bool found;

	pthread_mutex_lock(&sub->inst->lock);
	found = partition < sub->tracker_count && sub->trackers[partition];
	pthread_mutex_unlock(&sub->inst->lock);
	return found;
}

/* The consumer can do no more: another one has taken its place in the group. */
static void died(struct weir_sub *sub)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char why[256] = "";
	rd_kafka_resp_err_t native = rd_kafka_fatal_error(sub->rk, why, sizeof why);

	weir_kafka_fail(&err, native, "the group %.200s: %.200s", sub->group_id, why);
	err.scope = WEIR_SCOPE_SUBSCRIPTION;
	report(sub, native == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? WEIR_EV_FENCED : WEIR_EV_SUB_FAILED, &err);
	sub->broken = true;
}

/*
 * A record comes this way if its partition was never taken up (on_assign), and
 * then it is nothing to us. Otherwise it is missing in its partition's queue:
 * what follows it is not to be trusted.
 */
static void message_take(struct weir_sub *sub, rd_kafka_message_t *message)
{
	if (!message->err && tracked(sub, message->partition))
		fail(sub, WEIR_EINTERNAL, "a record came through the wrong queue");
	else if (!message->err)
		weir_kafka_log(sub->inst, 3, "kafka: the group %.200s: a record of a lost partition", sub->group_id);
	else if (message->err == RD_KAFKA_RESP_ERR__FATAL)
		died(sub);
	else
		weir_kafka_log(sub->inst, weir_kafka_code(message->err) == WEIR_ENOPERM ? 0 : 2,
			       "kafka: the group %.200s: %.200s", sub->group_id, rd_kafka_message_errstr(message));
	rd_kafka_message_destroy(message);
}

static void join(struct weir_sub *sub)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t native;

	rd_kafka_topic_partition_list_add(list, sub->topic->name, RD_KAFKA_PARTITION_UA);
	native = rd_kafka_subscribe(sub->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (native)
		fail(sub, weir_kafka_code(native), rd_kafka_err2str(native));
}

static void serve(struct weir_sub *sub)
{
	int64_t commit_ns = weir_kafka_now() + WEIR_KAFKA_COMMIT_MS * INT64_C(1000000);

	if (weir_kafka_starts_complete(sub))
		report(sub, WEIR_EV_SUB_READY, NULL);
	join(sub);
	while (!atomic_load(&sub->stop) && !sub->broken) {
		int wait = weir_kafka_left_ms(commit_ns, sub->ready ? WEIR_KAFKA_COMMIT_MS : READY_MS);
		rd_kafka_message_t *message = rd_kafka_consumer_poll(sub->rk, wait);

		if (message)
			message_take(sub, message);
		weir_kafka_lost_find(sub);
		if (!sub->ready && !sub->broken && weir_kafka_starts_complete(sub))
			report(sub, WEIR_EV_SUB_READY, NULL);
		if (weir_kafka_now() < commit_ns)
			continue;
		commit_due(sub);
		commit_ns = weir_kafka_now() + WEIR_KAFKA_COMMIT_MS * INT64_C(1000000);
	}
}

/* Leaves the group; the brokers may not answer, so not longer than the deadline. */
static void consumer_close(struct weir_sub *sub)
{
	int64_t deadline = atomic_load(&sub->stop) ? sub->stop_ns : weir_kafka_now() + INT64_C(5000000000);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(sub->rk, sub->queue);
	bool closing = !error;
	int32_t i;
	int left;

	done_with(sub, error, "leaving");
	while (closing && !rd_kafka_consumer_closed(sub->rk) && (left = weir_kafka_left_ms(deadline, 20)) > 0)
		rd_kafka_queue_poll_callback(sub->queue, left);
	pthread_mutex_lock(&sub->inst->lock);
	rd_kafka_queue_destroy(sub->queue);
	sub->queue = NULL;
	for (i = 0; i < sub->tracker_count; i++) {
		weir_kafka_tracker_free(sub->trackers[i]);
		sub->trackers[i] = NULL;
	}
	pthread_mutex_unlock(&sub->inst->lock);
	rd_kafka_destroy_flags(sub->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	sub->rk = NULL;
}

void *weir_kafka_consumer_thread(void *arg)
{
	struct weir_sub *sub = arg;

	if (!topic_await(sub) || !consumer_open(sub))
		return NULL;
	serve(sub);
	consumer_close(sub);
	return NULL;
}
