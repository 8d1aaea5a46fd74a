/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/find: which drivers there are, without loading any.
 *
 * Looks at builtins, at the files that `drivers.kinds.KIND` names, and at
 * weir-driver-*.so in the folders of `drivers.path`; of two drivers for one kind
 * the one found first is used.
 */
#ifndef WEIR_CHANNEL_FIND_H
#define WEIR_CHANNEL_FIND_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/channel.h>
#include <weir/config.h>

#include "channel/builtin.h"
#include "channel/note.h"

struct weir_loaded;

enum { WEIR_FOUND_MAX = 256 };

struct weir_found {
	struct weir_found *next;
	struct weir_note note;     /* name and kind are "" where the file says none */
	char named[64];            /* the kind whose `drivers.kinds.KIND` names it; "" */
	char *path;                /* absolute; "builtin:NAME" */
	weir_driver_init_fn *init; /* of a builtin */
	bool problem;
	bool hidden;                /* another of its kind comes first */
	struct weir_error error;    /* the problem */
	struct weir_loaded *loaded; /* the loader's */
};

struct weir_found_list {
	struct weir_found *first;
	size_t count;
	bool allow_unsafe;
	char *searched; /* for messages: "/a, /b (no such folder)" */
};

/* Anything wrong with a file or folder is in the list, not an error. WEIR_ENOMEM. */
int weir_find(const weir_config *config, struct weir_found_list *list, struct weir_error *err);
void weir_find_fini(struct weir_found_list *list);

/*
 * The driver to use for a kind: the one that `drivers.kinds` names, whatever is
 * wrong with it; else one with a problem only if there is no other. NULL: none.
 */
struct weir_found *weir_find_kind(const weir_config *config, struct weir_found_list *list, const char *kind,
				  struct weir_error *err);

/*
 * Opens a driver file for reading and checks that nobody else could have put or
 * changed it: absolute path, no symbolic link, file and folder owned by root or
 * this user and not writable for all. *ret_fd is the caller's. WEIR_ENOPERM,
 * WEIR_ENOTFOUND, WEIR_EINVAL, WEIR_EIO.
 */
int weir_find_open(const char *path, bool allow_unsafe, int *ret_fd, struct weir_error *err);

/* Whether settings from the environment are to be ignored for what is loaded: set-uid and the like. */
bool weir_find_elevated(void);
/* For tests: as if the process were elevated (1), were not (0), as it is (-1). */
void weir_find_set_elevated(int elevated);

#endif
