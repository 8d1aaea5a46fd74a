/* SPDX-License-Identifier: Apache-2.0 */
/* What the three files of the store share: store.c writes, store_read.c reads, store_open.c opens and loads. */
#ifndef WEIR_DRIVER_EMBEDDED_STORE_INTERNAL_H
#define WEIR_DRIVER_EMBEDDED_STORE_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>

#include "store.h"

/*
 * Databases of the environment:
 *   weir      "format" -> the format's version, u32; "generation" -> u64. Little-endian
 *   topics    "namespace/name" -> id, highest position given
 *   cursors   topic id, uid -> where the subscription is
 *   records   topic id, position -> record
 * Ids and positions in keys are big-endian, so that keys sort as numbers do.
 */
struct weir_embedded_store {
	MDB_env *env;
	MDB_dbi weir, topics, cursors, records;
	MDB_txn *write;
	MDB_txn *read; /* reset while not in use */
	MDB_cursor *read_at;
	uint64_t highest_topic; /* that may have records */
	uint64_t read_topic;
	bool read_begun, read_empty;
	uint64_t max_bytes;
	bool sync;
	uint64_t page;
	uint64_t end;          /* of the last page in use, in bytes */
	uint64_t free_bytes;   /* in pages before it that are free */
	uint64_t record_bytes; /* in pages of `records` */
	uint64_t length;       /* of the file when it was last looked at; it never becomes shorter */
	uint64_t allocated;    /* what the file system has promised us of the file */
	uint64_t mapped;       /* size of the map; 0: not known */
	bool unmapped;         /* there is none, after an error; guarded by `map` */
	pthread_mutex_t map;   /* held while poll() reads, and while the map is changed */
	_Atomic uint64_t stat_records, stat_bytes, stat_syncs;
	char path[];
};

/* Says what failed in the store; `rc` is LMDB's. Returns the WEIR_ code. */
int weir_embedded_store_fail(const struct weir_embedded_store *store, struct weir_error *err, int rc, const char *what);
/* LMDB does not write through the pointers it is given. */
MDB_val weir_embedded_val(const void *bytes, size_t len);
uint64_t weir_embedded_key_number(const void *bytes);
/* What the databases hold. */
struct usage {
	uint64_t records;
	uint64_t record_bytes; /* in pages of `records` */
	uint64_t used;         /* in pages of all */
};
/* Notes it, and how large the file is. */
void weir_embedded_store_measured(struct weir_embedded_store *store, const struct usage *usage);

#endif
