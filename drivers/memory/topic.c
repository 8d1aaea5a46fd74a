/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, the records in them, and publishing. */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- topics ---------------------------------------------------------------- */

static bool name_ok(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f || *text == '/')
			return false;
	return true;
}

static struct weir_topic *topic_find(struct weir_inst *inst, const char *ns, const char *name)
{
	size_t ns_len = strlen(ns);
	struct link *node;

	for (node = inst->topics.next; node != &inst->topics; node = node->next) {
		struct weir_topic *topic = weir_list_entry(node, struct weir_topic, link);

		if (topic->ns_len == ns_len && memcmp(topic->name, ns, ns_len) == 0 &&
		    strcmp(topic->name + ns_len + 1, name) == 0)
			return topic;
	}
	return NULL;
}

static struct weir_topic *topic_new(const char *ns, const char *name)
{
	size_t ns_len = strlen(ns), name_len = strlen(name);
	struct weir_topic *topic = calloc(1, sizeof *topic + ns_len + name_len + 2);

	if (!topic)
		return NULL;
	weir_list_init(&topic->link);
	weir_list_init(&topic->readers);
	weir_list_init(&topic->ready.link);
	topic->ready.type = WEIR_EV_TOPIC_READY;
	topic->ready.topic = topic;
	topic->ns_len = ns_len;
	snprintf(topic->name, ns_len + name_len + 2, "%s/%s", ns, name);
	return topic;
}

int weir_memory_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			   struct weir_error *err)
{
	struct weir_topic *topic;

	*ret = NULL;
	if (!name_ok(ns) || !name_ok(name) || strlen(ns) + 1 + strlen(name) > WEIR_MEMORY_MAX_NAME)
		return weir_fail(
		    err, WEIR_EINVAL,
		    "topic names need 1 to %d characters with the namespace, and no '/' or control character",
		    WEIR_MEMORY_MAX_NAME);
	weir_memory_lock(inst);
	topic = topic_find(inst, ns, name);
	if (!topic) {
		topic = topic_new(ns, name);
		if (topic)
			weir_list_append(&inst->topics, &topic->link);
	}
	if (topic) {
		topic->opened++;
		weir_memory_notify(inst, &topic->ready);
	}
	weir_memory_unlock(inst);
	if (!topic)
		return weir_fail(err, WEIR_ENOMEM, "no memory for topic %s/%s", ns, name);
	*ret = topic;
	return WEIR_OK;
}

/* The topic stays, as it would on a server: its readers and what they have not read are kept. */
void weir_memory_topic_close(struct weir_inst *inst, struct weir_topic *topic)
{
	weir_memory_lock(inst);
	if (--topic->opened == 0)
		weir_list_unlink(&topic->ready.link);
	weir_memory_unlock(inst);
}

void weir_memory_topic_free(struct weir_inst *inst, struct weir_topic *topic)
{
	struct record *record;

	while (weir_list_linked(&topic->readers))
		weir_memory_reader_free(inst, weir_list_entry(topic->readers.next, struct reader, link));
	for (record = inst->done; record; record = record->next_done)
		if (record->topic == topic)
			record->topic = NULL;
	weir_list_unlink(&topic->ready.link);
	weir_list_unlink(&topic->link);
	free(topic);
}

int weir_memory_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			     struct weir_error *err)
{
	struct weir_topic *topic;
	int code = WEIR_OK;

	(void)deadline_ns;
	weir_memory_lock(inst);
	topic = topic_find(inst, ns, name);
	if (!topic)
		code = weir_fail(err, WEIR_ENOTFOUND, "there is no topic %s/%s", ns, name);
	else if (topic->opened)
		code = weir_fail(err, WEIR_EBUSY, "topic %s/%s is open: close it before deleting it", ns, name);
	else
		weir_memory_topic_free(inst, topic);
	weir_memory_unlock(inst);
	return code;
}

/* ---- records --------------------------------------------------------------- */

static void record_unref(struct record *record)
{
	if (atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) == 1)
		free(record);
}

/* A lease is a reference. It needs nothing of the instance, which may be closed by now. */
void weir_memory_release(void *lease)
{
	if (lease)
		record_unref(lease);
}

static size_t record_bytes(const struct weir_record *content)
{
	size_t bytes = content->key.len + content->body.len;
	uint32_t i;

	for (i = 0; i < content->header_count; i++)
		bytes += content->headers[i].name.len + content->headers[i].value.len;
	return bytes;
}

size_t weir_memory_max_record(const struct weir_inst *inst)
{
	return inst->max_bytes / 2 < WEIR_MEMORY_MAX_RECORD ? inst->max_bytes / 2 : WEIR_MEMORY_MAX_RECORD;
}

static size_t record_cost(const struct weir_record *content, size_t bytes)
{
	return sizeof(struct record) + content->header_count * sizeof(struct weir_header) + bytes;
}

/* Copies a value to *at and moves it on. No value stays no value; an empty one stays an empty one. */
static struct weir_buf copy_value(char **at, struct weir_buf value)
{
	struct weir_buf copy = { NULL, 0 };

	if (!value.ptr)
		return copy;
	copy.ptr = *at;
	copy.len = value.len;
	memcpy(*at, value.ptr, value.len);
	*at += value.len;
	return copy;
}

static struct record *record_new(const struct weir_publish *item, size_t bytes, size_t cost)
{
	const struct weir_record *content = &item->record;
	/* One byte more, so that an empty value at the end points into the block. */
	struct record *record = malloc(cost + 1);
	char *at;
	uint32_t i;

	if (!record)
		return NULL;
	memset(record, 0, sizeof *record);
	atomic_init(&record->refs, 1);
	record->topic = item->topic;
	record->tag = item->tag;
	record->bytes = bytes;
	record->cost = cost;
	at = (char *)(record->headers + content->header_count);
	for (i = 0; i < content->header_count; i++) {
		record->headers[i].name = copy_value(&at, content->headers[i].name);
		record->headers[i].value = copy_value(&at, content->headers[i].value);
	}
	record->content.headers = record->headers;
	record->content.header_count = content->header_count;
	record->content.key = copy_value(&at, content->key);
	record->content.body = copy_value(&at, content->body);
	return record;
}

/* ---- room ------------------------------------------------------------------ */

static void room_return(struct weir_inst *inst, size_t cost)
{
	atomic_fetch_sub(&inst->bytes, cost);
	atomic_fetch_sub(&inst->records, 1);
}

/* Takes room for one record. Without the lock: publishers meet only in two counters. */
static bool room_take(struct weir_inst *inst, size_t cost)
{
	size_t bytes = atomic_fetch_add(&inst->bytes, cost) + cost;
	uint64_t records = atomic_fetch_add(&inst->records, 1) + 1;

	if (bytes <= inst->max_bytes && records <= inst->max_records)
		return true;
	room_return(inst, cost);
	return false;
}

/* Tells a publisher that was refused once there is room for what was refused, and a bit more. Lock held. */
static void room_announce(struct weir_inst *inst)
{
	size_t bytes = atomic_load(&inst->bytes);
	uint64_t records = atomic_load(&inst->records);

	if (!inst->refused_cost || bytes > inst->max_bytes - inst->max_bytes / 8 ||
	    inst->refused_cost > inst->max_bytes - bytes || records >= inst->max_records - inst->max_records / 8)
		return;
	inst->refused_cost = 0;
	weir_memory_notify(inst, &inst->writable);
}

/*
 * Looking again under the lock closes the gap in which the room came back
 * between the refusal and this note of it.
 */
static void room_refused(struct weir_inst *inst, size_t cost)
{
	weir_memory_lock(inst);
	if (cost > inst->refused_cost)
		inst->refused_cost = cost;
	room_announce(inst);
	weir_memory_unlock(inst);
}

void weir_memory_record_done(struct weir_inst *inst, struct record *record)
{
	if (--record->needed)
		return;
	if (record->topic && record->topic->last == record)
		record->topic->last = NULL;
	room_return(inst, record->cost);
	room_announce(inst);
	record_unref(record);
}

/* ---- publishing -------------------------------------------------------------- */

/* Array elements are as far apart as the host's struct is large, which a later ABI may make larger than ours. */
static const struct weir_publish *item_at(const struct weir_publish *items, size_t index)
{
	return (const struct weir_publish *)(const void *)((const char *)items + index * items->size);
}

static int record_make(struct weir_inst *inst, const struct weir_publish *item, struct record **ret,
		       struct weir_error *err)
{
	size_t bytes = record_bytes(&item->record);
	size_t cost = record_cost(&item->record, bytes);

	if (bytes > weir_memory_max_record(inst) || item->record.header_count > WEIR_MEMORY_MAX_HEADERS)
		return weir_fail(err, WEIR_ETOOBIG, "record of %zu bytes and %u headers is larger than memory takes",
				 bytes, item->record.header_count);
	if (!room_take(inst, cost)) {
		room_refused(inst, cost);
		return weir_fail(err, WEIR_EAGAIN,
				 "memory.maxBytes or memory.maxRecords is used up: subscribers are behind");
	}
	*ret = record_new(item, bytes, cost);
	if (*ret)
		return WEIR_OK;
	room_return(inst, cost);
	return weir_fail(err, WEIR_ENOMEM, "no memory for a record of %zu bytes", bytes);
}

/* How many of the first `count` items can be taken without tearing a group apart. */
static size_t whole_groups(const struct weir_publish *items, size_t count)
{
	while (count && (item_at(items, count - 1)->flags & WEIR_PUB_ATOMIC))
		count--;
	return count;
}

/* Frees the records of a chain behind the first `keep`. */
static void chain_cut(struct weir_inst *inst, struct record **chain, size_t keep)
{
	struct record *record, *next;

	while (keep--)
		chain = &(*chain)->next;
	record = *chain;
	*chain = NULL;
	for (; record; record = next) {
		next = record->next;
		room_return(inst, record->cost);
		record_unref(record);
	}
}

/* Lock held. */
static void record_append(struct weir_inst *inst, struct record *record, int64_t time_ms)
{
	struct weir_topic *topic = record->topic;
	struct link *node;

	record->next = NULL;
	record->position = ++topic->position;
	record->time_ms = time_ms;
	record->needed = topic->reader_count + 1;
	if (topic->last)
		topic->last->next = record;
	topic->last = record;
	for (node = topic->readers.next; node != &topic->readers; node = node->next) {
		struct reader *reader = weir_list_entry(node, struct reader, link);

		reader->lag++;
		if (reader->cursor)
			continue;
		reader->cursor = record;
		weir_memory_reader_refresh(inst, reader);
	}
	if (inst->done)
		inst->done_last->next_done = record;
	else
		inst->done = record;
	inst->done_last = record;
	inst->pending++;
}

int weir_memory_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
			struct weir_error *err)
{
	struct record *chain = NULL, **end = &chain, *record, *next;
	struct timespec now;
	int code = WEIR_OK;
	size_t n;

	for (n = 0; n < count; n++) {
		code = record_make(inst, item_at(items, n), end, err);
		if (code)
			break;
		end = &(*end)->next;
	}
	if (code) {
		n = whole_groups(items, n);
		chain_cut(inst, &chain, n);
	}
	*accepted = n;
	if (!chain)
		return code;
	clock_gettime(CLOCK_REALTIME, &now);
	weir_memory_lock(inst);
	for (record = chain; record; record = next) {
		next = record->next;
		record_append(inst, record, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	}
	weir_memory_unlock(inst);
	return code;
}
