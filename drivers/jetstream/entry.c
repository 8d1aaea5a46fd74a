/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came from the server and is not settled, what was settled lately, and
 * the words that tell the server. A message is known by its position in the
 * stream and the time it was stored: so one that the server sends again,
 * because it has not heard of us in time, is recognized, whether it is still
 * being worked on or done already.
 */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>

enum {
	ATTEMPT_BITS = 16,
	TABLE_MIN = 256,
	SETTLED_MIN = 1024,
	SETTLED_MAX = 16384,
	OWN_HEADERS = 5,
	SPARE_MAX = 4096,
	WORDS = 64, /* that are said without waiting for more */
};

/* ---- records ------------------------------------------------------------------------------ */

static void record_drop(struct record *record)
{
	if (!record || atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) != 1)
		return;
	natsMsg_Destroy(record->msg);
	free(record);
}

void weir_js_release(void *lease)
{
	record_drop(lease);
}

/* The server's and our own: they are about the transport, not of the event. */
static bool is_own(const char *name)
{
	return (*name == 'N' || *name == 'n') && strncasecmp(name, "Nats-", OWN_HEADERS) == 0;
}

static uint32_t headers_fill(struct record *record, const char **names, int count)
{
	uint32_t used = 0;
	int i;

	for (i = 0; i < count; i++) {
		const char *value = NULL;

		if (is_own(names[i]) || natsMsgHeader_Get(record->msg, names[i], &value) != NATS_OK || !value)
			continue;
		record->headers[used].name = (struct weir_buf){ names[i], strlen(names[i]) };
		record->headers[used].value = (struct weir_buf){ value, strlen(value) };
		record->bytes += (uint32_t)(record->headers[used].name.len + record->headers[used].value.len);
		used++;
	}
	return used;
}

struct record *weir_js_record_new(natsMsg *msg)
{
	const char **names = NULL;
	struct record *record;
	int count = 0;

	if (natsMsgHeader_Keys(msg, &names, &count) != NATS_OK)
		count = 0;
	record = malloc(sizeof *record + (size_t)count * sizeof record->headers[0]);
	if (record) {
		memset(record, 0, sizeof *record);
		atomic_init(&record->refs, 1);
		record->msg = msg;
		record->bytes = (uint32_t)natsMsg_GetDataLength(msg);
		record->content.body.len = record->bytes;
		record->content.body.ptr = natsMsg_GetData(msg) ? natsMsg_GetData(msg) : "";
		record->content.headers = record->headers;
		record->content.header_count = headers_fill(record, names, count);
	}
	free(names);
	return record;
}

/* ---- entries -------------------------------------------------------------------------------- */

static struct entry **bucket(const struct weir_sub *sub, uint64_t seq)
{
	return &sub->table[seq & (sub->table_room - 1)];
}

struct entry *weir_js_entry_find(const struct weir_sub *sub, uint64_t seq)
{
	struct entry *entry;

	if (!sub->table_room)
		return NULL;
	for (entry = *bucket(sub, seq); entry; entry = entry->chain)
		if (entry->seq == seq)
			return entry;
	return NULL;
}

/* The tables are made with the first message: as large as the window, once and for all. */
static bool tables_make(struct weir_sub *sub)
{
	size_t room = TABLE_MIN, settled = SETTLED_MIN;

	if (sub->table_room)
		return true;
	while (room < sub->window && room < SETTLED_MAX)
		room *= 2;
	while (settled < 2 * (size_t)sub->window && settled < SETTLED_MAX)
		settled *= 2;
	sub->table = calloc(room, sizeof(struct entry *));
	sub->settled = calloc(settled, sizeof *sub->settled);
	if (!sub->table || !sub->settled) {
		free(sub->table);
		free(sub->settled);
		sub->table = NULL;
		sub->settled = NULL;
		return false;
	}
	sub->table_room = room;
	sub->settled_room = settled;
	return true;
}

/* At the end; while order is being found out, in the order of the stream. */
static struct link *ready_place(struct weir_sub *sub, const struct entry *entry)
{
	struct link *at = &sub->ready;

	while (sub->barrier && at->prev != &sub->ready &&
	       weir_list_entry(at->prev, struct entry, link)->seq > entry->seq)
		at = at->prev;
	return at;
}

/* They are made by one thread and done with by others: kept, they cost neither of them a lock of the heap. */
struct entry *weir_js_entry_new(struct weir_inst *inst)
{
	struct entry *entry;

	if (!weir_list_linked(&inst->spare))
		return calloc(1, sizeof *entry);
	entry = weir_list_entry(inst->spare.next, struct entry, link);
	weir_list_unlink(&entry->link);
	inst->spare_count--;
	memset(entry, 0, sizeof *entry);
	return entry;
}

static void entry_give(struct weir_inst *inst, struct entry *entry)
{
	if (inst->spare_count == SPARE_MAX) {
		free(entry);
		return;
	}
	weir_list_append(&inst->spare, &entry->link);
	inst->spare_count++;
}

bool weir_js_entry_add(struct weir_sub *sub, struct entry *entry)
{
	struct entry **at;

	if (!tables_make(sub))
		return false;
	at = bucket(sub, entry->seq);
	entry->chain = *at;
	*at = entry;
	entry->state = ENTRY_READY;
	weir_list_init(&entry->link);
	weir_list_append(ready_place(sub, entry), &entry->link);
	sub->ready_count++;
	return true;
}

void weir_js_entry_drop(struct weir_sub *sub, struct entry *entry)
{
	struct entry **at = bucket(sub, entry->seq);

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	weir_list_unlink(&entry->link);
	if (entry->state == ENTRY_OUT) {
		sub->unsettled--;
		sub->inst->out_count--;
	} else {
		sub->ready_count--;
	}
	record_drop(entry->record);
	entry_give(sub->inst, entry);
}

/* ---- what was settled lately ------------------------------------------------------------------ */

static void settled_add(struct weir_sub *sub, const struct entry *entry, int verb)
{
	if (sub->settled_room)
		sub->settled[entry->seq & (sub->settled_room - 1)] =
		    (struct settled){ entry->seq, entry->time_ns, verb };
}

const struct settled *weir_js_settled_find(const struct weir_sub *sub, uint64_t seq, int64_t time_ns)
{
	const struct settled *settled;

	if (!sub->settled_room)
		return NULL;
	settled = &sub->settled[seq & (sub->settled_room - 1)];
	return settled->seq == seq && settled->time_ns == time_ns ? settled : NULL;
}

/* ---- words ---------------------------------------------------------------------------------------- */

bool weir_js_words_reserve(struct weir_inst *inst, size_t more)
{
	size_t need = inst->word_count + inst->out_count + more, room = inst->word_room ? inst->word_room : 256;
	struct word *words;

	while (room < need)
		room *= 2;
	if (room == inst->word_room)
		return true;
	words = realloc(inst->words, room * sizeof *words);
	if (!words)
		return false;
	inst->words = words;
	inst->word_room = room;
	return true;
}

bool weir_js_word_add(struct weir_inst *inst, struct record *record, int verb, int64_t arg)
{
	if (inst->word_count == inst->word_room && !weir_js_words_reserve(inst, 1)) {
		record_drop(record);
		return false;
	}
	inst->words[inst->word_count++] = (struct word){ record, verb, arg };
	return true;
}

static void say(struct weir_inst *inst, const struct word *word)
{
	const char *to = natsMsg_GetReply(word->record->msg);
	char nack[64];

	if (!to)
		return;
	switch (word->verb) {
	case WEIR_ACK:
		weir_js_say(inst, to, "+ACK", 4);
		break;
	case WEIR_TERM:
		weir_js_say(inst, to, "+TERM", 5);
		break;
	case WEIR_EXTEND:
		weir_js_say(inst, to, "+WPI", 4);
		break;
	default:
		if (word->arg > 0)
			snprintf(nack, sizeof nack, "-NAK {\"delay\": %lld}", (long long)(word->arg * WEIR_JS_MS));
		else
			snprintf(nack, sizeof nack, "-NAK");
		weir_js_say(inst, to, nack, strlen(nack));
		break;
	}
}

/*
 * Without a connection nothing is said: the server sends such a message again,
 * and then it is recognized.
 */
void weir_js_words_say(struct weir_inst *inst)
{
	struct word *words;
	size_t room, i;

	pthread_mutex_lock(&inst->lock);
	words = inst->words;
	room = inst->word_room;
	inst->words = inst->saying;
	inst->word_room = inst->saying_room;
	inst->saying = words;
	inst->saying_room = room;
	inst->saying_count = inst->word_count;
	inst->word_count = 0;
	/* Each message that is out can be settled, and that must not fail: as much room as before. */
	if (inst->word_room < room) {
		struct word *more = realloc(inst->words, room * sizeof *more);

		if (more) {
			inst->words = more;
			inst->word_room = room;
		}
	}
	pthread_mutex_unlock(&inst->lock);
	for (i = 0; i < inst->saying_count; i++) {
		say(inst, &inst->saying[i]);
		record_drop(inst->saying[i].record);
	}
	inst->saying_count = 0;
}

/* ---- keeping ------------------------------------------------------------------------------------------- */

static void keep_one(struct weir_sub *sub, struct entry *entry, int64_t now)
{
	entry->touched_ns = now;
	atomic_fetch_add_explicit(&entry->record->refs, 1, memory_order_relaxed);
	weir_js_word_add(sub->inst, entry->record, WEIR_EXTEND, 0);
}

void weir_js_keep(struct weir_sub *sub, int64_t now, bool all)
{
	int64_t before = all ? now : now - (int64_t)sub->ack_wait_ms * WEIR_JS_MS / 3;
	struct link *at;

	pthread_mutex_lock(&sub->inst->lock);
	/* Not handed out yet: the time until it is, is not the host's. */
	for (at = sub->ready.next; at != &sub->ready; at = at->next) {
		struct entry *entry = weir_list_entry(at, struct entry, link);

		if (entry->touched_ns <= before)
			keep_one(sub, entry, now);
	}
	for (at = sub->out.next; at != &sub->out; at = at->next) {
		struct entry *entry = weir_list_entry(at, struct entry, link);

		/* The server was told when the host last asked: for ack_wait. Past that only if the host asked for
		 * more. */
		if (entry->touched_ns <= before &&
		    (all ? entry->deadline_ns > now
			 : entry->deadline_ns > entry->touched_ns + (int64_t)sub->ack_wait_ms * WEIR_JS_MS))
			keep_one(sub, entry, now);
	}
	pthread_mutex_unlock(&sub->inst->lock);
}

/* ---- settling ---------------------------------------------------------------------------------------------- */

/* A token that is not of this member: of an earlier one of its consumer, or of somebody else? Lock held. */
static uint16_t elsewhere(struct weir_inst *inst, const struct weir_sub *sub, const struct weir_token *token)
{
	uint64_t seq = token->seq & ((UINT64_C(1) << (64 - ATTEMPT_BITS)) - 1), highest = 0;
	struct link *at;

	if (token->lane != sub->number << 32 || token->epoch < inst->first_epoch || token->epoch >= inst->next_epoch)
		return WEIR_EINVAL;
	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		const struct weir_sub *other = weir_list_entry(at, struct weir_sub, link);

		if (other != sub && other->epoch == token->epoch)
			return WEIR_EINVAL;
	}
	for (at = inst->groups.next; at != &inst->groups; at = at->next) {
		const struct group *group = weir_list_entry(at, struct group, link);

		if (group->number == sub->number)
			highest = group->highest;
	}
	highest = sub->highest > highest ? sub->highest : highest;
	if (seq > highest)
		return WEIR_EINVAL;
	inst->stale++;
	return WEIR_ESTALE;
}

static uint16_t settle_one(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *token,
			   int64_t arg)
{
	uint64_t seq = token->seq & ((UINT64_C(1) << (64 - ATTEMPT_BITS)) - 1);
	struct entry *entry = token->epoch == sub->epoch ? weir_js_entry_find(sub, seq) : NULL;
	int64_t now;

	if (token->lane != sub->number << 32 || !entry || entry->state != ENTRY_OUT ||
	    (entry->attempt & 0xffff) != token->seq >> (64 - ATTEMPT_BITS))
		return elsewhere(inst, sub, token);
	atomic_fetch_add_explicit(&entry->record->refs, 1, memory_order_relaxed);
	if (!weir_js_word_add(inst, entry->record, verb, arg))
		return WEIR_ENOMEM;
	if (verb == WEIR_EXTEND) {
		now = weir_js_now();
		entry->touched_ns = now;
		entry->deadline_ns = now + (arg > 0 ? arg : (int64_t)sub->ack_wait_ms) * WEIR_JS_MS;
		return WEIR_OK;
	}
	if (verb != WEIR_NACK)
		settled_add(sub, entry, verb);
	inst->acks++;
	weir_js_entry_drop(sub, entry);
	return WEIR_OK;
}

int weir_js_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		   size_t count, int64_t arg, uint16_t *codes)
{
	bool urgent;
	size_t i;

	if (verb < WEIR_ACK || verb > WEIR_EXTEND)
		return WEIR_ENOTSUP;
	pthread_mutex_lock(&inst->lock);
	for (i = 0; i < count; i++) {
		uint16_t code = settle_one(inst, sub, verb, &tokens[i], arg);

		if (codes)
			codes[i] = code;
	}
	urgent = verb != WEIR_ACK || inst->word_count >= WORDS;
	pthread_mutex_unlock(&inst->lock);
	if (urgent)
		weir_js_wake(inst);
	else
		weir_js_nudge(inst);
	return WEIR_OK;
}
