/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KafkaChannel: events in Kafka, through librdkafka. The table, opening and
 * closing, and what the instance knows about itself.
 */
#include "kafka.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

WEIR_DRIVER_NOTE("kafka", "KafkaChannel");

enum {
	OPEN_WAIT_MS = 3000,
	LOG_TEXT = 400,
};

/* ---- what the other files use ----------------------------------------------------- */

int64_t weir_kafka_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int weir_kafka_left_ms(int64_t deadline_ns, int max)
{
	int64_t left = (deadline_ns - weir_kafka_now()) / 1000000;

	return left < 0 ? 0 : left > max ? max : (int)left;
}

/* Fails only if the counter is full: then it is readable already. */
void weir_kafka_wake(struct weir_inst *inst)
{
	const uint64_t one = 1;

	while (write(inst->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		continue;
}

void weir_kafka_log(const struct weir_inst *inst, int level, const char *format, ...)
{
	char text[LOG_TEXT];
	va_list args;
	size_t i;

	if (!inst->host->log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (i = 0; text[i]; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = ' ';
	inst->host->log(inst->host->ctx, level, text);
}

void weir_kafka_notify(struct weir_inst *inst, struct notice *notice)
{
	if (!weir_list_linked(&notice->link))
		weir_list_append(&inst->notices, &notice->link);
	weir_kafka_wake(inst);
}

void weir_kafka_reachable(struct weir_inst *inst, bool up, const struct weir_error *why)
{
	pthread_mutex_lock(&inst->lock);
	if (why && !inst->fatal)
		inst->down.error = *why;
	if (up != inst->is_up) {
		inst->is_up = up;
		pthread_cond_broadcast(&inst->changed);
		weir_kafka_notify(inst, up ? &inst->up : &inst->down);
	}
	pthread_mutex_unlock(&inst->lock);
}

void weir_kafka_throttled(struct weir_inst *inst, struct notice *notice, const char *broker, int ms)
{
	if (ms < WEIR_KAFKA_MIN_THROTTLE_MS)
		return;
	pthread_mutex_lock(&inst->lock);
	if (!weir_list_linked(&notice->link)) {
		weir_fail(&notice->error, WEIR_ELIMIT,
			  "kafka: the broker %.100s holds us back for %d ms: a quota is used up", broker, ms);
		notice->error.scope = notice->sub ? WEIR_SCOPE_SUBSCRIPTION : WEIR_SCOPE_INSTANCE;
		notice->error.retry_after_ms = (uint32_t)ms;
		weir_kafka_notify(inst, notice);
	}
	pthread_mutex_unlock(&inst->lock);
}

/* ---- open ---------------------------------------------------------------------------- */

static void inst_init(struct weir_inst *inst, const struct weir_host *host)
{
	pthread_condattr_t monotonic;
	struct timespec now;

	inst->host = host;
	pthread_mutex_init(&inst->lock, NULL);
	pthread_rwlock_init(&inst->swap, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&inst->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	weir_list_init(&inst->topics);
	weir_list_init(&inst->subs);
	weir_list_init(&inst->groups);
	weir_list_init(&inst->notices);
	weir_list_init(&inst->up.link);
	weir_list_init(&inst->down.link);
	weir_list_init(&inst->writable.link);
	weir_list_init(&inst->throttled.link);
	inst->up.type = WEIR_EV_UP;
	inst->down.type = WEIR_EV_DOWN;
	inst->writable.type = WEIR_EV_WRITABLE;
	inst->throttled.type = WEIR_EV_THROTTLE;
	inst->event_fd = inst->wake_fd = inst->timer_fd = -1;
	/* Later than any epoch of an instance before this one. */
	clock_gettime(CLOCK_REALTIME, &now);
	inst->first_epoch = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	inst->next_epoch = inst->first_epoch;
}

static int descriptors_open(struct weir_inst *inst, struct weir_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	inst->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	inst->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	inst->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (inst->wake_fd >= 0 && inst->timer_fd >= 0 && inst->event_fd >= 0 &&
	    epoll_ctl(inst->event_fd, EPOLL_CTL_ADD, inst->wake_fd, &event) == 0 &&
	    epoll_ctl(inst->event_fd, EPOLL_CTL_ADD, inst->timer_fd, &event) == 0)
		return WEIR_OK;
	weir_fail(err, WEIR_EIO, "kafka: no descriptors (errno %d)", errno);
	weir_error_native(err, "errno", errno);
	return WEIR_EIO;
}

static void inst_free(struct weir_inst *inst)
{
	weir_kafka_topics_free(inst);
	while (weir_list_linked(&inst->groups)) {
		struct group *group = weir_list_entry(inst->groups.next, struct group, link);

		weir_list_unlink(&group->link);
		free(group);
	}
	while (weir_list_linked(&inst->notices)) {
		struct notice *notice = weir_list_entry(inst->notices.next, struct notice, link);

		weir_list_unlink(&notice->link);
		if (notice->heap)
			free(notice);
	}
	weir_kafka_producer_close(inst);
	if (inst->event_fd >= 0)
		close(inst->event_fd);
	if (inst->timer_fd >= 0)
		close(inst->timer_fd);
	if (inst->wake_fd >= 0)
		close(inst->wake_fd);
	weir_kafka_oauth_fini(&inst->oauth);
	weir_kafka_settings_fini(&inst->settings);
	free(inst->done);
	pthread_cond_destroy(&inst->changed);
	pthread_rwlock_destroy(&inst->swap);
	pthread_mutex_destroy(&inst->lock);
	free(inst);
}

/*
 * Whether a broker answers. One that does not may come later, so that is no
 * error; one that refuses our login, or our trust, is.
 */
static int greet(struct weir_inst *inst, struct weir_error *err)
{
	int64_t deadline = weir_kafka_now() + OPEN_WAIT_MS * INT64_C(1000000);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t native = RD_KAFKA_RESP_ERR__TRANSPORT;

	while (weir_kafka_left_ms(deadline, 1)) {
		native = rd_kafka_metadata(inst->producer, 0, NULL, &metadata, 500);
		if (!native) {
			rd_kafka_metadata_destroy(metadata);
			weir_kafka_reachable(inst, true, NULL);
			return WEIR_OK;
		}
		weir_kafka_pull(inst, 0);
		if (inst->down.error.code == WEIR_EAUTH || inst->down.error.code == WEIR_ETLS) {
			if (err)
				*err = inst->down.error;
			return inst->down.error.code;
		}
		poll(NULL, 0, 20);
	}
	weir_kafka_fail(&inst->down.error, native, "no broker of %.200s answers",
			weir_kafka_setting(&inst->settings, "brokers"));
	pthread_mutex_lock(&inst->lock);
	weir_kafka_notify(inst, &inst->down);
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

static int kafka_open(const struct weir_host *host, const struct weir_setting *settings, size_t count,
		      struct weir_inst **ret, struct weir_error *err)
{
	struct weir_inst *inst = calloc(1, sizeof *inst);
	int code;

	*ret = NULL;
	if (!inst)
		return weir_fail(err, WEIR_ENOMEM, "kafka: no memory for an instance");
	inst_init(inst, host);
	code = weir_kafka_settings_init(&inst->settings, settings, count, err);
	code = code ? code : weir_kafka_oauth_init(&inst->oauth, &inst->settings, &inst->stop, err);
	code = code ? code : descriptors_open(inst, err);
	code = code ? code : weir_kafka_producer_open(inst, err);
	code = code ? code : greet(inst, err);
	if (!code && pthread_create(&inst->topic_thread, NULL, weir_kafka_topic_thread, inst) != 0)
		code = weir_fail(err, WEIR_ENOMEM, "kafka: no thread for an instance");
	if (code) {
		atomic_store(&inst->stop, true);
		inst_free(inst);
		return code;
	}
	weir_kafka_log(inst, 2, "KafkaChannel: provider %s, brokers %.200s, librdkafka %s",
		       inst->settings.provider->name, weir_kafka_setting(&inst->settings, "brokers"),
		       rd_kafka_version_str());
	*ret = inst;
	return WEIR_OK;
}

/* ---- close ------------------------------------------------------------------------------ */

static int kafka_close(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	uint64_t left = 0;

	weir_kafka_subs_stop(inst, deadline_ns);
	pthread_mutex_lock(&inst->lock);
	atomic_store(&inst->stop, true);
	pthread_cond_broadcast(&inst->changed);
	pthread_mutex_unlock(&inst->lock);
	pthread_join(inst->topic_thread, NULL);
	if (!(flags & WEIR_CLOSE_ABORT))
		weir_kafka_flush(inst, deadline_ns, &left);
	rd_kafka_purge(inst->producer,
		       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	weir_kafka_pull(inst, 0);
	inst_free(inst);
	if (left)
		return weir_fail(err, WEIR_ETIMEDOUT, "kafka: closed with %llu events that no broker has confirmed",
				 (unsigned long long)left);
	return WEIR_OK;
}

/* ---- figures -------------------------------------------------------------------------- */

static int kafka_caps(struct weir_inst *inst, struct weir_caps *ret)
{
	const char *pattern = weir_kafka_setting(&inst->settings, "topicPattern");

	ret->thread_level = WEIR_THREAD_FREE;
	ret->bits = WEIR_CAP_BIT(WEIR_CAP_DURABLE) | WEIR_CAP_BIT(WEIR_CAP_REPLAY_EARLIEST) |
		    WEIR_CAP_BIT(WEIR_CAP_ORDERED_KEY) | WEIR_CAP_BIT(WEIR_CAP_FANOUT) | WEIR_CAP_BIT(WEIR_CAP_GROUPS) |
		    WEIR_CAP_BIT(WEIR_CAP_NACK_LOCAL) | WEIR_CAP_BIT(WEIR_CAP_NACK_DELAY) |
		    WEIR_CAP_BIT(WEIR_CAP_TERM) | WEIR_CAP_BIT(WEIR_CAP_PUB_CONFIRM) | WEIR_CAP_BIT(WEIR_CAP_KEY) |
		    WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_HEADERS_BIN) |
		    WEIR_CAP_BIT(WEIR_CAP_HEADERS_DUP) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY) |
		    WEIR_CAP_BIT(WEIR_CAP_TIMESTAMP) | WEIR_CAP_BIT(WEIR_CAP_PAUSE) |
		    WEIR_CAP_BIT(WEIR_CAP_AUTO_RECONNECT) | WEIR_CAP_BIT(WEIR_CAP_TOPIC_ADMIN);
	if (strcmp(inst->settings.provider->name, "azure") != 0)
		ret->bits |= WEIR_CAP_BIT(WEIR_CAP_IDEMPOTENT);
	ret->binding = WEIR_BINDING_UNDERSCORE;
	ret->max_headers = WEIR_KAFKA_MAX_HEADERS;
	ret->max_record_bytes = inst->settings.provider->max_record_bytes;
	ret->max_header_bytes = 0;
	ret->max_key_bytes = 0;
	ret->max_topic_bytes = (uint32_t)(WEIR_KAFKA_MAX_NAME - weir_kafka_pattern_literals(pattern));
	ret->max_publish_inflight = WEIR_KAFKA_MAX_INFLIGHT;
	ret->ack_wait_min_ms = 0;
	ret->ack_wait_step_ms = 0;
	ret->dead_detect_ms = 60000;
	ret->ack_wait_ms = 0;
	/* One replica that is confirmed is in that broker's memory and on its way to its disk. */
	ret->durability = inst->settings.replication > 1 ? "replicated" : "process";
	ret->durability_note =
	    inst->settings.replication > 1
		? "An event is confirmed once all in-sync replicas of its partition have it."
		: "An event is confirmed once its broker has it: it survives a crash of any process, not the "
		  "loss of the broker's machine; set kafka.replicationFactor to 3 for that.";
	return WEIR_OK;
}

static int kafka_event_fd(struct weir_inst *inst)
{
	return inst->event_fd;
}

static int kafka_health(struct weir_inst *inst, struct weir_health *ret)
{
	pthread_mutex_lock(&inst->lock);
	ret->state = inst->is_up ? WEIR_HEALTH_UP : WEIR_HEALTH_DOWN;
	if (ret->state != WEIR_HEALTH_UP)
		ret->error = inst->down.error;
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

static int kafka_stats(struct weir_inst *inst, struct weir_stats *ret)
{
	pthread_mutex_lock(&inst->lock);
	ret->records = ret->bytes = ret->bytes_max = UINT64_MAX;
	ret->pending = inst->pending;
	ret->syncs = inst->commits;
	ret->stale = inst->stale;
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

/* ---- the table -------------------------------------------------------------------------- */

static const struct weir_driver table = {
	.size = sizeof(struct weir_driver),
	.abi_major = WEIR_ABI_MAJOR,
	.abi_minor = WEIR_ABI_MINOR,
	.name = "kafka",
	.kind = "KafkaChannel",
	.summary = "Events in Apache Kafka, Azure Event Hubs or Confluent Cloud",
	.options = weir_kafka_options,
	.open = kafka_open,
	.close = kafka_close,
	.caps = kafka_caps,
	.topic_open = weir_kafka_topic_open,
	.topic_close = weir_kafka_topic_close,
	.publish = weir_kafka_publish,
	.subscribe = weir_kafka_subscribe,
	.credit = weir_kafka_credit,
	.poll = weir_kafka_poll,
	.event_fd = kafka_event_fd,
	.settle = weir_kafka_settle,
	.release = weir_kafka_release,
	.unsubscribe = weir_kafka_unsubscribe,
	.flush = weir_kafka_flush,
	.pause = weir_kafka_pause,
	.health = kafka_health,
	.stats = kafka_stats,
	.sub_stats = weir_kafka_sub_stats,
	.topic_delete = weir_kafka_topic_delete,
};

WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_kafka_init;

int weir_driver_kafka_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out, struct weir_error *err)
{
	uint32_t size = out->size < sizeof table ? out->size : (uint32_t)sizeof table;
	struct weir_driver filled = table;
	static char version[64];

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "driver kafka is built for ABI %u, the host has %u",
				 WEIR_ABI_MAJOR, host_major);
	/* Before it idempotent producers could lose records; that one frees what it still uses. */
	if (rd_kafka_version() < 0x010900ff || rd_kafka_version() == 0x020a00ff)
		return weir_fail(err, WEIR_EVERSION, "driver kafka does not work with librdkafka %s: it loses records",
				 rd_kafka_version_str());
	snprintf(version, sizeof version, "1.0, librdkafka %.40s", rd_kafka_version_str());
	filled.version = version;
	filled.option_count = weir_kafka_option_count;
	memcpy(out, &filled, size);
	out->size = size;
	return WEIR_OK;
}
