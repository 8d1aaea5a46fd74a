/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShelfChannel: the smallest driver that keeps its promises.
 *
 * Each channel is a shelf with room for 1024 events in the memory of this
 * process; a full shelf refuses. Every subscription sees every event and
 * remembers which ones it has settled. Of weir/driver.h only what must be there
 * is there: one lock, no thread, no library.
 *
 * poll() finds what it has to report by looking for it (next_event); event_fd is
 * an eventfd that is written whenever there may be something to find.
 */
#include <weir/driver.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

WEIR_DRIVER_NOTE("shelf", "ShelfChannel");

enum { ROOM = 1024, PENDING_MAX = 1024, RECORD_MAX = 1 << 20, NAME_MAX_BYTES = 256, EPOCH = 1 };

/* An event. A delivery's lease is a reference to it, so it may outlive its shelf. */
struct item {
	atomic_uint refs;
	struct weir_buf key, body;
	char bytes[];
};

enum state { WAITING = 0, OUT = 1, SETTLED = 2 };

struct weir_sub {
	struct weir_sub *next;
	struct weir_topic *topic;
	char *uid;
	uint64_t lane; /* in its tokens: another subscription's are told apart */
	bool joined; /* somebody is subscribed; else only the position is kept */
	bool ready_told;
	int64_t credit_records, credit_bytes;
	size_t settled; /* all items before this one are */
	unsigned char states[ROOM];
	unsigned char attempts[ROOM];
};

struct weir_topic {
	struct weir_topic *next;
	char *ns, *name;
	bool ready_told;
	size_t count;
	struct item *items[ROOM];
	struct weir_sub *subs;
};

struct weir_inst {
	pthread_mutex_t lock;
	int event_fd;
	bool up_told;
	struct weir_topic *topics;
	struct {
		uint64_t tag, position;
	} done[PENDING_MAX]; /* publishes to report, a ring */
	size_t first_done, done_count;
	bool refused; /* a publish was, for lack of room in `done` */
};

/* Cannot fail: poll() resets the counter long before it is full. */
static void unlock_and_wake(struct weir_inst *inst)
{
	const uint64_t one = 1;

	pthread_mutex_unlock(&inst->lock);
	if (write(inst->event_fd, &one, sizeof one) < 0)
		abort();
}

static void item_release(void *lease)
{
	struct item *item = lease;

	if (atomic_fetch_sub(&item->refs, 1) == 1)
		free(item);
}

/* ---- instances ------------------------------------------------------------- */

static int shelf_open(const struct weir_host *host, const struct weir_setting *settings, size_t count,
		      struct weir_inst **ret, struct weir_error *err)
{
	struct weir_inst *inst = calloc(1, sizeof *inst);

	(void)host;
	*ret = NULL;
	if (inst && count) {
		free(inst);
		return weir_fail(err, WEIR_EINVAL, "shelf.%s: there is no such setting", settings[0].key);
	}
	if (!inst)
		return weir_fail(err, WEIR_ENOMEM, "shelf: no memory for an instance");
	inst->event_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (inst->event_fd < 0) {
		free(inst);
		return weir_fail(err, WEIR_EIO, "shelf: no file descriptor for events");
	}
	pthread_mutex_init(&inst->lock, NULL);
	*ret = inst;
	return WEIR_OK;
}

static void sub_free(struct weir_sub *sub)
{
	free(sub->uid);
	free(sub);
}

static void topic_free(struct weir_topic *topic)
{
	while (topic->subs) {
		struct weir_sub *sub = topic->subs;

		topic->subs = sub->next;
		sub_free(sub);
	}
	while (topic->count)
		item_release(topic->items[--topic->count]);
	free(topic->ns);
	free(topic->name);
	free(topic);
}

static int shelf_close(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err)
{
	(void)deadline_ns;
	(void)flags;
	(void)err;
	while (inst->topics) {
		struct weir_topic *topic = inst->topics;

		inst->topics = topic->next;
		topic_free(topic);
	}
	close(inst->event_fd);
	pthread_mutex_destroy(&inst->lock);
	free(inst);
	return WEIR_OK;
}

/* What is not claimed here, the core does without. */
static const struct weir_caps caps = {
	.size = sizeof(struct weir_caps),
	.thread_level = WEIR_THREAD_FREE,
	.bits = WEIR_CAP_BIT(WEIR_CAP_FANOUT) | WEIR_CAP_BIT(WEIR_CAP_REPLAY_EARLIEST) |
		WEIR_CAP_BIT(WEIR_CAP_ORDERED_TOPIC) | WEIR_CAP_BIT(WEIR_CAP_ORDERED_KEY) |
		WEIR_CAP_BIT(WEIR_CAP_PUB_CONFIRM) | WEIR_CAP_BIT(WEIR_CAP_KEY),
	.max_record_bytes = RECORD_MAX,
	.max_topic_bytes = NAME_MAX_BYTES,
	.max_publish_inflight = PENDING_MAX,
	.durability = "memory",
	.durability_note = "Events are kept in the memory of this process only: nothing survives a restart.",
};

static int shelf_caps(struct weir_inst *inst, struct weir_caps *ret)
{
	(void)inst;
	weir_give(ret, &caps, sizeof caps);
	return WEIR_OK;
}

static int shelf_event_fd(struct weir_inst *inst)
{
	return inst->event_fd;
}

/* ---- topics and publishing ------------------------------------------------- */

static bool is_name(const char *text)
{
	const char *c = text;

	while ((unsigned char)*c > ' ' && *c != 0x7f && *c != '/')
		c++;
	return c != text && !*c;
}

static int shelf_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			    struct weir_error *err)
{
	struct weir_topic *topic;

	*ret = NULL;
	if (!is_name(ns) || !is_name(name) || strlen(ns) + 1 + strlen(name) > NAME_MAX_BYTES)
		return weir_fail(err, WEIR_EINVAL, "shelf: this cannot be a channel's name");
	pthread_mutex_lock(&inst->lock);
	for (topic = inst->topics; topic; topic = topic->next) {
		if (strcmp(topic->ns, ns) == 0 && strcmp(topic->name, name) == 0)
			break;
	}
	if (!topic && (topic = calloc(1, sizeof *topic))) {
		topic->ns = strdup(ns);
		topic->name = strdup(name);
		if (topic->ns && topic->name) {
			topic->next = inst->topics;
			inst->topics = topic;
		} else {
			topic_free(topic);
			topic = NULL;
		}
	}
	if (topic)
		topic->ready_told = false;
	unlock_and_wake(inst);
	*ret = topic;
	return topic ? WEIR_OK : weir_fail(err, WEIR_ENOMEM, "shelf: no memory for a channel");
}

/* The shelf stays, with what is on it, until the instance is closed. */
static void shelf_topic_close(struct weir_inst *inst, struct weir_topic *topic)
{
	(void)inst;
	(void)topic;
}

static struct item *item_new(const struct weir_record *record)
{
	struct item *item = malloc(sizeof *item + record->key.len + record->body.len);

	if (!item)
		return NULL;
	atomic_init(&item->refs, 1);
	item->key = (struct weir_buf){ record->key.ptr ? item->bytes : NULL, record->key.len };
	item->body = (struct weir_buf){ item->bytes + record->key.len, record->body.len };
	if (record->key.len)
		memcpy(item->bytes, record->key.ptr, record->key.len);
	if (record->body.len)
		memcpy(item->bytes + record->key.len, record->body.ptr, record->body.len);
	return item;
}

static int publish_one(struct weir_inst *inst, const struct weir_publish *publish, struct weir_error *err)
{
	struct weir_topic *topic = publish->topic;
	size_t last;

	if (publish->record.key.len + publish->record.body.len > RECORD_MAX)
		return weir_fail(err, WEIR_ETOOBIG, "shelf: larger than %d bytes", RECORD_MAX);
	if (publish->record.header_count)
		return weir_fail(err, WEIR_EINVAL, "shelf: keeps no headers");
	if (inst->done_count == PENDING_MAX) {
		inst->refused = true;
		return weir_fail(err, WEIR_EAGAIN, "shelf: too many publishes under way");
	}
	if (topic->count == ROOM)
		return weir_fail(err, WEIR_ELIMIT, "shelf: %d events are on it, there is no room for more", ROOM);
	topic->items[topic->count] = item_new(&publish->record);
	if (!topic->items[topic->count])
		return weir_fail(err, WEIR_ENOMEM, "shelf: no memory for an event");
	last = (inst->first_done + inst->done_count++) % PENDING_MAX;
	inst->done[last].tag = publish->tag;
	inst->done[last].position = topic->count++;
	return WEIR_OK;
}

static int shelf_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
			 struct weir_error *err)
{
	int code = WEIR_OK;

	pthread_mutex_lock(&inst->lock);
	for (*accepted = 0; *accepted < count; ++*accepted) {
		code = publish_one(inst, &items[*accepted], err);
		if (code != WEIR_OK)
			break;
	}
	unlock_and_wake(inst);
	return code;
}

/* ---- subscriptions --------------------------------------------------------- */

static struct weir_sub *sub_new(struct weir_topic *topic, const struct weir_sub_spec *spec)
{
	struct weir_sub *sub = calloc(1, sizeof *sub);

	if (!sub)
		return NULL;
	sub->uid = strdup(spec->uid);
	if (!sub->uid) {
		free(sub);
		return NULL;
	}
	sub->topic = topic;
	sub->lane = topic->subs ? topic->subs->lane + 1 : 1;
	if (spec->start == WEIR_START_LATEST) {
		sub->settled = topic->count;
		memset(sub->states, SETTLED, topic->count);
	}
	sub->next = topic->subs;
	topic->subs = sub;
	return sub;
}

static int shelf_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			   struct weir_sub **ret, struct weir_error *err)
{
	struct weir_sub *sub;
	int code = WEIR_OK;

	*ret = NULL;
	if (spec->start != WEIR_START_LATEST && spec->start != WEIR_START_EARLIEST)
		return weir_fail(err, WEIR_ENOTSUP, "shelf: starts at latest or earliest only");
	pthread_mutex_lock(&inst->lock);
	for (sub = topic->subs; sub && strcmp(sub->uid, spec->uid) != 0; sub = sub->next)
		;
	if (!sub)
		sub = sub_new(topic, spec);
	if (!sub) {
		code = weir_fail(err, WEIR_ENOMEM, "shelf: no memory for a subscription");
	} else if (sub->joined) {
		code = weir_fail(err, WEIR_EBUSY, "shelf: the subscription has a member");
	} else {
		sub->joined = true;
		sub->ready_told = false;
		sub->credit_records = sub->credit_bytes = 0;
		*ret = sub;
	}
	unlock_and_wake(inst);
	return code;
}

static int shelf_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			     struct weir_error *err)
{
	struct weir_sub **at = &sub->topic->subs;

	(void)deadline_ns;
	(void)err;
	pthread_mutex_lock(&inst->lock);
	sub->joined = false;
	for (size_t i = sub->settled; i < ROOM; i++) {
		if (sub->states[i] == OUT)
			sub->states[i] = WAITING;
	}
	if (!keep) {
		while (*at != sub)
			at = &(*at)->next;
		*at = sub->next;
		sub_free(sub);
	}
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

/* Never beyond what an int64_t holds: "no bound" may be given more than once. */
static int64_t add_credit(int64_t credit, int64_t more)
{
	int64_t sum;

	if (__builtin_add_overflow(credit, more, &sum))
		return more > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

static int shelf_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	pthread_mutex_lock(&inst->lock);
	sub->credit_records = add_credit(sub->credit_records, records);
	sub->credit_bytes = add_credit(sub->credit_bytes, bytes);
	/* Only what is not used yet can be taken back. */
	if (records < 0 && sub->credit_records < 0)
		sub->credit_records = 0;
	unlock_and_wake(inst);
	return WEIR_OK;
}

static int shelf_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
			size_t count, int64_t arg, uint16_t *codes)
{
	(void)arg;
	if (verb != WEIR_ACK)
		return WEIR_ENOTSUP;
	pthread_mutex_lock(&inst->lock);
	for (size_t i = 0; i < count; i++) {
		bool mine = tokens[i].epoch == EPOCH && tokens[i].lane == sub->lane && tokens[i].seq < sub->topic->count;
		bool out = mine && sub->states[tokens[i].seq] == OUT;

		if (out)
			sub->states[tokens[i].seq] = SETTLED;
		if (codes)
			codes[i] = out ? WEIR_OK : mine ? WEIR_ESTALE : WEIR_EINVAL;
	}
	while (sub->settled < ROOM && sub->states[sub->settled] == SETTLED)
		sub->settled++;
	pthread_mutex_unlock(&inst->lock);
	return WEIR_OK;
}

/* ---- polling --------------------------------------------------------------- */

static bool next_delivery(struct weir_sub *sub, struct weir_driver_event *event)
{
	struct weir_topic *topic = sub->topic;
	size_t i = sub->settled;
	struct item *item;

	if (!sub->joined || sub->credit_records <= 0 || sub->credit_bytes <= 0)
		return false;
	while (i < topic->count && sub->states[i] != WAITING)
		i++;
	if (i == topic->count)
		return false;
	item = topic->items[i];
	atomic_fetch_add(&item->refs, 1);
	sub->states[i] = OUT;
	if (sub->attempts[i] < UINT8_MAX)
		sub->attempts[i]++;
	sub->credit_records--;
	sub->credit_bytes -= (int64_t)(item->key.len + item->body.len);
	event->type = WEIR_EV_DELIVER;
	event->sub = sub;
	event->token.epoch = EPOCH;
	event->token.lane = sub->lane;
	event->token.seq = i;
	event->attempt = sub->attempts[i];
	event->flags = WEIR_MSG_NO_TIME;
	event->position = i;
	event->record.key = item->key;
	event->record.body = item->body;
	event->lease = item;
	return true;
}

static bool next_of_topic(struct weir_topic *topic, struct weir_driver_event *event)
{
	struct weir_sub *sub;

	if (!topic->ready_told) {
		topic->ready_told = true;
		event->type = WEIR_EV_TOPIC_READY;
		event->topic = topic;
		return true;
	}
	for (sub = topic->subs; sub; sub = sub->next) {
		if (sub->joined && !sub->ready_told) {
			sub->ready_told = true;
			event->type = WEIR_EV_SUB_READY;
			event->sub = sub;
			return true;
		}
		if (next_delivery(sub, event))
			return true;
	}
	return false;
}

/* Fills `event` with the next thing to report; false: there is none. */
static bool next_event(struct weir_inst *inst, struct weir_driver_event *event)
{
	struct weir_topic *topic;

	memset(event, 0, sizeof *event);
	event->size = sizeof *event;
	if (!inst->up_told) {
		inst->up_told = true;
		event->type = WEIR_EV_UP;
		return true;
	}
	if (inst->done_count) {
		event->type = WEIR_EV_PUBLISHED;
		event->outcome = WEIR_PERSISTED;
		event->tag = inst->done[inst->first_done].tag;
		event->position = inst->done[inst->first_done].position;
		inst->first_done = (inst->first_done + 1) % PENDING_MAX;
		inst->done_count--;
		return true;
	}
	if (inst->refused) {
		inst->refused = false;
		event->type = WEIR_EV_WRITABLE;
		return true;
	}
	for (topic = inst->topics; topic; topic = topic->next) {
		if (next_of_topic(topic, event))
			return true;
	}
	return false;
}

/* Takes all there is, up to `max`. What does not fit is announced again. */
static size_t take_events(struct weir_inst *inst, struct weir_driver_event *events, size_t max)
{
	uint64_t value;
	size_t count = 0;

	pthread_mutex_lock(&inst->lock);
	if (read(inst->event_fd, &value, sizeof value) < 0)
		value = 0; /* it was not set: nothing to reset */
	while (count < max && next_event(inst, &events[count]))
		count++;
	if (count == max)
		unlock_and_wake(inst);
	else
		pthread_mutex_unlock(&inst->lock);
	return count;
}

static int shelf_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		      size_t *count)
{
	struct pollfd readable = { .fd = inst->event_fd, .events = POLLIN };
	struct timespec now;
	int64_t left_ns;

	for (;;) {
		*count = take_events(inst, events, max);
		clock_gettime(CLOCK_MONOTONIC, &now);
		left_ns = timeout_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
		if (*count || left_ns <= 0)
			return WEIR_OK;
		poll(&readable, 1, left_ns < INT64_C(1000000000) ? (int)(left_ns / 1000000 + 1) : 1000);
	}
}

/* ---- the table ------------------------------------------------------------- */

static const struct weir_driver table = {
	.size = sizeof(struct weir_driver),
	.abi_major = WEIR_ABI_MAJOR,
	.abi_minor = WEIR_ABI_MINOR,
	.name = "shelf",
	.kind = "ShelfChannel",
	.version = "1.0",
	.summary = "Room for 1024 events per channel, in memory: an example",
	.open = shelf_open,
	.close = shelf_close,
	.caps = shelf_caps,
	.topic_open = shelf_topic_open,
	.topic_close = shelf_topic_close,
	.publish = shelf_publish,
	.subscribe = shelf_subscribe,
	.credit = shelf_credit,
	.poll = shelf_poll,
	.event_fd = shelf_event_fd,
	.settle = shelf_settle,
	.release = item_release,
	.unsubscribe = shelf_unsubscribe,
};

WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_shelf_init;

int weir_driver_shelf_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out, struct weir_error *err)
{
	uint32_t size = out->size < sizeof table ? out->size : (uint32_t)sizeof table;

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "shelf: built for driver ABI %u", WEIR_ABI_MAJOR);
	memcpy(out, &table, size);
	out->size = size;
	return WEIR_OK;
}
