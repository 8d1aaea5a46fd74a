/* SPDX-License-Identifier: Apache-2.0 */
/* The server and the streaming part of the library say what is wrong in words. This is what they mean. */
#include "natss.h"

#include <stdarg.h>
#include <string.h>

/* Whole texts, or how they begin: what follows says more. */
static const struct {
	const char *text;
	int code;
} rows[] = {
	/* the server's */
	{ "stan: invalid subject", WEIR_EINVAL },
	{ "stan: invalid start position", WEIR_EINVAL },
	{ "stan: invalid subscription", WEIR_ESTALE },
	{ "stan: clientID already registered", WEIR_EFENCED },
	{ "stan: clientID missing", WEIR_EINVAL },
	{ "stan: invalid clientID", WEIR_EINVAL },
	{ "stan: invalid ack wait time", WEIR_EINVAL },
	{ "stan: invalid MaxInflight", WEIR_EINVAL },
	{ "stan: invalid connection request", WEIR_EINTERNAL },
	/* Of a client that it does not know: it has lost its store, or given the client up. */
	{ "stan: invalid publish request", WEIR_EUNAVAIL },
	{ "stan: invalid subscription request", WEIR_EUNAVAIL },
	{ "stan: invalid unsubscribe request", WEIR_EUNAVAIL },
	{ "stan: invalid close request", WEIR_EUNAVAIL },
	{ "stan: duplicate durable registration", WEIR_EBUSY },
	{ "stan: durable name of a durable queue subscriber", WEIR_EINVAL },
	{ "stan: unknown clientID", WEIR_EUNAVAIL },
	{ "stan: unknown channel", WEIR_ENOTFOUND },
	{ "stan: no configured channel", WEIR_ENOTFOUND },
	{ "stan: channel is being deleted", WEIR_EUNAVAIL },
	{ "client has been replaced", WEIR_EUNAVAIL },
	{ "too many channels", WEIR_ELIMIT },
	{ "too many subscriptions", WEIR_ELIMIT },
	/* the library's */
	{ "publish ack timeout", WEIR_ETIMEDOUT },
	{ "connect request timeout", WEIR_EUNAVAIL },
	{ "subscribe request timeout", WEIR_EUNAVAIL },
	{ "unsubscribe request timeout", WEIR_ETIMEDOUT },
	{ "close request timeout", WEIR_ETIMEDOUT },
	{ "no streaming server was listening", WEIR_EUNAVAIL },
	{ "connection lost due to PING failure", WEIR_EUNAVAIL },
	{ "server does not support subscription close", WEIR_ENOTSUP },
	{ "Connection Closed", WEIR_EUNAVAIL },
	{ "no memory", WEIR_ENOMEM },
};

/* The library puts before it where in its source it was: "(stan/conn.c:466): ". */
static const char *words_of(const char *text)
{
	const char *end = text[0] == '(' ? strstr(text, "): ") : NULL;

	return end ? end + 3 : text;
}

int weir_natss_code(const char *text)
{
	if (!text || !*text)
		return WEIR_OK;
	text = words_of(text);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strncmp(text, rows[i].text, strlen(rows[i].text)) == 0)
			return rows[i].code;
	return WEIR_EUNKNOWN;
}

int weir_natss_fail(struct weir_error *err, natsStatus status, const char *format, ...)
{
	natsStatus about = NATS_OK;
	const char *words = nats_GetLastError(&about);
	int code = about == status ? weir_natss_code(words) : WEIR_EUNKNOWN;
	char what[200];
	va_list args;

	if (code == WEIR_OK || code == WEIR_EUNKNOWN)
		code = weir_nats_code(status);
	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	weir_nats_fail(err, "natss", status, "%s", what);
	err->code = (uint16_t)code;
	err->retry = (uint8_t)weir_code_retry(code);
	return code;
}
