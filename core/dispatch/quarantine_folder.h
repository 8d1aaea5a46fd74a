/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/quarantine_folder: the files of quarantine, for those who look into
 * it: listing, reading, taking away. Works whether or not somebody writes to the
 * folder meanwhile. Blocks; any thread.
 */
#ifndef WEIR_DISPATCH_QUARANTINE_FOLDER_H
#define WEIR_DISPATCH_QUARANTINE_FOLDER_H

#include <stdbool.h>

#include <weir/config.h>
#include <weir/event.h>

#include "base/arena.h"
#include "base/dynbuf.h"

enum {
	WEIR_QUARANTINE_NAME_SIZE = 64,
	WEIR_QUARANTINE_PATH_SIZE = 4096,
};

/* Where quarantine is. WEIR_EINVAL: the path is too long. */
int weir_quarantine_path(const weir_config *config, char out[WEIR_QUARANTINE_PATH_SIZE], struct weir_error *err);

/* True: a file of that name can be one of quarantine's. Never a path to elsewhere. */
bool weir_quarantine_is_name(struct weir_buf name);

struct weir_quarantine_names {
	char (*items)[WEIR_QUARANTINE_NAME_SIZE]; /* in the order of quarantining, about */
	size_t count, capacity;
};

/* All names behind `after` (NULL: all); a folder that is not there has none. weir_quarantine_names_fini() in any case.
 */
int weir_quarantine_list(const char *folder, const char *after, struct weir_quarantine_names *ret,
			 struct weir_error *err);
void weir_quarantine_names_fini(struct weir_quarantine_names *names);

/* Adds what the file says to `out`. WEIR_ENOTFOUND, WEIR_EIO, WEIR_ETOOBIG, WEIR_ENOMEM. */
int weir_quarantine_load(const char *folder, const char *name, struct weir_dynbuf *out, struct weir_error *err);
/* WEIR_OK: it is gone, durably. WEIR_ENOTFOUND, WEIR_EIO. */
int weir_quarantine_remove(const char *folder, const char *name, struct weir_error *err);

/* What a file says, as far as it is of use. Texts that are not there are empty. */
struct weir_quarantine_about {
	struct weir_buf quarantined, ns, channel, subscription, uid, reason;
	struct weir_buf event; /* JSON; ptr NULL: it is no event but a record */
};

/* Views of `text`, or in the arena. WEIR_ECORRUPT, WEIR_ENOMEM. */
int weir_quarantine_read(struct weir_buf text, struct weir_arena *arena, struct weir_quarantine_about *ret,
			 struct weir_error *err);

/* One line of JSON, with a newline, about a file; `event` is scratch. False: no memory. */
bool weir_quarantine_line(struct weir_dynbuf *out, const char *name, const struct weir_quarantine_about *about,
			  weir_event *event);

#endif
