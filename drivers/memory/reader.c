/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions and their members, credit, and settling. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

void weir_memory_reader_refresh(struct weir_inst *inst, struct reader *reader)
{
	bool ready = weir_list_linked(&reader->willing) && (reader->cursor || weir_list_linked(&reader->again));

	if (ready && !weir_list_linked(&reader->ready))
		weir_list_append(&inst->ready, &reader->ready);
	else if (!ready)
		weir_list_unlink(&reader->ready);
}

void weir_memory_sub_refresh(struct weir_inst *inst, struct weir_sub *sub)
{
	bool willing = !sub->paused && sub->credit_records > 0 && sub->credit_bytes > 0;

	if (willing && !weir_list_linked(&sub->willing))
		weir_list_append(&sub->reader->willing, &sub->willing);
	else if (!willing)
		weir_list_unlink(&sub->willing);
	weir_memory_reader_refresh(inst, sub->reader);
}

/* ---- subscribing --------------------------------------------------------------- */

static struct reader *reader_find(struct weir_topic *topic, const char *uid)
{
	struct link *node;

	for (node = topic->readers.next; node != &topic->readers; node = node->next) {
		struct reader *reader = weir_list_entry(node, struct reader, link);

		if (strcmp(reader->uid, uid) == 0)
			return reader;
	}
	return NULL;
}

/* A new reader starts behind the newest record. */
static struct reader *reader_new(struct weir_inst *inst, struct weir_topic *topic, const char *uid)
{
	size_t len = strlen(uid) + 1;
	struct reader *reader = calloc(1, sizeof *reader + len);

	if (!reader)
		return NULL;
	memcpy(reader->uid, uid, len);
	reader->topic = topic;
	reader->lane = ++inst->next_lane;
	weir_list_init(&reader->link);
	weir_list_init(&reader->ready);
	weir_list_init(&reader->members);
	weir_list_init(&reader->willing);
	weir_list_init(&reader->again);
	weir_list_append(&topic->readers, &reader->link);
	topic->reader_count++;
	return reader;
}

static struct weir_sub *sub_new(struct weir_inst *inst, struct reader *reader)
{
	struct weir_sub *sub = calloc(1, sizeof *sub);

	if (!sub)
		return NULL;
	weir_list_init(&sub->member);
	weir_list_init(&sub->willing);
	weir_list_init(&sub->out);
	weir_list_init(&sub->ready.link);
	sub->ready.type = WEIR_EV_SUB_READY;
	sub->ready.sub = sub;
	weir_list_init(&sub->stopped.link);
	sub->stopped.type = WEIR_EV_PAUSED;
	sub->stopped.sub = sub;
	sub->reader = reader;
	sub->epoch = ++inst->next_epoch;
	weir_list_append(&reader->members, &sub->member);
	return sub;
}

/* A host of before there were flags has a smaller struct. */
static bool is_ephemeral(const struct weir_sub_spec *spec)
{
	return spec->size >= offsetof(struct weir_sub_spec, reserved) && (spec->flags & WEIR_SUB_EPHEMERAL);
}

int weir_memory_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			  struct weir_sub **ret, struct weir_error *err)
{
	struct reader *reader;
	struct weir_sub *sub = NULL;

	*ret = NULL;
	if (!spec->uid || !*spec->uid)
		return weir_fail(err, WEIR_EINVAL, "a subscription needs a uid");
	if (spec->start != WEIR_START_LATEST)
		return weir_fail(err, WEIR_ENOTSUP, "memory keeps no old records: subscriptions start at latest");
	weir_memory_lock(inst);
	reader = reader_find(topic, spec->uid);
	if (!reader) {
		reader = reader_new(inst, topic, spec->uid);
		if (reader)
			reader->ephemeral = is_ephemeral(spec);
	}
	if (reader)
		sub = sub_new(inst, reader);
	if (sub)
		weir_memory_notify(inst, &sub->ready);
	weir_memory_unlock(inst);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "no memory for subscription %s", spec->uid);
	*ret = sub;
	return WEIR_OK;
}

/* The delivery has no owner from now on and comes again at due_ns. */
static void delivery_return(struct weir_inst *inst, struct delivery *delivery, int64_t due_ns)
{
	delivery->owner->unsettled--;
	delivery->owner = NULL;
	weir_memory_wait(inst, delivery, due_ns);
}

/* Ends a member. What it has out comes back to the others. Lock held. */
static void sub_free(struct weir_inst *inst, struct weir_sub *sub)
{
	while (weir_list_linked(&sub->out))
		delivery_return(inst, weir_list_entry(sub->out.next, struct delivery, link), 0);
	weir_list_unlink(&sub->ready.link);
	weir_list_unlink(&sub->stopped.link);
	weir_list_unlink(&sub->willing);
	weir_list_unlink(&sub->member);
	weir_memory_reader_refresh(inst, sub->reader);
	free(sub);
}

static void delivery_forget(struct weir_inst *inst, struct delivery *delivery)
{
	weir_memory_record_done(inst, delivery->record);
	weir_memory_delivery_drop(inst, delivery);
}

void weir_memory_reader_free(struct weir_inst *inst, struct reader *reader)
{
	struct record *record, *next;
	uint32_t slot;

	while (weir_list_linked(&reader->members))
		sub_free(inst, weir_list_entry(reader->members.next, struct weir_sub, member));
	for (slot = 0; slot < inst->slot_count; slot++)
		if (inst->slots[slot]->reader == reader)
			delivery_forget(inst, inst->slots[slot]);
	for (record = reader->cursor; record; record = next) {
		next = record->next;
		weir_memory_record_done(inst, record);
	}
	reader->topic->reader_count--;
	weir_list_unlink(&reader->ready);
	weir_list_unlink(&reader->link);
	free(reader);
}

int weir_memory_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			    struct weir_error *err)
{
	struct reader *reader = sub->reader;

	(void)deadline_ns;
	(void)err;
	weir_memory_lock(inst);
	sub_free(inst, sub);
	if ((!keep || reader->ephemeral) && !weir_list_linked(&reader->members))
		weir_memory_reader_free(inst, reader);
	weir_memory_unlock(inst);
	return WEIR_OK;
}

/* ---- credit ---------------------------------------------------------------------- */

/* What is used already cannot be taken back, and a debt in bytes is not enlarged. */
static int64_t credit_add(int64_t credit, int64_t amount)
{
	if (amount < 0) {
		int64_t unused = credit > 0 ? credit : 0;

		return amount < -unused ? credit - unused : credit + amount;
	}
	return credit > INT64_MAX - amount ? INT64_MAX : credit + amount;
}

int weir_memory_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	weir_memory_lock(inst);
	sub->credit_records = credit_add(sub->credit_records, records);
	sub->credit_bytes = credit_add(sub->credit_bytes, bytes);
	weir_memory_sub_refresh(inst, sub);
	weir_memory_unlock(inst);
	return WEIR_OK;
}

int weir_memory_pause(struct weir_inst *inst, struct weir_sub *sub, int on)
{
	weir_memory_lock(inst);
	if (on && !sub->paused)
		weir_memory_notify(inst, &sub->stopped);
	else if (!on)
		weir_list_unlink(&sub->stopped.link);
	sub->paused = on != 0;
	weir_memory_sub_refresh(inst, sub);
	weir_memory_unlock(inst);
	return WEIR_OK;
}

/* ---- settling ---------------------------------------------------------------------- */

static bool epoch_is_live(const struct reader *reader, uint64_t epoch)
{
	struct link *node;

	for (node = reader->members.next; node != &reader->members; node = node->next)
		if (weir_list_entry(node, struct weir_sub, member)->epoch == epoch)
			return true;
	return false;
}

/* A token that does not carry the member's epoch: of somebody before us, or not ours at all. */
static uint16_t foreign_token(const struct weir_inst *inst, const struct weir_sub *sub, const struct weir_token *token)
{
	if (token->epoch < inst->first_epoch)
		return WEIR_ESTALE;
	if (token->lane != sub->reader->lane || token->epoch > inst->next_epoch ||
	    epoch_is_live(sub->reader, token->epoch))
		return WEIR_EINVAL;
	return WEIR_ESTALE;
}

static uint16_t token_find(const struct weir_inst *inst, const struct weir_sub *sub, const struct weir_token *token,
			   struct delivery **ret)
{
	uint32_t slot = (uint32_t)token->seq;
	uint32_t turn = (uint32_t)(token->seq >> 32);

	if (token->epoch != sub->epoch)
		return foreign_token(inst, sub, token);
	if (token->lane != sub->reader->lane || slot >= inst->slot_count || turn > inst->slots[slot]->turn || !turn)
		return WEIR_EINVAL;
	*ret = inst->slots[slot];
	if ((*ret)->turn != turn || !(*ret)->owner)
		return WEIR_ESTALE;
	return (*ret)->owner == sub ? WEIR_OK : WEIR_EINVAL;
}

static uint16_t settle_one(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *token,
			   int64_t due_ns)
{
	struct delivery *delivery = NULL;
	uint16_t code = token_find(inst, sub, token, &delivery);

	if (code == WEIR_ESTALE)
		inst->stale++;
	if (code != WEIR_OK)
		return code;
	if (verb == WEIR_NACK) {
		delivery_return(inst, delivery, due_ns);
		return WEIR_OK;
	}
	sub->unsettled--;
	sub->reader->lag--;
	delivery_forget(inst, delivery);
	return WEIR_OK;
}

int weir_memory_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		       size_t count, int64_t arg, uint16_t *codes)
{
	int64_t due_ns = 0;
	size_t i;

	if (verb != WEIR_ACK && verb != WEIR_NACK && verb != WEIR_TERM)
		return WEIR_ENOTSUP;
	if (verb == WEIR_NACK && arg > 0)
		due_ns = weir_memory_now() + (arg < INT64_MAX / 2000000 ? arg * 1000000 : INT64_MAX / 2);
	weir_memory_lock(inst);
	for (i = 0; i < count; i++) {
		uint16_t code = settle_one(inst, sub, verb, &tokens[i], due_ns);

		if (codes)
			codes[i] = code;
	}
	weir_memory_unlock(inst);
	return WEIR_OK;
}

int weir_memory_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *to)
{
	struct weir_sub_stats full = { .size = sizeof full }, *ret = &full;

	weir_memory_lock(inst);
	ret->lag = sub->reader->lag;
	ret->unsettled = sub->unsettled;
	ret->redelivered = sub->redelivered;
	ret->oldest_ms = -1;
	if (weir_list_linked(&sub->out))
		ret->oldest_ms =
		    (weir_memory_now() - weir_list_entry(sub->out.next, struct delivery, link)->out_ns) / 1000000;
	weir_memory_unlock(inst);
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}
