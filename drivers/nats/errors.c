/* SPDX-License-Identifier: Apache-2.0 */
/* nats/errors: what the library's codes mean to Weir. */
#include "login.h"

#include <stdarg.h>
#include <string.h>

struct row {
	natsStatus native;
	uint8_t code;  /* enum weir_code */
	uint8_t scope; /* enum weir_scope */
};

#define ROW(name, code, scope)                                                                                         \
	{                                                                                                              \
		NATS_##name, WEIR_##code, WEIR_SCOPE_##scope                                                           \
	}

static const struct row rows[] = {
	ROW(PROTOCOL_ERROR, EUNAVAIL, INSTANCE),
	ROW(IO_ERROR, EUNAVAIL, INSTANCE),
	ROW(LINE_TOO_LONG, EUNAVAIL, INSTANCE),
	ROW(CONNECTION_CLOSED, EUNAVAIL, INSTANCE),
	ROW(NO_SERVER, EUNAVAIL, INSTANCE),
	ROW(STALE_CONNECTION, EUNAVAIL, INSTANCE),
	ROW(SECURE_CONNECTION_WANTED, ETLS, INSTANCE),
	ROW(SECURE_CONNECTION_REQUIRED, ETLS, INSTANCE),
	ROW(SSL_ERROR, ETLS, INSTANCE),
	ROW(CONNECTION_DISCONNECTED, EUNAVAIL, INSTANCE),
	ROW(CONNECTION_AUTH_FAILED, EAUTH, INSTANCE),
	ROW(NOT_PERMITTED, ENOPERM, INSTANCE),
	ROW(NOT_FOUND, ENOTFOUND, SUBSCRIPTION),
	ROW(ADDRESS_MISSING, EINVAL, INSTANCE),
	ROW(INVALID_SUBJECT, EINVAL, CALL),
	ROW(INVALID_ARG, EINVAL, CALL),
	ROW(INVALID_SUBSCRIPTION, ECLOSED, SUBSCRIPTION),
	ROW(INVALID_TIMEOUT, EINVAL, CALL),
	ROW(ILLEGAL_STATE, EINTERNAL, CALL),
	ROW(SLOW_CONSUMER, ELIMIT, SUBSCRIPTION),
	ROW(MAX_PAYLOAD, ETOOBIG, CALL),
	ROW(MAX_DELIVERED_MSGS, ELIMIT, SUBSCRIPTION),
	ROW(INSUFFICIENT_BUFFER, EAGAIN, CALL),
	ROW(NO_MEMORY, ENOMEM, CALL),
	ROW(SYS_ERROR, EIO, INSTANCE),
	ROW(TIMEOUT, ETIMEDOUT, CALL),
	ROW(FAILED_TO_INITIALIZE, EFATAL, INSTANCE),
	ROW(NOT_INITIALIZED, EFATAL, INSTANCE),
	ROW(NO_SERVER_SUPPORT, ENOTSUP, INSTANCE),
	ROW(NOT_YET_CONNECTED, EUNAVAIL, INSTANCE),
	ROW(DRAINING, ECLOSED, INSTANCE),
	ROW(INVALID_QUEUE_NAME, EINVAL, CALL),
	ROW(NO_RESPONDERS, EUNAVAIL, SUBSCRIPTION),
	ROW(MISMATCH, EUNAVAIL, SUBSCRIPTION),
	ROW(MISSED_HEARTBEAT, EUNAVAIL, SUBSCRIPTION),
};

static const struct row *row_of(natsStatus native)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].native == native)
			return &rows[i];
	return NULL;
}

int weir_nats_code(natsStatus status)
{
	const struct row *row = row_of(status);

	if (status == NATS_OK)
		return WEIR_OK;
	return row ? row->code : WEIR_EUNKNOWN;
}

/* What the library last said in this thread, if it was about this failure: one line, or "". */
static const char *last_words(natsStatus status, char text[256])
{
	natsStatus about = NATS_OK;
	const char *last = nats_GetLastError(&about);
	size_t i;

	text[0] = '\0';
	if (!last || about != status || strcmp(last, natsStatus_GetText(status)) == 0)
		return text;
	snprintf(text, 256, " (%.250s)", last);
	for (i = 0; text[i]; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = ' ';
	return text;
}

static int fail(struct weir_error *err, const char *driver, natsStatus status, const char *what, const char *advice)
{
	const struct row *row = row_of(status);
	char words[256];
	int code = weir_nats_code(status);

	weir_fail(err, code, "%s: %s: %s%s%s", driver, what, natsStatus_GetText(status), last_words(status, words),
		  advice);
	weir_error_native(err, "nats", (int)status);
	if (row)
		err->scope = row->scope;
	return code;
}

int weir_nats_fail(struct weir_error *err, const char *driver, natsStatus status, const char *format, ...)
{
	char what[256];
	va_list args;

	if (!err)
		return weir_nats_code(status);
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return fail(err, driver, status, what, "");
}

static const char *advice_of(const struct weir_nats_login *login, natsStatus status)
{
	switch (weir_nats_code(status)) {
	case WEIR_EAUTH:
		return login->username || login->token || login->credentials || login->nkey
			   ? "; check the user's credentials"
			   : "; the server wants a user: set username and password, token, credentials or nkey";
	case WEIR_ETLS:
		return login->tls ? "; check caFile, the server's certificate and the name in it"
				  : "; the server wants TLS: set tls, and caFile if its CA is your own";
	case WEIR_EUNAVAIL:
		return "; is it running, and is the address right?";
	default:
		return "";
	}
}

int weir_nats_connect_fail(struct weir_error *err, const struct weir_nats_login *login, natsStatus status)
{
	char what[256];

	if (!err)
		return weir_nats_code(status);
	snprintf(what, sizeof what, "connecting to %.200s", login->shown);
	return fail(err, login->driver, status, what, advice_of(login, status));
}

const char *weir_nats_version(void)
{
	static char text[64];

	if (!text[0])
		snprintf(text, sizeof text, "1.0, libnats %.40s", nats_GetVersion());
	return text;
}
