/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/memo: which backend each channel is on and what is left to drain, kept
 * in a file so that moves survive a restart.
 *
 * The file is text, a few lines for each channel:
 *   weir-moves 1
 *   channel NAMESPACE NAME KIND     new events go to this kind
 *   sub UID                         a durable subscription that the channel has
 *   from KIND                       a backend that is not drained, the oldest first
 *   sub UID                         and for whom
 *   end
 * Blanks, '%' and control characters in words are written as %XX. It is always
 * replaced as a whole: written beside, synced, renamed, the folder synced. A
 * crash leaves the old one or the new one.
 */
#ifndef WEIR_CHANNEL_MEMO_H
#define WEIR_CHANNEL_MEMO_H

#include <stdbool.h>

#include <weir/channel.h>

struct weir_uid {
	struct weir_uid *next;
	char text[];
};

/* False: memory is short. One that is there already is not added again. */
bool weir_uid_add(struct weir_uid **list, const char *text);
/* True: it was there. */
bool weir_uid_remove(struct weir_uid **list, const char *text);
bool weir_uid_has(const struct weir_uid *list, const char *text);
void weir_uid_free(struct weir_uid **list);

struct weir_memo_leg {
	struct weir_memo_leg *next; /* newer */
	struct weir_uid *uids;
	char kind[];
};

/* What is known of a channel that is not open. */
struct weir_memo {
	struct weir_memo *next;
	char *ns, *name, *kind;
	struct weir_uid *uids;
	struct weir_memo_leg *legs; /* the oldest first */
};

void weir_memo_free(struct weir_memo *memo);
/* Reads a file. WEIR_ENOTFOUND: there is none. *ret is a list. */
int weir_memo_read(const char *path, struct weir_memo **ret, struct weir_error *err);
/* Takes what is known of a channel out of the runtime's list; NULL: nothing. The runtime's lock is held. */
struct weir_memo *weir_memo_take_locked(weir_runtime *runtime, const char *ns, const char *name);
/* What is to be known of a channel that is about to go; NULL: nothing, or memory is short. The lock is held. */
struct weir_memo *weir_memo_of_locked(const weir_channel *channel);
/* Writes the file as things are. Without a path: WEIR_OK. No lock held. */
int weir_memo_write(weir_runtime *runtime, struct weir_error *err);

#endif
