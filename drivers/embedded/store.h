/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: the one file that knows LMDB. Topics, cursors and records in one
 * environment, one write transaction at a time.
 *
 * Threads: weir_embedded_store_read_* belong to the thread that polls, all the
 * others to the writer thread (or to open and close, when neither runs).
 * Functions return a WEIR_ code and fill `err`: WEIR_ELIMIT when it is about
 * room on the disk or `maxBytes`; anything else is the end of this store.
 */
#ifndef WEIR_DRIVER_EMBEDDED_STORE_H
#define WEIR_DRIVER_EMBEDDED_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

struct weir_embedded_store;

/* Of the driver, and of LMDB. */
extern const char weir_embedded_version[];

enum {
	WEIR_EMBEDDED_MAX_NAME = 480, /* namespace + '/' + name: LMDB keys end at 511 */
	WEIR_EMBEDDED_MAX_UID = 400,
};

struct weir_embedded_store_spec {
	const char *path;
	uint64_t max_bytes; /* for records */
	bool sync;          /* each commit reaches the disk before it returns */
};

/* Figures as of the last commit. */
struct weir_embedded_store_stats {
	uint64_t records;
	uint64_t bytes;
	uint64_t syncs;
};

/* ---- open and close ---------------------------------------------------------- */

/*
 * Opens the store in an existing folder that this process has locked; makes a
 * new one if there is none. *generation is one more at each opening.
 */
int weir_embedded_store_open(const struct weir_embedded_store_spec *spec, struct weir_embedded_store **ret,
			     uint64_t *generation, struct weir_error *err);
/* Undoes it. Writes nothing. NULL is allowed. */
void weir_embedded_store_close(struct weir_embedded_store *store);
/* Brings all commits to the disk: for stores that do not do so at each commit. */
int weir_embedded_store_sync(struct weir_embedded_store *store, struct weir_error *err);
void weir_embedded_store_stats(const struct weir_embedded_store *store, struct weir_embedded_store_stats *ret);

/* ---- loading, once after opening ------------------------------------------------ */

struct weir_embedded_loader {
	void *ctx;
	/* A topic with its oldest and newest record; first == last + 1 if there is none. `name` is "namespace/name". */
	int (*topic)(void *ctx, const char *name, size_t len, const struct weir_embedded_topic_row *row, uint64_t first,
		     uint64_t last);
	/* A subscription of a topic that was told before. `blob` is NULL if its cursor is damaged. */
	int (*cursor)(void *ctx, uint64_t topic, const char *uid, size_t len, const void *blob,
		      const struct weir_embedded_cursor *cursor);
};

/* The first code of a callback that is not WEIR_OK ends it. */
int weir_embedded_store_load(struct weir_embedded_store *store, const struct weir_embedded_loader *loader,
			     struct weir_error *err);

/* ---- writing --------------------------------------------------------------------- */

/* Bytes that a record may take on the disk, at most. */
uint64_t weir_embedded_store_cost(size_t len);
/* Whether records of this much cost can be stored now. WEIR_ELIMIT says why not. Outside of a transaction. */
int weir_embedded_store_room(struct weir_embedded_store *store, uint64_t cost, struct weir_error *err);

/* `records`: records will be put, so what is reserved for the rest must stay. */
int weir_embedded_store_begin(struct weir_embedded_store *store, bool records, struct weir_error *err);
/* On an error nothing is stored; unless the code is WEIR_ELIMIT, something may be. */
int weir_embedded_store_commit(struct weir_embedded_store *store, struct weir_error *err);
void weir_embedded_store_abort(struct weir_embedded_store *store);

int weir_embedded_store_put_topic(struct weir_embedded_store *store, const char *name,
				  const struct weir_embedded_topic_row *row, struct weir_error *err);
/* Deletes the row. Records and cursors are deleted one by one. */
int weir_embedded_store_delete_topic(struct weir_embedded_store *store, const char *name, struct weir_error *err);

/* A key of a cursor or record, for checksums. Returns its length. */
enum { WEIR_EMBEDDED_MAX_KEY = 8 + WEIR_EMBEDDED_MAX_UID };
size_t weir_embedded_cursor_key(unsigned char *key, uint64_t topic, const char *uid);
enum { WEIR_EMBEDDED_RECORD_KEY = 16 };
void weir_embedded_record_key(unsigned char *key, uint64_t topic, uint64_t position);

int weir_embedded_store_put_cursor(struct weir_embedded_store *store, uint64_t topic, const char *uid, const void *blob,
				   size_t len, struct weir_error *err);
int weir_embedded_store_delete_cursor(struct weir_embedded_store *store, uint64_t topic, const char *uid,
				      struct weir_error *err);

/* `blob` must be sealed for this place. */
int weir_embedded_store_put_record(struct weir_embedded_store *store, uint64_t topic, uint64_t position,
				   const void *blob, size_t len, struct weir_error *err);
/* Deletes the oldest records of a topic: up to position `upto` and `max` of them. *first: the oldest one left. */
int weir_embedded_store_trim(struct weir_embedded_store *store, uint64_t topic, uint64_t upto, uint64_t last,
			     uint32_t max, uint64_t *first, struct weir_error *err);
/* When the record was published; false: it is not there or damaged. Within a transaction. */
bool weir_embedded_store_time(struct weir_embedded_store *store, uint64_t topic, uint64_t position, int64_t *time_ms);

/* ---- reading ----------------------------------------------------------------------- */

struct weir_embedded_stored {
	uint64_t position;
	const void *blob; /* valid until weir_embedded_store_read_end() */
	size_t len;
	bool intact;
};

/* Begins at a position of a topic; always followed by _end. */
int weir_embedded_store_read_begin(struct weir_embedded_store *store, uint64_t topic, uint64_t position,
				   struct weir_error *err);
/* The next record of the topic; WEIR_ENOTFOUND behind the last, without filling `err`. */
int weir_embedded_store_read_next(struct weir_embedded_store *store, struct weir_embedded_stored *ret,
				  struct weir_error *err);
void weir_embedded_store_read_end(struct weir_embedded_store *store);

#endif
