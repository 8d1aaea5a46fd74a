/* SPDX-License-Identifier: Apache-2.0 */
#include "conform/history.h"

#include <sys/mman.h>

#include "base/clock.h"

struct weir_history *weir_history_new(size_t room)
{
	size_t size = sizeof(struct weir_history) + room * sizeof(struct weir_op);
	struct weir_history *history =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (history == MAP_FAILED)
		return NULL;
	history->room = room;
	return history;
}

void weir_history_free(struct weir_history *history)
{
	if (history)
		munmap(history, sizeof *history + history->room * sizeof history->ops[0]);
}

/* The kind is stored last: a place whose writer was killed before reads as WEIR_OP_NONE. */
bool weir_history_add(struct weir_history *history, const struct weir_op *op)
{
	size_t at = atomic_fetch_add(&history->count, 1);
	struct weir_op *place;

	if (at >= history->room) {
		atomic_fetch_sub(&history->count, 1);
		return false;
	}
	place = &history->ops[at];
	place->at_ns = weir_clock_now_ns();
	place->code = op->code;
	place->reader = op->reader;
	place->member = op->member;
	place->topic = op->topic;
	place->number = op->number;
	place->key = op->key;
	place->attempt = op->attempt;
	place->flags = op->flags;
	place->arg = op->arg;
	atomic_store(&place->kind, op->kind);
	return true;
}

const char *weir_history_kind(unsigned kind)
{
	static const char *const names[] = {
		[WEIR_OP_NONE] = "none",       [WEIR_OP_SUBSCRIBE] = "subscribe", [WEIR_OP_READY] = "ready",
		[WEIR_OP_CREDIT] = "credit",   [WEIR_OP_PUBLISH] = "publish",     [WEIR_OP_REFUSED] = "refused",
		[WEIR_OP_DONE] = "done",       [WEIR_OP_DELIVER] = "deliver",     [WEIR_OP_SETTLE] = "settle",
		[WEIR_OP_PAUSED] = "paused",   [WEIR_OP_RESUME] = "resume",       [WEIR_OP_ENDED] = "ended",
		[WEIR_OP_REVOKED] = "revoked", [WEIR_OP_DOWN] = "down",           [WEIR_OP_UP] = "up",
		[WEIR_OP_CLOSED] = "closed",   [WEIR_OP_CRASH] = "crash",         [WEIR_OP_WHOLE] = "whole",
	};

	return kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}
