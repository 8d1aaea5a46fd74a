/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer thread: takes what is queued, writes it in one transaction, tells
 * what became of it, and begins again. While it waits for the disk the next
 * group gathers, so that many publishers share one sync without waiting for
 * each other on purpose.
 */
#include "embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS INT64_C(1000000)

static const int64_t cursor_with_records_ns = 100 * MS; /* cursors go along with records when they are as old as this */
static const int64_t cursor_alone_ns = 500 * MS; /* ... and have a transaction of their own when they are older */
static const int64_t sync_os_ns = 1000 * MS;     /* with sync=os: the longest time without a sync */
static const int64_t sweep_ns = 60000 * MS;
static const int64_t retry_ns = 1000 * MS;

/* ---- handing over to the writer ------------------------------------------------------ */

void weir_embedded_writer_wake(struct weir_inst *inst)
{
	if (!inst->writer_waits)
		return;
	inst->writer_waits = false;
	pthread_cond_signal(&inst->work);
}

void weir_embedded_op_submit(struct weir_inst *inst, struct op *op)
{
	op->next = NULL;
	if (inst->ops)
		inst->ops_last->next = op;
	else
		inst->ops = op;
	inst->ops_last = op;
	weir_embedded_writer_wake(inst);
}

int weir_embedded_op_wait(struct weir_inst *inst, struct op *op, int64_t deadline_ns, struct weir_error *err)
{
	struct timespec until = { deadline_ns / 1000000000, deadline_ns % 1000000000 };
	int rc = 0, code;

	weir_embedded_lock_take(inst);
	while (!op->done && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&inst->idle, &inst->lock, &until);
	op->waited = false;
	code = op->done ? op->code : WEIR_ETIMEDOUT;
	if (op->done)
		free(op);
	weir_embedded_lock_give(inst);
	if (code == WEIR_ETIMEDOUT)
		return weir_fail(err, code, "store %s did not answer in time; it goes on with it", inst->path);
	return code ? weir_fail(err, code, "store %s could not be written", inst->path) : WEIR_OK;
}

/* ---- taking what there is -------------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When there is something to do. */
static int64_t next_work(const struct weir_inst *inst)
{
	int64_t at = inst->sweep_ns;

	if (inst->stop || inst->ops)
		return 0;
	if (inst->queue)
		at = sooner(at, inst->queued_ns + inst->delay_ns);
	if (weir_list_linked(&inst->dirty))
		at = sooner(at, later(inst->dirty_ns + cursor_alone_ns, inst->retry_ns));
	if (weir_list_linked(&inst->trims))
		at = sooner(at, inst->retry_ns);
	if (inst->unsynced_ns)
		at = sooner(at, inst->unsynced_ns + sync_os_ns);
	return at;
}

static int64_t wait_for_work(struct weir_inst *inst)
{
	int64_t now = weir_embedded_now(), at;

	while ((at = next_work(inst)) > now) {
		struct timespec until = { at / 1000000000, at % 1000000000 };

		inst->writer_waits = true;
		pthread_cond_timedwait(&inst->work, &inst->lock, &until);
		inst->writer_waits = false;
		now = weir_embedded_now();
	}
	return now;
}

static bool cursors_are_due(const struct weir_inst *inst, int64_t now)
{
	int64_t age = now - inst->dirty_ns;

	if (!weir_list_linked(&inst->dirty))
		return false;
	if (inst->stop || inst->ops)
		return true;
	return now >= inst->retry_ns && age >= (inst->queue ? cursor_with_records_ns : cursor_alone_ns);
}

static struct snapshot *snapshot_new(struct reader *reader)
{
	struct weir_embedded_cursor cursor = { reader->next, reader->unsettled_count };
	size_t len = weir_embedded_cursor_size(cursor.count);
	struct snapshot *snapshot = malloc(sizeof *snapshot + len);
	unsigned char key[WEIR_EMBEDDED_MAX_KEY];
	struct link *node;
	uint32_t index = 0;

	if (!snapshot)
		return NULL;
	snapshot->reader = reader;
	snapshot->len = len;
	weir_embedded_cursor_begin(snapshot->blob, &cursor);
	for (node = reader->unsettled.next; node != &reader->unsettled; node = node->next) {
		const struct delivery *delivery = weir_list_entry(node, struct delivery, unsettled);
		struct weir_embedded_unsettled unsettled = { delivery->position, delivery->attempt };

		weir_embedded_cursor_put(snapshot->blob, index++, &unsettled);
	}
	weir_embedded_cursor_seal(snapshot->blob, len, key,
				  weir_embedded_cursor_key(key, reader->topic->id, reader->uid));
	return snapshot;
}

static void take_cursors(struct weir_inst *inst, struct batch *batch)
{
	while (weir_list_linked(&inst->dirty)) {
		struct reader *reader = weir_list_entry(inst->dirty.next, struct reader, dirty);
		struct snapshot *snapshot = snapshot_new(reader);

		/* It stays dirty: later, with more memory. */
		batch->starved = !snapshot;
		if (!snapshot)
			return;
		weir_list_unlink(&reader->dirty);
		reader->saved_floor = weir_embedded_reader_floor(reader);
		snapshot->next = batch->snapshots;
		batch->snapshots = snapshot;
		weir_list_append(&inst->trims, &reader->topic->trim);
	}
}

/* Up to which position every subscription has settled everything, in the store too once this transaction is. */
static uint64_t settled_by_all(struct weir_topic *topic)
{
	uint64_t lowest = topic->last;
	struct link *node;

	for (node = topic->readers.next; node != &topic->readers; node = node->next) {
		const struct reader *reader = weir_list_entry(node, struct reader, link);

		if (!reader->ephemeral && reader->saved_floor < lowest)
			lowest = reader->saved_floor;
	}
	return lowest;
}

static void trim_add(struct batch *batch, struct weir_topic *topic)
{
	topic->trim_next = batch->trims;
	batch->trims = topic;
}

static void take_trims(struct weir_inst *inst, struct batch *batch)
{
	while (weir_list_linked(&inst->trims)) {
		struct weir_topic *topic = weir_list_entry(inst->trims.next, struct weir_topic, trim);

		weir_list_unlink(&topic->trim);
		topic->trim_by_age = !topic->reader_count;
		topic->trim_upto = topic->reader_count ? settled_by_all(topic) : 0;
		if (topic->id && topic->first <= topic->last &&
		    (topic->trim_by_age || topic->trim_upto >= topic->first))
			trim_add(batch, topic);
	}
}

/* Topics without a subscription: their records go by age. */
static void sweep(struct weir_inst *inst, int64_t now)
{
	struct link *node;

	inst->sweep_ns = now + sweep_ns;
	for (node = inst->topics.next; node != &inst->topics; node = node->next) {
		struct weir_topic *topic = weir_list_entry(node, struct weir_topic, link);

		if (!topic->reader_count && topic->first <= topic->last)
			weir_list_append(&inst->trims, &topic->trim);
	}
}

/* Lock held. */
static void take(struct weir_inst *inst, struct batch *batch, int64_t now)
{
	memset(batch, 0, sizeof *batch);
	batch->expired_ms = weir_embedded_time_ms() - inst->retention_ms;
	if (cursors_are_due(inst, now))
		take_cursors(inst, batch);
	batch->ops = inst->ops;
	inst->ops = NULL;
	if (inst->stop || now >= inst->queued_ns + inst->delay_ns) {
		batch->records = inst->queue;
		inst->queue = NULL;
	}
	if (now >= inst->sweep_ns)
		sweep(inst, now);
	if (now >= inst->retry_ns)
		take_trims(inst, batch);
}

/* ---- telling what became of it ------------------------------------------------------------ */

static void sub_made(struct weir_inst *inst, struct op *op, int code)
{
	struct reader *reader = op->reader;
	struct link *node;

	reader->making = false;
	reader->live = code == WEIR_OK;
	reader->next = op->found;
	reader->saved_floor = code ? 0 : op->found - 1;
	for (node = reader->members.next; node != &reader->members; node = node->next) {
		struct weir_sub *sub = weir_list_entry(node, struct weir_sub, member);

		sub->ready.type = code ? WEIR_EV_SUB_FAILED : WEIR_EV_SUB_READY;
		sub->ready.failed = code != WEIR_OK;
		weir_embedded_notify(inst, &sub->ready);
	}
	weir_embedded_reader_refresh(inst, reader);
}

static void topic_made(struct weir_inst *inst, struct weir_topic *topic, int code)
{
	topic->state = code ? TOPIC_FAILED : TOPIC_READY;
	if (code)
		topic->id = 0;
	topic->ready.type = code ? WEIR_EV_TOPIC_FAILED : WEIR_EV_TOPIC_READY;
	topic->ready.failed = code != WEIR_OK;
	if (topic->opened)
		weir_embedded_notify(inst, &topic->ready);
}

static void op_done(struct weir_inst *inst, struct op *op, int code)
{
	switch (op->type) {
	case OP_TOPIC_MAKE:
		topic_made(inst, op->topic, code);
		break;
	case OP_TOPIC_DELETE:
		weir_embedded_topic_free(inst, op->topic);
		break;
	case OP_SUB_MAKE:
		sub_made(inst, op, code);
		break;
	case OP_SUB_FORGET:
		weir_list_append(&inst->trims, &op->topic->trim);
		weir_embedded_reader_free(inst, op->reader);
		break;
	default:
		break;
	}
	op->code = code;
	op->done = true;
	if (!op->waited)
		free(op);
}

static int op_code(const struct op *op, const struct batch *batch)
{
	if (batch->code)
		return batch->code;
	return op->type == OP_FLUSH && batch->starved ? WEIR_ENOMEM : op->code;
}

/* Those that are not finished go before what has come since. */
static void apply_ops(struct weir_inst *inst, struct batch *batch)
{
	struct op *op, *next, *left = NULL, **end = &left;

	for (op = batch->ops; op; op = next) {
		next = op->next;
		if (op->again && batch->code == WEIR_OK) {
			*end = op;
			end = &op->next;
		} else {
			op_done(inst, op, op_code(op, batch));
		}
	}
	if (!left)
		return;
	if (!inst->ops)
		inst->ops_last = weir_list_entry(end, struct op, next);
	*end = inst->ops;
	inst->ops = left;
}

static void record_outcome(struct record *record, const struct batch *batch)
{
	record->outcome = WEIR_NOT_PERSISTED;
	if (batch->records_code == WEIR_ELIMIT || batch->records_code == WEIR_ENOMEM) {
		record->cause = CAUSE_FULL;
	} else if (batch->records_code) {
		record->cause = CAUSE_FATAL;
		if (batch->tried)
			record->outcome = WEIR_UNKNOWN;
	} else if (!record->topic || !record->topic->id) {
		record->cause = record->topic ? CAUSE_FULL : CAUSE_CLOSED;
	} else {
		record->outcome = WEIR_PERSISTED;
	}
	if (record->outcome != WEIR_PERSISTED)
		record->position = 0;
}

static void apply_records(struct weir_inst *inst, struct batch *batch)
{
	struct record *record, *next;

	for (record = batch->records; record; record = next) {
		next = record->next;
		record_outcome(record, batch);
		if (record->outcome == WEIR_PERSISTED)
			weir_embedded_cache_add(inst, record->topic, record);
		inst->queued--;
		inst->queued_bytes -= record->blob_len;
		inst->done_count++;
		record->next = NULL;
		if (inst->done)
			inst->done_last->next = record;
		else
			inst->done = record;
		inst->done_last = record;
	}
	if (inst->refused && inst->queued <= inst->max_pending / 2 &&
	    inst->queued_bytes <= WEIR_EMBEDDED_PENDING_BYTES / 2) {
		inst->refused = false;
		weir_embedded_notify(inst, &inst->writable);
	}
}

static void apply_touched(struct weir_inst *inst, struct batch *batch)
{
	struct weir_topic *topic;
	struct link *node;

	for (topic = batch->touched; topic; topic = topic->touched) {
		topic->is_touched = false;
		if (batch->records_code)
			continue;
		topic->last = topic->staged;
		for (node = topic->readers.next; node != &topic->readers; node = node->next)
			weir_embedded_reader_refresh(inst, weir_list_entry(node, struct reader, link));
	}
}

static void apply_cursors(struct weir_inst *inst, struct batch *batch)
{
	struct snapshot *snapshot, *next;

	for (snapshot = batch->snapshots; snapshot; snapshot = next) {
		next = snapshot->next;
		if (batch->code) {
			snapshot->reader->saved_floor = 0;
			weir_embedded_reader_changed(inst, snapshot->reader);
		}
		free(snapshot);
	}
}

static void apply_trims(struct weir_inst *inst, struct batch *batch)
{
	struct weir_topic *topic;

	for (topic = batch->trims; topic; topic = topic->trim_next) {
		if (batch->code == WEIR_OK)
			topic->first = topic->trim_first;
		if (batch->code || topic->first <= topic->trim_upto)
			weir_list_append(&inst->trims, &topic->trim);
	}
}

#define FULL_QUIET_NS INT64_C(10000000000)

/*
 * Keeps what people should know about room, and says it when it changes; not
 * each time that a small record still fits where a large one does not.
 */
static void note_room(struct weir_inst *inst, const struct batch *batch, int64_t now)
{
	int code = batch->records_code ? batch->records_code : batch->code;
	bool full = code == WEIR_ELIMIT || code == WEIR_ENOMEM;

	if (full) {
		inst->full = batch->error;
		if (!inst->is_full && now >= inst->full_quiet_ns) {
			weir_embedded_say(inst, 1, batch->error.text);
			inst->full_quiet_ns = now + FULL_QUIET_NS;
			inst->full_told = true;
		}
		inst->is_full = true;
	} else if (inst->is_full && batch->records && !code) {
		if (inst->full_told)
			weir_embedded_say(inst, 2, "the store has room for new records again");
		inst->full_told = inst->is_full = false;
	}
}

/* Lock held. The order matters: a deleted topic is freed last, when nothing of this transaction points to it. */
static void apply(struct weir_inst *inst, struct batch *batch, int64_t now)
{
	note_room(inst, batch, now);
	if (batch->code && batch->code != WEIR_ELIMIT && batch->code != WEIR_ENOMEM)
		weir_embedded_die(inst, &batch->error);
	apply_touched(inst, batch);
	apply_records(inst, batch);
	apply_cursors(inst, batch);
	apply_trims(inst, batch);
	apply_ops(inst, batch);
	if (batch->code || batch->starved)
		inst->retry_ns = now + retry_ns;
	if (!inst->sync && !inst->unsynced_ns && batch->wrote)
		inst->unsynced_ns = now;
	pthread_cond_broadcast(&inst->idle);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* With sync=os: what was written gets to the disk now and then. Lock held, but given up meanwhile. */
static void sync_now(struct weir_inst *inst)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	inst->unsynced_ns = 0;
	weir_embedded_lock_give(inst);
	code = weir_embedded_store_sync(inst->store, &err);
	weir_embedded_lock_take(inst);
	if (code)
		weir_embedded_die(inst, &err);
}

/* What waits to be written fails without being tried. */
static void cancel(struct weir_inst *inst, struct batch *batch)
{
	inst->gave_up |= inst->queue != NULL;
	memset(batch, 0, sizeof *batch);
	batch->code = batch->records_code = WEIR_EFATAL;
	batch->records = inst->queue;
	inst->queue = NULL;
	apply_records(inst, batch);
}

/* The store is dead, or cannot be written at the end. */
static void give_up(struct weir_inst *inst, struct batch *batch)
{
	cancel(inst, batch);
	batch->ops = inst->ops;
	inst->ops = NULL;
	apply_ops(inst, batch);
	while (weir_list_linked(&inst->dirty))
		weir_list_unlink(inst->dirty.next);
	while (weir_list_linked(&inst->trims))
		weir_list_unlink(inst->trims.next);
	inst->sweep_ns = INT64_MAX;
	inst->gave_up = true;
	inst->unsynced_ns = 0;
	pthread_cond_broadcast(&inst->idle);
}

static bool nothing_left(const struct weir_inst *inst)
{
	return !inst->queue && !inst->ops && !weir_list_linked(&inst->dirty);
}

static void write_batch(struct weir_inst *inst, struct batch *batch, int64_t now)
{
	take(inst, batch, now);
	weir_embedded_lock_give(inst);
	if (batch->ops || batch->records || batch->snapshots || batch->trims)
		weir_embedded_batch_write(inst, batch);
	weir_embedded_lock_take(inst);
	apply(inst, batch, now);
}

/*
 * Gives up the lock between two rounds: others may have it, poll() hears of what
 * has become ready, and what there is to say is said.
 */
static void pause_between(struct weir_inst *inst)
{
	char text[sizeof inst->say];
	int level = inst->say_level;

	memcpy(text, inst->say, sizeof text);
	inst->say[0] = '\0';
	weir_embedded_lock_give(inst);
	if (text[0])
		weir_embedded_log(inst, level, "%s", text);
	weir_embedded_lock_take(inst);
}

static void *writer_run(void *arg)
{
	struct weir_inst *inst = arg;
	struct batch batch;
	int64_t now;

	weir_embedded_lock_take(inst);
	do {
		now = wait_for_work(inst);
		/* Past the deadline no records are written any more, but positions still are: that is one sync. */
		if (inst->stop && (inst->abort || now >= inst->stop_ns))
			cancel(inst, &batch);
		if (inst->is_fatal)
			give_up(inst, &batch);
		else
			write_batch(inst, &batch, now);
		if ((batch.code || batch.starved) && inst->stop)
			give_up(inst, &batch);
		if (inst->unsynced_ns && (inst->stop || now >= inst->unsynced_ns + sync_os_ns))
			sync_now(inst);
		pause_between(inst);
	} while (!inst->stop || !nothing_left(inst));
	inst->ended = true;
	pthread_cond_broadcast(&inst->idle);
	weir_embedded_lock_give(inst);
	return NULL;
}

int weir_embedded_writer_start(struct weir_inst *inst, struct weir_error *err)
{
	int rc = pthread_create(&inst->writer, NULL, writer_run, inst);

	if (rc == 0)
		return WEIR_OK;
	weir_fail(err, WEIR_ENOMEM, "cannot start a thread for store %s: %s", inst->path, strerror(rc));
	weir_error_native(err, "errno", rc);
	return WEIR_ENOMEM;
}
