/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NatsJetStreamChannel: events in JetStream of NATS, through libnats. The
 * table, opening and closing, and what the instance knows about itself.
 */
#include "jetstream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

WEIR_DRIVER_NOTE("jetstream", "NatsJetStreamChannel");

enum {
	OPEN_WAIT_MS = 3000,
	CLOSE_GRACE_MS = 800,
	LOG_TEXT = 440,
	MAX_PAYLOAD = 1 << 20, /* until a server says otherwise */
};

/* ---- what the other files use ------------------------------------------------------------- */

int64_t weir_js_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Fails only if the counter is full: then it is readable already. */
static void raise_fd(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		continue;
}

void weir_js_raise(struct weir_inst *inst)
{
	if (!atomic_exchange(&inst->raised, true))
		raise_fd(inst->event_fd);
}

void weir_js_wake(struct weir_inst *inst)
{
	if (!atomic_exchange(&inst->io_woken, true))
		raise_fd(inst->io_fd);
}

void weir_js_nudge(struct weir_inst *inst)
{
	if (!atomic_exchange(&inst->io_nudged, true))
		raise_fd(inst->io_fd);
}

void weir_js_log(const struct weir_inst *inst, int level, const char *format, ...)
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

void weir_js_notify(struct weir_inst *inst, struct notice *notice)
{
	if (!weir_list_linked(&notice->link))
		weir_list_append(&inst->notices, &notice->link);
	weir_js_raise(inst);
}

/* ---- open ------------------------------------------------------------------------------------ */

static void lists_init(struct weir_inst *inst)
{
	struct link *lists[] = { &inst->topics,        &inst->new_topics, &inst->subs,     &inst->new_subs,
				 &inst->groups,        &inst->notices,    &inst->commands, &inst->calls,
				 &inst->free,          &inst->incoming,   &inst->up.link,  &inst->down.link,
				 &inst->writable.link, &inst->caps.link,  &inst->spare };
	size_t i;

	for (i = 0; i < sizeof lists / sizeof lists[0]; i++)
		weir_list_init(lists[i]);
	inst->up.type = WEIR_EV_UP;
	inst->down.type = WEIR_EV_DOWN;
	inst->writable.type = WEIR_EV_WRITABLE;
	inst->caps.type = WEIR_EV_CAPS_CHANGED;
}

static void inst_init(struct weir_inst *inst, const struct weir_host *host)
{
	pthread_condattr_t monotonic;
	struct timespec now;

	inst->host = host;
	pthread_mutex_init(&inst->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&inst->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	lists_init(inst);
	inst->event_fd = inst->io_fd = inst->epoll_fd = inst->fd = -1;
	inst->server = -1;
	inst->max_payload = MAX_PAYLOAD;
	/* Later than any epoch of an instance before this one. */
	clock_gettime(CLOCK_REALTIME, &now);
	inst->first_epoch = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	inst->next_epoch = inst->first_epoch;
}

static int descriptors_open(struct weir_inst *inst, struct weir_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	inst->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	inst->io_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	inst->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (inst->event_fd >= 0 && inst->io_fd >= 0 && inst->epoll_fd >= 0 &&
	    epoll_ctl(inst->epoll_fd, EPOLL_CTL_ADD, inst->io_fd, &event) == 0)
		return WEIR_OK;
	weir_fail(err, WEIR_EIO, "jetstream: no descriptors (errno %d)", errno);
	weir_error_native(err, "errno", errno);
	return WEIR_EIO;
}

static int slots_make(struct weir_inst *inst, struct weir_error *err)
{
	size_t i;

	inst->slots = calloc(WEIR_JS_MAX_INFLIGHT, sizeof *inst->slots);
	inst->done = calloc(WEIR_JS_MAX_INFLIGHT, sizeof *inst->done);
	if (!inst->slots || !inst->done || getrandom(&inst->nonce, sizeof inst->nonce, 0) != sizeof inst->nonce)
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for an instance");
	for (i = 0; i < WEIR_JS_MAX_INFLIGHT; i++) {
		weir_list_init(&inst->slots[i].link);
		weir_list_append(&inst->free, &inst->slots[i].link);
	}
	/* Its own: answers to another process must not come here. */
	snprintf(inst->inbox, sizeof inst->inbox, "%.64s.weir%016llx", inst->settings.inbox_prefix,
		 (unsigned long long)inst->nonce);
	return WEIR_OK;
}

static void groups_free(struct weir_inst *inst)
{
	while (weir_list_linked(&inst->groups)) {
		struct group *group = weir_list_entry(inst->groups.next, struct group, link);

		weir_list_unlink(&group->link);
		free(group);
	}
}

static void spare_free(struct weir_inst *inst)
{
	while (weir_list_linked(&inst->spare)) {
		struct entry *entry = weir_list_entry(inst->spare.next, struct entry, link);

		weir_list_unlink(&entry->link);
		free(entry);
	}
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void weir_js_inst_free(struct weir_inst *inst)
{
	weir_js_topics_free(inst);
	groups_free(inst);
	spare_free(inst);
	close_fd(inst->event_fd);
	close_fd(inst->io_fd);
	close_fd(inst->epoll_fd);
	weir_js_settings_fini(&inst->settings);
	free(inst->slots);
	free(inst->done);
	free(inst->words);
	free(inst->saying);
	pthread_cond_destroy(&inst->changed);
	pthread_mutex_destroy(&inst->lock);
	free(inst);
}

/* The thread that closes the last door frees the house. */
static void stop(struct weir_inst *inst, int64_t deadline_ns, bool abort)
{
	int64_t until_ns = deadline_ns + CLOSE_GRACE_MS * WEIR_JS_MS;
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	bool stopped;

	pthread_mutex_lock(&inst->lock);
	inst->stop = true;
	inst->abort = abort;
	inst->stop_ns = deadline_ns;
	weir_js_wake(inst);
	while (!inst->stopped && pthread_cond_timedwait(&inst->changed, &inst->lock, &until) != ETIMEDOUT)
		continue;
	stopped = inst->stopped;
	inst->orphan = !stopped;
	pthread_mutex_unlock(&inst->lock);
	if (!stopped) {
		pthread_detach(inst->thread);
		return;
	}
	pthread_join(inst->thread, NULL);
	weir_js_inst_free(inst);
}

/*
 * Waits for the first word about the connection. A server that is not there
 * may come later, so that is no error; one that refuses our login, or our
 * trust, is.
 */
static int greet(struct weir_inst *inst, struct weir_error *err)
{
	int64_t until_ns = weir_js_now() + OPEN_WAIT_MS * WEIR_JS_MS;
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	int code = WEIR_OK;

	pthread_mutex_lock(&inst->lock);
	while (!inst->tried && pthread_cond_timedwait(&inst->changed, &inst->lock, &until) != ETIMEDOUT)
		continue;
	if (inst->tried && !inst->is_up &&
	    (inst->down.error.code == WEIR_EAUTH || inst->down.error.code == WEIR_ETLS)) {
		code = inst->down.error.code;
		if (err)
			*err = inst->down.error;
	}
	pthread_mutex_unlock(&inst->lock);
	return code;
}

static int js_open(const struct weir_host *host, const struct weir_setting *settings, size_t count,
		   struct weir_inst **ret, struct weir_error *err)
{
	struct weir_inst *inst = calloc(1, sizeof *inst);
	int code;

	*ret = NULL;
	if (!inst)
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for an instance");
	inst_init(inst, host);
	code = weir_js_settings_init(&inst->settings, settings, count, err);
	code = code ? code : descriptors_open(inst, err);
	code = code ? code : slots_make(inst, err);
	if (!code && pthread_create(&inst->thread, NULL, weir_js_io_thread, inst) != 0)
		code = weir_fail(err, WEIR_ENOMEM, "jetstream: no thread for an instance");
	if (code) {
		weir_js_inst_free(inst);
		return code;
	}
	code = greet(inst, err);
	if (code) {
		stop(inst, weir_js_now(), true);
		return code;
	}
	*ret = inst;
	return WEIR_OK;
}

/* ---- close -------------------------------------------------------------------------------------- */

static int js_close(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	uint64_t left = 0;

	if (!(flags & WEIR_CLOSE_ABORT))
		weir_js_flush(inst, deadline_ns, &left);
	stop(inst, deadline_ns, flags & WEIR_CLOSE_ABORT);
	if (left)
		return weir_fail(err, WEIR_ETIMEDOUT, "jetstream: closed with %llu events that no server has confirmed",
				 (unsigned long long)left);
	return WEIR_OK;
}

/* ---- figures -------------------------------------------------------------------------------------- */

static void durability_tell(const struct settings *settings, struct weir_caps *ret)
{
	if (settings->memory) {
		ret->durability = "memory";
		ret->durability_note = "Events are in the server's memory: a restart of it loses them.";
	} else if (settings->replicas > 1) {
		ret->durability = "replicated";
		ret->durability_note = "An event is confirmed once most of the stream's servers have it.";
	} else {
		ret->durability = "process";
		ret->durability_note =
		    "An event is confirmed once its server has written it: it survives a crash of any process, not "
		    "the loss of the server's machine, nor of its power unless sync_interval is always; set "
		    "jetstream.replicas to 3 for that.";
	}
}

static int js_caps(struct weir_inst *inst, struct weir_caps *ret)
{
	static const uint8_t claimed[] = {
		WEIR_CAP_DURABLE,        WEIR_CAP_REPLAY_EARLIEST, WEIR_CAP_REPLAY_POSITION,
		WEIR_CAP_REPLAY_TIME,    WEIR_CAP_ORDERED_TOPIC,   WEIR_CAP_ORDERED_KEY,
		WEIR_CAP_FANOUT,         WEIR_CAP_GROUPS,          WEIR_CAP_ACK_SELECTIVE,
		WEIR_CAP_NACK,           WEIR_CAP_NACK_DELAY,      WEIR_CAP_TERM,
		WEIR_CAP_EXTEND,         WEIR_CAP_ACK_DEADLINE,    WEIR_CAP_REDELIVERED_FLAG,
		WEIR_CAP_DELIVERY_COUNT, WEIR_CAP_PUB_CONFIRM,     WEIR_CAP_IDEMPOTENT,
		WEIR_CAP_HEADERS,        WEIR_CAP_TIMESTAMP,       WEIR_CAP_PAUSE,
		WEIR_CAP_AUTO_RECONNECT, WEIR_CAP_TOPIC_ADMIN,
	};
	size_t i;

	ret->bits = 0;
	for (i = 0; i < sizeof claimed; i++)
		ret->bits |= WEIR_CAP_BIT(claimed[i]);
	if (inst->settings.memory)
		ret->bits &= ~WEIR_CAP_BIT(WEIR_CAP_DURABLE);
	ret->thread_level = WEIR_THREAD_FREE;
	ret->binding = WEIR_BINDING_DASH;
	ret->max_headers = WEIR_JS_MAX_HEADERS;
	pthread_mutex_lock(&inst->lock);
	ret->max_record_bytes = inst->max_payload > WEIR_JS_OVERHEAD ? inst->max_payload - WEIR_JS_OVERHEAD : 1;
	pthread_mutex_unlock(&inst->lock);
	ret->max_header_bytes = 0;
	ret->max_key_bytes = 0;
	ret->max_topic_bytes = WEIR_JS_MAX_NAME - 100;
	ret->max_publish_inflight = WEIR_JS_MAX_INFLIGHT;
	ret->ack_wait_min_ms = 1000;
	ret->ack_wait_step_ms = 1;
	ret->ack_wait_ms = inst->settings.ack_wait_ms;
	ret->dead_detect_ms = WEIR_JS_DEAD_MS + 1000;
	durability_tell(&inst->settings, ret);
	return WEIR_OK;
}

static int js_event_fd(struct weir_inst *inst)
{
	return inst->event_fd;
}

/* Lock held. */
static const struct weir_topic *lossy_topic(const struct weir_inst *inst)
{
	struct link *at;

	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		const struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		if (topic->opened && topic->lossy)
			return topic;
	}
	return NULL;
}

static int js_health(struct weir_inst *inst, struct weir_health *ret)
{
	const struct weir_topic *lossy;

	pthread_mutex_lock(&inst->lock);
	lossy = lossy_topic(inst);
	ret->state = !inst->is_up ? WEIR_HEALTH_DOWN : lossy ? WEIR_HEALTH_DEGRADED : WEIR_HEALTH_UP;
	if (!inst->is_up)
		ret->error = inst->down.error;
	else if (lossy)
		weir_fail(&ret->error, WEIR_ELIMIT,
			  "jetstream: the stream %.150s drops events that nobody has received yet", lossy->stream);
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

static int js_stats(struct weir_inst *inst, struct weir_stats *ret)
{
	pthread_mutex_lock(&inst->lock);
	ret->records = ret->bytes = ret->bytes_max = UINT64_MAX;
	ret->pending = inst->pending;
	ret->syncs = UINT64_MAX;
	ret->stale = inst->stale;
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

/* ---- the table -------------------------------------------------------------------------------------- */

static const struct weir_driver table = {
	.size = sizeof(struct weir_driver),
	.abi_major = WEIR_ABI_MAJOR,
	.abi_minor = WEIR_ABI_MINOR,
	.name = "jetstream",
	.kind = "NatsJetStreamChannel",
	.summary = "Events in JetStream, the persistence of NATS",
	.options = weir_js_options,
	.open = js_open,
	.close = js_close,
	.caps = js_caps,
	.topic_open = weir_js_topic_open,
	.topic_close = weir_js_topic_close,
	.publish = weir_js_publish,
	.subscribe = weir_js_subscribe,
	.credit = weir_js_credit,
	.poll = weir_js_poll,
	.event_fd = js_event_fd,
	.settle = weir_js_settle,
	.release = weir_js_release,
	.unsubscribe = weir_js_unsubscribe,
	.flush = weir_js_flush,
	.pause = weir_js_pause,
	.health = js_health,
	.stats = js_stats,
	.sub_stats = weir_js_sub_stats,
	.topic_delete = weir_js_topic_delete,
};

WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_jetstream_init;

int weir_driver_jetstream_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out,
			       struct weir_error *err)
{
	uint32_t size = out->size < sizeof table ? out->size : (uint32_t)sizeof table;
	struct weir_driver filled = table;

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "driver jetstream is built for ABI %u, the host has %u",
				 WEIR_ABI_MAJOR, host_major);
	filled.version = weir_nats_version();
	filled.option_count = weir_js_option_count;
	memcpy(out, &filled, size);
	out->size = size;
	return WEIR_OK;
}
