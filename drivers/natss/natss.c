/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NatssChannel: events in NATS Streaming, through libnats. NATS Streaming is at
 * its end of life; this driver is for those who have it, until they move. The
 * table, opening and closing, and what the instance knows about itself.
 */
#include "natss.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

WEIR_DRIVER_NOTE("natss", "NatssChannel");

enum {
	OPEN_WAIT_MS = 3000,
	CLOSE_WAIT_MS = 1000,
	LOG_TEXT = 480,
};

/* ---- what the other files use ------------------------------------------------------ */

int64_t weir_natss_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t weir_natss_after_ms(int64_t from_ns, int64_t ms)
{
	int64_t result;

	if (__builtin_mul_overflow(ms, INT64_C(1000000), &result) || __builtin_add_overflow(from_ns, result, &result))
		return INT64_MAX;
	return result;
}

bool weir_natss_has_events(const struct weir_inst *inst)
{
	return weir_list_linked(&inst->notices) || inst->done.first || weir_list_linked(&inst->ready) ||
	       atomic_load(&inst->confirmed) || atomic_load(&inst->arrivals);
}

/* Fails only if the counter is full: then it is readable already. */
static void wake(const struct weir_inst *inst)
{
	const uint64_t one = 1;

	while (write(inst->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		continue;
}

void weir_natss_raise(struct weir_inst *inst)
{
	if (!atomic_exchange(&inst->signalled, true))
		wake(inst);
}

/* The write comes after the lock is given up, so that the thread that it wakes does not run into it. */
void weir_natss_unlock(struct weir_inst *inst)
{
	bool raise = !atomic_load(&inst->signalled) && weir_natss_has_events(inst);

	pthread_mutex_unlock(&inst->lock);
	if (raise)
		weir_natss_raise(inst);
}

void weir_natss_notify(struct weir_inst *inst, struct notice *notice)
{
	weir_list_append(&inst->notices, &notice->link);
}

void weir_natss_log(const struct weir_inst *inst, int level, const char *format, ...)
{
	char text[LOG_TEXT];
	va_list args;

	if (!inst->host->log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (size_t i = 0; text[i]; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = ' ';
	inst->host->log(inst->host->ctx, level, text);
}

void weir_natss_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void weir_natss_cond_wait(struct weir_inst *inst, pthread_cond_t *cond, int64_t until_ns)
{
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };

	if (weir_natss_has_events(inst))
		weir_natss_raise(inst);
	pthread_cond_timedwait(cond, &inst->lock, &until);
}

/* ---- open ------------------------------------------------------------------------------ */

static void notice_init(struct notice *notice, uint32_t type)
{
	weir_list_init(&notice->link);
	notice->type = type;
}

static void inst_init(struct weir_inst *inst, const struct weir_host *host)
{
	struct timespec now;

	inst->host = host;
	pthread_mutex_init(&inst->lock, NULL);
	weir_natss_cond_init(&inst->changed);
	weir_list_init(&inst->topics);
	weir_list_init(&inst->subs);
	weir_list_init(&inst->ready);
	weir_list_init(&inst->notices);
	notice_init(&inst->up, WEIR_EV_UP);
	notice_init(&inst->down, WEIR_EV_DOWN);
	notice_init(&inst->writable, WEIR_EV_WRITABLE);
	notice_init(&inst->caps_changed, WEIR_EV_CAPS_CHANGED);
	inst->event_fd = inst->wake_fd = inst->timer_fd = -1;
	inst->max_payload = WEIR_NATSS_MAX_PAYLOAD;
	/* Later than any epoch of an instance before this one. */
	clock_gettime(CLOCK_REALTIME, &now);
	inst->first_epoch = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	inst->next_epoch = inst->first_epoch;
	weir_natss_session_init(&inst->publisher, inst, &weir_natss_publisher);
	inst->publisher.away = true;
	inst->away = 1;
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
	weir_fail(err, WEIR_EIO, "natss: no descriptors (errno %d)", errno);
	weir_error_native(err, "errno", errno);
	return WEIR_EIO;
}

static void inst_free(struct weir_inst *inst)
{
	weir_natss_items_free(&inst->queue);
	weir_natss_items_free(&inst->done);
	weir_natss_confirmed_take(inst);
	weir_natss_items_free(&inst->done);
	weir_natss_topics_free(inst);
	weir_natss_lanes_free(inst);
	if (inst->event_fd >= 0)
		close(inst->event_fd);
	if (inst->timer_fd >= 0)
		close(inst->timer_fd);
	if (inst->wake_fd >= 0)
		close(inst->wake_fd);
	weir_natss_settings_fini(&inst->settings);
	weir_natss_session_fini(&inst->publisher);
	pthread_cond_destroy(&inst->changed);
	pthread_mutex_destroy(&inst->lock);
	free(inst);
}

static void publisher_stop(struct weir_inst *inst)
{
	weir_natss_lock(inst);
	weir_natss_session_stop(&inst->publisher, 0);
	weir_natss_unlock(inst);
	weir_natss_session_join(&inst->publisher);
}

/* A server that does not answer may come later, so that is no error; one that refuses our login, or our trust, is. */
static int greet(struct weir_inst *inst, struct weir_error *err)
{
	int64_t deadline = weir_natss_after_ms(weir_natss_now(), OPEN_WAIT_MS);
	int code = WEIR_OK;

	weir_natss_lock(inst);
	while (!inst->is_up && !code && weir_natss_now() < deadline) {
		weir_natss_cond_wait(inst, &inst->changed, deadline);
		if (inst->down.error.code == WEIR_EAUTH || inst->down.error.code == WEIR_ETLS ||
		    inst->down.error.code == WEIR_EINVAL)
			code = inst->down.error.code;
	}
	if (inst->is_up)
		code = WEIR_OK;
	else if (!code && !inst->down.error.code)
		weir_fail(&inst->down.error, WEIR_EUNAVAIL, "natss: %.200s does not answer",
			  inst->settings.login.shown);
	if (code && err)
		*err = inst->down.error;
	if (!code && !inst->is_up)
		weir_natss_notify(inst, &inst->down);
	weir_natss_unlock(inst);
	return code;
}

static int connect_first(struct weir_inst *inst, struct weir_error *err)
{
	int code;

	weir_natss_own_name(inst->settings.client, inst->publisher.client);
	code = weir_natss_session_start(&inst->publisher, err);
	if (code)
		return code;
	code = greet(inst, err);
	if (code)
		publisher_stop(inst);
	return code;
}

static int natss_open(const struct weir_host *host, const struct weir_setting *settings, size_t count,
		      struct weir_inst **ret, struct weir_error *err)
{
	struct weir_inst *inst = calloc(1, sizeof *inst);
	int code;

	*ret = NULL;
	if (!inst)
		return weir_fail(err, WEIR_ENOMEM, "natss: no memory for an instance");
	inst_init(inst, host);
	code = weir_natss_settings_init(&inst->settings, settings, count, err);
	code = code ? code : descriptors_open(inst, err);
	code = code ? code : connect_first(inst, err);
	if (code) {
		inst_free(inst);
		return code;
	}
	weir_natss_log(inst, 2,
		       "NatssChannel: %.200s, cluster %.64s, libnats %s. NATS Streaming is at its end of life: plan to "
		       "move to NatsJetStreamChannel or KafkaChannel",
		       inst->settings.login.shown, inst->settings.cluster, nats_GetVersion());
	if (!inst->settings.monitor)
		weir_natss_log(
		    inst, 1,
		    "natss: the server's limits are not known: by default it drops a channel's oldest events "
		    "beyond 1,000,000 without a word; set natss.monitorUrl to have them checked");
	*ret = inst;
	return WEIR_OK;
}

/* ---- close -------------------------------------------------------------------------------- */

/* The library completes what it still has once its connection is closed, on a thread of its own. */
static bool await_library(struct weir_inst *inst)
{
	int64_t deadline = weir_natss_after_ms(weir_natss_now(), CLOSE_WAIT_MS);
	bool done;

	weir_natss_lock(inst);
	while (inst->in_library && weir_natss_now() < deadline)
		weir_natss_cond_wait(inst, &inst->changed, weir_natss_after_ms(weir_natss_now(), WEIR_NATSS_STEP_MS));
	done = inst->in_library == 0;
	weir_natss_unlock(inst);
	return done;
}

static int natss_close(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	uint64_t left = 0;

	weir_natss_subs_end(inst, deadline_ns);
	if (!(flags & WEIR_CLOSE_ABORT))
		weir_natss_flush(inst, deadline_ns, &left);
	publisher_stop(inst);
	weir_natss_lock(inst);
	weir_natss_queue_cancel(inst);
	weir_natss_unlock(inst);
	if (await_library(inst))
		inst_free(inst);
	/* Otherwise the library still holds what it points to: better lost than freed. */
	if (left)
		return weir_fail(err, WEIR_ETIMEDOUT,
				 "natss: closed with %llu events that the server has not confirmed",
				 (unsigned long long)left);
	return WEIR_OK;
}

/* ---- figures -------------------------------------------------------------------------------- */

static int natss_caps(struct weir_inst *inst, struct weir_caps *ret)
{
	ret->thread_level = WEIR_THREAD_FREE;
	ret->bits =
	    WEIR_CAP_BIT(WEIR_CAP_DURABLE) | WEIR_CAP_BIT(WEIR_CAP_REPLAY_EARLIEST) |
	    WEIR_CAP_BIT(WEIR_CAP_REPLAY_POSITION) | WEIR_CAP_BIT(WEIR_CAP_REPLAY_TIME) |
	    WEIR_CAP_BIT(WEIR_CAP_FANOUT) | WEIR_CAP_BIT(WEIR_CAP_EPHEMERAL) | WEIR_CAP_BIT(WEIR_CAP_ACK_SELECTIVE) |
	    WEIR_CAP_BIT(WEIR_CAP_NACK_LOCAL) | WEIR_CAP_BIT(WEIR_CAP_NACK_DELAY) | WEIR_CAP_BIT(WEIR_CAP_TERM) |
	    WEIR_CAP_BIT(WEIR_CAP_REDELIVERED_FLAG) | WEIR_CAP_BIT(WEIR_CAP_PUB_CONFIRM) |
	    WEIR_CAP_BIT(WEIR_CAP_TIMESTAMP) | WEIR_CAP_BIT(WEIR_CAP_PAUSE) | WEIR_CAP_BIT(WEIR_CAP_AUTO_RECONNECT);
	if (inst->settings.queue)
		ret->bits |= WEIR_CAP_BIT(WEIR_CAP_GROUPS);
	else
		ret->bits |= WEIR_CAP_BIT(WEIR_CAP_ORDERED_TOPIC) | WEIR_CAP_BIT(WEIR_CAP_ORDERED_KEY);
	ret->binding = WEIR_BINDING_DASH;
	ret->max_headers = 0;
	weir_natss_lock(inst);
	ret->max_record_bytes = weir_natss_max_record(inst);
	weir_natss_unlock(inst);
	ret->max_header_bytes = 0;
	ret->max_key_bytes = 0;
	ret->max_topic_bytes = (uint32_t)(WEIR_NATSS_MAX_CHANNEL - weir_natss_pattern_literals(inst->settings.pattern));
	ret->max_publish_inflight = WEIR_NATSS_MAX_INFLIGHT;
	ret->ack_wait_min_ms = 1000;
	ret->ack_wait_step_ms = 1000;
	ret->dead_detect_ms = (uint32_t)((inst->settings.ping_max + 1) * inst->settings.ping_s) * 1000;
	ret->ack_wait_ms = 0;
	ret->durability = "disk";
	ret->durability_note = "An event is confirmed once the streaming server has it in its store: with a file store "
			       "on its disk; in a cluster, on a majority's. With a memory store nothing survives it.";
	return WEIR_OK;
}

static int natss_event_fd(struct weir_inst *inst)
{
	return inst->event_fd;
}

static int natss_health(struct weir_inst *inst, struct weir_health *ret)
{
	weir_natss_lock(inst);
	if (inst->refusal.code) {
		ret->state = WEIR_HEALTH_DOWN;
		ret->error = inst->refusal;
	} else if (!inst->is_up) {
		ret->state = WEIR_HEALTH_DOWN;
		ret->error = inst->down.error;
	} else {
		ret->state = WEIR_HEALTH_UP;
	}
	weir_natss_unlock(inst);
	return WEIR_OK;
}

static int natss_stats(struct weir_inst *inst, struct weir_stats *ret)
{
	weir_natss_lock(inst);
	ret->records = ret->bytes = ret->bytes_max = UINT64_MAX;
	ret->pending = inst->pending;
	ret->syncs = inst->round_trips;
	ret->stale = inst->stale;
	weir_natss_unlock(inst);
	return WEIR_OK;
}

/* ---- the table -------------------------------------------------------------------------------- */

static const struct weir_driver table = {
	.size = sizeof(struct weir_driver),
	.abi_major = WEIR_ABI_MAJOR,
	.abi_minor = WEIR_ABI_MINOR,
	.name = "natss",
	.kind = "NatssChannel",
	.summary = "Events in NATS Streaming, which is at its end of life: for those who have it, until they move",
	.options = weir_natss_options,
	.open = natss_open,
	.close = natss_close,
	.caps = natss_caps,
	.topic_open = weir_natss_topic_open,
	.topic_close = weir_natss_topic_close,
	.publish = weir_natss_publish,
	.subscribe = weir_natss_subscribe,
	.credit = weir_natss_credit,
	.poll = weir_natss_poll,
	.event_fd = natss_event_fd,
	.settle = weir_natss_settle,
	.release = weir_natss_release,
	.unsubscribe = weir_natss_unsubscribe,
	.flush = weir_natss_flush,
	.pause = weir_natss_pause,
	.health = natss_health,
	.stats = natss_stats,
	.sub_stats = weir_natss_sub_stats,
};

WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_natss_init;

int weir_driver_natss_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out, struct weir_error *err)
{
	uint32_t size = out->size < sizeof table ? out->size : (uint32_t)sizeof table;
	struct weir_driver filled = table;

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "driver natss is built for ABI %u, the host has %u",
				 WEIR_ABI_MAJOR, host_major);
	filled.version = weir_nats_version();
	filled.option_count = weir_natss_option_count;
	memcpy(out, &filled, size);
	out->size = size;
	return WEIR_OK;
}
