/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching an OAuth 2 access token over HTTP. Knows nothing of Kafka. */
#ifndef WEIR_DRIVER_KAFKA_OAUTH_H
#define WEIR_DRIVER_KAFKA_OAUTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is sent: a form, or with `metadata` a query to a cloud's metadata service. */
struct weir_kafka_token_request {
	char *url;
	char *fields;            /* escaped; may hold a secret */
	char *file, *file_field; /* one more field, whose value is what the file has at the time */
	const char *ca_file;     /* ""; the system's */
	const atomic_bool *stop; /* gives up when it becomes true */
	bool metadata, failed;   /* failed: no memory */
};

struct weir_kafka_token {
	char *value;
	int64_t begin_s, end_s; /* since 1970-01-01 UTC */
};

void weir_kafka_token_url(struct weir_kafka_token_request *request, const char *url);
void weir_kafka_token_field(struct weir_kafka_token_request *request, const char *name, const char *value);
bool weir_kafka_token_file(struct weir_kafka_token_request *request, const char *name, const char *path);
void weir_kafka_token_request_fini(struct weir_kafka_token_request *request);

/* Blocks for 10 s at most. On failure the old token stays and `why` says what is wrong, without any secret. */
bool weir_kafka_token_fetch(const struct weir_kafka_token_request *request, struct weir_kafka_token *token, char *why,
			    size_t why_size);
void weir_kafka_token_fini(struct weir_kafka_token *token);

/*
 * The scalar at `key` of the JSON object in text[0..len): a string without its
 * quotes, or a number as it is. False: it is not there, not a scalar, too long
 * for `size`, has escapes other than of one character, or that is no JSON object.
 */
bool weir_kafka_json_scalar(const char *text, size_t len, const char *key, char *ret, size_t size);

#endif
