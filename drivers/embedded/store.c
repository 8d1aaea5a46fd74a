/* SPDX-License-Identifier: Apache-2.0 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
	PREALLOCATE_MIN = 1 << 20,  /* the file grows by at least so much ... */
	PREALLOCATE_MAX = 64 << 20, /* ... and at most so much */
	RESERVE = 1 << 20,          /* of what is allocated, only cursors and deletions may use this */
	OVERHEAD = 128 << 10,       /* branch pages, free lists: cost of a transaction */
};

#define TEXT_OF(number)              #number
#define VERSION(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char weir_embedded_version[] = "1.0, LMDB " VERSION(MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH);

/* ---- errors -------------------------------------------------------------------------- */

static int code_of(int rc)
{
	switch (rc) {
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
		return WEIR_ELIMIT;
	case ENOMEM:
		return WEIR_ENOMEM;
	case EACCES:
	case EPERM:
	case EROFS:
		return WEIR_ENOPERM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_PANIC:
		return WEIR_ECORRUPT;
	default:
		return WEIR_EIO;
	}
}

int weir_embedded_store_fail(const struct weir_embedded_store *store, struct weir_error *err, int rc, const char *what)
{
	int code = code_of(rc);

	/* LMDB's own words for it speak of its map, which is as large as the disk allows. */
	weir_fail(err, code, "store %s: %s: %s", store->path, what,
		  code == WEIR_ELIMIT ? strerror(ENOSPC) : mdb_strerror(rc));
	weir_error_native(err, rc > 0 ? "errno" : "lmdb", rc);
	if (err && code == WEIR_ELIMIT)
		err->retry_after_ms = 1000;
	return code;
}

/* ---- keys ------------------------------------------------------------------------------ */

static void key64(unsigned char *at, uint64_t value)
{
	int i;

	for (i = 0; i < 8; i++)
		at[i] = (unsigned char)(value >> (56 - 8 * i));
}

uint64_t weir_embedded_key_number(const void *bytes)
{
	const unsigned char *at = bytes;
	uint64_t value = 0;
	int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

void weir_embedded_record_key(unsigned char *key, uint64_t topic, uint64_t position)
{
	key64(key, topic);
	key64(key + 8, position);
}

size_t weir_embedded_cursor_key(unsigned char *key, uint64_t topic, const char *uid)
{
	size_t len = strlen(uid);

	key64(key, topic);
	memcpy(key + 8, uid, len);
	return 8 + len;
}

MDB_val weir_embedded_val(const void *bytes, size_t len)
{
	MDB_val value = { len, NULL };

	memcpy(&value.mv_data, &bytes, sizeof bytes);
	return value;
}

/* ---- room ---------------------------------------------------------------------------------
 *
 * LMDB takes a page that is free inside the file or, if there is none, the page
 * behind the last; it stops at the size of its map. So the map is made as large
 * as what the file system has promised: a transaction then fails before it has
 * written anything, not in the middle. Records may use the map but for RESERVE
 * bytes at its end; only cursors and deletions, which give room back, may use
 * those.
 */

static uint64_t page_up(const struct weir_embedded_store *store, uint64_t bytes)
{
	return (bytes + store->page - 1) / store->page * store->page;
}

/* By how much the file grows at a time. */
static uint64_t growth(const struct weir_embedded_store *store)
{
	uint64_t step = store->end < store->max_bytes ? store->end / 8 : store->max_bytes / 8;

	if (step < PREALLOCATE_MIN)
		return PREALLOCATE_MIN;
	return step < PREALLOCATE_MAX ? step : PREALLOCATE_MAX;
}

/* Asks the file system for the file's blocks up to `end` + `need`, and for more if it has them. */
static void preallocate(struct weir_embedded_store *store, uint64_t need)
{
	uint64_t target = page_up(store, store->end + need), more = page_up(store, target + growth(store));
	mdb_filehandle_t fd;

	if (store->allocated >= target || mdb_env_get_fd(store->env, &fd))
		return;
	if (fallocate(fd, 0, 0, (off_t)more) == 0)
		store->allocated = more;
	else if (errno == EOPNOTSUPP)
		/* It cannot promise anything. A full disk is then noticed when a transaction is written. */
		store->allocated = page_up(store, store->max_bytes + store->max_bytes / 4 + PREALLOCATE_MAX);
	else if (fallocate(fd, 0, 0, (off_t)target) == 0)
		store->allocated = target;
}

/* Makes the map so large. No transaction may be open, so it waits for the one that poll() reads in. */
static int map_to(struct weir_embedded_store *store, uint64_t size)
{
	int rc;

	if (size < store->end)
		size = store->end;
	if (size == store->mapped)
		return 0;
	pthread_mutex_lock(&store->map);
	rc = mdb_env_set_mapsize(store->env, (size_t)size);
	store->unmapped = rc != 0;
	pthread_mutex_unlock(&store->map);
	store->mapped = size;
	return rc;
}

uint64_t weir_embedded_store_cost(size_t len)
{
	uint64_t bytes = (uint64_t)len + 64;

	return bytes < 2048 ? bytes + bytes / 2 : (bytes + 4095) / 4096 * 4096 + 128;
}

int weir_embedded_store_room(struct weir_embedded_store *store, uint64_t cost, struct weir_error *err)
{
	uint64_t fresh;

	if (store->record_bytes + cost > store->max_bytes) {
		weir_fail(err, WEIR_ELIMIT, "store %s: embedded.maxBytes is used up: subscribers are behind",
			  store->path);
		if (err)
			err->retry_after_ms = 1000;
		return WEIR_ELIMIT;
	}
	cost += OVERHEAD;
	preallocate(store, cost + RESERVE);
	fresh = store->allocated > store->end + RESERVE ? store->allocated - store->end - RESERVE : 0;
	if (cost <= fresh + store->free_bytes)
		return WEIR_OK;
	return weir_embedded_store_fail(store, err, ENOSPC, "no room for new records");
}

/* What the databases hold, with what the transaction has changed. */
static void measure(struct weir_embedded_store *store, struct usage *ret)
{
	const MDB_dbi dbis[] = { 0, 1, store->weir, store->topics, store->cursors, store->records };
	uint64_t pages = 0, used = 2;
	MDB_stat stat;
	size_t i;

	memset(&stat, 0, sizeof stat);
	for (i = 0; i < sizeof dbis / sizeof dbis[0]; i++) {
		if (mdb_stat(store->write, dbis[i], &stat))
			continue;
		pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
		used += pages;
	}
	ret->records = stat.ms_entries;
	ret->record_bytes = pages * store->page;
	ret->used = used * store->page;
}

void weir_embedded_store_measured(struct weir_embedded_store *store, const struct usage *usage)
{
	MDB_envinfo info;

	mdb_env_info(store->env, &info);
	store->end = ((uint64_t)info.me_last_pgno + 1) * store->page;
	store->free_bytes = store->end > usage->used ? store->end - usage->used : 0;
	store->record_bytes = usage->record_bytes;
	store->stat_records = usage->records;
	store->stat_bytes = usage->record_bytes;
}

/* ---- transactions --------------------------------------------------------------------------- */

/* Somebody who removes or cuts the file while it is open must not have events confirmed that are in none. */
static int file_check(struct weir_embedded_store *store, struct weir_error *err)
{
	mdb_filehandle_t fd;
	struct stat info;

	if (mdb_env_get_fd(store->env, &fd) || fstat(fd, &info))
		return weir_embedded_store_fail(store, err, errno, "cannot look at its file");
	if (info.st_nlink == 0)
		return weir_fail(err, WEIR_ECORRUPT, "store %s: data.mdb was removed while it was in use", store->path);
	if ((uint64_t)info.st_size < store->length)
		return weir_fail(err, WEIR_ECORRUPT, "store %s: data.mdb was cut while it was in use", store->path);
	store->length = (uint64_t)info.st_size;
	return WEIR_OK;
}

int weir_embedded_store_begin(struct weir_embedded_store *store, bool records, struct weir_error *err)
{
	int rc = file_check(store, err);

	if (rc)
		return rc;
	preallocate(store, RESERVE);
	rc = map_to(store, records && store->allocated > RESERVE ? store->allocated - RESERVE : store->allocated);
	if (rc)
		return weir_fail(err, WEIR_EIO, "store %s: cannot map its file: %s", store->path, mdb_strerror(rc));
	rc = mdb_txn_begin(store->env, NULL, 0, &store->write);
	return rc ? weir_embedded_store_fail(store, err, rc, "cannot begin") : WEIR_OK;
}

void weir_embedded_store_abort(struct weir_embedded_store *store)
{
	mdb_txn_abort(store->write);
	store->write = NULL;
}

int weir_embedded_store_commit(struct weir_embedded_store *store, struct weir_error *err)
{
	struct usage usage;
	int rc;

	measure(store, &usage);
	errno = 0;
	rc = mdb_txn_commit(store->write);
	store->write = NULL;
	store->stat_syncs += store->sync;
	/* LMDB calls a write that was cut short EIO, without a call that failed with it: the disk is full. */
	if (rc == EIO && errno == 0)
		rc = ENOSPC;
	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot commit");
	weir_embedded_store_measured(store, &usage);
	return WEIR_OK;
}

int weir_embedded_store_sync(struct weir_embedded_store *store, struct weir_error *err)
{
	int rc = mdb_env_sync(store->env, 1);

	store->stat_syncs++;
	return rc ? weir_embedded_store_fail(store, err, rc, "cannot sync") : WEIR_OK;
}

void weir_embedded_store_stats(const struct weir_embedded_store *store, struct weir_embedded_store_stats *ret)
{
	ret->records = store->stat_records;
	ret->bytes = store->stat_bytes;
	ret->syncs = store->stat_syncs;
}

static int put(struct weir_embedded_store *store, MDB_dbi dbi, MDB_val key, MDB_val value, struct weir_error *err)
{
	int rc = mdb_put(store->write, dbi, &key, &value, 0);

	return rc ? weir_embedded_store_fail(store, err, rc, "cannot write") : WEIR_OK;
}

static int del(struct weir_embedded_store *store, MDB_dbi dbi, MDB_val key, struct weir_error *err)
{
	int rc = mdb_del(store->write, dbi, &key, NULL);

	return rc && rc != MDB_NOTFOUND ? weir_embedded_store_fail(store, err, rc, "cannot delete") : WEIR_OK;
}

int weir_embedded_store_put_topic(struct weir_embedded_store *store, const char *name,
				  const struct weir_embedded_topic_row *row, struct weir_error *err)
{
	unsigned char blob[WEIR_EMBEDDED_TOPIC_SIZE];

	weir_embedded_topic_write(blob, row, name, strlen(name));
	return put(store, store->topics, weir_embedded_val(name, strlen(name)), weir_embedded_val(blob, sizeof blob),
		   err);
}

int weir_embedded_store_delete_topic(struct weir_embedded_store *store, const char *name, struct weir_error *err)
{
	return del(store, store->topics, weir_embedded_val(name, strlen(name)), err);
}

int weir_embedded_store_put_cursor(struct weir_embedded_store *store, uint64_t topic, const char *uid, const void *blob,
				   size_t len, struct weir_error *err)
{
	unsigned char key[WEIR_EMBEDDED_MAX_KEY];
	size_t key_len = weir_embedded_cursor_key(key, topic, uid);

	return put(store, store->cursors, weir_embedded_val(key, key_len), weir_embedded_val(blob, len), err);
}

int weir_embedded_store_delete_cursor(struct weir_embedded_store *store, uint64_t topic, const char *uid,
				      struct weir_error *err)
{
	unsigned char key[WEIR_EMBEDDED_MAX_KEY];
	size_t key_len = weir_embedded_cursor_key(key, topic, uid);

	return del(store, store->cursors, weir_embedded_val(key, key_len), err);
}

/*
 * Behind the last key of all, LMDB fills pages to the end; elsewhere it splits
 * them in halves. So the topic with the highest id is written that way: with
 * one busy topic, that is nearly everything.
 */
int weir_embedded_store_put_record(struct weir_embedded_store *store, uint64_t topic, uint64_t position,
				   const void *blob, size_t len, struct weir_error *err)
{
	unsigned char bytes[WEIR_EMBEDDED_RECORD_KEY];
	MDB_val key, value = weir_embedded_val(blob, len);
	int rc = MDB_KEYEXIST;

	weir_embedded_record_key(bytes, topic, position);
	key = weir_embedded_val(bytes, sizeof bytes);
	if (topic >= store->highest_topic)
		rc = mdb_put(store->write, store->records, &key, &value, MDB_APPEND);
	if (rc == 0)
		store->highest_topic = topic;
	if (rc == MDB_KEYEXIST)
		rc = mdb_put(store->write, store->records, &key, &value, 0);
	return rc ? weir_embedded_store_fail(store, err, rc, "cannot write") : WEIR_OK;
}

int weir_embedded_store_trim(struct weir_embedded_store *store, uint64_t topic, uint64_t upto, uint64_t last,
			     uint32_t max, uint64_t *first, struct weir_error *err)
{
	unsigned char bytes[WEIR_EMBEDDED_RECORD_KEY];
	MDB_val key, value;
	MDB_cursor *at;
	int rc;

	weir_embedded_record_key(bytes, topic, 0);
	key = weir_embedded_val(bytes, sizeof bytes);
	*first = last + 1;
	rc = mdb_cursor_open(store->write, store->records, &at);
	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot delete");
	for (rc = mdb_cursor_get(at, &key, &value, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(at, &key, &value, MDB_NEXT)) {
		uint64_t position;

		if (key.mv_size != sizeof bytes || weir_embedded_key_number(key.mv_data) != topic)
			break;
		position = weir_embedded_key_number((const unsigned char *)key.mv_data + 8);
		if (position > upto || !max--) {
			*first = position;
			break;
		}
		rc = mdb_cursor_del(at, 0);
		if (rc)
			break;
	}
	mdb_cursor_close(at);
	return rc && rc != MDB_NOTFOUND ? weir_embedded_store_fail(store, err, rc, "cannot delete") : WEIR_OK;
}

bool weir_embedded_store_time(struct weir_embedded_store *store, uint64_t topic, uint64_t position, int64_t *time_ms)
{
	unsigned char bytes[WEIR_EMBEDDED_RECORD_KEY];
	MDB_val key, value;

	weir_embedded_record_key(bytes, topic, position);
	key = weir_embedded_val(bytes, sizeof bytes);
	if (mdb_get(store->write, store->records, &key, &value) ||
	    !weir_embedded_record_intact(value.mv_data, value.mv_size, bytes, sizeof bytes))
		return false;
	return weir_embedded_record_time(value.mv_data, value.mv_size, time_ms);
}
