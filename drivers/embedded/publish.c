/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: records go to the writer's queue. */
#include "embedded.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Array elements are as far apart as the host's struct is large, which a later ABI may make larger than ours. */
static const struct weir_publish *item_at(const struct weir_publish *items, size_t index)
{
	return (const struct weir_publish *)(const void *)((const char *)items + index * items->size);
}

static int record_make(const struct weir_inst *inst, const struct weir_publish *item, int64_t time_ms,
		       struct record **ret, struct weir_error *err)
{
	size_t bytes = weir_embedded_record_bytes(&item->record);

	if (bytes > weir_embedded_max_record(inst) || item->record.header_count > WEIR_EMBEDDED_MAX_HEADERS)
		return weir_fail(err, WEIR_ETOOBIG,
				 "a record of %zu bytes and %u headers is larger than the store takes", bytes,
				 item->record.header_count);
	*ret = weir_embedded_record_new(&item->record, bytes, time_ms);
	if (!*ret)
		return weir_fail(err, WEIR_ENOMEM, "no memory for a record of %zu bytes", bytes);
	(*ret)->topic = item->topic;
	(*ret)->tag = item->tag;
	(*ret)->group = item->flags & WEIR_PUB_ATOMIC;
	return WEIR_OK;
}

/* How many of the first `count` items can be taken without tearing a group apart. */
static size_t whole_groups(const struct weir_publish *items, size_t count)
{
	while (count && (item_at(items, count - 1)->flags & WEIR_PUB_ATOMIC))
		count--;
	return count;
}

/* Where the chain is to be cut so that `keep` records are before it. */
static struct record **chain_at(struct record **chain, size_t keep)
{
	while (keep--)
		chain = &(*chain)->next;
	return chain;
}

static void chain_free(struct record *record)
{
	struct record *next;

	for (; record; record = next) {
		next = record->next;
		weir_embedded_release(record);
	}
}

/* How many of the chain's records the queue has room for. An empty one takes a group of any size. Lock held. */
static size_t room(const struct weir_inst *inst, const struct record *record)
{
	uint64_t count = inst->queued, bytes = inst->queued_bytes;
	bool free = count == 0;
	size_t fit = 0;

	for (; record; record = record->next) {
		if (!free && (count >= inst->max_pending || bytes + record->blob_len > WEIR_EMBEDDED_PENDING_BYTES))
			break;
		free = free && record->group;
		bytes += record->blob_len;
		count++;
		fit++;
	}
	return fit;
}

/* Lock held. */
static void enqueue(struct weir_inst *inst, struct record *chain)
{
	if (!inst->queue && inst->delay_ns)
		inst->queued_ns = weir_embedded_now();
	if (inst->queue)
		inst->queue_last->next = chain;
	else
		inst->queue = chain;
	for (; chain; chain = chain->next) {
		inst->queue_last = chain;
		inst->queued++;
		inst->queued_bytes += chain->blob_len;
	}
	weir_embedded_writer_wake(inst);
}

/* Puts into the queue what fits, whole groups only; what does not stays in *rest. */
static int submit(struct weir_inst *inst, const struct weir_publish *items, struct record *chain, size_t *count,
		  struct record **rest)
{
	struct record **cut;
	size_t fit;
	int code = WEIR_OK;

	weir_embedded_lock_take(inst);
	fit = inst->is_fatal ? 0 : room(inst, chain);
	if (fit < *count) {
		fit = whole_groups(items, fit);
		code = inst->is_fatal ? WEIR_EFATAL : WEIR_EAGAIN;
		inst->refused = !inst->is_fatal;
		*count = fit;
	}
	cut = chain_at(&chain, fit);
	*rest = *cut;
	*cut = NULL;
	if (chain)
		enqueue(inst, chain);
	weir_embedded_lock_give(inst);
	return code;
}

int weir_embedded_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
			  struct weir_error *err)
{
	struct record *chain = NULL, **end = &chain, *rest = NULL;
	int64_t time_ms = weir_embedded_time_ms();
	int code = WEIR_OK, full;
	size_t n;

	for (n = 0; n < count; n++) {
		code = record_make(inst, item_at(items, n), time_ms, end, err);
		if (code)
			break;
		end = &(*end)->next;
	}
	if (code) {
		n = whole_groups(items, n);
		end = chain_at(&chain, n);
		chain_free(*end);
		*end = NULL;
	}
	full = submit(inst, items, chain, &n, &rest);
	chain_free(rest);
	*accepted = n;
	if (full == WEIR_EAGAIN)
		return weir_fail(err, full, "as many records as embedded.maxPending wait for the disk");
	if (full)
		return weir_fail(err, full, "store %s is closed after an error", inst->path);
	return code;
}

int weir_embedded_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	struct timespec until = { deadline_ns / 1000000000, deadline_ns % 1000000000 };
	int rc = 0;

	weir_embedded_lock_take(inst);
	while (inst->queued && !rc && deadline_ns)
		rc = pthread_cond_timedwait(&inst->idle, &inst->lock, &until);
	*left = inst->queued;
	weir_embedded_lock_give(inst);
	return *left ? WEIR_ETIMEDOUT : WEIR_OK;
}
