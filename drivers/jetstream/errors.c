/* SPDX-License-Identifier: Apache-2.0 */
/* What JetStream's codes mean to Weir. */
#include "jetstream.h"

#include <stdarg.h>
#include <string.h>

struct row {
	int native; /* err_code of the server */
	uint8_t code;
	const char *advice;
};

static const struct row rows[] = {
	{ 10002, WEIR_ELIMIT, "; the account has no room left" },
	{ 10005, WEIR_EUNAVAIL, "; too few servers for jetstream.replicas are there" },
	{ 10008, WEIR_EUNAVAIL, "" },
	{ 10009, WEIR_EUNAVAIL, "" },
	{ 10010, WEIR_EUNAVAIL, "" },
	{ 10013, WEIR_EEXIST, "; it was made with other settings: delete it or set jetstream.consumerPattern" },
	{ 10014, WEIR_ENOTFOUND, "" },
	{ 10023, WEIR_ELIMIT, "; the server or the account has no room left" },
	{ 10026, WEIR_ELIMIT, "; the account or the stream allows no more consumers" },
	{ 10027, WEIR_ELIMIT, "; the account allows no more streams" },
	{ 10028, WEIR_ELIMIT, "; the account has no memory left" },
	{ 10035, WEIR_ENOPERM, "; ask for jetstream to be enabled for this account" },
	{ 10039, WEIR_EUNAVAIL, "; enable JetStream for this user's account" },
	{ 10047, WEIR_ELIMIT, "; the account has no storage left" },
	{ 10054, WEIR_ETOOBIG, "" },
	{ 10058, WEIR_EEXIST, "; it was made with other settings: set createStreams to false or use another name" },
	{ 10059, WEIR_ENOTFOUND, "" },
	{ 10065, WEIR_EEXIST, "; another stream takes these subjects: set jetstream.subjectPattern" },
	{ 10074, WEIR_EINVAL, "; one server alone cannot keep copies: set jetstream.replicas to 1" },
	{ 10076, WEIR_EUNAVAIL, "; start the server with JetStream (nats-server -js)" },
	{ 10077, WEIR_ELIMIT, "; the stream is full: raise its limits or let subscribers catch up" },
	{ 10122, WEIR_ELIMIT, "; the account asks for jetstream.maxBytes" },
	{ 10148, WEIR_EEXIST, "; it was made with other settings: delete it or set jetstream.consumerPattern" },
};

static const struct row *row_of(int native)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].native == native)
			return &rows[i];
	return NULL;
}

int weir_js_code(int http, int native)
{
	const struct row *row = row_of(native);

	if (row)
		return row->code;
	switch (http) {
	case 404:
		return WEIR_ENOTFOUND;
	case 408:
		return WEIR_ETIMEDOUT;
	case 403:
		return WEIR_ENOPERM;
	case 503:
		return WEIR_EUNAVAIL;
	case 400:
		return WEIR_EINVAL;
	default:
		return WEIR_EUNKNOWN;
	}
}

bool weir_js_refused(struct json_object *answer, struct weir_error *err, const char *format, ...)
{
	struct json_object *error = weir_js_get(answer, "error");
	int http = (int)weir_js_get_int(error, "code", 0), native = (int)weir_js_get_int(error, "err_code", 0);
	const struct row *row = row_of(native);
	char what[256], why[160];
	va_list args;
	size_t i;

	if (!error)
		return false;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(why, sizeof why, "%s", weir_js_get_text(error, "description"));
	for (i = 0; why[i]; i++)
		if ((unsigned char)why[i] < 0x20)
			why[i] = ' ';
	weir_fail(err, weir_js_code(http, native), "jetstream: %s: %s%s", what, why, row ? row->advice : "");
	weir_error_native(err, "jetstream", native ? native : http);
	err->scope = WEIR_SCOPE_SUBSCRIPTION;
	return true;
}
