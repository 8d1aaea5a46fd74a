/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, and what is kept in memory of their newest records. */
#include "embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct weir_topic *weir_embedded_topic_new(struct weir_inst *inst, const char *ns, size_t ns_len, const char *name,
					   size_t name_len)
{
	struct weir_topic *topic = calloc(1, sizeof *topic + ns_len + name_len + 2);

	if (!topic)
		return NULL;
	weir_list_init(&topic->link);
	weir_list_init(&topic->readers);
	weir_list_init(&topic->trim);
	weir_list_init(&topic->ready.link);
	topic->ready.type = WEIR_EV_TOPIC_READY;
	topic->ready.topic = topic;
	topic->first = 1;
	topic->ns_len = ns_len;
	snprintf(topic->name, ns_len + name_len + 2, "%.*s/%.*s", (int)ns_len, ns, (int)name_len, name);
	weir_list_append(&inst->topics, &topic->link);
	inst->topic_count++;
	return topic;
}

/* The topic, new or not; NULL without memory. Lock held. */
static struct weir_topic *topic_get(struct weir_inst *inst, const char *ns, const char *name)
{
	struct weir_topic *topic = topic_find(inst, ns, name);
	struct op *op;

	if (topic && topic->state != TOPIC_FAILED)
		return topic;
	op = calloc(1, sizeof *op);
	if (!op)
		return NULL;
	if (!topic)
		topic = weir_embedded_topic_new(inst, ns, strlen(ns), name, strlen(name));
	if (!topic) {
		free(op);
		return NULL;
	}
	topic->state = TOPIC_NEW;
	op->type = OP_TOPIC_MAKE;
	op->topic = topic;
	weir_embedded_op_submit(inst, op);
	return topic;
}

int weir_embedded_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			     struct weir_error *err)
{
	struct weir_topic *topic = NULL;
	bool many, dead;

	*ret = NULL;
	if (!name_ok(ns) || !name_ok(name) || strlen(ns) + 1 + strlen(name) > WEIR_EMBEDDED_MAX_NAME)
		return weir_fail(
		    err, WEIR_EINVAL,
		    "topic names need 1 to %d characters with the namespace, and no '/' or control character",
		    WEIR_EMBEDDED_MAX_NAME);
	weir_embedded_lock_take(inst);
	dead = inst->is_fatal;
	many = inst->topic_count >= WEIR_EMBEDDED_MAX_TOPICS && !topic_find(inst, ns, name);
	if (!many && !dead)
		topic = topic_get(inst, ns, name);
	if (topic) {
		topic->opened++;
		if (topic->state == TOPIC_READY)
			weir_embedded_notify(inst, &topic->ready);
	}
	weir_embedded_lock_give(inst);
	if (dead)
		return weir_fail(err, WEIR_EFATAL, "store %s is closed after an error", inst->path);
	if (many)
		return weir_fail(err, WEIR_ELIMIT, "store %s has %d topics already", inst->path,
				 WEIR_EMBEDDED_MAX_TOPICS);
	if (!topic)
		return weir_fail(err, WEIR_ENOMEM, "no memory for topic %s/%s", ns, name);
	*ret = topic;
	return WEIR_OK;
}

void weir_embedded_topic_close(struct weir_inst *inst, struct weir_topic *topic)
{
	weir_embedded_lock_take(inst);
	if (--topic->opened == 0)
		weir_list_unlink(&topic->ready.link);
	weir_embedded_lock_give(inst);
}

/* From now on it cannot be found. What waits to be written to it will not be. Lock held. */
static void topic_detach(struct weir_inst *inst, struct weir_topic *topic)
{
	struct record *record;
	struct link *node;

	weir_list_unlink(&topic->link);
	weir_list_unlink(&topic->trim);
	inst->topic_count--;
	for (record = inst->queue; record; record = record->next)
		if (record->topic == topic)
			record->topic = NULL;
	for (node = topic->readers.next; node != &topic->readers; node = node->next) {
		struct reader *reader = weir_list_entry(node, struct reader, link);

		reader->gone = true;
		weir_list_unlink(&reader->dirty);
	}
}

int weir_embedded_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			       struct weir_error *err)
{
	struct op *op = calloc(1, sizeof *op);
	struct weir_topic *topic;
	int code = WEIR_OK;

	if (!op)
		return weir_fail(err, WEIR_ENOMEM, "no memory to delete a topic");
	weir_embedded_lock_take(inst);
	topic = topic_find(inst, ns, name);
	if (!topic) {
		code = weir_fail(err, WEIR_ENOTFOUND, "there is no topic %s/%s", ns, name);
	} else if (topic->opened) {
		code = weir_fail(err, WEIR_EBUSY, "topic %s/%s is open: close it before deleting it", ns, name);
	} else if (inst->is_fatal) {
		code = weir_fail(err, WEIR_EFATAL, "store %s is closed after an error", inst->path);
	} else {
		topic_detach(inst, topic);
		op->type = OP_TOPIC_DELETE;
		op->topic = topic;
		op->waited = true;
		weir_embedded_op_submit(inst, op);
	}
	weir_embedded_lock_give(inst);
	if (code) {
		free(op);
		return code;
	}
	return weir_embedded_op_wait(inst, op, deadline_ns, err);
}

/* ---- the memory of what was written last ---------------------------------------------- */

static void cache_drop_first(struct weir_inst *inst, struct weir_topic *topic)
{
	struct record *record = topic->cache[topic->cache_at];

	topic->cache_at = (topic->cache_at + 1) & (topic->cache_room - 1);
	topic->cache_first++;
	topic->cache_count--;
	inst->cache_bytes -= record->blob_len;
	weir_embedded_release(record);
}

static void cache_clear(struct weir_inst *inst, struct weir_topic *topic)
{
	while (topic->cache_count)
		cache_drop_first(inst, topic);
}

static bool cache_grow(struct weir_topic *topic)
{
	size_t room = topic->cache_room ? topic->cache_room * 2 : 64, i;
	struct record **cache = calloc(room, sizeof(struct record *));

	if (!cache)
		return false;
	for (i = 0; i < topic->cache_count; i++)
		cache[i] = topic->cache[(topic->cache_at + i) & (topic->cache_room - 1)];
	free(topic->cache);
	topic->cache = cache;
	topic->cache_room = room;
	topic->cache_at = 0;
	return true;
}

/* The lowest position from `from` on that a reader will want next; UINT64_MAX: none. */
static uint64_t wanted_from(struct weir_topic *topic, uint64_t from)
{
	uint64_t lowest = UINT64_MAX;
	struct link *node;

	for (node = topic->readers.next; node != &topic->readers; node = node->next) {
		struct reader *reader = weir_list_entry(node, struct reader, link);

		if (reader->next >= from && reader->next < lowest)
			lowest = reader->next;
	}
	return lowest;
}

void weir_embedded_cache_trim(struct weir_inst *inst, struct weir_topic *topic)
{
	uint64_t wanted;

	if (!topic->cache_count)
		return;
	wanted = wanted_from(topic, topic->cache_first);
	while (topic->cache_count && topic->cache_first < wanted)
		cache_drop_first(inst, topic);
}

/* Room for one more: this topic's oldest go first, then those of the topics in turn. */
static void cache_make_room(struct weir_inst *inst, struct weir_topic *topic, size_t bytes)
{
	struct link *node = inst->topics.next;

	while (topic->cache_count && inst->cache_bytes + bytes > WEIR_EMBEDDED_CACHE_BYTES)
		cache_drop_first(inst, topic);
	for (; node != &inst->topics && inst->cache_bytes + bytes > WEIR_EMBEDDED_CACHE_BYTES; node = node->next)
		cache_clear(inst, weir_list_entry(node, struct weir_topic, link));
}

void weir_embedded_cache_add(struct weir_inst *inst, struct weir_topic *topic, struct record *record)
{
	if (!topic->cache_count && wanted_from(topic, record->position) != record->position)
		return;
	if (topic->cache_count && topic->cache_first + topic->cache_count != record->position)
		cache_clear(inst, topic);
	cache_make_room(inst, topic, record->blob_len);
	if (inst->cache_bytes + record->blob_len > WEIR_EMBEDDED_CACHE_BYTES ||
	    (topic->cache_count == topic->cache_room && !cache_grow(topic))) {
		cache_clear(inst, topic);
		return;
	}
	if (!topic->cache_count)
		topic->cache_first = record->position;
	topic->cache[(topic->cache_at + topic->cache_count++) & (topic->cache_room - 1)] =
	    weir_embedded_record_ref(record);
	inst->cache_bytes += record->blob_len;
}

struct record *weir_embedded_cache_get(struct weir_topic *topic, uint64_t position)
{
	if (position < topic->cache_first || position - topic->cache_first >= topic->cache_count)
		return NULL;
	return weir_embedded_record_ref(
	    topic->cache[(topic->cache_at + (size_t)(position - topic->cache_first)) & (topic->cache_room - 1)]);
}

void weir_embedded_topic_free(struct weir_inst *inst, struct weir_topic *topic)
{
	struct record *record;

	while (weir_list_linked(&topic->readers))
		weir_embedded_reader_free(inst, weir_list_entry(topic->readers.next, struct reader, link));
	for (record = inst->done; record; record = record->next)
		if (record->topic == topic)
			record->topic = NULL;
	cache_clear(inst, topic);
	free(topic->cache);
	weir_list_unlink(&topic->ready.link);
	weir_list_unlink(&topic->trim);
	weir_list_unlink(&topic->link);
	free(topic);
}
