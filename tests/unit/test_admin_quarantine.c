/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about quarantine: what they mean, and what is done with the files. */
#include "unit/weir_cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/quarantine_work.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/admin_fakes.h"

#define ONE   "100-aa-000001.json"
#define TWO   "100-aa-000002.json"
#define THREE "101-bb-000001.json"

static char folder[64];
static weir_event *event;
static struct weir_dynbuf answer;
static struct weir_error error;

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static const struct weir_subscription_view subscriptions[] = { { .name = "a", .uid = "u-a" } };

static bool is_there(const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static void write_note(const char *name, const char *channel, const char *subscription, const char *id)
{
	char text[1024];

	snprintf(text, sizeof text,
		 "{\"quarantined\":\"2026-11-24T00:00:00Z\",\"namespace\":\"ns\",\"channel\":\"%s\",\"subscription\":"
		 "\"%s\",\"uid\":\"u-%s\",\"failure\":{\"reason\":\"status 400\",\"status\":400},\"event\":{"
		 "\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/s\",\"type\":\"t\",\"weirhops\":\"9\",\"data\":"
		 "{\"reason\":\"no\",\"event\":1.0}}}\n",
		 channel, subscription, subscription, id);
	write_file(name, text);
}

static int begin(void **state)
{
	(void)state;
	fake_world_reset();
	snprintf(folder, sizeof folder, "/tmp/weir-quarantine-XXXXXX");
	assert_non_null(mkdtemp(folder));
	world.quarantine = folder;
	world.channels[0] = (struct weir_channel_view){
		.ns = "ns", .name = "open", .kind = "K", .subscriptions = subscriptions, .subscription_count = 1
	};
	world.channel_count = 1;
	world.publish_code = WEIR_OK;
	assert_int_equal(weir_event_new(&event), WEIR_OK);
	weir_dynbuf_init(&answer, 1 << 20);
	write_note(ONE, "open", "a", "1");
	write_note(TWO, "open", "b", "2");
	write_note(THREE, "gone", "a", "3");
	return 0;
}

static int end(void **state)
{
	static const char *const names[] = { ONE, TWO, THREE, "102-cc-000001.json", "notes.json", ".103-a.json" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[256];

		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	weir_event_free(event);
	weir_dynbuf_fini(&answer);
	return 0;
}

static int ask(const char *path, const char *query, bool post)
{
	struct weir_quarantine_query read;
	const char *why = weir_quarantine_query_read(weir_str(path), weir_str(query), post, &read);

	if (why)
		fail_msg("%s", why);
	weir_dynbuf_reset(&answer);
	error = (struct weir_error)WEIR_ERROR_INIT;
	return weir_quarantine_work(NULL, &read, event, &answer, &error);
}

#define LINE(name, channel, subscription, id)                                                                          \
	"{\"name\":\"" name "\",\"quarantined\":\"2026-11-24T00:00:00Z\",\"namespace\":\"ns\",\"channel\":\"" channel  \
	"\",\"subscription\":\"" subscription "\",\"id\":\"" id "\",\"source\":\"/s\",\"type\":\"t\",\"reason\":"      \
	"\"status 400\"}\n"

static void assert_answer(const char *text)
{
	assert_string_equal(answer.ptr ? answer.ptr : "", text);
}

/* ---- ls --------------------------------------------------------------------- */

static void a_list_has_a_line_for_each_event_the_oldest_first(void **state)
{
	(void)state;
	write_file("notes.json", "of somebody else");
	write_file(".103-a.json", "being written");
	assert_int_equal(ask("/quarantine", NULL, false), WEIR_OK);
	assert_answer(LINE(ONE, "open", "a", "1") LINE(TWO, "open", "b", "2") LINE(THREE, "gone", "a", "3"));
}

static void a_list_may_be_narrowed(void **state)
{
	(void)state;
	assert_int_equal(ask("/quarantine", "subscription=a", false), WEIR_OK);
	assert_answer(LINE(ONE, "open", "a", "1") LINE(THREE, "gone", "a", "3"));
	assert_int_equal(ask("/quarantine", "subscription=a&channel=gone&namespace=ns", false), WEIR_OK);
	assert_answer(LINE(THREE, "gone", "a", "3"));
	assert_int_equal(ask("/quarantine", "namespace=other", false), WEIR_OK);
	assert_answer("");
}

static void a_long_list_comes_in_parts(void **state)
{
	(void)state;
	assert_int_equal(ask("/quarantine", "limit=2", false), WEIR_OK);
	assert_answer(LINE(ONE, "open", "a", "1") LINE(TWO, "open", "b", "2") "{\"more\":\"" TWO "\"}\n");
	assert_int_equal(ask("/quarantine", "limit=2&after=" TWO, false), WEIR_OK);
	assert_answer(LINE(THREE, "gone", "a", "3"));
}

static void a_damaged_file_is_listed_with_what_is_wrong(void **state)
{
	(void)state;
	write_file("102-cc-000001.json", "{\"quarantined\":");
	assert_int_equal(ask("/quarantine", "after=" THREE, false), WEIR_OK);
	assert_non_null(strstr(answer.ptr, "\"name\":\"102-cc-000001.json\""));
	assert_non_null(strstr(answer.ptr, "\"reason\":\"quarantine: the file is damaged\""));
}

static void a_folder_that_is_not_there_holds_nothing(void **state)
{
	(void)state;
	world.quarantine = "/tmp/weir-no-such-folder";
	assert_int_equal(ask("/quarantine", NULL, false), WEIR_OK);
	assert_answer("");
}

/* ---- show, drop ------------------------------------------------------------------ */

static void a_file_is_shown_as_it_is(void **state)
{
	(void)state;
	write_file("102-cc-000001.json", "{\"any\" : \"thing\"}\n");
	assert_int_equal(ask("/quarantine/102-cc-000001.json", NULL, false), WEIR_OK);
	assert_answer("{\"any\" : \"thing\"}\n");
	assert_int_equal(ask("/quarantine/999-aa-000001.json", NULL, false), WEIR_ENOTFOUND);
}

static void what_is_dropped_is_gone_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(ask("/quarantine/" ONE "/drop", NULL, true), WEIR_OK);
	assert_false(is_there(ONE));
	assert_true(is_there(TWO));
	assert_int_equal(ask("/quarantine/" ONE "/drop", NULL, true), WEIR_ENOTFOUND);
}

/* ---- replay ------------------------------------------------------------------------ */

static void a_replayed_event_is_for_its_subscription_only_and_leaves_when_it_is_persisted(void **state)
{
	(void)state;
	assert_int_equal(ask("/quarantine/" ONE "/replay", NULL, true), WEIR_OK);
	assert_answer("{\"replayed\":\"1\"}\n");
	assert_non_null(strstr(world.published, "\"weirfor\":\"u-a\""));
	assert_null(strstr(world.published, "weirhops"));
	assert_non_null(strstr(world.published, "\"data\":{\"reason\":\"no\",\"event\":1.0}"));
	assert_false(is_there(ONE));
}

static void what_cannot_be_persisted_stays(void **state)
{
	(void)state;
	world.publish_code = WEIR_EUNAVAIL;
	assert_int_equal(ask("/quarantine/" ONE "/replay", NULL, true), WEIR_EUNAVAIL);
	assert_true(is_there(ONE));
}

static void an_event_whose_channel_is_gone_stays(void **state)
{
	(void)state;
	assert_int_equal(ask("/quarantine/" THREE "/replay", NULL, true), WEIR_ENOTFOUND);
	assert_true(is_there(THREE));
}

static void an_event_whose_subscription_is_gone_stays(void **state)
{
	(void)state;
	assert_int_equal(ask("/quarantine/" TWO "/replay", NULL, true), WEIR_ENOTFOUND);
	assert_true(is_there(TWO));
}

static void a_record_that_is_no_event_cannot_be_replayed(void **state)
{
	(void)state;
	write_file("102-cc-000001.json", "{\"namespace\":\"ns\",\"channel\":\"open\",\"subscription\":\"a\",\"record\":"
					 "{\"key_base64\":null,\"headers\":[],\"body_base64\":\"eA==\"}}\n");
	assert_int_equal(ask("/quarantine/102-cc-000001.json/replay", NULL, true), WEIR_EINVAL);
	assert_true(is_there("102-cc-000001.json"));
}

/* ---- requests ------------------------------------------------------------------------ */

static void a_request_that_means_nothing_is_refused(void **state)
{
	static const struct {
		const char *path, *query;
		bool post;
	} rows[] = {
		{ "/quarantine/", NULL, false },
		{ "/quarantine/../passwd", NULL, false },
		{ "/quarantine/..%2fpasswd.json", NULL, false },
		{ "/quarantine/.100-aa.json", NULL, false },
		{ "/quarantine/" ONE ".json", NULL, false },
		{ "/quarantine/" ONE "/replay", NULL, false },
		{ "/quarantine/" ONE, NULL, true },
		{ "/quarantine/" ONE "/", NULL, true },
		{ "/quarantine/" ONE "/drop/all", NULL, true },
		{ "/quarantine", "limit=0", false },
		{ "/quarantine", "limit=1001", false },
		{ "/quarantine", "limit", false },
		{ "/quarantine", "after=../x.json", false },
		{ "/quarantine", "colour=red", false },
	};
	struct weir_quarantine_query read;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (!weir_quarantine_query_read(weir_str(rows[i].path), weir_str(rows[i].query), rows[i].post, &read))
			fail_msg("%s", rows[i].path);
	}
}

static void short_memory_is_an_error_and_keeps_the_file(void **state)
{
	int code = WEIR_ENOMEM;
	uint64_t nth;

	(void)state;
	for (nth = 1; nth < 200 && code; nth++) {
		weir_mem_fail(nth, 0);
		code = ask("/quarantine/" ONE "/replay", NULL, true);
		weir_mem_fail(0, 0);
		assert_true(code == WEIR_OK || is_there(ONE));
	}
	assert_int_equal(code, WEIR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_has_a_line_for_each_event_the_oldest_first),
		TEST(a_list_may_be_narrowed),
		TEST(a_long_list_comes_in_parts),
		TEST(a_damaged_file_is_listed_with_what_is_wrong),
		TEST(a_folder_that_is_not_there_holds_nothing),
		TEST(a_file_is_shown_as_it_is),
		TEST(what_is_dropped_is_gone_and_nothing_else),
		TEST(a_replayed_event_is_for_its_subscription_only_and_leaves_when_it_is_persisted),
		TEST(what_cannot_be_persisted_stays),
		TEST(an_event_whose_channel_is_gone_stays),
		TEST(an_event_whose_subscription_is_gone_stays),
		TEST(a_record_that_is_no_event_cannot_be_replayed),
		TEST(a_request_that_means_nothing_is_refused),
		TEST(short_memory_is_an_error_and_keeps_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
