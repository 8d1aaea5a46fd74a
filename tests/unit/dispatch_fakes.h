/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world for one subscription under test: a backend, subscribers and a
 * quarantine that do what the test says, on a loop that turns when the test says.
 */
#ifndef WEIR_TESTS_DISPATCH_FAKES_H
#define WEIR_TESTS_DISPATCH_FAKES_H

#include <stdbool.h>
#include <stddef.h>

#include "dispatch/delivery.h"
#include "dispatch/egress.h"

enum { FAKE_MAX = 4096 };

/* A POST that the code under test made and that was not answered yet, or was. */
struct fake_post {
	const char *url;
	struct weir_http_post post;
	bool open;
	char id[32];    /* ce-id */
	char all[1024]; /* every header, "name: value\n" */
};

struct fake_world {
	struct weir_delivery_loop *loop;
	struct weir_egress *egress;
	struct weir_subscription_settings settings;
	struct weir_subscription_spec spec; /* as subscribed */
	bool paused, closed;
	const char *hops, *only; /* the extensions weirhops and weirfor of what is delivered; NULL: none */
	uint32_t caps_without;   /* bit WEIR_CAP_KEY: the backend keeps no keys */
	uint64_t caps_more;      /* bits that the backend claims, too */
	uint32_t ack_wait_ms;

	struct fake_post posts[FAKE_MAX];
	size_t post_count;

	char acked[FAKE_MAX][32]; /* ids, in the order of settling */
	size_t ack_count, settle_calls, freed;
	int settle_code;
	char extended[FAKE_MAX][32]; /* ids, in the order of extending */
	size_t extend_count;
	int64_t extended_ms; /* the last one's */

	char published[FAKE_MAX][32]; /* ids */
	uint64_t published_tags[FAKE_MAX];
	size_t published_count;
	int publish_code;
	weir_completion_fn *completed;
	void *completed_ctx;

	char quarantined[FAKE_MAX][4096];
	size_t quarantined_count;
	int quarantine_code;
};

extern struct fake_world fake;

/* Starts anew with a subscriber and the default policy: 2 retries, 10 ms, ordered, 4 in flight. */
void fake_begin(void);
/* After the settings were changed. */
void fake_subscribe(void);
/* Closes and frees everything. */
void fake_end(void);

/* The backend hands out an event. `key` may be NULL. */
void fake_deliver(const char *id, const char *key);
/* ... a record that is no event. */
void fake_deliver_poison(void);
/* Turns the loop until nothing is left to do at once. */
void fake_turn(void);
/* Turns it until there are that many POSTs, or fails the test. */
void fake_wait_posts(size_t count);
/* Turns it until so many quarantine writes were asked for. */
void fake_wait_quarantined(size_t count);
void fake_wait_published(size_t count);

/* Answers a POST. `status` 0: no answer came. */
void fake_answer(size_t post, int status);
void fake_answer_with(size_t post, int status, const struct weir_header *headers, size_t count, const char *body);
/* Completes a publish. */
void fake_complete(size_t publish, enum weir_outcome outcome);

struct weir_egress_figures fake_figures(void);

#endif
