/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch/ingress_state: what the files of the ingress share. All of it belongs to the ingress's thread. */
#ifndef WEIR_DISPATCH_INGRESS_STATE_H
#define WEIR_DISPATCH_INGRESS_STATE_H

#include "dispatch/figure.h"
#include "dispatch/ingress.h"
#include "dispatch/publishing.h"
#include "dispatch/worker.h"

enum {
	WEIR_INGRESS_GATHER = 64,        /* events published in one call */
	WEIR_INGRESS_OUTSTANDING = 8192, /* events being published by one ingress */
	WEIR_INGRESS_KEEP_BYTES = 65536, /* events with more data are not pooled */
};

/* A request whose events are being published. */
struct weir_ingress_pending {
	struct weir_ingress_pending *next; /* free */
	struct weir_http_request *request; /* NULL: free */
	struct weir_ingress_channel *channel;
	uint64_t bytes;
	uint32_t events;
	uint32_t left; /* without a completion so far */
	int failed;    /* why one of them was not persisted; WEIR_OK: none so far */
	char *kyma_id; /* came in Kyma's format, to be answered with its id; NULL: did not */
};

struct weir_ingress_counters {
	weir_figure accepted, bytes, rejected, unavailable;
};

/* What one ingress keeps for one channel. */
struct weir_ingress_slot {
	struct weir_ingress_counters counters;
	struct weir_ingress_gather *gather; /* NULL until its first event */
	uint32_t pending;                   /* requests that are not answered */
	unsigned char apart[64];            /* written for each event, and the next one is another thread's */
};

/* What a turn has brought for one channel. */
struct weir_ingress_gather {
	struct weir_ingress_channel *channel;
	struct weir_ingress_gather *next; /* of those that are listed */
	bool listed;
	size_t count;
	struct weir_publish_item items[WEIR_INGRESS_GATHER];
};

struct weir_ingress {
	struct weir_ingress_options options;
	struct weir_worker worker;
	struct weir_http_server *server;
	struct weir_publishing publishing;
	struct weir_auth_cache *auth_cache;
	struct weir_hook hook;
	struct weir_ingress_gather *listed; /* maybe with something to publish */
	weir_event *spare[WEIR_INGRESS_GATHER];
	size_t spare_count;
	struct weir_ingress_pending *slab; /* WEIR_INGRESS_OUTSTANDING of them */
	size_t slab_used;                  /* only these were ever touched */
	struct weir_ingress_pending *free;
	struct weir_task drain_task;
	void (*drained)(void *ctx);
	void *drained_ctx;
};

static inline struct weir_ingress_slot *weir_ingress_slot(const struct weir_ingress *ingress,
							  const struct weir_ingress_channel *channel)
{
	return &channel->slots[ingress->options.index];
}

/* ---- ingress.c ------------------------------------------------------------ */

/* For the server, the publisher and the loop. */
void weir_ingress_request(void *ctx, struct weir_http_request *request);
void weir_ingress_published(void *ctx, uint64_t tag, int code);
void weir_ingress_end_turn(struct weir_hook *hook);

/* NULL: as many as may be are under way. */
struct weir_ingress_pending *weir_ingress_pend(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
					       struct weir_http_request *request);
/* Answers as `failed` says and gives it back. */
void weir_ingress_answer(struct weir_ingress *ingress, struct weir_ingress_pending *pending);
/* Refuses a request. `text` NULL: the fixed reason; otherwise a text of the event codec. */
void weir_ingress_refuse(struct weir_ingress *ingress, const struct weir_ingress_channel *channel,
			 struct weir_http_request *request, int code, const char *text);
/* Publishes what was gathered for a channel, so that what follows stays behind it. */
void weir_ingress_flush(struct weir_ingress *ingress, const struct weir_ingress_channel *channel);

/* ---- ingress_kyma.c ------------------------------------------------------- */

/* Decodes a request in Kyma's format; *ret_id is the caller's. On error the request is answered. */
int weir_ingress_kyma_decode(struct weir_ingress *ingress, const struct weir_ingress_channel *channel,
			     struct weir_http_request *request, weir_event *event, char **ret_id);
void weir_ingress_kyma_stored(struct weir_http_request *request, const char *id);

/* ---- ingress_batch.c ------------------------------------------------------ */

/* A request in batch mode: all of its events or none. */
void weir_ingress_batch(struct weir_ingress *ingress, struct weir_ingress_channel *channel,
			struct weir_http_request *request);

#endif
