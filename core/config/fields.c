/* SPDX-License-Identifier: Apache-2.0 */
#include "config/fields.h"

#include <string.h>
#include <strings.h>

#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define TABLE(rows)                                                                                                    \
	{                                                                                                              \
		rows, sizeof rows / sizeof rows[0]                                                                     \
	}

#define STRING(key, fallback, form, example, help)                                                                     \
	{                                                                                                              \
		{ key, WEIR_OPT_STRING, 0, fallback, 0, 0, NULL, help }, form, example                                 \
	}
#define NEEDED(key, form, example, help)                                                                               \
	{                                                                                                              \
		{ key, WEIR_OPT_STRING, WEIR_OPTION_REQUIRED, NULL, 0, 0, NULL, help }, form, example                  \
	}
#define LIST(key, fallback, min, max, form, example, help)                                                             \
	{                                                                                                              \
		{ key, WEIR_OPT_LIST, 0, fallback, min, max, NULL, help }, form, example                               \
	}
#define BOOL(key, fallback, help)                                                                                      \
	{                                                                                                              \
		{ key, WEIR_OPT_BOOL, 0, fallback, 0, 0, NULL, help }, WEIR_FORM_ANY, "true"                           \
	}
#define CHOICE(key, fallback, choices, example, help)                                                                  \
	{                                                                                                              \
		{ key, WEIR_OPT_ENUM, 0, fallback, 0, 0, choices, help }, WEIR_FORM_ANY, example                       \
	}
#define INT(key, fallback, min, max, help)                                                                             \
	{                                                                                                              \
		{ key, WEIR_OPT_INT, 0, fallback, min, max, NULL, help }, WEIR_FORM_ANY, fallback                      \
	}
#define BYTES(key, fallback, min, max, help)                                                                           \
	{                                                                                                              \
		{ key, WEIR_OPT_BYTES, 0, fallback, min, max, NULL, help }, WEIR_FORM_ANY, fallback                    \
	}
#define DURATION(key, fallback, min, max, help)                                                                        \
	{                                                                                                              \
		{ key, WEIR_OPT_DURATION, 0, fallback, min, max, NULL, help }, WEIR_FORM_ANY, "\"" fallback "\""       \
	}
#define OBJECT(key, type, help)                                                                                        \
	{                                                                                                              \
		{ key, type, 0, NULL, 0, 0, NULL, help }, WEIR_FORM_ANY, NULL                                          \
	}

#define FILTERS()                                                                                                      \
	{                                                                                                              \
		{ "filters", WEIR_FIELD_FILTERS,                                                                       \
		  0,         NULL,                                                                                     \
		  0,         0,                                                                                        \
		  NULL,      "Which events the subscriber gets: those that pass all of these; none: every event." },   \
		    WEIR_FORM_ANY, "[{\"exact\": {\"type\": \"com.example.created\"}}]"                                \
	}

#define LIMITS "dispatcher.limits."

static const struct weir_field dotted[] = {
	/* which backend */
	STRING("channel.default.kind", "EmbeddedChannel", WEIR_FORM_KIND, "\"EmbeddedChannel\"",
	       "Kind of the channels that name none."),
	CHOICE("channel.default.apiVersion", "messaging.knative.dev/v1",
	       "messaging.knative.dev/v1|messaging.knative.dev/v1beta1|messaging.knative.dev/v1alpha1|"
	       "knativekafka.kyma-project.io/v1alpha1",
	       "\"messaging.knative.dev/v1\"",
	       "API group and version of the default kind; kept for overrides that set it, decides nothing."),
	STRING("channel.namespaces.*.kind", NULL, WEIR_FORM_KIND, "\"InMemoryChannel\"",
	       "Kind of the channels of one namespace that name none."),
	LIST("drivers.path", NULL, 1, 64, WEIR_FORM_ABSOLUTE, "[\"/usr/lib/weir/drivers\"]",
	     "Folders, absolute, in which drivers are looked for."),
	STRING("drivers.kinds.*", NULL, WEIR_FORM_ABSOLUTE, "\"/opt/acme/weir-driver-acme.so\"",
	       "File, absolute, of the driver for one kind."),
	BOOL("drivers.allowUnsafePath", "false", "Load drivers also from files and folders that others may write to."),

	/* the dispatcher */
	LIST("dispatcher.listen", "127.0.0.1:8080", 1, 16, WEIR_FORM_ADDRESS, "\"127.0.0.1:8080\"",
	     "Addresses on which events are taken; port 0 takes any that is free."),
	LIST("dispatcher.admin", "127.0.0.1:9090", 0, 16, WEIR_FORM_ADDRESS, "\"127.0.0.1:9090\"",
	     "Addresses of health, metrics and status; an empty list switches them off."),
	LIST("dispatcher.tls.listen", NULL, 0, 16, WEIR_FORM_ADDRESS, "\":8443\"",
	     "Addresses on which events are taken with TLS."),
	STRING("dispatcher.tls.certificateFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/tls.crt\"",
	       "Certificate of the server and those between it and the root, PEM; read again at every reload."),
	STRING("dispatcher.tls.keyFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/tls.key\"",
	       "Key of the certificate, PEM, without a password."),
	STRING("dispatcher.tls.clientCaFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/clients.crt\"",
	       "Certificates of authorities, PEM: clients must have a certificate of one of them."),
	STRING("dispatcher.auth.tokenFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/tokens\"",
	       "File of shared tokens, a line each: who sends one of them as a bearer token may send events."),
	STRING("dispatcher.auth.issuer", NULL, WEIR_FORM_ANY, "\"https://accounts.example.com\"",
	       "OpenID Connect issuer: who has a token of it, RS256 or ES256, may send events."),
	STRING("dispatcher.auth.keys", NULL, WEIR_FORM_ANY, "\"https://accounts.example.com/jwks\"",
	       "URL or file of the issuer's keys, a JSON Web Key Set; read again every five minutes."),
	STRING("dispatcher.auth.audience", "{resource}/{namespace}/{name}", WEIR_FORM_ANY, "\"weir\"",
	       "Audience of tokens; {resource} is eventing.knative.dev/broker, or messaging.knative.dev/ and the "
	       "channel's kind in lower case."),
	LIST("dispatcher.auth.subjects", NULL, 0, 1000, WEIR_FORM_ANY, "[\"system:serviceaccount:shop:web\"]",
	     "Subjects whose tokens are taken; none: all."),
	DURATION("dispatcher.auth.leeway", "PT30S", 0, 10 * MINUTE, "How far the issuer's clock may be from this one."),
	STRING(
	    "dispatcher.client.caFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/ca.crt\"",
	    "Certificates of authorities, PEM, that subscribers with https:// are believed by; default: the system's."),
	STRING("dispatcher.client.certificateFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/client.crt\"",
	       "Certificate, PEM, that subscribers are shown who ask for one; read for each new connection."),
	STRING("dispatcher.client.keyFile", NULL, WEIR_FORM_PATH, "\"/etc/weir/client.key\"",
	       "Key of that certificate, PEM, without a password."),
	DURATION("dispatcher.drainTimeout", "PT30S", 0, HOUR, "How long a stop waits for what is in flight."),
	DURATION("dispatcher.publishTimeout", "PT10S", 1, HOUR,
		 "How long an event may take to be persisted before its sender is told to try again."),
	INT("dispatcher.ingressLoops", "0", 0, 256, "Threads that take events; 0: one for every two cores."),
	INT("dispatcher.deliveryLoops", "0", 0, 256,
	    "Threads that deliver events, at most; 0: one for every two cores."),
	BOOL("dispatcher.addresses.allowLoopback", "true", "Deliver to subscribers on this machine's loopback."),
	BOOL("dispatcher.addresses.allowPrivate", "true", "Deliver to subscribers in private address ranges."),
	STRING("dispatcher.quarantine.path", NULL, WEIR_FORM_PATH, "\"/var/lib/weir/quarantine\"",
	       "Folder for events that neither subscriber nor dead-letter sink took; default: quarantine in "
	       "$STATE_DIRECTORY, else in ./weir-data."),
	INT("dispatcher.quarantine.maxEvents", "100000", 1, 1000000000,
	    "Most events kept in quarantine; when it is full, deliveries wait."),
	STRING(
	    "dispatcher.moves.path", NULL, WEIR_FORM_PATH, "\"/var/lib/weir/moves.json\"",
	    "File in which is kept which backend each channel is on and what is left to drain, so that a move goes on "
	    "after a restart; default: moves.json in $STATE_DIRECTORY, else in ./weir-data."),
	BOOL("dispatcher.watch", "true",
	     "Reload by itself when a file or a mounted folder that the configuration was read from changes."),
	BOOL("dispatcher.batch", "false",
	     "Take the content type application/cloudevents-batch+json; else it is answered 415."),

	STRING("dispatcher.events.namespace", "default", WEIR_FORM_LABEL, "\"shop\"",
	       "Namespace whose broker or channel \"default\" takes what is posted to /events and /v1/events."),
	STRING("dispatcher.events.source", NULL, WEIR_FORM_SOURCE, "\"commerce\"",
	       "Source of the events posted to /v1/events, which name none; default: the namespace."),

	/* limits of the HTTP server */
	BYTES(LIMITS "maxTargetBytes", "8192", 64, MIB, "Longest request target; beyond it 414."),
	BYTES(LIMITS "maxHeaderBytes", "8192", 64, MIB, "Longest header line; beyond it 431."),
	BYTES(LIMITS "maxHeadBytes", "32768", 256, 16 * MIB,
	      "Most bytes of request line and headers together; beyond it 431."),
	INT(LIMITS "maxHeaders", "100", 8, 10000, "Most headers of a request; beyond it 431."),
	BYTES(LIMITS "maxBodyBytes", "1048576", 64 * KIB, GIB, "Largest request body; beyond it 413."),
	INT(LIMITS "maxConnections", "4096", 1, 1000000, "Most connections of one ingress loop; beyond it 503."),
	INT(LIMITS "maxConnectionsPerPeer", "1024", 1, 1000000, "Most connections from one address; beyond it 503."),
	BYTES(LIMITS "maxBufferedBytes", "67108864", 64 * KIB, 64 * GIB,
	      "Most request bytes held at a time by one ingress loop; beyond it 503."),
	INT(LIMITS "maxKeepaliveRequests", "1000", 1, 1000000000, "Requests after which a connection is closed."),
	DURATION(LIMITS "headerTimeout", "PT10S", 1, HOUR, "How long the head of a request may take; beyond it 408."),
	DURATION(LIMITS "bodyIdleTimeout", "PT10S", 1, HOUR, "How long a body may pause; beyond it 408."),
	DURATION(LIMITS "requestTimeout", "PT60S", 1, HOUR,
		 "How long a whole request may take to arrive; beyond it 408."),
	DURATION(LIMITS "idleTimeout", "PT60S", 1, HOUR, "How long a connection may idle between requests."),
	DURATION(LIMITS "writeTimeout", "PT10S", 1, HOUR, "How long an answer may make no progress."),

	/* limits of events */
	INT(LIMITS "maxExtensions", "64", 1, 1024, "Most extension attributes of an event; beyond it 400."),
	BYTES(LIMITS "maxAttributeNameBytes", "64", 20, 1024, "Longest name of an attribute; beyond it 400."),
	BYTES(LIMITS "maxAttributeValueBytes", "8192", 64, MIB, "Longest value of an attribute; beyond it 400."),
	INT(LIMITS "maxJsonDepth", "64", 2, 1024, "Deepest nesting of JSON; beyond it 400."),
	INT(LIMITS "maxJsonKeys", "1024", 8, 1000000, "Most members of a JSON event; beyond it 400."),
	INT(LIMITS "maxBatchEvents", "1000", 1, 1000000, "Most events of a batch; beyond it 413."),

	/* limits of delivery */
	INT(LIMITS "maxHops", "32", 1, 1000000,
	    "How often an event is sent on as a reply or dead letter; beyond it quarantine."),
	BYTES(LIMITS "windowBytes", "8388608", 64 * KIB, 64 * GIB,
	      "Most bytes of events that one subscription holds between backend and subscriber."),

	CHOICE("log.level", "notice", "error|warning|notice|debug", "\"notice\"",
	       "Least important lines that are logged."),
	CHOICE("log.format", "text", "text|json", "\"json\"", "How a line of the log is written."),

	LIST("overrides", NULL, 0, 256, WEIR_FORM_PATH, "[\"overrides.yaml\"]",
	     "Override manifests, and folders with one file for each key."),
	OBJECT("channels", WEIR_FIELD_OBJECTS, "The channels; those of all layers together, in their order."),
	OBJECT("brokers", WEIR_FIELD_OBJECTS, "The brokers: channels whose subscriptions are triggers; of all layers."),
	OBJECT("triggers", WEIR_FIELD_OBJECTS, "The triggers: who gets which events of a broker; of all layers."),
};

static const struct weir_field channel[] = {
	[WEIR_CHANNEL_NAMESPACE] = NEEDED("namespace", WEIR_FORM_LABEL, "\"default\"", "Namespace of the channel."),
	[WEIR_CHANNEL_NAME] =
	    NEEDED("name", WEIR_FORM_NAME, "\"orders\"", "Name of the channel, unique in its namespace."),
	[WEIR_CHANNEL_KIND] = STRING("kind", NULL, WEIR_FORM_KIND, "\"InMemoryChannel\"",
				     "Kind of the channel; default: its namespace's, else channel.default.kind."),
	[WEIR_CHANNEL_DELIVERY] =
	    OBJECT("delivery", WEIR_FIELD_OBJECT, "Delivery of subscriptions that have none of their own."),
	[WEIR_CHANNEL_SUBSCRIPTIONS] = OBJECT("subscriptions", WEIR_FIELD_OBJECTS, "Who gets the events."),
};

static const struct weir_field subscription[] = {
	[WEIR_SUBSCRIPTION_NAME] =
	    NEEDED("name", WEIR_FORM_NAME, "\"billing\"", "Name of the subscription, unique in its channel."),
	[WEIR_SUBSCRIPTION_UID] = STRING("uid", NULL, WEIR_FORM_UID, "\"3f1c2d\"",
					 "What the backend keeps the position under; default: the name."),
	[WEIR_SUBSCRIPTION_SUBSCRIBER] =
	    NEEDED("subscriber", WEIR_FORM_URL, "\"http://127.0.0.1:3000/\"", "URL that events are posted to."),
	[WEIR_SUBSCRIPTION_REPLY] = STRING("reply", NULL, WEIR_FORM_TARGET, "\"channel:default/replies\"",
					   "Where the events go that the subscriber answers with."),
	[WEIR_SUBSCRIPTION_FROM] = CHOICE("from", "latest", "latest|earliest", "\"earliest\"",
					  "Where a subscription that is new to the backend begins."),
	[WEIR_SUBSCRIPTION_DELIVERY] = OBJECT("delivery", WEIR_FIELD_OBJECT, "Replaces the channel's as a whole."),
	[WEIR_SUBSCRIPTION_FILTERS] = FILTERS(),
};

static const struct weir_field delivery[] = {
	[WEIR_DELIVERY_DEAD_LETTER_SINK] = STRING("deadLetterSink", NULL, WEIR_FORM_TARGET, "\"channel:default/dead\"",
						  "Where an event goes that the subscriber does not take."),
	[WEIR_DELIVERY_RETRY] = INT("retry", "10", 0, 1000, "Attempts after the first."),
	[WEIR_DELIVERY_BACKOFF_POLICY] = CHOICE("backoffPolicy", "exponential", "exponential|linear", "\"exponential\"",
						"How the wait between attempts grows."),
	[WEIR_DELIVERY_BACKOFF_DELAY] =
	    DURATION("backoffDelay", "PT0.2S", 0, 24 * HOUR, "The wait that the policy begins with."),
	[WEIR_DELIVERY_TIMEOUT] = DURATION("timeout", "PT30S", 1, 24 * HOUR, "How long one attempt may take."),
	[WEIR_DELIVERY_RETRY_AFTER_MAX] = DURATION("retryAfterMax", "PT0S", 0, 24 * HOUR,
						   "Longest Retry-After that is obeyed; PT0S: it is not looked at."),
	[WEIR_DELIVERY_ORDER] = CHOICE("order", "ordered", "ordered|unordered", "\"unordered\"",
				       "Whether events with the same key wait for each other."),
	[WEIR_DELIVERY_MAX_IN_FLIGHT] = INT("maxInFlight", "64", 1, 10000, "Most attempts under way at a time."),
	[WEIR_DELIVERY_FORMAT] = CHOICE("format", "binary", "binary|json", "\"json\"",
					"How events are posted: in binary mode, or structured as JSON."),
};

static const struct weir_field broker[] = {
	[WEIR_BROKER_NAMESPACE] = NEEDED("namespace", WEIR_FORM_LABEL, "\"default\"", "Namespace of the broker."),
	[WEIR_BROKER_NAME] = STRING("name", "default", WEIR_FORM_NAME, "\"default\"",
				    "Name of the broker; no channel of its namespace may have it."),
	[WEIR_BROKER_KIND] = STRING("kind", NULL, WEIR_FORM_KIND, "\"InMemoryChannel\"",
				    "Kind of its channel; default: its namespace's, else channel.default.kind."),
	[WEIR_BROKER_DELIVERY] =
	    OBJECT("delivery", WEIR_FIELD_OBJECT, "Delivery of triggers that have none of their own."),
};

static const struct weir_field trigger[] = {
	[WEIR_TRIGGER_NAMESPACE] =
	    NEEDED("namespace", WEIR_FORM_LABEL, "\"default\"", "Namespace of the trigger and its broker."),
	[WEIR_TRIGGER_NAME] =
	    NEEDED("name", WEIR_FORM_NAME, "\"billing\"", "Name of the trigger, unique in its broker."),
	[WEIR_TRIGGER_BROKER] = STRING("broker", "default", WEIR_FORM_NAME, "\"default\"", "Name of the broker."),
	[WEIR_TRIGGER_UID] = STRING("uid", NULL, WEIR_FORM_UID, "\"3f1c2d\"",
				    "What the backend keeps the position under; default: the name."),
	[WEIR_TRIGGER_SUBSCRIBER] = NEEDED("subscriber", WEIR_FORM_URL, "\"http://127.0.0.1:3000/\"",
					   "URL that events are posted to; what it answers goes to the broker."),
	[WEIR_TRIGGER_FROM] = CHOICE("from", "latest", "latest|earliest", "\"earliest\"",
				     "Where a trigger that is new to the backend begins."),
	[WEIR_TRIGGER_DELIVERY] = OBJECT("delivery", WEIR_FIELD_OBJECT, "Replaces the broker's as a whole."),
	[WEIR_TRIGGER_FILTERS] = FILTERS(),
};

const struct weir_field_table weir_fields = TABLE(dotted);
const struct weir_field_table weir_channel_fields = TABLE(channel);
const struct weir_field_table weir_subscription_fields = TABLE(subscription);
const struct weir_field_table weir_delivery_fields = TABLE(delivery);
const struct weir_field_table weir_broker_fields = TABLE(broker);
const struct weir_field_table weir_trigger_fields = TABLE(trigger);

static bool same(const char *a, const char *b, size_t len, bool fold)
{
	return (fold ? strncasecmp(a, b, len) : strncmp(a, b, len)) == 0;
}

/* '*' in a row's key stands for one or more parts. */
static bool matches(const char *row, const char *key, bool fold)
{
	const char *star = strchr(row, '*');
	size_t head = star ? (size_t)(star - row) : strlen(row);
	size_t tail = star ? strlen(star + 1) : 0, len = strlen(key);

	if (!star)
		return len == head && same(row, key, len, fold);
	return len > head + tail && same(row, key, head, fold) && same(star + 1, key + len - tail, tail, fold);
}

const struct weir_field *weir_field_find(const char *key, bool fold)
{
	for (size_t i = 0; i < weir_fields.count; i++) {
		if (matches(weir_fields.rows[i].option.key, key, fold))
			return &weir_fields.rows[i];
	}
	return NULL;
}

bool weir_field_owns(const char *key)
{
	size_t len = strcspn(key, ".");

	for (size_t i = 0; i < weir_fields.count; i++) {
		const char *row = weir_fields.rows[i].option.key;

		if (strcspn(row, ".") == len && same(row, key, len, true))
			return true;
	}
	return false;
}

bool weir_field_is_section(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < weir_fields.count; i++) {
		const char *row = weir_fields.rows[i].option.key, *star = strchr(row, '*');
		size_t fixed = star ? (size_t)(star - row) : strlen(row);

		if (len < fixed && row[len] == '.' && same(row, key, len, false))
			return true;
		/* A name in the place of the star, with nothing behind it. */
		if (star && star[1] && len > fixed && same(row, key, fixed, false) && !strchr(key + fixed, '.'))
			return true;
	}
	return false;
}
