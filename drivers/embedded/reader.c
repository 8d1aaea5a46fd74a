/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions and their members, credit, and settling. */
#include "embedded.h"

#include <stdlib.h>
#include <string.h>

void weir_embedded_reader_refresh(struct weir_inst *inst, struct reader *reader)
{
	bool fresh = reader->live && reader->next <= reader->topic->last &&
		     reader->unsettled_count < WEIR_EMBEDDED_MAX_UNSETTLED;
	bool ready =
	    weir_list_linked(&reader->willing) && !inst->is_fatal && (fresh || weir_list_linked(&reader->again));

	if (ready && !weir_list_linked(&reader->ready))
		weir_list_append(&inst->ready, &reader->ready);
	else if (!ready)
		weir_list_unlink(&reader->ready);
}

void weir_embedded_sub_refresh(struct weir_inst *inst, struct weir_sub *sub)
{
	bool willing = !sub->paused && sub->credit_records > 0 && sub->credit_bytes > 0;

	if (willing && !weir_list_linked(&sub->willing))
		weir_list_append(&sub->reader->willing, &sub->willing);
	else if (!willing)
		weir_list_unlink(&sub->willing);
	weir_embedded_reader_refresh(inst, sub->reader);
}

uint64_t weir_embedded_reader_floor(const struct reader *reader)
{
	if (!reader->live)
		return 0;
	if (weir_list_linked(&reader->unsettled))
		return weir_list_entry(reader->unsettled.next, struct delivery, unsettled)->position - 1;
	return reader->next - 1;
}

void weir_embedded_reader_changed(struct weir_inst *inst, struct reader *reader)
{
	if (weir_list_linked(&reader->dirty) || reader->ephemeral || reader->gone || !reader->live || inst->is_fatal)
		return;
	if (!weir_list_linked(&inst->dirty)) {
		inst->dirty_ns = weir_embedded_now();
		weir_embedded_writer_wake(inst);
	}
	weir_list_append(&inst->dirty, &reader->dirty);
}

/* ---- readers ----------------------------------------------------------------------- */

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

struct reader *weir_embedded_reader_new(struct weir_inst *inst, struct weir_topic *topic, const char *uid, size_t len)
{
	struct reader *reader = calloc(1, sizeof *reader + len + 1);

	if (!reader)
		return NULL;
	memcpy(reader->uid, uid, len);
	reader->topic = topic;
	reader->lane = ++inst->next_lane;
	reader->next = 1;
	weir_list_init(&reader->link);
	weir_list_init(&reader->ready);
	weir_list_init(&reader->dirty);
	weir_list_init(&reader->members);
	weir_list_init(&reader->willing);
	weir_list_init(&reader->unsettled);
	weir_list_init(&reader->again);
	weir_list_append(&topic->readers, &reader->link);
	topic->reader_count++;
	return reader;
}

/* The delivery has no owner from now on and comes again at due_ns. */
static void delivery_return(struct weir_inst *inst, struct delivery *delivery, int64_t due_ns)
{
	delivery->owner->unsettled--;
	delivery->owner = NULL;
	weir_embedded_delivery_wait(inst, delivery, due_ns);
}

/* Ends a member. What it has out comes back to the others. */
static void sub_free(struct weir_inst *inst, struct weir_sub *sub)
{
	while (weir_list_linked(&sub->out))
		delivery_return(inst, weir_list_entry(sub->out.next, struct delivery, link), 0);
	weir_list_unlink(&sub->ready.link);
	weir_list_unlink(&sub->stopped.link);
	weir_list_unlink(&sub->willing);
	weir_list_unlink(&sub->member);
	weir_embedded_reader_refresh(inst, sub->reader);
	free(sub);
}

/* Nobody finds the reader any more, and nothing of it is in flight. The struct stays, for the writer. */
static void reader_detach(struct weir_inst *inst, struct reader *reader)
{
	while (weir_list_linked(&reader->members))
		sub_free(inst, weir_list_entry(reader->members.next, struct weir_sub, member));
	while (weir_list_linked(&reader->unsettled))
		weir_embedded_delivery_free(inst, weir_list_entry(reader->unsettled.next, struct delivery, unsettled));
	weir_list_unlink(&reader->ready);
	weir_list_unlink(&reader->dirty);
	if (!reader->gone && !reader->ephemeral)
		reader->topic->reader_count--;
	weir_list_unlink(&reader->link);
	reader->gone = true;
}

void weir_embedded_reader_free(struct weir_inst *inst, struct reader *reader)
{
	size_t i;

	reader_detach(inst, reader);
	if (reader->busy) {
		reader->dead = true;
		return;
	}
	for (i = 0; i < reader->ahead_count; i++)
		weir_embedded_release(reader->ahead[i]);
	free(reader);
}

/* ---- subscribing --------------------------------------------------------------------- */

static struct weir_sub *sub_new(struct weir_inst *inst, struct reader *reader)
{
	struct weir_sub *sub = calloc(1, sizeof *sub);

	if (!sub)
		return NULL;
	weir_list_init(&sub->member);
	weir_list_init(&sub->willing);
	weir_list_init(&sub->out);
	weir_list_init(&sub->ready.link);
	weir_list_init(&sub->stopped.link);
	sub->ready.type = WEIR_EV_SUB_READY;
	sub->ready.sub = sub;
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

/* The reader, new or not; NULL without memory. Lock held. */
static struct reader *reader_get(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec)
{
	struct reader *reader = reader_find(topic, spec->uid);
	struct op *op;

	if (reader && (reader->live || reader->making))
		return reader;
	op = calloc(1, sizeof *op);
	if (!op)
		return NULL;
	if (!reader) {
		reader = weir_embedded_reader_new(inst, topic, spec->uid, strlen(spec->uid));
		if (reader && is_ephemeral(spec)) {
			reader->ephemeral = true;
			topic->reader_count--;
		}
	}
	if (!reader) {
		free(op);
		return NULL;
	}
	reader->making = true;
	op->type = OP_SUB_MAKE;
	op->topic = topic;
	op->reader = reader;
	op->start = spec->start;
	op->start_value = spec->start_value;
	weir_embedded_op_submit(inst, op);
	return reader;
}

int weir_embedded_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			    struct weir_sub **ret, struct weir_error *err)
{
	struct reader *reader = NULL;
	struct weir_sub *sub = NULL;
	bool dead;

	*ret = NULL;
	if (!spec->uid || !*spec->uid || strlen(spec->uid) > WEIR_EMBEDDED_MAX_UID)
		return weir_fail(err, WEIR_EINVAL, "a subscription needs a uid of 1 to %d bytes",
				 WEIR_EMBEDDED_MAX_UID);
	if (spec->start > WEIR_START_TIME)
		return weir_fail(err, WEIR_EINVAL, "there is no start position of kind %u", spec->start);
	weir_embedded_lock_take(inst);
	dead = inst->is_fatal;
	if (!dead)
		reader = reader_get(inst, topic, spec);
	if (reader)
		sub = sub_new(inst, reader);
	if (sub && reader->live)
		weir_embedded_notify(inst, &sub->ready);
	weir_embedded_lock_give(inst);
	if (dead)
		return weir_fail(err, WEIR_EFATAL, "store %s is closed after an error", inst->path);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "no memory for subscription %s", spec->uid);
	*ret = sub;
	return WEIR_OK;
}

int weir_embedded_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			      struct weir_error *err)
{
	struct reader *reader = sub->reader;
	struct op *op = calloc(1, sizeof *op);
	bool dead;

	weir_embedded_lock_take(inst);
	weir_embedded_reader_changed(inst, reader);
	sub_free(inst, sub);
	dead = inst->is_fatal;
	if (op && !dead) {
		op->type = OP_FLUSH;
		op->topic = reader->topic;
		op->reader = reader;
		op->waited = true;
		if ((!keep || reader->ephemeral) && !weir_list_linked(&reader->members)) {
			op->type = OP_SUB_FORGET;
			reader_detach(inst, reader);
		}
		weir_embedded_op_submit(inst, op);
	}
	weir_embedded_lock_give(inst);
	if (dead) {
		free(op);
		return weir_fail(err, WEIR_EFATAL, "store %s is closed after an error", inst->path);
	}
	if (!op)
		return weir_fail(err, WEIR_ENOMEM, "no memory to end a subscription: its position stays");
	return weir_embedded_op_wait(inst, op, deadline_ns, err);
}

/* ---- credit ------------------------------------------------------------------------------ */

/* What is used already cannot be taken back, and a debt in bytes is not enlarged. */
static int64_t credit_add(int64_t credit, int64_t amount)
{
	if (amount < 0) {
		int64_t unused = credit > 0 ? credit : 0;

		return amount < -unused ? credit - unused : credit + amount;
	}
	return credit > INT64_MAX - amount ? INT64_MAX : credit + amount;
}

int weir_embedded_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	weir_embedded_lock_take(inst);
	sub->credit_records = credit_add(sub->credit_records, records);
	sub->credit_bytes = credit_add(sub->credit_bytes, bytes);
	weir_embedded_sub_refresh(inst, sub);
	weir_embedded_lock_give(inst);
	return WEIR_OK;
}

int weir_embedded_pause(struct weir_inst *inst, struct weir_sub *sub, int on)
{
	weir_embedded_lock_take(inst);
	if (on && !sub->paused)
		weir_embedded_notify(inst, &sub->stopped);
	else if (!on)
		weir_list_unlink(&sub->stopped.link);
	sub->paused = on != 0;
	weir_embedded_sub_refresh(inst, sub);
	weir_embedded_lock_give(inst);
	return WEIR_OK;
}

/* ---- settling -------------------------------------------------------------------------------- */

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
	weir_embedded_delivery_free(inst, delivery);
	return WEIR_OK;
}

int weir_embedded_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
			 size_t count, int64_t arg, uint16_t *codes)
{
	int64_t due_ns = 0;
	size_t i;

	if (verb != WEIR_ACK && verb != WEIR_NACK && verb != WEIR_TERM)
		return WEIR_ENOTSUP;
	if (verb == WEIR_NACK && arg > 0)
		due_ns = weir_embedded_now() + (arg < INT64_MAX / 2000000 ? arg * 1000000 : INT64_MAX / 2);
	weir_embedded_lock_take(inst);
	for (i = 0; i < count; i++) {
		uint16_t code = settle_one(inst, sub, verb, &tokens[i], due_ns);

		if (codes)
			codes[i] = code;
	}
	weir_embedded_reader_changed(inst, sub->reader);
	weir_embedded_reader_refresh(inst, sub->reader);
	weir_embedded_lock_give(inst);
	return WEIR_OK;
}

int weir_embedded_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *to)
{
	struct weir_sub_stats full = { .size = sizeof full }, *ret = &full;
	struct reader *reader = sub->reader;

	weir_embedded_lock_take(inst);
	ret->lag = reader->unsettled_count;
	if (reader->live)
		ret->lag += reader->topic->last + 1 - reader->next;
	ret->unsettled = sub->unsettled;
	ret->redelivered = sub->redelivered;
	ret->oldest_ms = -1;
	if (weir_list_linked(&sub->out))
		ret->oldest_ms =
		    (weir_embedded_now() - weir_list_entry(sub->out.next, struct delivery, link)->out_ns) / 1000000;
	weir_embedded_lock_give(inst);
	weir_give(to, &full, sizeof full);
	return WEIR_OK;
}
