/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InMemoryChannel: a driver without a backend. Records live in this process,
 * for as long as a subscription needs them; nothing survives a restart.
 *
 * It is also the driver to read before writing one. It does everything that
 * weir/driver.h asks for with the least machinery: no thread, no library, one
 * lock. Begin here, at the table, and follow one record: publish() in topic.c,
 * poll() in poll.c, settle() in reader.c. What others may copy:
 *   - one record is one block of memory with a count of references, so that
 *     handing it to ten subscriptions copies nothing, and a lease is a
 *     reference (R3: leases outlive the instance);
 *   - poll() never looks for work: whatever may have made work ready has put
 *     it on a list (weir_inst.ready), and weir_memory_unlock() makes event_fd
 *     readable when the lists were empty before;
 *   - a token names a slot and the slot's turn, so that settling is one look
 *     into an array, and a token that was used or made up does no harm.
 *
 * What it decides where the contract leaves a choice:
 *   - a record that no subscription needs when it is published is counted as
 *     persisted and dropped, as Knative's in-memory channel does. So there is
 *     nothing old to read: a new subscription starts at latest, always;
 *   - a subscription that nobody is a member of is kept, with what it has not
 *     read, until unsubscribe(keep == 0), topic_delete() or close();
 *   - when memory is full, publishing waits (WEIR_EAGAIN); nothing is dropped.
 */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

WEIR_DRIVER_NOTE("memory", "InMemoryChannel");

static const struct weir_option options[] = {
	{ "maxBytes", WEIR_OPT_BYTES, 0, "67108864", 131072, INT64_C(1) << 40, NULL,
	  "Memory for records; when it is used up, publishing waits." },
	{ "maxRecords", WEIR_OPT_INT, 0, "1000000", 1, INT64_C(1) << 32, NULL,
	  "Most records kept; when there are as many, publishing waits." },
};

/* ---- what the other files use ----------------------------------------------------- */

int64_t weir_memory_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool weir_memory_has_events(const struct weir_inst *inst)
{
	return inst->done || weir_list_linked(&inst->notices) || (weir_list_linked(&inst->ready) && !inst->starved_ns);
}

/*
 * The write comes after the lock is given up, so that the thread that it wakes
 * does not run into it. If poll() has taken everything in between, the price is
 * one wake-up for nothing.
 */
void weir_memory_unlock(struct weir_inst *inst)
{
	const uint64_t one = 1;
	bool wake = !inst->signalled && weir_memory_has_events(inst);

	if (wake)
		inst->signalled = true;
	pthread_mutex_unlock(&inst->lock);
	/* Cannot fail: the counter cannot overflow with one write for each read. */
	if (wake && write(inst->wake_fd, &one, sizeof one) < 0)
		abort();
}

void weir_memory_notify(struct weir_inst *inst, struct notice *notice)
{
	if (!weir_list_linked(&notice->link))
		weir_list_append(&inst->notices, &notice->link);
}

/* ---- open and close ----------------------------------------------------------------- */

/* The core has checked type and range; asking again costs nothing and keeps a careless caller from harm. */
static int settings_read(struct weir_inst *inst, const struct weir_setting *settings, size_t count,
			 struct weir_error *err)
{
	size_t i;

	inst->max_bytes = 64u << 20;
	inst->max_records = 1000000;
	for (i = 0; i < count; i++) {
		const char *key = settings[i].key, *value = settings[i].value;
		char *end;
		long long number;

		if (!value)
			continue;
		errno = 0;
		number = strtoll(value, &end, 10);
		if (errno || *end || end == value || number < 1)
			return weir_fail(err, WEIR_EINVAL, "memory.%s: not a positive number", key);
		if (strcmp(key, "maxBytes") == 0)
			inst->max_bytes = (size_t)number;
		else if (strcmp(key, "maxRecords") == 0)
			inst->max_records = (uint64_t)number;
		else
			return weir_fail(err, WEIR_EINVAL, "memory.%s: there is no such setting", key);
	}
	return WEIR_OK;
}

static void inst_init(struct weir_inst *inst)
{
	struct timespec now;

	pthread_mutex_init(&inst->lock, NULL);
	weir_list_init(&inst->topics);
	weir_list_init(&inst->notices);
	weir_list_init(&inst->ready);
	weir_list_init(&inst->unused);
	weir_list_init(&inst->writable.link);
	weir_list_init(&inst->up.link);
	inst->writable.type = WEIR_EV_WRITABLE;
	inst->up.type = WEIR_EV_UP;
	/* Later than any epoch of an instance before this one. */
	clock_gettime(CLOCK_REALTIME, &now);
	inst->first_epoch = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	inst->next_epoch = inst->first_epoch;
	inst->event_fd = inst->wake_fd = inst->timer_fd = -1;
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
	weir_fail(err, WEIR_EIO, "memory: cannot make an event descriptor: %s", strerror(errno));
	weir_error_native(err, "errno", errno);
	return WEIR_EIO;
}

static void inst_free(struct weir_inst *inst)
{
	uint32_t slot;

	for (slot = 0; slot < inst->slot_count; slot++)
		free(inst->slots[slot]);
	free(inst->slots);
	free(inst->waiting);
	if (inst->event_fd >= 0)
		close(inst->event_fd);
	if (inst->timer_fd >= 0)
		close(inst->timer_fd);
	if (inst->wake_fd >= 0)
		close(inst->wake_fd);
	pthread_mutex_destroy(&inst->lock);
	free(inst);
}

static int memory_open(const struct weir_host *host, const struct weir_setting *settings, size_t count,
		       struct weir_inst **ret, struct weir_error *err)
{
	struct weir_inst *inst = calloc(1, sizeof *inst);
	int code;

	*ret = NULL;
	if (!inst)
		return weir_fail(err, WEIR_ENOMEM, "no memory for an instance");
	inst_init(inst);
	code = settings_read(inst, settings, count, err);
	if (code == WEIR_OK)
		code = descriptors_open(inst, err);
	if (code != WEIR_OK) {
		inst_free(inst);
		return code;
	}
	weir_memory_notify(inst, &inst->up);
	weir_memory_lock(inst);
	weir_memory_unlock(inst);
	if (host->log)
		host->log(host->ctx, 2, "InMemoryChannel keeps its events in this process: nothing survives a restart");
	*ret = inst;
	return WEIR_OK;
}

/* Everything is persisted at once, so there is nothing to flush. Completions that nobody polled are gone. */
static int memory_close(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	(void)deadline_ns;
	(void)flags;
	(void)err;
	while (weir_list_linked(&inst->topics))
		weir_memory_topic_free(inst, weir_list_entry(inst->topics.next, struct weir_topic, link));
	while (inst->done) {
		struct record *record = inst->done;

		inst->done = record->next_done;
		weir_memory_record_done(inst, record);
	}
	inst_free(inst);
	return WEIR_OK;
}

/* ---- figures -------------------------------------------------------------------------- */

static int memory_caps(struct weir_inst *inst, struct weir_caps *to)
{
	struct weir_caps full = { .size = sizeof full }, *ret = &full;

	ret->thread_level = WEIR_THREAD_FREE;
	ret->bits = WEIR_CAP_BIT(WEIR_CAP_ORDERED_TOPIC) | WEIR_CAP_BIT(WEIR_CAP_ORDERED_KEY) |
		    WEIR_CAP_BIT(WEIR_CAP_FANOUT) | WEIR_CAP_BIT(WEIR_CAP_GROUPS) | WEIR_CAP_BIT(WEIR_CAP_NACK_LOCAL) |
		    WEIR_CAP_BIT(WEIR_CAP_NACK_DELAY) | WEIR_CAP_BIT(WEIR_CAP_TERM) |
		    WEIR_CAP_BIT(WEIR_CAP_REDELIVERED_FLAG) | WEIR_CAP_BIT(WEIR_CAP_PUB_CONFIRM) |
		    WEIR_CAP_BIT(WEIR_CAP_KEY) | WEIR_CAP_BIT(WEIR_CAP_ATOMIC_BATCH) | WEIR_CAP_BIT(WEIR_CAP_HEADERS) |
		    WEIR_CAP_BIT(WEIR_CAP_HEADERS_BIN) | WEIR_CAP_BIT(WEIR_CAP_HEADERS_DUP) |
		    WEIR_CAP_BIT(WEIR_CAP_NULL_BODY) | WEIR_CAP_BIT(WEIR_CAP_TIMESTAMP) | WEIR_CAP_BIT(WEIR_CAP_PAUSE) |
		    WEIR_CAP_BIT(WEIR_CAP_TOPIC_ADMIN) | WEIR_CAP_BIT(WEIR_CAP_EPHEMERAL);
	ret->binding = WEIR_BINDING_UNDERSCORE;
	ret->max_headers = WEIR_MEMORY_MAX_HEADERS;
	ret->max_record_bytes = weir_memory_max_record(inst);
	ret->max_header_bytes = 0;
	ret->max_key_bytes = 0;
	ret->max_topic_bytes = WEIR_MEMORY_MAX_NAME;
	ret->max_publish_inflight = 0;
	ret->ack_wait_min_ms = 0;
	ret->ack_wait_step_ms = 0;
	ret->dead_detect_ms = 0;
	ret->ack_wait_ms = 0;
	ret->durability = "memory";
	ret->durability_note = "Events are kept in the memory of this process only: nothing survives a restart.";
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}

static int memory_event_fd(struct weir_inst *inst)
{
	return inst->event_fd;
}

static int memory_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	(void)inst;
	(void)deadline_ns;
	*left = 0;
	return WEIR_OK;
}

static int memory_health(struct weir_inst *inst, struct weir_health *to)
{
	struct weir_health full = { .size = sizeof full }, *ret = &full;

	(void)inst;
	ret->state = WEIR_HEALTH_UP;
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}

static int memory_stats(struct weir_inst *inst, struct weir_stats *to)
{
	struct weir_stats full = { .size = sizeof full }, *ret = &full;

	weir_memory_lock(inst);
	ret->records = atomic_load(&inst->records);
	ret->bytes = atomic_load(&inst->bytes);
	ret->bytes_max = inst->max_bytes;
	ret->pending = inst->pending;
	ret->syncs = 0;
	ret->stale = inst->stale;
	weir_memory_unlock(inst);
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}

/* ---- the table -------------------------------------------------------------------------- */

static const struct weir_driver table = {
	.size = sizeof(struct weir_driver),
	.abi_major = WEIR_ABI_MAJOR,
	.abi_minor = WEIR_ABI_MINOR,
	.option_count = sizeof options / sizeof options[0],
	.name = "memory",
	.kind = "InMemoryChannel",
	.version = "1.0",
	.summary = "Events in the memory of this process; nothing survives a restart",
	.options = options,
	.open = memory_open,
	.close = memory_close,
	.caps = memory_caps,
	.topic_open = weir_memory_topic_open,
	.topic_close = weir_memory_topic_close,
	.publish = weir_memory_publish,
	.subscribe = weir_memory_subscribe,
	.credit = weir_memory_credit,
	.poll = weir_memory_poll,
	.event_fd = memory_event_fd,
	.settle = weir_memory_settle,
	.release = weir_memory_release,
	.unsubscribe = weir_memory_unsubscribe,
	.flush = memory_flush,
	.pause = weir_memory_pause,
	.health = memory_health,
	.stats = memory_stats,
	.sub_stats = weir_memory_sub_stats,
	.topic_delete = weir_memory_topic_delete,
};

WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_memory_init;

int weir_driver_memory_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out, struct weir_error *err)
{
	uint32_t size = out->size < sizeof table ? out->size : (uint32_t)sizeof table;

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "driver memory is built for ABI %u, the host has %u",
				 WEIR_ABI_MAJOR, host_major);
	memcpy(out, &table, size);
	out->size = size;
	return WEIR_OK;
}
