/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer, and another one in its place when it gives up. librdkafka calls
 * an error fatal when going on could lose or repeat a record unnoticed. What is
 * under way then fails, each record with what is known about it; what comes
 * later is for a new producer, with a new identity at the brokers.
 */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>

enum {
	RENEW_WAIT_MS = 250, /* before a second new producer; doubled for each further one */
	RENEW_WAIT_MAX_MS = 30000,
	RENEW_CALM_MS = 60000, /* after so long it is the first again */
	PULL_MS = 20,
};

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct weir_inst *inst = rd_kafka_opaque(rk);

	/* CONFWARN: a property of the user's that is only for the other kind of client. */
	if (inst && strcmp(facility, "CONFWARN") != 0)
		weir_kafka_log(inst, level <= 3 ? 1 : level <= 5 ? 2 : 3, "librdkafka: %s: %.300s", facility, text);
}

static void on_throttle(rd_kafka_t *rk, const char *broker, int32_t id, int ms, void *opaque)
{
	struct weir_inst *inst = opaque;

	(void)rk;
	(void)id;
	weir_kafka_throttled(inst, &inst->throttled, broker, ms);
}

static void on_refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
	(void)config;
	weir_kafka_oauth_refresh(opaque, rk);
}

static int producer_new(struct weir_inst *inst, rd_kafka_t **ret, struct weir_error *err)
{
	rd_kafka_conf_t *conf;
	char why[256];
	int code = weir_kafka_conf(&inst->settings, ROLE_PRODUCER, &conf, err);

	if (code)
		return code;
	rd_kafka_conf_set_opaque(conf, inst);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_throttle_cb(conf, on_throttle);
	if (inst->oauth.on) {
		rd_kafka_conf_enable_sasl_queue(conf, 1);
		rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	*ret = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	if (*ret) {
		if (inst->oauth.on)
			rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(*ret));
		return WEIR_OK;
	}
	rd_kafka_conf_destroy(conf);
	return weir_fail(err, WEIR_EINVAL, "kafka: %.250s", why);
}

static rd_kafka_queue_t *queue_open(const struct weir_inst *inst, rd_kafka_t *producer)
{
	const uint64_t one = 1;
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer);

	rd_kafka_queue_io_event_enable(queue, inst->wake_fd, &one, sizeof one);
	return queue;
}

int weir_kafka_producer_open(struct weir_inst *inst, struct weir_error *err)
{
	int code = producer_new(inst, &inst->producer, err);

	if (!code)
		inst->queue = queue_open(inst, inst->producer);
	return code;
}

static void producer_free(rd_kafka_t *producer, rd_kafka_queue_t *queue)
{
	if (queue) {
		rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
		rd_kafka_queue_destroy(queue);
	}
	if (producer)
		rd_kafka_destroy(producer);
}

void weir_kafka_producer_close(struct weir_inst *inst)
{
	producer_free(inst->producer, inst->queue);
}

/* ---- another one ---------------------------------------------------------------------- */

void weir_kafka_producer_died(struct weir_inst *inst)
{
	char text[256] = "";
	rd_kafka_resp_err_t native = rd_kafka_fatal_error(inst->producer, text, sizeof text);
	struct weir_error why = WEIR_ERROR_INIT;

	pthread_mutex_lock(&inst->lock);
	if (!inst->fatal) {
		inst->fatal = true;
		weir_fail(&why, WEIR_EUNAVAIL, "kafka: the producer gave up and is replaced: %.250s", text);
		weir_error_native(&why, "librdkafka", native);
		why.scope = WEIR_SCOPE_INSTANCE;
		inst->down.error = why;
		inst->is_up = false;
		weir_kafka_notify(inst, &inst->down);
		pthread_cond_broadcast(&inst->changed);
	}
	pthread_mutex_unlock(&inst->lock);
	if (why.code)
		weir_kafka_log(inst, 1, "%s", why.text);
}

/* Everything that the old one has, with its outcome: in flight may be stored, queued is not. False: stopped meanwhile.
 */
static bool drain(struct weir_inst *inst)
{
	uint64_t left = 1;

	while (left && !atomic_load(&inst->stop)) {
		rd_kafka_purge(inst->producer,
			       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
		weir_kafka_pull(inst, PULL_MS);
		pthread_mutex_lock(&inst->lock);
		left = inst->in_library;
		pthread_mutex_unlock(&inst->lock);
	}
	return !left;
}

/* The handles of the topics at the new producer take the place of the old ones, which stay in `old`. */
static void handles_swap(struct weir_inst *inst, rd_kafka_topic_t **fresh, size_t count)
{
	struct link *at;
	size_t i = 0;

	for (at = inst->topics.next; at != &inst->topics && i < count; at = at->next, i++) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);
		rd_kafka_topic_t *old = topic->rkt;

		topic->rkt = fresh[i];
		fresh[i] = old;
	}
}

static size_t topic_count(const struct weir_inst *inst)
{
	const struct link *at;
	size_t count = 0;

	for (at = inst->topics.next; at != &inst->topics; at = at->next)
		count++;
	return count;
}

/* Handles for all topics. Lock held, as the list must stay what it is until they are swapped. */
static rd_kafka_topic_t **handles_new(struct weir_inst *inst, rd_kafka_t *producer, size_t *count)
{
	rd_kafka_topic_t **fresh;
	struct link *at;
	size_t i = 0;
	bool ok = true;

	*count = topic_count(inst);
	fresh = calloc(*count + 1, sizeof(rd_kafka_topic_t *));
	for (at = inst->topics.next; fresh && at != &inst->topics; at = at->next, i++) {
		fresh[i] = weir_kafka_topic_handle(producer, weir_list_entry(at, struct weir_topic, link));
		ok = ok && fresh[i];
	}
	if (fresh && ok)
		return fresh;
	for (i = 0; fresh && i < *count; i++)
		if (fresh[i])
			rd_kafka_topic_destroy(fresh[i]);
	free(fresh);
	return NULL;
}

static bool swap(struct weir_inst *inst, rd_kafka_t *producer, rd_kafka_queue_t *queue)
{
	rd_kafka_t *old_producer = producer;
	rd_kafka_queue_t *old_queue = queue;
	rd_kafka_topic_t **handles;
	size_t count, i;

	pthread_rwlock_wrlock(&inst->swap);
	pthread_mutex_lock(&inst->lock);
	handles = handles_new(inst, producer, &count);
	if (handles) {
		handles_swap(inst, handles, count);
		old_producer = inst->producer;
		old_queue = inst->queue;
		inst->producer = producer;
		inst->queue = queue;
		inst->fatal = false;
		weir_kafka_wake(inst);
	}
	pthread_mutex_unlock(&inst->lock);
	pthread_rwlock_unlock(&inst->swap);
	for (i = 0; handles && i < count; i++)
		rd_kafka_topic_destroy(handles[i]);
	producer_free(old_producer, old_queue);
	free(handles);
	return old_producer != producer;
}

/* If new ones die, too, there is something that somebody has to mend: not so often then. */
static bool too_soon(struct weir_inst *inst)
{
	int64_t now = weir_kafka_now(), since_ms = (now - inst->renewed_ns) / 1000000;

	if (!inst->renewed_ns || since_ms >= RENEW_CALM_MS)
		inst->renew_wait_ms = 0;
	if (since_ms < inst->renew_wait_ms)
		return true;
	inst->renew_wait_ms = inst->renew_wait_ms ? inst->renew_wait_ms * 2 : RENEW_WAIT_MS;
	if (inst->renew_wait_ms > RENEW_WAIT_MAX_MS)
		inst->renew_wait_ms = RENEW_WAIT_MAX_MS;
	inst->renewed_ns = now;
	return false;
}

bool weir_kafka_producer_renew(struct weir_inst *inst)
{
	struct weir_error why = WEIR_ERROR_INIT;
	rd_kafka_t *producer = NULL;

	if (too_soon(inst) || !drain(inst))
		return false;
	if (!producer_new(inst, &producer, &why))
		return swap(inst, producer, queue_open(inst, producer));
	weir_kafka_log(inst, 1, "%s", why.text);
	return false;
}
