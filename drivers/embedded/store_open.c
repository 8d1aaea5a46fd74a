/* SPDX-License-Identifier: Apache-2.0 */
#include "store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FORMAT = 1 };

/* ---- the format's version, and the generation ------------------------------------------ */

static uint64_t number_read(const MDB_val *value)
{
	const unsigned char *at = value->mv_data;
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < value->mv_size && i < 8; i++)
		number |= (uint64_t)at[i] << 8 * i;
	return number;
}

static int number_put(struct weir_embedded_store *store, const char *key, uint64_t number)
{
	unsigned char bytes[8];
	MDB_val name = weir_embedded_val(key, strlen(key)), value = weir_embedded_val(bytes, sizeof bytes);
	int i;

	for (i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(number >> 8 * i);
	return mdb_put(store->write, store->weir, &name, &value, 0);
}

static bool number_get(struct weir_embedded_store *store, const char *key, uint64_t *ret)
{
	MDB_val name = weir_embedded_val(key, strlen(key)), value;

	if (mdb_get(store->write, store->weir, &name, &value) || value.mv_size != 8)
		return false;
	*ret = number_read(&value);
	return true;
}

/* A store is ours if it says so; an environment in which nothing ever was may become ours. */
static int format_check(struct weir_embedded_store *store, bool empty, struct weir_error *err)
{
	uint64_t format;
	int rc = mdb_dbi_open(store->write, "weir", empty ? MDB_CREATE : 0, &store->weir);

	if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
		return weir_fail(err, WEIR_ECORRUPT, "%s holds an LMDB environment that is not a store of Weir",
				 store->path);
	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot open");
	if (empty) {
		rc = number_put(store, "format", FORMAT);
		return rc ? weir_embedded_store_fail(store, err, rc, "cannot write") : WEIR_OK;
	}
	if (!number_get(store, "format", &format))
		return weir_fail(err, WEIR_ECORRUPT, "%s holds an LMDB environment that is not a store of Weir",
				 store->path);
	if (format != FORMAT)
		return weir_fail(err, WEIR_EVERSION,
				 "store %s has format %llu, this driver knows format %d: use the Weir that wrote it",
				 store->path, (unsigned long long)format, FORMAT);
	return WEIR_OK;
}

static int schema_open(struct weir_embedded_store *store, uint64_t *generation, struct weir_error *err)
{
	MDB_stat stat;
	int code, rc = mdb_stat(store->write, 1, &stat); /* 1: the directory of databases */

	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read");
	code = format_check(store, stat.ms_entries == 0, err);
	if (code)
		return code;
	if ((rc = mdb_dbi_open(store->write, "topics", MDB_CREATE, &store->topics)) ||
	    (rc = mdb_dbi_open(store->write, "cursors", MDB_CREATE, &store->cursors)) ||
	    (rc = mdb_dbi_open(store->write, "records", MDB_CREATE, &store->records)))
		return weir_embedded_store_fail(store, err, rc, "cannot open its databases");
	if (!number_get(store, "generation", generation))
		*generation = 0;
	rc = number_put(store, "generation", ++*generation);
	return rc ? weir_embedded_store_fail(store, err, rc, "cannot write") : WEIR_OK;
}

/* ---- the environment ------------------------------------------------------------------------ */

/* A file that was cut would end this process with SIGBUS at the first page that is missing. */
static int length_check(struct weir_embedded_store *store, struct weir_error *err)
{
	mdb_filehandle_t fd;
	struct stat info;

	if (mdb_env_get_fd(store->env, &fd) || fstat(fd, &info))
		return weir_embedded_store_fail(store, err, errno, "cannot look at its file");
	if ((uint64_t)info.st_size < store->end)
		return weir_fail(err, WEIR_ECORRUPT,
				 "store %s: data.mdb has %lld bytes, but should have %llu: it was cut", store->path,
				 (long long)info.st_size, (unsigned long long)store->end);
	store->allocated = (uint64_t)info.st_size / store->page * store->page;
	return WEIR_OK;
}

static int env_open(struct weir_embedded_store *store, struct weir_error *err)
{
	const struct usage nothing = { 0, 0, 0 };
	MDB_stat stat;
	int dead, rc;

	if ((rc = mdb_env_create(&store->env)) || (rc = mdb_env_set_maxdbs(store->env, 8)) ||
	    (rc = mdb_env_set_maxreaders(store->env, 8)) ||
	    (rc = mdb_env_open(store->env, store->path, MDB_NOTLS | (store->sync ? 0 : MDB_NOSYNC), 0600))) {
		if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
			return weir_fail(err, WEIR_ECORRUPT, "%s/data.mdb is not a store of Weir: %s", store->path,
					 mdb_strerror(rc));
		return weir_embedded_store_fail(store, err, rc, "cannot open");
	}
	mdb_reader_check(store->env, &dead);
	mdb_env_stat(store->env, &stat);
	store->page = stat.ms_psize;
	weir_embedded_store_measured(store, &nothing);
	return length_check(store, err);
}

int weir_embedded_store_open(const struct weir_embedded_store_spec *spec, struct weir_embedded_store **ret,
			     uint64_t *generation, struct weir_error *err)
{
	size_t len = strlen(spec->path) + 1;
	struct weir_embedded_store *store = calloc(1, sizeof *store + len);
	int code;

	*ret = NULL;
	if (!store)
		return weir_fail(err, WEIR_ENOMEM, "no memory for a store");
	memcpy(store->path, spec->path, len);
	pthread_mutex_init(&store->map, NULL);
	store->max_bytes = spec->max_bytes;
	store->sync = spec->sync;
	code = env_open(store, err);
	if (code == WEIR_OK)
		code = weir_embedded_store_begin(store, false, err);
	if (code == WEIR_OK) {
		code = schema_open(store, generation, err);
		if (code)
			weir_embedded_store_abort(store);
		else
			code = weir_embedded_store_commit(store, err);
	}
	if (code) {
		weir_embedded_store_close(store);
		return code;
	}
	*ret = store;
	return WEIR_OK;
}

void weir_embedded_store_close(struct weir_embedded_store *store)
{
	if (!store)
		return;
	if (store->read_at)
		mdb_cursor_close(store->read_at);
	if (store->read)
		mdb_txn_abort(store->read);
	if (store->env)
		mdb_env_close(store->env);
	pthread_mutex_destroy(&store->map);
	free(store);
}

/* ---- loading --------------------------------------------------------------------------------------- */

/* The oldest and newest record of a topic, by looking at both ends of its keys. */
static int topic_ends(struct weir_embedded_store *store, MDB_txn *txn, const struct weir_embedded_topic_row *row,
		      uint64_t *first, uint64_t *last, struct weir_error *err)
{
	unsigned char bytes[WEIR_EMBEDDED_RECORD_KEY];
	MDB_val key, value;
	MDB_cursor *at;
	int rc = mdb_cursor_open(txn, store->records, &at);

	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read");
	*first = row->high + 1;
	*last = row->high;
	weir_embedded_record_key(bytes, row->id, 0);
	key = weir_embedded_val(bytes, sizeof bytes);
	rc = mdb_cursor_get(at, &key, &value, MDB_SET_RANGE);
	if (rc == 0 && key.mv_size == sizeof bytes && weir_embedded_key_number(key.mv_data) == row->id) {
		*first = weir_embedded_key_number((const unsigned char *)key.mv_data + 8);
		weir_embedded_record_key(bytes, row->id, UINT64_MAX);
		key = weir_embedded_val(bytes, sizeof bytes);
		rc = mdb_cursor_get(at, &key, &value, MDB_SET_RANGE);
		if (rc == 0 || rc == MDB_NOTFOUND)
			rc = mdb_cursor_get(at, &key, &value, rc ? MDB_LAST : MDB_PREV);
		if (rc == 0)
			*last = weir_embedded_key_number((const unsigned char *)key.mv_data + 8);
		if (*last < row->high)
			*last = row->high;
	}
	mdb_cursor_close(at);
	return rc && rc != MDB_NOTFOUND ? weir_embedded_store_fail(store, err, rc, "cannot read") : WEIR_OK;
}

static int load_topics(struct weir_embedded_store *store, MDB_txn *txn, const struct weir_embedded_loader *loader,
		       struct weir_error *err)
{
	MDB_val key, value;
	MDB_cursor *at;
	int code = WEIR_OK, rc = mdb_cursor_open(txn, store->topics, &at);

	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read topics");
	while (code == WEIR_OK && (rc = mdb_cursor_get(at, &key, &value, MDB_NEXT)) == 0) {
		struct weir_embedded_topic_row row;
		uint64_t first = 1, last = 0;

		if (!weir_embedded_topic_read(value.mv_data, value.mv_size, key.mv_data, key.mv_size, &row)) {
			code = weir_fail(err, WEIR_ECORRUPT, "store %s: the entry of topic %.*s is damaged",
					 store->path, (int)key.mv_size, (const char *)key.mv_data);
			break;
		}
		code = topic_ends(store, txn, &row, &first, &last, err);
		if (row.id > store->highest_topic && first <= last)
			store->highest_topic = row.id;
		if (code == WEIR_OK && loader->topic(loader->ctx, key.mv_data, key.mv_size, &row, first, last))
			code = weir_fail(err, WEIR_ENOMEM, "no memory for the topics of store %s", store->path);
	}
	mdb_cursor_close(at);
	return code == WEIR_OK && rc != MDB_NOTFOUND ? weir_embedded_store_fail(store, err, rc, "cannot read topics")
						     : code;
}

static int load_cursors(struct weir_embedded_store *store, MDB_txn *txn, const struct weir_embedded_loader *loader,
			struct weir_error *err)
{
	MDB_val key, value;
	MDB_cursor *at;
	int code = WEIR_OK, rc = mdb_cursor_open(txn, store->cursors, &at);

	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read subscriptions");
	while (code == WEIR_OK && (rc = mdb_cursor_get(at, &key, &value, MDB_NEXT)) == 0) {
		struct weir_embedded_cursor cursor;
		const void *blob = value.mv_data;

		if (key.mv_size <= 8 || key.mv_size > WEIR_EMBEDDED_MAX_KEY)
			continue;
		if (!weir_embedded_cursor_read(blob, value.mv_size, key.mv_data, key.mv_size, &cursor))
			blob = NULL;
		if (loader->cursor(loader->ctx, weir_embedded_key_number(key.mv_data), (const char *)key.mv_data + 8,
				   key.mv_size - 8, blob, &cursor))
			code = weir_fail(err, WEIR_ENOMEM, "no memory for the subscriptions of store %s", store->path);
	}
	mdb_cursor_close(at);
	return code == WEIR_OK && rc != MDB_NOTFOUND
		   ? weir_embedded_store_fail(store, err, rc, "cannot read subscriptions")
		   : code;
}

int weir_embedded_store_load(struct weir_embedded_store *store, const struct weir_embedded_loader *loader,
			     struct weir_error *err)
{
	MDB_txn *txn;
	int code, rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read");
	code = load_topics(store, txn, loader, err);
	if (code == WEIR_OK)
		code = load_cursors(store, txn, loader, err);
	mdb_txn_abort(txn);
	return code;
}
