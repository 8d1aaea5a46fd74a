/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that need no server, through weir/channel.h, with real events and a real configuration. */
#include "unit/weir_cmocka.h"

#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/channel.h>

#include "base/clock.h"
#include "base/str.h"

enum { MOST = 4096 };

static struct {
	const char *kind;
	char folder[64];
	weir_config *config;
	weir_runtime *runtime;
	weir_channel *channel;
	weir_subscription *sub;
	weir_event *event;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	weir_delivery *deliveries[MOST];
	size_t count;
} t;

static int64_t soon(void)
{
	return weir_clock_after_ms(weir_clock_now_ns(), 20000);
}

static void on_deliver(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	(void)ctx;
	pthread_mutex_lock(&t.lock);
	for (size_t i = 0; i < count; i++)
		t.deliveries[t.count++] = deliveries[i];
	pthread_cond_broadcast(&t.changed);
	pthread_mutex_unlock(&t.lock);
}

static void wait_for_deliveries(size_t count)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&t.lock);
	while (t.count < count && pthread_cond_timedwait(&t.changed, &t.lock, &until) == 0)
		;
	pthread_mutex_unlock(&t.lock);
	assert_int_equal(t.count, count);
}

static void open_all(void)
{
	const struct weir_subscription_spec spec = { .name = "s", .window = 100, .deliver = on_deliver };
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t deadline_ns = soon();

	if (weir_runtime_open(t.config, NULL, NULL, &t.runtime, &err) ||
	    weir_channel_open(t.runtime, "ns", "orders", t.kind, &t.channel, &err) ||
	    weir_channel_subscribe(t.channel, &spec, &t.sub, &err))
		fail_msg("%s", err.text);
	while (weir_subscription_ready(t.sub, &err) == WEIR_EAGAIN && weir_clock_now_ns() < deadline_ns)
		sched_yield();
	assert_int_equal(weir_subscription_ready(t.sub, &err), WEIR_OK);
	assert_int_equal(weir_channel_ready(t.channel, &err), WEIR_OK);
}

static void close_all(void)
{
	assert_int_equal(weir_runtime_close(t.runtime, soon(), NULL), WEIR_OK);
	t.runtime = NULL;
}

static void set(const char *key, const char *value)
{
	char assignment[600];

	snprintf(assignment, sizeof assignment, "%s=%s", key, value);
	assert_int_equal(weir_config_add_setting(t.config, assignment), WEIR_OK);
}

static int setup(void **state, const char *kind)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char drivers[512];

	(void)state;
	memset(&t, 0, sizeof t);
	t.kind = kind;
	pthread_mutex_init(&t.lock, NULL);
	pthread_cond_init(&t.changed, NULL);
	snprintf(t.folder, sizeof t.folder, "/tmp/weir-channel-XXXXXX");
	if (!mkdtemp(t.folder) || weir_config_new(&t.config) || weir_event_new(&t.event))
		return -1;
	snprintf(drivers, sizeof drivers, "[\"%s/drivers\"]", getenv("WEIR_TEST_BUILD"));
	set("drivers.path", drivers);
	set("embedded.path", t.folder);
	if (weir_config_load(t.config, &err))
		fail_msg("%s", err.text);
	assert_int_equal(weir_event_set_text(t.event, "id", "1", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(t.event, "source", "/test", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(t.event, "type", "test", NULL), WEIR_OK);
	open_all();
	return 0;
}

static int setup_memory(void **state)
{
	return setup(state, "InMemoryChannel");
}

static int setup_embedded(void **state)
{
	return setup(state, "EmbeddedChannel");
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	if (t.runtime)
		weir_runtime_close(t.runtime, weir_clock_now_ns(), NULL);
	weir_event_free(t.event);
	weir_config_free(t.config);
	return nftw(t.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void publish(const char *id)
{
	struct weir_error err = WEIR_ERROR_INIT;

	assert_int_equal(weir_event_set_text(t.event, "id", id, &err), WEIR_OK);
	if (weir_channel_publish_wait(t.channel, t.event, soon(), &err))
		fail_msg("%s", err.text);
}

static void expect_id(size_t index, const char *id)
{
	weir_event *event;

	assert_int_equal(weir_event_new(&event), WEIR_OK);
	assert_int_equal(weir_delivery_event(t.deliveries[index], event, NULL), WEIR_OK);
	assert_true(weir_str_equal(weir_event_attribute(event, WEIR_ATTR_ID), weir_str(id)));
	weir_event_free(event);
}

static void an_event_arrives_as_it_was_published(void **state)
{
	static const char data[] = "{\"a\": 1.00}";
	weir_event *event;

	(void)state;
	assert_int_equal(weir_event_set_text(t.event, "datacontenttype", "application/json", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_text(t.event, "partitionkey", "k", NULL), WEIR_OK);
	assert_int_equal(weir_event_set_data(t.event, WEIR_STR("{\"a\": 1.00}"), NULL), WEIR_OK);
	publish("one");
	wait_for_deliveries(1);
	assert_int_equal(weir_event_new(&event), WEIR_OK);
	assert_int_equal(weir_delivery_event(t.deliveries[0], event, NULL), WEIR_OK);
	assert_true(weir_str_equal(weir_event_data(event), weir_str(data)));
	assert_true(weir_str_equal(weir_event_get(event, "partitionkey"), WEIR_STR("k")));
	weir_event_free(event);
	assert_int_equal(weir_delivery_attempt(t.deliveries[0]), 1);
	assert_int_equal(weir_delivery_settle(t.deliveries, 1, WEIR_ACK, 0), WEIR_OK);
}

static void what_is_nacked_comes_again_and_counts(void **state)
{
	(void)state;
	publish("one");
	wait_for_deliveries(1);
	assert_int_equal(weir_delivery_settle(t.deliveries, 1, WEIR_NACK, 1), WEIR_OK);
	wait_for_deliveries(2);
	expect_id(1, "one");
	assert_int_equal(weir_delivery_attempt(t.deliveries[1]), 2);
	assert_int_equal(weir_delivery_settle(t.deliveries + 1, 1, WEIR_ACK, 0), WEIR_OK);
}

static void expect_number(size_t index)
{
	char id[16];

	snprintf(id, sizeof id, "%zu", index);
	expect_id(index, id);
}

static void no_more_than_the_window_is_out_and_all_arrive_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < 150; i++) {
		char id[16];

		snprintf(id, sizeof id, "%zu", i);
		publish(id);
	}
	wait_for_deliveries(100);
	for (size_t settled = 0; settled < 150; settled += 50) {
		for (size_t i = settled; i < settled + 50; i++)
			expect_number(i);
		assert_int_equal(weir_delivery_settle(t.deliveries + settled, 50, WEIR_ACK, 0), WEIR_OK);
		wait_for_deliveries(150);
	}
}

static void what_was_not_acked_comes_again_after_a_restart_and_nothing_else(void **state)
{
	(void)state;
	publish("one");
	publish("two");
	publish("three");
	wait_for_deliveries(3);
	/* Out of order: the middle one. */
	assert_int_equal(weir_delivery_settle(t.deliveries + 1, 1, WEIR_ACK, 0), WEIR_OK);
	close_all();
	weir_delivery_free(t.deliveries[0]);
	weir_delivery_free(t.deliveries[2]);
	t.count = 0;
	open_all();
	wait_for_deliveries(2);
	expect_id(0, "one");
	expect_id(1, "three");
	assert_int_equal(weir_delivery_settle(t.deliveries, 2, WEIR_ACK, 0), WEIR_OK);
}

#define CASE(name, driver)                                                                                             \
	{                                                                                                              \
#driver ": " #name, name, setup_##driver, teardown, NULL                                               \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_event_arrives_as_it_was_published, memory),
		CASE(what_is_nacked_comes_again_and_counts, memory),
		CASE(no_more_than_the_window_is_out_and_all_arrive_in_order, memory),
		CASE(an_event_arrives_as_it_was_published, embedded),
		CASE(what_is_nacked_comes_again_and_counts, embedded),
		CASE(no_more_than_the_window_is_out_and_all_arrive_in_order, embedded),
		CASE(what_was_not_acked_comes_again_after_a_restart_and_nothing_else, embedded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
