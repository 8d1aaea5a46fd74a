/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transaction of the writer: changes to topics and subscriptions, records,
 * cursors, and the deletion of what nobody needs, all or nothing.
 *
 * Runs on the writer thread, without the lock. It reads of a topic what only
 * the writer sets, and changes nothing that others see: that is done when the
 * commit has succeeded (writer.c).
 */
#include "embedded.h"

#include <string.h>

enum {
	TRIM_AT_ONCE = 4096, /* records of a topic deleted in a transaction */
};

/* ---- positions by time -------------------------------------------------------------------- */

/* The first position whose record is not older than time_ms; behind the last if all are. A damaged one counts as old.
 */
static uint64_t position_of_time(struct weir_embedded_store *store, const struct weir_topic *topic, int64_t time_ms)
{
	uint64_t low = topic->first, high = topic->last + 1;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int64_t time;

		if (weir_embedded_store_time(store, topic->id, middle, &time) && time >= time_ms)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static uint64_t start_position(struct weir_embedded_store *store, const struct op *op)
{
	const struct weir_topic *topic = op->topic;
	uint64_t asked = op->start_value > 0 ? (uint64_t)op->start_value : 0;

	switch (op->start) {
	case WEIR_START_EARLIEST:
		return topic->first;
	case WEIR_START_POSITION:
		if (asked < topic->first)
			return topic->first;
		return asked > topic->last ? topic->last + 1 : asked;
	case WEIR_START_TIME:
		return position_of_time(store, topic, op->start_value);
	default:
		return topic->last + 1;
	}
}

/* ---- topics and subscriptions ------------------------------------------------------------------ */

static int topic_make(struct weir_inst *inst, struct op *op, struct weir_error *err)
{
	struct weir_embedded_topic_row row = { 0, 0 };

	if (!op->topic->id)
		op->topic->id = inst->next_topic++;
	row.id = op->topic->id;
	return weir_embedded_store_put_topic(inst->store, op->topic->name, &row, err);
}

/* A topic with many records goes in several transactions; its entry goes with the last. */
static int topic_delete(struct weir_inst *inst, struct op *op, struct weir_error *err)
{
	struct weir_topic *topic = op->topic;
	struct link *node;
	uint64_t first;
	int code = weir_embedded_store_trim(inst->store, topic->id, UINT64_MAX, topic->last, TRIM_AT_ONCE, &first, err);

	op->again = first <= topic->last;
	if (code || op->again)
		return code;
	for (node = topic->readers.next; code == WEIR_OK && node != &topic->readers; node = node->next)
		code = weir_embedded_store_delete_cursor(inst->store, topic->id,
							 weir_list_entry(node, struct reader, link)->uid, err);
	return code ? code : weir_embedded_store_delete_topic(inst->store, topic->name, err);
}

static int sub_make(struct weir_inst *inst, struct op *op, struct weir_error *err)
{
	struct weir_embedded_cursor cursor = { .count = 0 };
	unsigned char blob[64], key[WEIR_EMBEDDED_MAX_KEY];
	size_t len = weir_embedded_cursor_size(0);

	/* Its topic could not be made: it fails alone. */
	if (!op->topic->id) {
		op->code = WEIR_ELIMIT;
		return WEIR_OK;
	}
	op->found = cursor.next = start_position(inst->store, op);
	if (op->reader->ephemeral)
		return WEIR_OK;
	weir_embedded_cursor_begin(blob, &cursor);
	weir_embedded_cursor_seal(blob, len, key, weir_embedded_cursor_key(key, op->topic->id, op->reader->uid));
	return weir_embedded_store_put_cursor(inst->store, op->topic->id, op->reader->uid, blob, len, err);
}

static int op_write(struct weir_inst *inst, struct op *op, struct weir_error *err)
{
	switch (op->type) {
	case OP_TOPIC_MAKE:
		return topic_make(inst, op, err);
	case OP_TOPIC_DELETE:
		return topic_delete(inst, op, err);
	case OP_SUB_MAKE:
		return sub_make(inst, op, err);
	case OP_SUB_FORGET:
		if (op->reader->ephemeral)
			return WEIR_OK;
		return weir_embedded_store_delete_cursor(inst->store, op->topic->id, op->reader->uid, err);
	default:
		return WEIR_OK;
	}
}

/* ---- records, cursors, deletions ------------------------------------------------------------------ */

static int record_write(struct weir_inst *inst, struct batch *batch, struct record *record, struct weir_error *err)
{
	struct weir_topic *topic = record->topic;
	unsigned char key[WEIR_EMBEDDED_RECORD_KEY];

	/* Deleted, or never made: it fails alone. */
	if (!topic || !topic->id)
		return WEIR_OK;
	if (!topic->is_touched) {
		topic->is_touched = true;
		topic->touched = batch->touched;
		topic->staged = topic->last;
		batch->touched = topic;
	}
	record->position = ++topic->staged;
	weir_embedded_record_key(key, topic->id, record->position);
	weir_embedded_record_seal(record->blob, record->sum, key, sizeof key);
	return weir_embedded_store_put_record(inst->store, topic->id, record->position, record->blob, record->blob_len,
					      err);
}

static int trim_write(struct weir_inst *inst, struct weir_topic *topic, int64_t expired_ms, struct weir_error *err)
{
	struct weir_embedded_topic_row row = { topic->id, topic->is_touched ? topic->staged : topic->last };
	int code;

	topic->trim_first = topic->first;
	if (topic->trim_by_age)
		topic->trim_upto = position_of_time(inst->store, topic, expired_ms) - 1;
	if (topic->trim_upto < topic->first)
		return WEIR_OK;
	code = weir_embedded_store_trim(inst->store, topic->id, topic->trim_upto, row.high, TRIM_AT_ONCE,
					&topic->trim_first, err);
	/* With the last record gone, only the topic's entry knows which positions were given. */
	return code ? code : weir_embedded_store_put_topic(inst->store, topic->name, &row, err);
}

static void untouch(struct batch *batch)
{
	for (; batch->touched; batch->touched = batch->touched->touched)
		batch->touched->is_touched = false;
}

static int fill(struct weir_inst *inst, struct batch *batch, bool with_records, struct weir_error *err)
{
	struct snapshot *snapshot;
	struct weir_topic *topic;
	struct record *record;
	struct op *op;
	int code = WEIR_OK;

	untouch(batch);
	for (op = batch->ops; op && code == WEIR_OK; op = op->next)
		code = op_write(inst, op, err);
	for (record = with_records ? batch->records : NULL; record && code == WEIR_OK; record = record->next)
		code = record_write(inst, batch, record, err);
	for (snapshot = batch->snapshots; snapshot && code == WEIR_OK; snapshot = snapshot->next)
		code = weir_embedded_store_put_cursor(inst->store, snapshot->reader->topic->id, snapshot->reader->uid,
						      snapshot->blob, snapshot->len, err);
	for (topic = batch->trims; topic && code == WEIR_OK; topic = topic->trim_next)
		code = trim_write(inst, topic, batch->expired_ms, err);
	return code;
}

static int write_once(struct weir_inst *inst, struct batch *batch, bool with_records)
{
	int code = weir_embedded_store_begin(inst->store, with_records, &batch->error);

	if (code)
		return code;
	code = fill(inst, batch, with_records, &batch->error);
	if (code) {
		weir_embedded_store_abort(inst->store);
		return code;
	}
	code = weir_embedded_store_commit(inst->store, &batch->error);
	batch->tried = code && with_records;
	batch->wrote |= code == WEIR_OK;
	return code;
}

static bool transient(int code)
{
	return code == WEIR_ELIMIT || code == WEIR_ENOMEM;
}

void weir_embedded_batch_write(struct weir_inst *inst, struct batch *batch)
{
	bool others = batch->ops || batch->snapshots || batch->trims;
	struct record *record;
	uint64_t cost = 0;

	batch->code = WEIR_OK;
	batch->records_code = WEIR_OK;
	for (record = batch->records; record; record = record->next)
		cost += weir_embedded_store_cost(record->blob_len);
	if (batch->records)
		batch->records_code = weir_embedded_store_room(inst->store, cost, &batch->error);
	if (batch->records && batch->records_code == WEIR_OK) {
		batch->code = batch->records_code = write_once(inst, batch, true);
		if (!transient(batch->code))
			return;
		/* No room for the records. What gives room back must not fail with them. */
		batch->code = WEIR_OK;
	}
	if (others)
		batch->code = write_once(inst, batch, false);
	else
		untouch(batch);
	if (batch->code && !transient(batch->code) && batch->records_code == WEIR_OK)
		batch->records_code = batch->code;
}
