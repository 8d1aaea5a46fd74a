/* SPDX-License-Identifier: Apache-2.0 */
/* cli/http: requests that a command makes, one after the other, and waits for. */
#ifndef WEIR_CLI_HTTP_H
#define WEIR_CLI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/driver.h>
#include <weir/error.h>

#include "base/dynbuf.h"

struct weir_cli_http;

/*
 * A connection that is kept open between requests. `direct`: no proxy, whatever
 * the environment says. *ret is the caller's. WEIR_ENOMEM, WEIR_EINTERNAL.
 */
int weir_cli_http_new(bool direct, struct weir_cli_http **ret, struct weir_error *err);
void weir_cli_http_free(struct weir_cli_http *http);

/*
 * POSTs and waits; an answer, whatever it is, is WEIR_OK. At most 64 KiB of it
 * are kept in `answer`. WEIR_EUNAVAIL, WEIR_ETIMEDOUT, WEIR_ETLS, WEIR_EINVAL
 * (the URL), WEIR_EIO, WEIR_ENOMEM; the text names the URL.
 */
int weir_cli_http_post(struct weir_cli_http *http, const char *url, const struct weir_header *headers, size_t count,
		       struct weir_buf body, int64_t timeout_ms, int *status, struct weir_dynbuf *answer,
		       struct weir_error *err);

/* Gets a line without its end, which may be changed; false: no more is wanted. */
typedef bool weir_cli_line_fn(void *ctx, char *line, size_t len);

/*
 * GETs and hands on each line as it comes, until the answer ends, `line` has
 * enough or the time is over (WEIR_ETIMEDOUT). An answer that is not 200 is
 * WEIR_ENOTFOUND, WEIR_EUNAVAIL or WEIR_EUNKNOWN with its reason as text.
 */
int weir_cli_http_lines(struct weir_cli_http *http, const char *url, int64_t timeout_ms, weir_cli_line_fn *line,
			void *ctx, struct weir_error *err);

/* The "reason" of an error body of Weir, control characters replaced; false if there is none. */
bool weir_cli_http_reason(struct weir_buf body, char *text, size_t size);

/*
 * The URL of a listener in this machine, from the first address of a list like
 * `dispatcher.listen`: ":8080" and "0.0.0.0:8080" are reached at 127.0.0.1.
 * False if there is no address or its port is 0.
 */
bool weir_cli_http_base(const char *addresses, char *url, size_t size);

/* Adds BASE/PREFIX NS/NAME, the names percent-encoded. False if memory is short. */
bool weir_cli_http_path(struct weir_dynbuf *url, const char *base, const char *prefix, const char *ns,
			const char *name);

#endif
