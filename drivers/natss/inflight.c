/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is in flight. sequence.c has the rest of inflight.h. */
#include "inflight.h"

#include <stdlib.h>

static void stan_free(void *message)
{
	stanMsg_Destroy(message);
}

void (*weir_natss_message_free)(void *message) = stan_free;

/* ---- entries ------------------------------------------------------------- */

struct entry *weir_natss_entry_new(void *message, uint64_t sequence, int64_t time_ns, const void *data, size_t len,
				   bool redelivered, uintptr_t from)
{
	struct entry *entry = calloc(1, sizeof *entry);

	if (!entry)
		return NULL;
	weir_list_init(&entry->link);
	atomic_init(&entry->refs, 1);
	entry->attempt = redelivered;
	entry->sequence = sequence;
	entry->time_ns = time_ns;
	entry->data = data;
	entry->len = len;
	entry->message = message;
	entry->from = from;
	return entry;
}

void weir_natss_entry_unref(struct entry *entry)
{
	if (!entry || atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (entry->message)
		weir_natss_message_free(entry->message);
	if (entry->newer)
		weir_natss_message_free(entry->newer);
	free(entry);
}

/* ---- the table ----------------------------------------------------------- */

bool weir_natss_inflight_init(struct weir_natss_inflight *inflight, size_t expected)
{
	size_t size = 16;

	while (size < expected)
		size *= 2;
	*inflight = (struct weir_natss_inflight){ .mask = size - 1 };
	weir_list_init(&inflight->fresh);
	weir_list_init(&inflight->again);
	weir_list_init(&inflight->waiting);
	weir_list_init(&inflight->out);
	inflight->buckets = calloc(size, sizeof(struct entry *));
	return inflight->buckets != NULL;
}

static void list_clear(struct weir_natss_inflight *inflight, struct link *head)
{
	while (weir_list_linked(head)) {
		struct entry *entry = weir_list_entry(head->next, struct entry, link);

		weir_natss_inflight_remove(inflight, entry);
		weir_natss_entry_unref(entry);
	}
}

void weir_natss_inflight_clear(struct weir_natss_inflight *inflight)
{
	list_clear(inflight, &inflight->fresh);
	list_clear(inflight, &inflight->again);
	list_clear(inflight, &inflight->waiting);
	list_clear(inflight, &inflight->out);
}

void weir_natss_inflight_fini(struct weir_natss_inflight *inflight)
{
	if (!inflight->buckets)
		return;
	weir_natss_inflight_clear(inflight);
	free(inflight->buckets);
	inflight->buckets = NULL;
}

/* Where the pointer to that entry is kept; *it is NULL if there is none. Sequences that follow each other spread well.
 */
static struct entry **place(const struct weir_natss_inflight *inflight, uint64_t sequence)
{
	struct entry **at = &inflight->buckets[sequence & inflight->mask];

	while (*at && (*at)->sequence != sequence)
		at = &(*at)->chain;
	return at;
}

struct entry *weir_natss_inflight_find(const struct weir_natss_inflight *inflight, uint64_t sequence)
{
	return *place(inflight, sequence);
}

void weir_natss_inflight_add(struct weir_natss_inflight *inflight, struct entry *entry)
{
	*place(inflight, entry->sequence) = entry;
	entry->chain = NULL;
	entry->state = WEIR_NATSS_NEW;
	weir_list_append(&inflight->fresh, &entry->link);
	inflight->count++;
}

void weir_natss_inflight_merge(struct entry *entry, struct entry *again)
{
	void *old = entry->newer;

	/* The first message's memory may be with the host: it stays. */
	entry->newer = again->message;
	entry->from = again->from;
	again->message = old;
	weir_natss_entry_unref(again);
}

void weir_natss_inflight_remove(struct weir_natss_inflight *inflight, struct entry *entry)
{
	*place(inflight, entry->sequence) = entry->chain;
	weir_list_unlink(&entry->link);
	inflight->out_count -= entry->state == WEIR_NATSS_OUT;
	inflight->count--;
	entry->state = WEIR_NATSS_SETTLED;
}

/* ---- whose turn it is ------------------------------------------------------ */

static struct entry *first_of(const struct link *head)
{
	return weir_list_linked(head) ? weir_list_entry(head->next, struct entry, link) : NULL;
}

struct entry *weir_natss_inflight_next(struct weir_natss_inflight *inflight, int64_t now_ns)
{
	struct entry *entry;

	while ((entry = first_of(&inflight->waiting)) && entry->due_ns <= now_ns) {
		entry->state = WEIR_NATSS_NEW;
		weir_list_append(&inflight->again, &entry->link);
	}
	entry = first_of(&inflight->again);
	return entry ? entry : first_of(&inflight->fresh);
}

void weir_natss_inflight_hand_out(struct weir_natss_inflight *inflight, struct entry *entry, int64_t now_ns)
{
	atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
	entry->state = WEIR_NATSS_OUT;
	entry->attempt++;
	entry->out_ns = now_ns;
	weir_list_append(&inflight->out, &entry->link);
	inflight->out_count++;
}

void weir_natss_inflight_nack(struct weir_natss_inflight *inflight, struct entry *entry, int64_t due_ns)
{
	struct link *at = &inflight->waiting;

	/* From the end: delays are mostly alike, so most belong there. */
	while (at->prev != &inflight->waiting && weir_list_entry(at->prev, struct entry, link)->due_ns > due_ns)
		at = at->prev;
	entry->state = WEIR_NATSS_WAITING;
	entry->due_ns = due_ns;
	weir_list_append(at, &entry->link);
	inflight->out_count--;
}

int64_t weir_natss_inflight_due(const struct weir_natss_inflight *inflight)
{
	const struct entry *entry = first_of(&inflight->waiting);

	return entry ? entry->due_ns : INT64_MAX;
}
