/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, and the thread that makes them and looks after the connection. */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RETRY_MS = 250,
	CREATE_MS = 10000,
};

/* ---- opening ------------------------------------------------------------------------ */

static struct weir_topic *topic_find(struct weir_inst *inst, const char *name)
{
	struct link *at;

	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		if (strcmp(topic->name, name) == 0)
			return topic;
	}
	return NULL;
}

rd_kafka_topic_t *weir_kafka_topic_handle(rd_kafka_t *producer, struct weir_topic *topic)
{
	rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(producer);
	rd_kafka_topic_t *handle;

	rd_kafka_topic_conf_set_opaque(conf, topic);
	handle = rd_kafka_topic_new(producer, topic->name, conf);
	if (!handle)
		rd_kafka_topic_conf_destroy(conf);
	return handle;
}

static struct weir_topic *topic_new(struct weir_inst *inst, const char *name, const char *ns, const char *channel)
{
	size_t size = strlen(name) + 1, ns_size = strlen(ns) + 1, channel_size = strlen(channel) + 1;
	struct weir_topic *topic = calloc(1, sizeof *topic + size + ns_size + channel_size);

	if (!topic)
		return NULL;
	memcpy(topic->name, name, size);
	topic->ns = memcpy(topic->name + size, ns, ns_size);
	topic->channel = memcpy(topic->name + size + ns_size, channel, channel_size);
	topic->inst = inst;
	weir_list_init(&topic->link);
	weir_list_init(&topic->notice.link);
	topic->notice.topic = topic;
	topic->rkt = weir_kafka_topic_handle(inst->producer, topic);
	if (topic->rkt)
		return topic;
	free(topic);
	return NULL;
}

static int spell(struct weir_inst *inst, const char *ns, const char *name, char *ret, struct weir_error *err)
{
	return weir_kafka_spell(weir_kafka_setting(&inst->settings, "topicPattern"), ns, name, NULL, ret,
				WEIR_KAFKA_MAX_NAME + 1, err);
}

int weir_kafka_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			  struct weir_error *err)
{
	char full[WEIR_KAFKA_MAX_NAME + 1];
	struct weir_topic *topic;
	int code = spell(inst, ns, name, full, err);

	*ret = NULL;
	if (code)
		return code;
	pthread_mutex_lock(&inst->lock);
	topic = topic_find(inst, full);
	if (!topic && (topic = topic_new(inst, full, ns, name)))
		weir_list_append(&inst->topics, &topic->link);
	if (topic) {
		topic->opened++;
		topic->state = topic->state == TOPIC_READY && topic->opened > 1 ? TOPIC_READY : TOPIC_WANTED;
		if (topic->state == TOPIC_READY)
			weir_kafka_notify(inst, &topic->notice);
		pthread_cond_broadcast(&inst->changed);
	}
	pthread_mutex_unlock(&inst->lock);
	if (!topic)
		return weir_fail(err, WEIR_ENOMEM, "kafka: no memory for the topic %.250s", full);
	*ret = topic;
	return WEIR_OK;
}

/* It stays in the list until the end: completions may still name it. */
void weir_kafka_topic_close(struct weir_inst *inst, struct weir_topic *topic)
{
	pthread_mutex_lock(&inst->lock);
	if (--topic->opened == 0)
		weir_list_unlink(&topic->notice.link);
	pthread_mutex_unlock(&inst->lock);
}

void weir_kafka_topics_free(struct weir_inst *inst)
{
	while (weir_list_linked(&inst->topics)) {
		struct weir_topic *topic = weir_list_entry(inst->topics.next, struct weir_topic, link);

		weir_list_unlink(&topic->link);
		weir_list_unlink(&topic->notice.link);
		rd_kafka_topic_destroy(topic->rkt);
		free(topic);
	}
}

int weir_kafka_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			    struct weir_error *err)
{
	char full[WEIR_KAFKA_MAX_NAME + 1];
	struct weir_topic *topic;
	rd_kafka_resp_err_t native;
	bool open;
	int code = spell(inst, ns, name, full, err);

	if (code)
		return code;
	pthread_mutex_lock(&inst->lock);
	topic = topic_find(inst, full);
	open = topic && topic->opened;
	pthread_mutex_unlock(&inst->lock);
	if (open)
		return weir_fail(err, WEIR_EBUSY, "kafka: the topic %.250s is in use", full);
	native = weir_kafka_delete_topic(inst, full, deadline_ns);
	return native ? weir_kafka_fail(err, native, "deleting the topic %.200s", full) : WEIR_OK;
}

/* ---- the thread ------------------------------------------------------------------------ */

/* Partitions that have a leader; 0 with *native set where there is no topic. */
static int partitions_ask(struct weir_inst *inst, rd_kafka_topic_t *rkt, rd_kafka_resp_err_t *native)
{
	const struct rd_kafka_metadata *metadata;
	int i, count = 0;

	*native = rd_kafka_metadata(inst->producer, 0, rkt, &metadata, WEIR_KAFKA_TRY_MS);
	if (*native)
		return 0;
	if (metadata->topic_cnt == 1) {
		const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];

		*native = topic->err;
		for (i = 0; i < topic->partition_cnt; i++)
			count += topic->partitions[i].leader >= 0;
		if (!*native && count < topic->partition_cnt)
			*native = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	}
	rd_kafka_metadata_destroy(metadata);
	return *native ? 0 : count;
}

static bool hopeless(rd_kafka_resp_err_t native)
{
	switch (weir_kafka_code(native)) {
	case WEIR_EINVAL:
	case WEIR_ENOPERM:
	case WEIR_EAUTH:
	case WEIR_ELIMIT:
		return true;
	default:
		return false;
	}
}

static void topic_failed(struct weir_inst *inst, struct weir_topic *topic, rd_kafka_resp_err_t native)
{
	pthread_mutex_lock(&inst->lock);
	topic->state = TOPIC_FAILED;
	topic->notice.type = WEIR_EV_TOPIC_FAILED;
	weir_kafka_fail(&topic->notice.error, native, "the topic %.200s is missing and cannot be created here",
			topic->name);
	weir_kafka_notify(inst, &topic->notice);
	pthread_mutex_unlock(&inst->lock);
}

/* One attempt. Whoever may not create topics can still use one that is there: so look first. False: again later. */
static bool topic_ensure(struct weir_inst *inst, struct weir_topic *topic)
{
	rd_kafka_resp_err_t native;
	int count = partitions_ask(inst, topic->rkt, &native);

	if (native == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || native == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
		native = weir_kafka_create_topic(inst, topic->name, weir_kafka_now() + CREATE_MS * INT64_C(1000000));
		if (native && native != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
			weir_kafka_log(inst, 1, "kafka: creating the topic %s: %s", topic->name,
				       rd_kafka_err2str(native));
			if (hopeless(native))
				topic_failed(inst, topic, native);
			return hopeless(native);
		}
		count = partitions_ask(inst, topic->rkt, &native);
	}
	if (hopeless(native)) {
		topic_failed(inst, topic, native);
		return true;
	}
	if (native || !count)
		return false;
	pthread_mutex_lock(&inst->lock);
	topic->partitions = count;
	topic->state = TOPIC_READY;
	topic->notice.type = WEIR_EV_TOPIC_READY;
	memset(&topic->notice.error, 0, sizeof topic->notice.error);
	weir_kafka_notify(inst, &topic->notice);
	pthread_cond_broadcast(&inst->changed);
	pthread_mutex_unlock(&inst->lock);
	return true;
}

/* Whether a broker answers again. */
static void reach(struct weir_inst *inst)
{
	const struct rd_kafka_metadata *metadata;

	if (rd_kafka_metadata(inst->producer, 0, NULL, &metadata, WEIR_KAFKA_TRY_MS))
		return;
	rd_kafka_metadata_destroy(metadata);
	weir_kafka_reachable(inst, true, NULL);
}

static struct weir_topic *topic_wanted(struct weir_inst *inst)
{
	struct link *at;

	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		if (topic->state == TOPIC_WANTED && topic->opened) {
			/* The next one has its turn before this one again. */
			weir_list_append(&inst->topics, &topic->link);
			return topic;
		}
	}
	return NULL;
}

static void rest(struct weir_inst *inst, bool briefly)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RETRY_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (briefly)
		pthread_cond_timedwait(&inst->changed, &inst->lock, &until);
	else
		pthread_cond_wait(&inst->changed, &inst->lock);
}

void *weir_kafka_topic_thread(void *arg)
{
	struct weir_inst *inst = arg;
	struct weir_topic *topic;
	bool up, fatal;

	pthread_mutex_lock(&inst->lock);
	while (!atomic_load(&inst->stop)) {
		topic = topic_wanted(inst);
		up = inst->is_up;
		fatal = inst->fatal;
		if (up && !topic) {
			rest(inst, false);
			continue;
		}
		pthread_mutex_unlock(&inst->lock);
		if (fatal)
			fatal = !weir_kafka_producer_renew(inst);
		if (!up && !fatal)
			reach(inst);
		up = !fatal && (!topic || topic_ensure(inst, topic));
		pthread_mutex_lock(&inst->lock);
		if ((!up || !inst->is_up) && !atomic_load(&inst->stop))
			rest(inst, true);
	}
	pthread_mutex_unlock(&inst->lock);
	return NULL;
}
