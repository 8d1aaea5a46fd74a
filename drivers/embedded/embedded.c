/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EmbeddedChannel: events in a store of this process's own, on the local disk.
 * docs/explanation/embedded-store.md says how it works and why nothing that was
 * confirmed is lost. This file has the table of operations, open and close.
 */
#include "embedded.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"

WEIR_DRIVER_NOTE("embedded", "EmbeddedChannel");

/* ---- what the other files use ------------------------------------------------------ */

int64_t weir_embedded_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t weir_embedded_time_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool weir_embedded_has_events(const struct weir_inst *inst)
{
	return inst->done || weir_list_linked(&inst->notices) || (weir_list_linked(&inst->ready) && !inst->starved_ns);
}

/*
 * The write comes after the lock is given up, so that the thread that it wakes
 * does not run into it. If poll() has taken everything in between, the price is
 * one wake-up for nothing.
 */
void weir_embedded_lock_give(struct weir_inst *inst)
{
	const uint64_t one = 1;
	bool wake = !inst->signalled && weir_embedded_has_events(inst);

	if (wake)
		inst->signalled = true;
	pthread_mutex_unlock(&inst->lock);
	/* Cannot fail: the counter cannot overflow with one write for each read. */
	if (wake && write(inst->wake_fd, &one, sizeof one) < 0)
		abort();
}

void weir_embedded_notify(struct weir_inst *inst, struct notice *notice)
{
	if (!weir_list_linked(&notice->link))
		weir_list_append(&inst->notices, &notice->link);
}

void weir_embedded_die(struct weir_inst *inst, const struct weir_error *err)
{
	if (inst->is_fatal)
		return;
	inst->is_fatal = true;
	inst->fatal = *err;
	inst->fatal.retry = WEIR_RETRY_AFTER_REOPEN;
	inst->fatal.scope = WEIR_SCOPE_INSTANCE;
	inst->died.failed = true;
	while (weir_list_linked(&inst->ready))
		weir_list_unlink(inst->ready.next);
	weir_embedded_notify(inst, &inst->died);
	weir_embedded_writer_wake(inst);
	weir_embedded_say(inst, 0, err->text);
}

void weir_embedded_say(struct weir_inst *inst, int level, const char *text)
{
	snprintf(inst->say, sizeof inst->say, "%s%s", text,
		 level ? "" : "; nothing is written any more until it is opened again");
	inst->say_level = level;
}

void weir_embedded_log(const struct weir_inst *inst, int level, const char *format, ...)
{
	char text[600];
	va_list args;

	if (!inst->host.log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	inst->host.log(inst->host.ctx, level, text);
}

/* ---- loading ---------------------------------------------------------------------------- */

static int load_topic(void *ctx, const char *name, size_t len, const struct weir_embedded_topic_row *row,
		      uint64_t first, uint64_t last)
{
	struct weir_inst *inst = ctx;
	const char *slash = memchr(name, '/', len);
	size_t ns_len = slash ? (size_t)(slash - name) : 0;
	struct weir_topic *topic;

	if (!slash)
		return WEIR_OK;
	topic = weir_embedded_topic_new(inst, name, ns_len, slash + 1, len - ns_len - 1);
	if (!topic)
		return WEIR_ENOMEM;
	topic->state = TOPIC_READY;
	topic->id = row->id;
	topic->first = first;
	topic->last = last;
	if (row->id >= inst->next_topic)
		inst->next_topic = row->id + 1;
	return WEIR_OK;
}

static struct weir_topic *topic_of(struct weir_inst *inst, uint64_t id)
{
	struct link *node;

	for (node = inst->topics.next; node != &inst->topics; node = node->next) {
		struct weir_topic *topic = weir_list_entry(node, struct weir_topic, link);

		if (topic->id == id)
			return topic;
	}
	return NULL;
}

/* What was in flight comes back, with its count of attempts. */
static int load_unsettled(struct weir_inst *inst, struct reader *reader, const void *blob, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct weir_embedded_unsettled unsettled = weir_embedded_cursor_get(blob, i);
		struct delivery *delivery = weir_embedded_delivery_new(inst, reader, unsettled.position);

		if (!delivery)
			return WEIR_ENOMEM;
		delivery->attempt = unsettled.attempt;
		weir_embedded_delivery_wait(inst, delivery, 0);
	}
	return WEIR_OK;
}

static int load_cursor(void *ctx, uint64_t id, const char *uid, size_t len, const void *blob,
		       const struct weir_embedded_cursor *cursor)
{
	struct weir_inst *inst = ctx;
	struct weir_topic *topic = topic_of(inst, id);
	struct reader *reader;

	if (!topic)
		return WEIR_OK;
	reader = weir_embedded_reader_new(inst, topic, uid, len);
	if (!reader)
		return WEIR_ENOMEM;
	reader->live = true;
	reader->next = blob ? cursor->next : topic->first;
	if (!blob)
		weir_embedded_log(
		    inst, 0, "store %s: the position of subscription %s of %s is damaged: it gets all that is kept",
		    inst->path, reader->uid, topic->name);
	if (blob && load_unsettled(inst, reader, blob, cursor->count))
		return WEIR_ENOMEM;
	reader->saved_floor = weir_embedded_reader_floor(reader);
	return WEIR_OK;
}

/* ---- open ---------------------------------------------------------------------------------- */

static void notice_init(struct notice *notice, uint32_t type)
{
	weir_list_init(&notice->link);
	notice->type = type;
}

static void inst_init(struct weir_inst *inst, const struct weir_host *host)
{
	pthread_condattr_t monotonic;

	inst->host.log = host->log;
	inst->host.ctx = host->ctx;
	pthread_mutex_init(&inst->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&inst->work, &monotonic);
	pthread_cond_init(&inst->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	weir_list_init(&inst->topics);
	weir_list_init(&inst->notices);
	weir_list_init(&inst->ready);
	weir_list_init(&inst->dirty);
	weir_list_init(&inst->trims);
	weir_list_init(&inst->unused);
	notice_init(&inst->writable, WEIR_EV_WRITABLE);
	notice_init(&inst->up, WEIR_EV_UP);
	notice_init(&inst->died, WEIR_EV_FATAL);
	inst->next_topic = 1;
	inst->event_fd = inst->wake_fd = inst->timer_fd = inst->lock_fd = -1;
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
	weir_fail(err, WEIR_EIO, "embedded: cannot make an event descriptor: %s", strerror(errno));
	weir_error_native(err, "errno", errno);
	return WEIR_EIO;
}

static int store_open(struct weir_inst *inst, struct weir_error *err)
{
	const struct weir_embedded_store_spec spec = { inst->path, inst->max_bytes, inst->sync };
	const struct weir_embedded_loader loader = { inst, load_topic, load_cursor };
	uint64_t generation;
	int code = weir_embedded_lock(inst->path, &inst->lock_fd, err);

	if (code == WEIR_OK)
		code = weir_embedded_store_open(&spec, &inst->store, &generation, err);
	if (code != WEIR_OK)
		return code;
	/* Tokens of the opening before, and of any earlier one, are of a smaller epoch. */
	inst->first_epoch = inst->next_epoch = generation << 32;
	return weir_embedded_store_load(inst->store, &loader, err);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The writer does not run. Any part may be missing. */
static void inst_free(struct weir_inst *inst)
{
	uint32_t slot;

	while (weir_list_linked(&inst->topics))
		weir_embedded_topic_free(inst, weir_list_entry(inst->topics.next, struct weir_topic, link));
	while (inst->done) {
		struct record *record = inst->done;

		inst->done = record->next;
		weir_embedded_release(record);
	}
	weir_embedded_store_close(inst->store);
	for (slot = 0; slot < inst->slot_count; slot++)
		free(inst->slots[slot]);
	free(inst->slots);
	free(inst->waiting);
	free(inst->path);
	close_fd(inst->event_fd);
	close_fd(inst->timer_fd);
	close_fd(inst->wake_fd);
	weir_embedded_unlock(inst->lock_fd);
	pthread_cond_destroy(&inst->work);
	pthread_cond_destroy(&inst->idle);
	pthread_mutex_destroy(&inst->lock);
	free(inst);
}

/* Where it is, whatever the working folder, and what was found there. */
static void say_opened(const struct weir_inst *inst)
{
	struct weir_embedded_store_stats stats;
	char *path = realpath(inst->path, NULL);

	weir_embedded_store_stats(inst->store, &stats);
	weir_embedded_log(inst, 2, "store %s opened with %llu records; an event is persisted %s",
			  path ? path : inst->path, (unsigned long long)stats.records,
			  inst->sync ? "when it is synced to the disk" : "when the operating system has it");
	free(path);
}

static int embedded_open(const struct weir_host *host, const struct weir_setting *settings, size_t count,
			 struct weir_inst **ret, struct weir_error *err)
{
	struct weir_inst *inst = calloc(1, sizeof *inst);
	int code;

	*ret = NULL;
	if (!inst)
		return weir_fail(err, WEIR_ENOMEM, "no memory for an instance");
	inst_init(inst, host);
	code = weir_embedded_settings(inst, settings, count, err);
	if (code == WEIR_OK)
		code = descriptors_open(inst, err);
	if (code == WEIR_OK)
		code = store_open(inst, err);
	if (code == WEIR_OK)
		code = weir_embedded_writer_start(inst, err);
	if (code != WEIR_OK) {
		inst_free(inst);
		return code;
	}
	say_opened(inst);
	weir_embedded_lock_take(inst);
	weir_embedded_notify(inst, &inst->up);
	weir_embedded_lock_give(inst);
	*ret = inst;
	return WEIR_OK;
}

/* ---- close ------------------------------------------------------------------------------------- */

/* Tells the writer to end, and waits for it until half a second after the deadline. */
static bool writer_end(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags)
{
	int64_t now_ns = weir_embedded_now(), limit_ns = (deadline_ns > now_ns ? deadline_ns : now_ns) + 500000000;
	struct timespec until = { limit_ns / 1000000000, limit_ns % 1000000000 };
	bool ended;
	int rc = 0;

	weir_embedded_lock_take(inst);
	inst->stop = true;
	inst->abort = flags & WEIR_CLOSE_ABORT;
	inst->stop_ns = deadline_ns;
	weir_embedded_writer_wake(inst);
	while (!inst->ended && !rc)
		rc = pthread_cond_timedwait(&inst->idle, &inst->lock, &until);
	ended = inst->ended;
	weir_embedded_lock_give(inst);
	if (ended)
		pthread_join(inst->writer, NULL);
	else
		pthread_detach(inst->writer);
	return ended;
}

static int embedded_close(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	int code = WEIR_OK;

	/* A disk that does not answer cannot be waited for. What the thread uses must stay; it touches nothing else. */
	if (!writer_end(inst, deadline_ns, flags))
		return weir_fail(err, WEIR_ETIMEDOUT, "the disk does not answer: a thread of store %s is left behind",
				 inst->path);
	if (inst->is_fatal) {
		code = WEIR_EIO;
		if (err)
			*err = inst->fatal;
	} else if (inst->gave_up && !inst->abort) {
		code = weir_fail(err, WEIR_ETIMEDOUT, "store %s: not everything could be written by the deadline",
				 inst->path);
	}
	inst_free(inst);
	return code;
}

/* ---- figures -------------------------------------------------------------------------------------- */

static int embedded_caps(struct weir_inst *inst, struct weir_caps *to)
{
	struct weir_caps full = { .size = sizeof full }, *ret = &full;

	ret->thread_level = WEIR_THREAD_FREE;
	ret->bits =
	    WEIR_CAP_BIT(WEIR_CAP_DURABLE) | WEIR_CAP_BIT(WEIR_CAP_REPLAY_EARLIEST) |
	    WEIR_CAP_BIT(WEIR_CAP_REPLAY_POSITION) | WEIR_CAP_BIT(WEIR_CAP_REPLAY_TIME) |
	    WEIR_CAP_BIT(WEIR_CAP_ORDERED_TOPIC) | WEIR_CAP_BIT(WEIR_CAP_ORDERED_KEY) | WEIR_CAP_BIT(WEIR_CAP_FANOUT) |
	    WEIR_CAP_BIT(WEIR_CAP_GROUPS) | WEIR_CAP_BIT(WEIR_CAP_ACK_SELECTIVE) | WEIR_CAP_BIT(WEIR_CAP_NACK) |
	    WEIR_CAP_BIT(WEIR_CAP_NACK_DELAY) | WEIR_CAP_BIT(WEIR_CAP_TERM) | WEIR_CAP_BIT(WEIR_CAP_REDELIVERED_FLAG) |
	    WEIR_CAP_BIT(WEIR_CAP_DELIVERY_COUNT) | WEIR_CAP_BIT(WEIR_CAP_PUB_CONFIRM) | WEIR_CAP_BIT(WEIR_CAP_KEY) |
	    WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH) | WEIR_CAP_BIT(WEIR_CAP_HEADERS) | WEIR_CAP_BIT(WEIR_CAP_HEADERS_BIN) |
	    WEIR_CAP_BIT(WEIR_CAP_HEADERS_DUP) | WEIR_CAP_BIT(WEIR_CAP_NULL_BODY) | WEIR_CAP_BIT(WEIR_CAP_TIMESTAMP) |
	    WEIR_CAP_BIT(WEIR_CAP_PAUSE) | WEIR_CAP_BIT(WEIR_CAP_TOPIC_ADMIN) | WEIR_CAP_BIT(WEIR_CAP_EPHEMERAL);
	ret->binding = WEIR_BINDING_UNDERSCORE;
	ret->max_headers = WEIR_EMBEDDED_MAX_HEADERS;
	ret->max_record_bytes = weir_embedded_max_record(inst);
	ret->max_header_bytes = 0;
	ret->max_key_bytes = 0;
	ret->max_topic_bytes = WEIR_EMBEDDED_MAX_NAME;
	ret->max_publish_inflight = (uint32_t)inst->max_pending;
	ret->ack_wait_min_ms = 0;
	ret->ack_wait_step_ms = 0;
	ret->dead_detect_ms = 0;
	ret->ack_wait_ms = 0;
	ret->durability = inst->sync ? "disk" : "process";
	ret->durability_note =
	    inst->sync ? "Each event is on the disk, synced, before it is confirmed: it survives a crash of the "
			 "process and a power cut."
		       : "Each event is with the operating system before it is confirmed: it survives a crash of the "
			 "process, but a power cut may lose the last second or damage the store.";
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}

static int embedded_event_fd(struct weir_inst *inst)
{
	return inst->event_fd;
}

static int embedded_health(struct weir_inst *inst, struct weir_health *to)
{
	struct weir_health full = { .size = sizeof full }, *ret = &full;

	weir_embedded_lock_take(inst);
	ret->state = WEIR_HEALTH_UP;
	if (inst->is_fatal) {
		ret->state = WEIR_HEALTH_DOWN;
		ret->error = inst->fatal;
	} else if (inst->is_full) {
		ret->state = WEIR_HEALTH_DEGRADED;
		ret->error = inst->full;
	}
	weir_embedded_lock_give(inst);
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}

static int embedded_stats(struct weir_inst *inst, struct weir_stats *to)
{
	struct weir_stats full = { .size = sizeof full }, *ret = &full;
	struct weir_embedded_store_stats stats;

	weir_embedded_store_stats(inst->store, &stats);
	weir_embedded_lock_take(inst);
	ret->records = stats.records;
	ret->bytes = stats.bytes;
	ret->bytes_max = inst->max_bytes;
	ret->pending = inst->queued + inst->done_count;
	ret->syncs = stats.syncs;
	ret->stale = inst->stale;
	weir_embedded_lock_give(inst);
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}

/* ---- the table ---------------------------------------------------------------------------------------- */

static struct weir_driver table = {
	.size = sizeof(struct weir_driver),
	.abi_major = WEIR_ABI_MAJOR,
	.abi_minor = WEIR_ABI_MINOR,
	.name = "embedded",
	.kind = "EmbeddedChannel",
	.version = weir_embedded_version,
	.summary = "Events on the local disk, each synced before it is confirmed; no server needed",
	.options = weir_embedded_options,
	.open = embedded_open,
	.close = embedded_close,
	.caps = embedded_caps,
	.topic_open = weir_embedded_topic_open,
	.topic_close = weir_embedded_topic_close,
	.publish = weir_embedded_publish,
	.subscribe = weir_embedded_subscribe,
	.credit = weir_embedded_credit,
	.poll = weir_embedded_poll,
	.event_fd = embedded_event_fd,
	.settle = weir_embedded_settle,
	.release = weir_embedded_release,
	.unsubscribe = weir_embedded_unsubscribe,
	.flush = weir_embedded_flush,
	.pause = weir_embedded_pause,
	.health = embedded_health,
	.stats = embedded_stats,
	.sub_stats = weir_embedded_sub_stats,
	.topic_delete = weir_embedded_topic_delete,
};

WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_embedded_init;

int weir_driver_embedded_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out, struct weir_error *err)
{
	uint32_t size = out->size < sizeof table ? out->size : (uint32_t)sizeof table;

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "driver embedded is built for ABI %u, the host has %u",
				 WEIR_ABI_MAJOR, host_major);
	table.option_count = weir_embedded_option_count;
	memcpy(out, &table, size);
	out->size = size;
	return WEIR_OK;
}
