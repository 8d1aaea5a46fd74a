/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/version.h>

#include "admin/admin.h"
#include "admin/reload.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/admin_fakes.h"

static struct weir_admin *start(void)
{
	struct weir_admin *admin = NULL;
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(weir_admin_start(NULL, NULL, NULL, &admin, &err), WEIR_OK);
	assert_non_null(admin);
	return admin;
}

static int reset(void **state)
{
	(void)state;
	fake_world_reset();
	return 0;
}

/* One channel with two subscriptions, whose names need escaping. */
static void add_channel(void)
{
	static struct weir_subscription_view subscriptions[2];

	memset(subscriptions, 0, sizeof subscriptions);
	subscriptions[0] =
	    (struct weir_subscription_view){ .name = "first", .uid = "u1", .subscriber = "http://a/", .ready = true };
	subscriptions[0].figures.attempts = 7;
	subscriptions[0].figures.failing = 1;
	subscriptions[0].figures.delivered = 5;
	subscriptions[0].figures.lag = 3;
	subscriptions[0].figures.oldest_ms = 1500;
	subscriptions[0].figures.duration_ns = 2500000000;
	for (size_t i = 0; i < 16; i++)
		subscriptions[0].figures.duration_buckets[i] = i < 8 ? i / 2 : 7;
	subscriptions[1] =
	    (struct weir_subscription_view){ .name = "quo\"te\\back\nline", .uid = "u2", .subscriber = "http://b/" };
	subscriptions[1].figures.lag = UINT64_MAX;
	subscriptions[1].figures.oldest_ms = -1;
	weir_fail(&subscriptions[1].error, WEIR_EUNAVAIL, "the backend is \"away\"");
	world.channels[0] = (struct weir_channel_view){ .ns = "ns",
							.name = "orders",
							.kind = "InMemoryChannel",
							.ready = true,
							.subscriptions = subscriptions,
							.subscription_count = 2 };
	world.channels[0].figures.accepted = 42;
	world.channel_count = 1;
	world.server.requests = 99;
	world.drivers[0] =
	    (struct weir_driver_info){ "memory", "InMemoryChannel", "/d/weir-driver-memory.so", 1, 0, NULL };
	world.drivers[1] = (struct weir_driver_info){ "bad", "BadChannel", "/d/weir-driver-bad.so", 9, 0, "old ABI" };
	world.driver_count = 2;
	world.backend = (struct weir_backend_info){ .kind = "InMemoryChannel", .driver = "memory", .pending = 5 };
	world.backend.health.state = WEIR_HEALTH_DEGRADED;
	snprintf(world.backend.health.error.text, sizeof world.backend.health.error.text, "nearly full");
	world.backend.stats.records = 12;
	world.backend.stats.syncs = UINT64_MAX;
}

/* ---- plain endpoints ---------------------------------------------------------------- */

static void healthz_is_ok(void **state)
{
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/healthz", NULL), 200);
	assert_string_equal(fake_http_body(&http), "ok\n");
	fake_http_close(&http);
	weir_admin_free(admin);
}

static void the_root_lists_the_endpoints(void **state)
{
	static const char *const endpoints[] = { "/healthz", "/readyz", "/metrics", "/status", "/tail/" };
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/", NULL), 200);
	for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
		assert_non_null(strstr(fake_http_body(&http), endpoints[i]));
	fake_http_close(&http);
	weir_admin_free(admin);
}

static void unknown_paths_are_404(void **state)
{
	static const char *const paths[] = { "/nothing", "/healthz/", "/reload/",  "/metrics/x",
					     "/tail",    "/..",       "/%68ealthz" };
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", paths[i], NULL), 404);
		fake_http_close(&http);
	}
	weir_admin_free(admin);
}

/* ---- reloads -------------------------------------------------------------- */

static struct weir_admin_ticket *the_ticket;
static pthread_mutex_t ticket_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ticket_came = PTHREAD_COND_INITIALIZER;

static void take_ticket(void *ctx, struct weir_admin_ticket *ticket)
{
	(void)ctx;
	pthread_mutex_lock(&ticket_lock);
	the_ticket = ticket;
	pthread_cond_signal(&ticket_came);
	pthread_mutex_unlock(&ticket_lock);
}

/* On another thread, as whoever reloads is. */
static void *answer_ticket(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&ticket_lock);
	while (!the_ticket)
		pthread_cond_wait(&ticket_came, &ticket_lock);
	weir_admin_ticket_answer(the_ticket, 422, WEIR_STR("{\"code\":\"x\"}"));
	the_ticket = NULL;
	pthread_mutex_unlock(&ticket_lock);
	return NULL;
}

static void a_reload_is_answered_when_whoever_reloads_says_so(void **state)
{
	struct weir_admin *admin = start();
	struct fake_http http;
	pthread_t thread;

	(void)state;
	weir_admin_reload_handler(admin, take_ticket, NULL);
	assert_int_equal(pthread_create(&thread, NULL, answer_ticket, NULL), 0);
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "POST", "/reload", "Content-Length: 0\r\n"),
			 422);
	assert_string_equal(fake_http_body(&http), "{\"code\":\"x\"}");
	fake_http_close(&http);
	pthread_join(thread, NULL);
	weir_admin_free(admin);
}

static void without_anybody_who_reloads_it_is_503(void **state)
{
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "POST", "/reload", "Content-Length: 0\r\n"),
			 503);
	fake_http_close(&http);
	weir_admin_free(admin);
}

static void a_get_does_not_reload(void **state)
{
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	weir_admin_reload_handler(admin, take_ticket, NULL);
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/reload", NULL), 405);
	assert_non_null(strstr(http.bytes, "\r\nAllow: POST\r\n"));
	fake_http_close(&http);
	weir_admin_free(admin);
}

static void a_wrong_method_is_405_and_says_which_are_right(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW" };
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		assert_int_equal(
		    fake_http_get(&http, weir_admin_port(admin, 0), methods[i], "/status", "Content-Length: 0\r\n"),
		    405);
		assert_non_null(strstr(http.bytes, "\r\nAllow: GET, HEAD\r\n"));
		assert_non_null(strstr(fake_http_body(&http), "\"method_not_allowed\""));
		fake_http_close(&http);
	}
	weir_admin_free(admin);
}

static void head_answers_without_a_body(void **state)
{
	struct weir_admin *admin = start();
	struct fake_http http;

	(void)state;
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "HEAD", "/healthz", NULL), 200);
	assert_string_equal(fake_http_body(&http), "");
	fake_http_close(&http);
	weir_admin_free(admin);
}

/* ---- readiness ------------------------------------------------------------------------ */

static struct json_object *get_json(struct weir_admin *admin, const char *path, int status)
{
	struct fake_http http;
	struct json_object *object;

	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", path, NULL), status);
	assert_non_null(strstr(http.bytes, "\r\nContent-Type: application/json\r\n"));
	object = json_tokener_parse(fake_http_body(&http));
	assert_non_null(object);
	fake_http_close(&http);
	return object;
}

static const char *text_of(struct json_object *object, const char *key)
{
	return json_object_get_string(json_object_object_get(object, key));
}

static int64_t number_of(struct json_object *object, const char *key)
{
	return json_object_get_int64(json_object_object_get(object, key));
}

static void readyz_is_ready_without_channels(void **state)
{
	struct weir_admin *admin = start();
	struct json_object *answer = get_json(admin, "/readyz", 200);

	(void)state;
	assert_true(json_object_get_boolean(json_object_object_get(answer, "ready")));
	json_object_put(answer);
	weir_admin_free(admin);
}

static void readyz_names_what_is_not_ready_and_why(void **state)
{
	struct weir_admin *admin = start();
	struct json_object *answer, *list;

	(void)state;
	add_channel();
	world.channels[0].ready = false;
	weir_fail(&world.channels[0].error, WEIR_EAUTH, "credentials refused");
	answer = get_json(admin, "/readyz", 503);
	list = json_object_object_get(answer, "notReady");
	assert_int_equal(json_object_array_length(list), 2);
	assert_string_equal(text_of(json_object_array_get_idx(list, 0), "channel"), "orders");
	assert_string_equal(text_of(json_object_array_get_idx(list, 0), "code"), "EAUTH");
	assert_null(json_object_object_get(json_object_array_get_idx(list, 0), "subscription"));
	assert_string_equal(text_of(json_object_array_get_idx(list, 1), "subscription"), "quo\"te\\back\nline");
	assert_string_equal(text_of(json_object_array_get_idx(list, 1), "reason"), "the backend is \"away\"");
	json_object_put(answer);
	weir_admin_free(admin);
}

static void readyz_follows_the_channels(void **state)
{
	struct weir_admin *admin = start();
	struct weir_subscription_view *second;

	(void)state;
	add_channel();
	second = (struct weir_subscription_view *)(uintptr_t)&world.channels[0].subscriptions[1];
	json_object_put(get_json(admin, "/readyz", 503));
	second->ready = true;
	json_object_put(get_json(admin, "/readyz", 200));
	world.channels[0].ready = false;
	json_object_put(get_json(admin, "/readyz", 503));
	weir_admin_free(admin);
}

static void draining_is_not_ready_but_alive(void **state)
{
	struct weir_admin *admin = start();
	struct json_object *answer;
	struct fake_http http;

	(void)state;
	weir_admin_drain(admin);
	answer = get_json(admin, "/readyz", 503);
	assert_true(json_object_get_boolean(json_object_object_get(answer, "draining")));
	json_object_put(answer);
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/healthz", NULL), 200);
	fake_http_close(&http);
	weir_admin_free(admin);
}

/* ---- status ------------------------------------------------------------------------------ */

static void status_shows_channels_subscriptions_and_drivers(void **state)
{
	struct weir_admin *admin = start();
	struct json_object *answer, *channel, *first, *second, *driver, *backend;

	(void)state;
	add_channel();
	answer = get_json(admin, "/status", 200);
	channel = json_object_array_get_idx(json_object_object_get(answer, "channels"), 0);
	assert_string_equal(text_of(channel, "name"), "orders");
	assert_string_equal(text_of(channel, "kind"), "InMemoryChannel");
	assert_int_equal(number_of(channel, "accepted"), 42);
	first = json_object_array_get_idx(json_object_object_get(channel, "subscriptions"), 0);
	assert_int_equal(number_of(first, "attempts"), 7);
	assert_int_equal(number_of(first, "lag"), 3);
	assert_int_equal(number_of(first, "oldestMs"), 1500);
	assert_null(json_object_object_get(first, "reason"));
	second = json_object_array_get_idx(json_object_object_get(channel, "subscriptions"), 1);
	assert_string_equal(text_of(second, "code"), "EUNAVAIL");
	assert_null(json_object_object_get(second, "lag"));
	assert_null(json_object_object_get(second, "oldestMs"));
	driver = json_object_array_get_idx(json_object_object_get(answer, "drivers"), 1);
	assert_string_equal(text_of(driver, "problem"), "old ABI");
	backend = json_object_array_get_idx(json_object_object_get(answer, "backends"), 0);
	assert_string_equal(text_of(backend, "kind"), "InMemoryChannel");
	assert_string_equal(text_of(backend, "state"), "degraded");
	assert_string_equal(text_of(backend, "reason"), "nearly full");
	assert_int_equal(number_of(backend, "records"), 12);
	assert_int_equal(number_of(backend, "pending"), 5);
	assert_null(json_object_object_get(backend, "syncs"));
	assert_string_equal(text_of(answer, "version"), weir_version());
	assert_true(number_of(json_object_object_get(answer, "process"), "residentBytes") > 100000);
	assert_true(number_of(json_object_object_get(answer, "process"), "openFds") > 3);
	assert_int_equal(number_of(json_object_object_get(answer, "http"), "requests"), 99);
	json_object_put(answer);
	weir_admin_free(admin);
}

static void the_start_time_never_changes(void **state)
{
	struct weir_admin *admin = start();
	struct json_object *one = get_json(admin, "/status", 200), *two = get_json(admin, "/status", 200);

	(void)state;
	assert_string_equal(text_of(one, "started"), text_of(two, "started"));
	json_object_put(one);
	json_object_put(two);
	weir_admin_free(admin);
}

/* ---- metrics --------------------------------------------------------------------------------- */

enum { FAMILIES = 128, SERIES = 1024, NAME = 128 };

/* What a scraper would make of the text. */
struct exposition {
	char families[FAMILIES][NAME];
	char types[FAMILIES][16];
	size_t family_count;
	char *series[SERIES]; /* name and labels */
	char *values[SERIES];
	size_t series_count;
	bool ended;
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), end = strlen(suffix);

	return length >= end && strcmp(name + length - end, suffix) == 0;
}

/* Does a sample of this name belong to the family that was begun last? */
static bool belongs(const struct exposition *text, const char *name, bool open_metrics)
{
	const char *family = text->families[text->family_count - 1], *type = text->types[text->family_count - 1];
	size_t length = strlen(family);
	const char *rest = name + length;

	if (strncmp(name, family, length) != 0)
		return false;
	if (strcmp(type, "histogram") == 0)
		return strcmp(rest, "_bucket") == 0 || strcmp(rest, "_sum") == 0 || strcmp(rest, "_count") == 0;
	if (open_metrics && strcmp(type, "counter") == 0)
		return strcmp(rest, "_total") == 0;
	if (open_metrics && strcmp(type, "info") == 0)
		return strcmp(rest, "_info") == 0;
	return *rest == '\0';
}

static void read_comment(struct exposition *text, char *line)
{
	static char help_of[NAME];
	char name[NAME], type[16];

	if (strcmp(line, "# EOF") == 0) {
		text->ended = true;
		return;
	}
	if (sscanf(line, "# HELP %127s", name) == 1) {
		assert_true(strlen(line) > strlen("# HELP ") + strlen(name) + 1);
		for (size_t i = 0; i < text->family_count; i++)
			assert_string_not_equal(text->families[i], name);
		snprintf(help_of, sizeof help_of, "%s", name);
		return;
	}
	assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, type), 2);
	assert_string_equal(name, help_of);
	assert_true(text->family_count < FAMILIES);
	snprintf(text->families[text->family_count], NAME, "%s", name);
	snprintf(text->types[text->family_count++], 16, "%s", type);
}

/* The end of the labels: '}' outside of a quoted value, or the name's end. */
static char *series_end(char *line)
{
	bool quoted = false;

	if (!strchr(line, '{') || strchr(line, ' ') < strchr(line, '{'))
		return strchr(line, ' ');
	for (char *at = line; *at; at++) {
		if (quoted && *at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (!quoted && *at == '}')
			return at + 1;
	}
	return NULL;
}

static void read_sample(struct exposition *text, char *line, bool open_metrics)
{
	char *end = series_end(line), *rest, name[NAME];

	assert_non_null(end);
	assert_int_equal(*end, ' ');
	*end = '\0';
	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, "{"), line);
	if (strncmp(name, "weir_", 5) != 0 || text->family_count == 0 || !belongs(text, name, open_metrics))
		fail_msg("%s does not belong where it is", line);
	for (size_t i = 0; i < text->series_count; i++)
		assert_string_not_equal(text->series[i], line);
	strtod(end + 1, &rest);
	assert_true(rest != end + 1 && *rest == '\0');
	assert_true(text->series_count < SERIES);
	text->series[text->series_count] = line;
	text->values[text->series_count++] = end + 1;
}

static void read_exposition(struct exposition *text, char *body, bool open_metrics)
{
	memset(text, 0, sizeof *text);
	for (char *line = body, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end); /* also the last line ends */
		*end = '\0';
		assert_false(text->ended);
		if (*line == '#')
			read_comment(text, line);
		else
			read_sample(text, line, open_metrics);
	}
}

static const char *value_of(const struct exposition *text, const char *series)
{
	for (size_t i = 0; i < text->series_count; i++) {
		if (strcmp(text->series[i], series) == 0)
			return text->values[i];
	}
	return NULL;
}

#define ORDERS_FIRST "{namespace=\"ns\",channel=\"orders\",subscription=\"first\"}"
#define ORDERS_ODD   "{namespace=\"ns\",channel=\"orders\",subscription=\"quo\\\"te\\\\back\\nline\"}"

static void metrics_are_valid_prometheus_text(void **state)
{
	struct weir_admin *admin = start();
	struct exposition *text = calloc(1, sizeof *text);
	struct fake_http http;

	(void)state;
	add_channel();
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/metrics", NULL), 200);
	assert_non_null(strstr(http.bytes, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	read_exposition(text, http.bytes + (fake_http_body(&http) - http.bytes), false);
	assert_false(text->ended);
	assert_string_equal(value_of(text, "weir_ingress_events_accepted_total{namespace=\"ns\",channel=\"orders\"}"),
			    "42");
	assert_string_equal(value_of(text, "weir_egress_attempts_total" ORDERS_FIRST), "7");
	assert_string_equal(value_of(text, "weir_egress_attempts_total" ORDERS_ODD), "0");
	assert_string_equal(value_of(text, "weir_egress_failing" ORDERS_FIRST), "1");
	assert_string_equal(value_of(text, "weir_subscription_lag" ORDERS_FIRST), "3");
	assert_string_equal(value_of(text, "weir_subscription_oldest_age_seconds" ORDERS_FIRST), "1.5");
	assert_string_equal(value_of(text, "weir_subscription_ready" ORDERS_ODD), "0");
	assert_string_equal(value_of(text, "weir_http_requests_total"), "99");
	assert_string_equal(value_of(text, "weir_backend_up{kind=\"InMemoryChannel\"}"), "1");
	assert_string_equal(value_of(text, "weir_backend_records{kind=\"InMemoryChannel\"}"), "12");
	assert_string_equal(value_of(text, "weir_ready"), "0");
	fake_http_close(&http);
	free(text);
	weir_admin_free(admin);
}

static void a_figure_that_is_not_known_has_no_sample(void **state)
{
	struct weir_admin *admin = start();
	struct exposition *text = calloc(1, sizeof *text);
	struct fake_http http;

	(void)state;
	add_channel();
	fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/metrics", NULL);
	read_exposition(text, http.bytes + (fake_http_body(&http) - http.bytes), false);
	assert_null(value_of(text, "weir_subscription_lag" ORDERS_ODD));
	assert_null(value_of(text, "weir_backend_syncs_total{kind=\"InMemoryChannel\"}"));
	fake_http_close(&http);
	free(text);
	weir_admin_free(admin);
}

static void the_histogram_is_cumulative(void **state)
{
	struct weir_admin *admin = start();
	struct exposition *text = calloc(1, sizeof *text);
	struct fake_http http;
	unsigned long last = 0, buckets = 0;

	(void)state;
	add_channel();
	fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/metrics", NULL);
	read_exposition(text, http.bytes + (fake_http_body(&http) - http.bytes), false);
	for (size_t i = 0; i < text->series_count; i++) {
		if (!strstr(text->series[i], "_seconds_bucket") || !strstr(text->series[i], "first"))
			continue;
		assert_true(strtoul(text->values[i], NULL, 10) >= last);
		last = strtoul(text->values[i], NULL, 10);
		buckets++;
	}
	assert_int_equal(buckets, 16);
	assert_string_equal(value_of(text, "weir_egress_attempt_duration_seconds_count" ORDERS_FIRST), "7");
	assert_string_equal(value_of(text, "weir_egress_attempt_duration_seconds_sum" ORDERS_FIRST), "2.5");
	assert_string_equal(value_of(text,
				     "weir_egress_attempt_duration_seconds_bucket{namespace=\"ns\",channel=\"orders\","
				     "subscription=\"first\",le=\"+Inf\"}"),
			    "7");
	assert_non_null(value_of(text,
				 "weir_egress_attempt_duration_seconds_bucket{namespace=\"ns\",channel=\"orders\","
				 "subscription=\"first\",le=\"1.0\"}"));
	fake_http_close(&http);
	free(text);
	weir_admin_free(admin);
}

static void metrics_are_open_metrics_if_asked_for(void **state)
{
	struct weir_admin *admin = start();
	struct exposition *text = calloc(1, sizeof *text);
	struct fake_http http;

	(void)state;
	add_channel();
	assert_int_equal(fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/metrics",
				       "Accept: text/html;q=0.9, Application/OpenMetrics-Text;version=1.0.0;q=0.5\r\n"),
			 200);
	assert_non_null(strstr(http.bytes, "\r\nContent-Type: application/openmetrics-text; version=1.0.0"));
	read_exposition(text, http.bytes + (fake_http_body(&http) - http.bytes), true);
	assert_true(text->ended);
	for (size_t i = 0; i < text->family_count; i++)
		assert_false(has_suffix(text->families[i], "_total") || has_suffix(text->families[i], "_info"));
	assert_string_equal(value_of(text, "weir_egress_attempts_total" ORDERS_FIRST), "7");
	fake_http_close(&http);
	free(text);
	weir_admin_free(admin);
}

/* docs/reference/metrics.md as a string; the caller frees it. */
static char *read_reference(void)
{
	const char *source = getenv("WEIR_TEST_SOURCE");
	char path[512], *text = calloc(1, 65536);
	FILE *file;

	snprintf(path, sizeof path, "%s/docs/reference/metrics.md", source ? source : ".");
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static void every_metric_is_in_the_reference_and_the_other_way_round(void **state)
{
	struct weir_admin *admin = start();
	struct exposition *text = calloc(1, sizeof *text);
	char *reference = read_reference(), name[NAME];
	size_t documented = 0;
	struct fake_http http;

	(void)state;
	add_channel();
	fake_http_get(&http, weir_admin_port(admin, 0), "GET", "/metrics", NULL);
	read_exposition(text, http.bytes + (fake_http_body(&http) - http.bytes), false);
	for (size_t i = 0; i < text->family_count; i++) {
		snprintf(name, sizeof name, "| `%.100s` | ", text->families[i]);
		if (!strstr(reference, name))
			fail_msg("%s is not in docs/reference/metrics.md", text->families[i]);
	}
	for (const char *row = reference; (row = strstr(row, "| `weir_")) != NULL; row++)
		documented++;
	assert_int_equal(documented, text->family_count);
	fake_http_close(&http);
	free(reference);
	free(text);
	weir_admin_free(admin);
}

/* ---- addresses ----------------------------------------------------------------------------------- */

static void without_an_address_there_is_no_port(void **state)
{
	struct weir_admin *admin;

	(void)state;
	world.addresses = "";
	admin = start();
	assert_int_equal(weir_admin_port(admin, 0), 0);
	weir_admin_drain(admin);
	weir_admin_free(admin);
}

static void every_address_of_the_list_answers(void **state)
{
	struct weir_admin *admin;
	struct fake_http http;

	(void)state;
	world.addresses = "127.0.0.1:0, 127.0.0.1:0";
	admin = start();
	assert_int_not_equal(weir_admin_port(admin, 0), weir_admin_port(admin, 1));
	assert_int_equal(weir_admin_port(admin, 2), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fake_http_get(&http, weir_admin_port(admin, i), "GET", "/healthz", NULL), 200);
		fake_http_close(&http);
	}
	weir_admin_free(admin);
}

static void an_address_that_cannot_be_had_is_named(void **state)
{
	struct weir_admin *admin = NULL;
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	world.addresses = "192.0.2.1:9";
	assert_int_not_equal(weir_admin_start(NULL, NULL, NULL, &admin, &err), WEIR_OK);
	assert_null(admin);
	assert_non_null(strstr(err.text, "192.0.2.1:9"));
}

/* Each allocation fails in turn, while it starts and while it answers: it says so, or it works; nothing leaks. */
static void failing_allocations_are_answered(void **state)
{
	static const char *const paths[] = { "/metrics", "/status", "/readyz", "/tail/ns/open?count=1" };

	(void)state;
	add_channel();
	for (uint64_t nth = 1; nth < 60; nth++) {
		struct weir_admin *admin = NULL;
		struct weir_error err = WEIR_ERROR_INIT;
		struct fake_http http;
		int code;

		weir_mem_fail(nth, 0);
		code = weir_admin_start(NULL, NULL, NULL, &admin, &err);
		if (code == WEIR_OK) {
			fake_http_open(&http, weir_admin_port(admin, 0), "GET", paths[nth % 4], NULL);
			/* A connection that is closed without an answer is a fair refusal too. */
			fake_http_until(&http, "\r\n\r\n");
			if (http.len > 0)
				assert_true(fake_http_status(&http) == 200 || fake_http_status(&http) == 503);
			fake_http_close(&http);
		} else {
			assert_null(admin);
			assert_true(err.text[0] != '\0');
		}
		weir_mem_fail(0, 0);
		weir_admin_free(admin);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(healthz_is_ok, reset),
		cmocka_unit_test_setup(the_root_lists_the_endpoints, reset),
		cmocka_unit_test_setup(unknown_paths_are_404, reset),
		cmocka_unit_test_setup(a_reload_is_answered_when_whoever_reloads_says_so, reset),
		cmocka_unit_test_setup(without_anybody_who_reloads_it_is_503, reset),
		cmocka_unit_test_setup(a_get_does_not_reload, reset),
		cmocka_unit_test_setup(a_wrong_method_is_405_and_says_which_are_right, reset),
		cmocka_unit_test_setup(head_answers_without_a_body, reset),
		cmocka_unit_test_setup(readyz_is_ready_without_channels, reset),
		cmocka_unit_test_setup(readyz_names_what_is_not_ready_and_why, reset),
		cmocka_unit_test_setup(readyz_follows_the_channels, reset),
		cmocka_unit_test_setup(draining_is_not_ready_but_alive, reset),
		cmocka_unit_test_setup(status_shows_channels_subscriptions_and_drivers, reset),
		cmocka_unit_test_setup(the_start_time_never_changes, reset),
		cmocka_unit_test_setup(metrics_are_valid_prometheus_text, reset),
		cmocka_unit_test_setup(a_figure_that_is_not_known_has_no_sample, reset),
		cmocka_unit_test_setup(the_histogram_is_cumulative, reset),
		cmocka_unit_test_setup(metrics_are_open_metrics_if_asked_for, reset),
		cmocka_unit_test_setup(every_metric_is_in_the_reference_and_the_other_way_round, reset),
		cmocka_unit_test_setup(without_an_address_there_is_no_port, reset),
		cmocka_unit_test_setup(every_address_of_the_list_answers, reset),
		cmocka_unit_test_setup(an_address_that_cannot_be_had_is_named, reset),
		cmocka_unit_test_setup(failing_allocations_are_answered, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
