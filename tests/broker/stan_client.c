/* SPDX-License-Identifier: Apache-2.0 */
#include "stan_client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void must(natsStatus status, const char *what)
{
	if (status == NATS_OK)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, natsStatus_GetText(status), nats_GetLastError(NULL));
	abort();
}

static void on_lost(stanConnection *sc, const char *text, void *closure)
{
	(void)sc;
	(void)text;
	(void)closure;
}

stanConnection *stan_client_open(const char *url, const char *client)
{
	stanConnOptions *options;
	stanConnection *sc;

	must(stanConnOptions_Create(&options), "options");
	must(stanConnOptions_SetURL(options, url), "url");
	must(stanConnOptions_SetConnectionLostHandler(options, on_lost, NULL), "handler");
	must(stanConnection_Connect(&sc, "test-cluster", client, options), "connect");
	stanConnOptions_Destroy(options);
	return sc;
}

void stan_client_close(stanConnection *sc)
{
	stanConnection_Destroy(sc);
}

void stan_client_publish(stanConnection *sc, const char *channel, const void *data, size_t len)
{
	must(stanConnection_Publish(sc, channel, data, (int)len), "publish");
}

struct first {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	stanMsg *message;
};

static void on_message(stanConnection *sc, stanSubscription *sub, const char *channel, stanMsg *message, void *closure)
{
	struct first *first = closure;

	(void)sc;
	(void)sub;
	(void)channel;
	pthread_mutex_lock(&first->lock);
	if (first->message)
		stanMsg_Destroy(message);
	else
		first->message = message;
	pthread_cond_signal(&first->changed);
	pthread_mutex_unlock(&first->lock);
}

stanMsg *stan_client_first(stanConnection *sc, const char *channel)
{
	static struct first first = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL };
	stanSubOptions *options;
	stanSubscription *sub;
	struct timespec until;
	stanMsg *message;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	must(stanSubOptions_Create(&options), "options");
	must(stanSubOptions_DeliverAllAvailable(options), "start");
	must(stanConnection_Subscribe(&sub, sc, channel, on_message, &first, options), "subscribe");
	stanSubOptions_Destroy(options);
	pthread_mutex_lock(&first.lock);
	while (!first.message && !pthread_cond_timedwait(&first.changed, &first.lock, &until))
		continue;
	message = first.message;
	pthread_mutex_unlock(&first.lock);
	stanSubscription_Destroy(sub);
	pthread_mutex_lock(&first.lock);
	first.message = NULL;
	pthread_mutex_unlock(&first.lock);
	if (!message)
		must(NATS_TIMEOUT, "waiting for a message");
	return message;
}
