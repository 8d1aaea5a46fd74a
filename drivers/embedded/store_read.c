/* SPDX-License-Identifier: Apache-2.0 */
#include "store_internal.h"

#include <errno.h>

static int read_txn(struct weir_embedded_store *store)
{
	int rc;

	if (store->read)
		return mdb_txn_renew(store->read);
	rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->read);
	if (rc)
		store->read = NULL;
	return rc;
}

int weir_embedded_store_read_begin(struct weir_embedded_store *store, uint64_t topic, uint64_t position,
				   struct weir_error *err)
{
	unsigned char bytes[WEIR_EMBEDDED_RECORD_KEY];
	MDB_val key, value;
	int rc;

	pthread_mutex_lock(&store->map);
	rc = store->unmapped ? EIO : read_txn(store);
	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read");
	rc = store->read_at ? mdb_cursor_renew(store->read, store->read_at)
			    : mdb_cursor_open(store->read, store->records, &store->read_at);
	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read");
	weir_embedded_record_key(bytes, topic, position);
	key = weir_embedded_val(bytes, sizeof bytes);
	store->read_topic = topic;
	store->read_begun = false;
	rc = mdb_cursor_get(store->read_at, &key, &value, MDB_SET_RANGE);
	store->read_empty = rc != 0;
	return rc && rc != MDB_NOTFOUND ? weir_embedded_store_fail(store, err, rc, "cannot read") : WEIR_OK;
}

int weir_embedded_store_read_next(struct weir_embedded_store *store, struct weir_embedded_stored *ret,
				  struct weir_error *err)
{
	MDB_val key, value;
	int rc;

	if (store->read_empty)
		return WEIR_ENOTFOUND;
	rc = mdb_cursor_get(store->read_at, &key, &value, store->read_begun ? MDB_NEXT : MDB_GET_CURRENT);
	store->read_begun = true;
	if (rc == MDB_NOTFOUND)
		return WEIR_ENOTFOUND;
	if (rc)
		return weir_embedded_store_fail(store, err, rc, "cannot read");
	if (key.mv_size != WEIR_EMBEDDED_RECORD_KEY || weir_embedded_key_number(key.mv_data) != store->read_topic)
		return WEIR_ENOTFOUND;
	ret->position = weir_embedded_key_number((const unsigned char *)key.mv_data + 8);
	ret->blob = value.mv_data;
	ret->len = value.mv_size;
	ret->intact = weir_embedded_record_intact(value.mv_data, value.mv_size, key.mv_data, key.mv_size);
	return WEIR_OK;
}

void weir_embedded_store_read_end(struct weir_embedded_store *store)
{
	if (store->read)
		mdb_txn_reset(store->read);
	pthread_mutex_unlock(&store->map);
}
