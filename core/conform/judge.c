/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/driver.h>

#include "base/mem.h"

enum { KEYS = 4096 };

enum place {
	NEVER = 0, /* not delivered to this reader */
	OUT,
	NACKED,
	RETURNED,   /* its member ended, or it may come again for another reason */
	DONE,       /* acked or termed */
	DONE_MAYBE, /* acked, and the ack may have been lost */
};

/* A record of one reader. */
struct cell {
	int64_t out_ns;
	uint32_t member;
	uint8_t place;
	bool nacked_here;
};

struct record {
	uint32_t topic, key;
	uint64_t at; /* index of its publish */
	uint8_t accepted, completed, outcome, excused;
};

struct reader {
	uint32_t topic;
	bool known, disturbed; /* something may have been handed out and never reached the host */
	uint64_t from;         /* records published behind this index are its own */
	uint64_t newest;       /* first delivery with the highest number so far */
	uint64_t *newest_key;  /* by key, with WEIR_JUDGE_KEY */
	struct cell *cells;    /* by record number */
};

struct member {
	int64_t credit;
	uint32_t reader;
	bool ready, ended, paused;
};

struct judge {
	const struct weir_judge_rules *rules;
	struct weir_judgement *out;
	uint64_t records, readers, members; /* highest numbers */
	struct record *record;
	struct reader *reader;
	struct member *member;
	bool short_of_memory;
};

__attribute__((format(printf, 2, 3))) static void violation(struct judge *j, const char *format, ...)
{
	va_list args;

	if (j->out->violations++)
		return;
	va_start(args, format);
	vsnprintf(j->out->text, sizeof j->out->text, format, args);
	va_end(args);
}

/* ---- memory -------------------------------------------------------------- */

static void measure(struct judge *j, const struct weir_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ops[i].number > j->records && !(ops[i].flags & WEIR_OP_STRANGE))
			j->records = ops[i].number;
		if (ops[i].reader > j->readers)
			j->readers = ops[i].reader;
		if (ops[i].member > j->members)
			j->members = ops[i].member;
	}
}

static void judge_fini(struct judge *j)
{
	for (uint64_t i = 0; j->reader && i <= j->readers; i++) {
		weir_mem_free(j->reader[i].cells);
		weir_mem_free(j->reader[i].newest_key);
	}
	weir_mem_free(j->record);
	weir_mem_free(j->reader);
	weir_mem_free(j->member);
}

static bool judge_init(struct judge *j, const struct weir_op *ops, size_t count)
{
	measure(j, ops, count);
	j->record = weir_mem_zalloc(j->records + 1, sizeof *j->record);
	j->reader = weir_mem_zalloc(j->readers + 1, sizeof *j->reader);
	j->member = weir_mem_zalloc(j->members + 1, sizeof *j->member);
	return j->record && j->reader && j->member;
}

static bool reader_init(struct judge *j, struct reader *reader)
{
	if (!reader->cells)
		reader->cells = weir_mem_zalloc(j->records + 1, sizeof *reader->cells);
	if (!reader->newest_key && j->rules->order == WEIR_JUDGE_KEY)
		reader->newest_key = weir_mem_zalloc(KEYS, sizeof *reader->newest_key);
	return reader->cells && (reader->newest_key || j->rules->order != WEIR_JUDGE_KEY);
}

/* ---- publishing ---------------------------------------------------------- */

static void on_publish(struct judge *j, const struct weir_op *op, uint64_t at)
{
	struct record *record = &j->record[op->number];

	record->topic = op->topic;
	record->key = op->key;
	record->at = at;
	record->accepted = 1;
	record->outcome = WEIR_UNKNOWN;
	j->out->accepted++;
}

static void on_refused(struct judge *j, const struct weir_op *op)
{
	j->record[op->number].accepted = 0;
	j->record[op->number].outcome = WEIR_NOT_PERSISTED;
	j->out->accepted--;
}

static void on_done(struct judge *j, const struct weir_op *op)
{
	struct record *record = op->number <= j->records ? &j->record[op->number] : NULL;

	j->out->judged++;
	if (!record || !record->accepted) {
		violation(j, "a completion for tag %" PRIu64 ", which was not accepted", op->number);
		return;
	}
	if (record->completed) {
		violation(j, "record %" PRIu64 " completed twice", op->number);
		return;
	}
	record->completed = 1;
	record->outcome = (uint8_t)op->arg;
	if (op->arg == WEIR_PERSISTED)
		j->out->persisted++;
	else if (op->arg == WEIR_NOT_PERSISTED)
		j->out->not_persisted++;
	else
		j->out->unknown++;
}

/* ---- members ------------------------------------------------------------- */

static void on_subscribe(struct judge *j, const struct weir_op *op)
{
	struct reader *reader = &j->reader[op->reader];
	struct member *member = &j->member[op->member];

	if (!reader_init(j, reader)) {
		j->short_of_memory = true;
		return;
	}
	if (!reader->known) {
		reader->topic = op->topic;
		reader->from = op->arg == WEIR_START_EARLIEST ? 0 : UINT64_MAX;
		reader->known = true;
	}
	*member = (struct member){ .reader = op->reader };
}

static void on_ready(struct judge *j, const struct weir_op *op, uint64_t at)
{
	struct reader *reader = &j->reader[op->reader];

	if (j->member[op->member].ended)
		violation(j, "a member was reported ready after it ended");
	j->member[op->member].ready = true;
	if (reader->from == UINT64_MAX)
		reader->from = at;
}

/* Whether there is an unsettled record at or before this one. */
static bool give_back_one(const struct judge *j, struct cell *cell, bool mine, bool all, bool crashed, bool gap)
{
	if (mine && (cell->place == OUT || (cell->place == NACKED && all)))
		cell->place = RETURNED;
	else if (cell->place == DONE && (crashed || (mine && gap && j->rules->prefix)))
		cell->place = DONE_MAYBE;
	cell->nacked_here = cell->nacked_here && !mine;
	return gap || cell->place == RETURNED || cell->place == NACKED || cell->place == OUT;
}

/* What a member had comes back to its reader; with `all`, of every member. */
static void give_back(struct judge *j, uint32_t member, bool all, bool crashed)
{
	for (uint64_t r = 1; r <= j->readers; r++) {
		struct cell *cells = j->reader[r].cells;
		bool gap = false;

		if (all || (member <= j->members && j->member[member].reader == r))
			j->reader[r].disturbed = true;
		for (uint64_t i = 1; cells && i <= j->records; i++)
			gap = give_back_one(j, &cells[i], all || cells[i].member == member, all, crashed, gap);
	}
}

static void on_ended(struct judge *j, const struct weir_op *op)
{
	struct reader *reader = &j->reader[op->reader];

	j->member[op->member].ended = true;
	give_back(j, op->member, false, false);
	if (op->arg || !reader->cells)
		return;
	/* Forgotten: who subscribes with this identity again is somebody new. */
	memset(reader->cells, 0, (j->records + 1) * sizeof *reader->cells);
	if (reader->newest_key)
		memset(reader->newest_key, 0, KEYS * sizeof *reader->newest_key);
	reader->newest = 0;
	reader->known = false;
}

static void end_all(struct judge *j, bool crashed)
{
	for (uint64_t i = 1; i <= j->members; i++)
		j->member[i].ended = true;
	give_back(j, 0, true, crashed);
	for (uint64_t i = 1; i <= j->records; i++) {
		j->record[i].excused |=
		    j->record[i].accepted && (!j->record[i].completed || j->rules->lose_all_in_crash);
	}
}

/* ---- deliveries ---------------------------------------------------------- */

static void check_member(struct judge *j, const struct weir_op *op)
{
	struct member *member = &j->member[op->member];

	if (member->ended)
		violation(j, "record %" PRIu64 " was delivered to a member that had ended", op->number);
	else if (!member->ready)
		violation(j, "record %" PRIu64 " was delivered before the member was reported ready", op->number);
	else if (member->paused)
		violation(j, "record %" PRIu64 " was delivered while the member was paused", op->number);
	if (--member->credit < 0)
		violation(j, "record %" PRIu64 " was delivered beyond the credit given", op->number);
}

static void check_order(struct judge *j, struct reader *reader, const struct weir_op *op)
{
	uint64_t *newest = &reader->newest;
	uint32_t key = j->record[op->number].key;

	if (j->rules->order == WEIR_JUDGE_ANY)
		return;
	if (j->rules->order == WEIR_JUDGE_KEY)
		newest = &reader->newest_key[key % KEYS];
	if (*newest) {
		j->out->compared++;
		if (*newest > op->number)
			violation(j, "record %" PRIu64 " was first delivered after record %" PRIu64 " of the same %s",
				  op->number, *newest, j->rules->order == WEIR_JUDGE_KEY ? "key" : "topic");
	}
	if (*newest < op->number)
		*newest = op->number;
}

static bool has_reason(const struct judge *j, const struct cell *cell, const struct weir_op *op)
{
	if (cell->place == NACKED || cell->place == RETURNED || cell->place == DONE_MAYBE)
		return true;
	return cell->place == OUT && j->rules->ack_wait_ns &&
	       op->at_ns - cell->out_ns >= j->rules->ack_wait_ns - j->rules->ack_wait_ns / 10;
}

static void check_again(struct judge *j, const struct cell *cell, const struct weir_op *op)
{
	if (cell->place == NEVER) {
		if (j->rules->flags && (op->flags & WEIR_OP_REDELIVERED) && !j->reader[op->reader].disturbed)
			violation(j, "record %" PRIu64 " was marked as redelivered at its first delivery", op->number);
		return;
	}
	if (cell->nacked_here && j->rules->flags && !(op->flags & WEIR_OP_REDELIVERED))
		violation(j, "record %" PRIu64 " came back after a nack without being marked", op->number);
	if (has_reason(j, cell, op))
		return;
	if (++j->out->duplicates > j->rules->duplicates)
		violation(j, "record %" PRIu64 " was delivered again though it was %s", op->number,
			  cell->place == OUT ? "out and unsettled" : "acknowledged");
}

static bool check_record(struct judge *j, const struct weir_op *op)
{
	const struct record *record;

	if (op->flags & WEIR_OP_STRANGE) {
		violation(j, "something was delivered that nobody published");
		return false;
	}
	record = &j->record[op->number];
	if (op->flags & WEIR_OP_DAMAGED)
		violation(j, "record %" PRIu64 " was not delivered as it was published", op->number);
	if (record->outcome == WEIR_NOT_PERSISTED)
		violation(j, "record %" PRIu64 " was delivered though it was said not to be persisted", op->number);
	else if (record->topic != j->reader[op->reader].topic)
		violation(j,
			  "record %" PRIu64 " of topic %" PRIu32 " was delivered to a subscription of topic %" PRIu32,
			  op->number, record->topic, j->reader[op->reader].topic);
	return true;
}

static void on_deliver(struct judge *j, const struct weir_op *op)
{
	struct reader *reader = &j->reader[op->reader];
	struct cell *cell;

	j->out->judged++;
	j->out->deliveries++;
	check_member(j, op);
	if (!check_record(j, op) || !reader->cells)
		return;
	cell = &reader->cells[op->number];
	if (cell->place == NEVER)
		check_order(j, reader, op);
	check_again(j, cell, op);
	*cell = (struct cell){ .out_ns = op->at_ns, .member = op->member, .place = OUT };
}

static void on_settle(struct judge *j, const struct weir_op *op)
{
	struct cell *cell = j->reader[op->reader].cells ? &j->reader[op->reader].cells[op->number] : NULL;

	if (op->code != WEIR_OK || !cell)
		return;
	if (op->arg == WEIR_ACK || op->arg == WEIR_TERM)
		cell->place = DONE;
	else if (op->arg == WEIR_NACK)
		cell->place = NACKED;
	else
		cell->out_ns = op->at_ns + op->attempt * INT64_C(1000000);
	cell->nacked_here = op->arg == WEIR_NACK;
}

static uint64_t missing(const struct judge *j, uint32_t r, uint64_t *first)
{
	const struct reader *reader = &j->reader[r];
	uint64_t count = 0;

	for (uint64_t i = 1; reader->cells && i <= j->records; i++) {
		const struct record *record = &j->record[i];

		if (record->topic != reader->topic || record->at < reader->from || !record->completed ||
		    record->outcome != WEIR_PERSISTED || reader->cells[i].place != NEVER)
			continue;
		if (record->excused && j->rules->lose_all_in_crash)
			continue;
		if (!count++)
			*first = i;
	}
	return count;
}

/* Judged at once: what a close or a crash takes along afterwards is no excuse. */
static void on_whole(struct judge *j, uint32_t r)
{
	uint64_t first = 0, count = missing(j, r, &first);

	j->out->judged++;
	j->out->lost += count;
	if (count)
		violation(j,
			  "%" PRIu64 " persisted records never reached subscription %" PRIu32
			  "; the first is record %" PRIu64,
			  count, r, first);
}

/* ---- all of it ----------------------------------------------------------- */

static void step(struct judge *j, const struct weir_op *op, uint64_t at)
{
	unsigned kind = op->kind;

	switch (kind) {
	case WEIR_OP_SUBSCRIBE:
		on_subscribe(j, op);
		break;
	case WEIR_OP_READY:
		on_ready(j, op, at);
		break;
	case WEIR_OP_CREDIT:
		j->member[op->member].credit += op->arg;
		if (j->member[op->member].credit < 0)
			j->member[op->member].credit = 0;
		break;
	case WEIR_OP_PUBLISH:
		on_publish(j, op, at);
		break;
	case WEIR_OP_REFUSED:
		on_refused(j, op);
		break;
	case WEIR_OP_DONE:
		on_done(j, op);
		break;
	case WEIR_OP_DELIVER:
		on_deliver(j, op);
		break;
	case WEIR_OP_SETTLE:
		on_settle(j, op);
		break;
	case WEIR_OP_PAUSED:
	case WEIR_OP_RESUME:
		j->member[op->member].paused = kind == WEIR_OP_PAUSED;
		break;
	case WEIR_OP_ENDED:
		on_ended(j, op);
		break;
	case WEIR_OP_REVOKED:
		give_back(j, op->member, false, true);
		break;
	case WEIR_OP_DOWN:
		give_back(j, 0, true, true);
		break;
	case WEIR_OP_CLOSED:
	case WEIR_OP_CRASH:
		end_all(j, kind == WEIR_OP_CRASH);
		break;
	case WEIR_OP_WHOLE:
		on_whole(j, op->reader);
		break;
	default:
		break;
	}
}

static void check_end(struct judge *j)
{
	for (uint64_t i = 1; i <= j->records; i++) {
		if (!j->record[i].accepted || j->record[i].completed || j->record[i].excused)
			continue;
		j->out->missing_done++;
		violation(j, "record %" PRIu64 " was accepted and never completed", i);
	}
}

static bool judge_run(struct judge *j, const struct weir_op *ops, size_t count)
{
	if (!judge_init(j, ops, count))
		return false;
	for (size_t i = 0; i < count && !j->short_of_memory; i++)
		step(j, &ops[i], i);
	return !j->short_of_memory;
}

bool weir_judge(const struct weir_op *ops, size_t count, const struct weir_judge_rules *rules,
		struct weir_judgement *ret)
{
	struct judge j = { .rules = rules, .out = ret };
	bool done;

	memset(ret, 0, sizeof *ret);
	done = judge_run(&j, ops, count);
	if (done)
		check_end(&j);
	judge_fini(&j);
	return done;
}

uint64_t weir_judge_missing(const struct weir_op *ops, size_t count, const struct weir_judge_rules *rules,
			    uint32_t reader)
{
	struct weir_judgement judgement = { 0 };
	struct judge j = { .rules = rules, .out = &judgement };
	uint64_t first, result = UINT64_MAX;

	if (judge_run(&j, ops, count))
		result = reader <= j.readers ? missing(&j, reader, &first) : 0;
	judge_fini(&j);
	return result;
}
