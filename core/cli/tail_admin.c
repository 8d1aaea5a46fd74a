/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tail_admin: events of a channel that a running Weir has open, through its admin port. */
#include <stdio.h>

#include "base/clock.h"
#include "base/dynbuf.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/show.h"
#include "cli/tail.h"

enum { URL_MAX = 8192 };

static bool on_line(void *ctx, char *line, size_t len)
{
	struct weir_tail *tail = ctx;
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_event_from_json(tail->event, (struct weir_buf){ line, len }, &err) ||
	    weir_cli_show(tail->event, tail->pretty, &err))
		weir_cli_say("the other side sent something that is no event: %s", err.text);
	else
		tail->seen++;
	return fflush(stdout) == 0 && weir_tail_wanted(tail) > 0;
}

static bool make_url(const struct weir_tail *tail, const char *base, struct weir_dynbuf *url)
{
	return weir_cli_http_path(url, base, "/tail/", tail->channel.ns, tail->channel.name) &&
	       weir_dynbuf_addf(url, "?from=%s", tail->earliest ? "earliest" : "latest") &&
	       (!tail->count || weir_dynbuf_addf(url, "&count=%llu", (unsigned long long)tail->count));
}

static int stream(struct weir_tail *tail, struct weir_cli_http *http, const char *url)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t timeout_ms = tail->deadline_ns == WEIR_NS_NEVER ? 0 : weir_clock_wait_ms(tail->deadline_ns);
	int code = weir_cli_http_lines(http, url, timeout_ms, on_line, tail, &err);

	/* A deadline that the user set is no failure by itself. */
	if (code == WEIR_OK || (code == WEIR_ETIMEDOUT && weir_clock_now_ns() >= tail->deadline_ns))
		return WEIR_EXIT_OK;
	return weir_cli_fail(&err);
}

int weir_tail_admin(struct weir_tail *tail, const char *base, bool direct)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_cli_http *http;
	struct weir_dynbuf url;
	int code;

	if (weir_cli_http_new(direct, &http, &err))
		return weir_cli_fail(&err);
	weir_dynbuf_init(&url, URL_MAX);
	if (make_url(tail, base, &url)) {
		code = stream(tail, http, url.ptr);
	} else {
		weir_cli_say("the URL is too long");
		code = WEIR_EXIT_USAGE;
	}
	weir_dynbuf_fini(&url);
	weir_cli_http_free(http);
	return code;
}
