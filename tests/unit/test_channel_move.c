/* SPDX-License-Identifier: Apache-2.0 */
/* Channels that move from one backend to another while events flow: nothing lost, nothing twice, in order by key. */
#include "unit/weir_cmocka.h"

#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/channel.h>

#include "base/clock.h"

/* Between looks at a condition with a deadline, and where a test shows that something does not happen. */
static void wait_us(unsigned us)
{
	poll(NULL, 0, us < 1000 ? 1 : (int)(us / 1000));
}

enum { MOST = 65536, KEYS = 7, SUBS = 3, PAUSE_NS = 1000000 };

#define MEMORY   "InMemoryChannel"
#define EMBEDDED "EmbeddedChannel"

/* One subscription, and what it has got. */
struct sub {
	weir_subscription *handle;
	weir_delivery *held[MOST]; /* not settled yet */
	size_t held_count;
	uint8_t seen[MOST]; /* how often each event came */
	unsigned newest[KEYS];
	size_t count, twice, disorder, changes;
};

static struct {
	char folder[64], memo[100];
	weir_config *config;
	weir_runtime *runtime;
	weir_channel *channel;
	struct sub subs[SUBS];
	pthread_mutex_t lock;
	_Atomic bool hold; /* deliveries are not settled */
	_Atomic bool stop;
	_Atomic unsigned published;
	unsigned failed;
	pthread_t publisher;
	char log[16384];
} t;

static int64_t soon(void)
{
	return weir_clock_after_ms(weir_clock_now_ns(), 20000);
}

static void take(struct sub *sub, const weir_delivery *delivery)
{
	const struct weir_record *record = weir_delivery_record(delivery);
	char text[32] = "";
	unsigned number;

	memcpy(text, record->body.ptr, record->body.len < sizeof text ? record->body.len : sizeof text - 1);
	number = (unsigned)strtoul(text, NULL, 10);
	sub->twice += sub->seen[number]++ != 0;
	sub->disorder += number < sub->newest[number % KEYS];
	sub->newest[number % KEYS] = number;
	sub->count++;
}

static unsigned count_of(const struct sub *sub)
{
	unsigned count;

	pthread_mutex_lock(&t.lock);
	count = (unsigned)sub->count;
	pthread_mutex_unlock(&t.lock);
	return count;
}

/* What is held is the caller's to settle. */
static void take_held(struct sub *sub, weir_delivery **held, size_t size)
{
	pthread_mutex_lock(&t.lock);
	memcpy(held, sub->held, size);
	sub->held_count = 0;
	pthread_mutex_unlock(&t.lock);
}

static void on_deliver(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	struct sub *sub = ctx;
	bool hold = atomic_load(&t.hold);

	pthread_mutex_lock(&t.lock);
	for (size_t i = 0; i < count; i++) {
		take(sub, deliveries[i]);
		if (hold)
			sub->held[sub->held_count++] = deliveries[i];
	}
	pthread_mutex_unlock(&t.lock);
	if (!hold)
		weir_delivery_settle(deliveries, count, WEIR_ACK, 0);
}

static void on_notice(void *ctx, const struct weir_notice *notice)
{
	struct sub *sub = ctx;

	pthread_mutex_lock(&t.lock);
	sub->changes += notice->type == WEIR_EV_CAPS_CHANGED;
	pthread_mutex_unlock(&t.lock);
}

static void let_go(void)
{
	atomic_store(&t.hold, false);
	for (size_t i = 0; i < SUBS; i++) {
		weir_delivery *held[1024];
		size_t count;

		pthread_mutex_lock(&t.lock);
		count = t.subs[i].held_count;
		assert_true(count <= 1024);
		memcpy(held, t.subs[i].held, count * sizeof(weir_delivery *));
		t.subs[i].held_count = 0;
		pthread_mutex_unlock(&t.lock);
		if (count)
			weir_delivery_settle(held, count, WEIR_ACK, 0);
	}
}

static void on_log(void *ctx, int level, const char *text)
{
	size_t used;

	(void)ctx;
	(void)level;
	pthread_mutex_lock(&t.lock);
	used = strlen(t.log);
	snprintf(t.log + used, sizeof t.log - used, "%s\n", text);
	pthread_mutex_unlock(&t.lock);
}

static bool logged(const char *text)
{
	bool found;

	pthread_mutex_lock(&t.lock);
	found = strstr(t.log, text) != NULL;
	pthread_mutex_unlock(&t.lock);
	return found;
}

/* ---- life ------------------------------------------------------------------------ */

static void set(const char *key, const char *value)
{
	char assignment[600];

	snprintf(assignment, sizeof assignment, "%s=%s", key, value);
	assert_int_equal(weir_config_add_setting(t.config, assignment), WEIR_OK);
}

static void open_runtime(void)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_runtime_open(t.config, on_log, NULL, &t.runtime, &err) ||
	    weir_runtime_remember(t.runtime, t.memo, &err))
		fail_msg("%s", err.text);
}

static void open_channel(const char *kind)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int64_t deadline_ns = soon();

	if (weir_channel_open(t.runtime, "ns", "orders", kind, &t.channel, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < SUBS; i++) {
		char name[8];
		const struct weir_subscription_spec spec = {
			.name = name, .window = 100, .deliver = on_deliver, .notice = on_notice, .ctx = &t.subs[i]
		};

		snprintf(name, sizeof name, "s %zu", i);
		if (weir_channel_subscribe(t.channel, &spec, &t.subs[i].handle, &err))
			fail_msg("%s", err.text);
		while (weir_subscription_ready(t.subs[i].handle, &err) && weir_clock_now_ns() < deadline_ns)
			wait_us(1000);
		assert_int_equal(weir_subscription_ready(t.subs[i].handle, &err), WEIR_OK);
	}
}

static void free_held(struct sub *sub)
{
	pthread_mutex_lock(&t.lock);
	for (size_t i = 0; i < sub->held_count; i++)
		weir_delivery_free(sub->held[i]);
	sub->held_count = 0;
	pthread_mutex_unlock(&t.lock);
}

static void close_runtime(void)
{
	/* What is freed makes room for more, which is not to be kept. */
	atomic_store(&t.hold, false);
	for (size_t i = 0; i < SUBS; i++)
		free_held(&t.subs[i]);
	assert_int_equal(weir_runtime_close(t.runtime, soon(), NULL), WEIR_OK);
	t.runtime = NULL;
}

static int setup(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char drivers[512], path[100];

	(void)state;
	memset(&t, 0, sizeof t);
	pthread_mutex_init(&t.lock, NULL);
	snprintf(t.folder, sizeof t.folder, "/tmp/weir-move-XXXXXX");
	if (!mkdtemp(t.folder) || weir_config_new(&t.config))
		return -1;
	snprintf(t.memo, sizeof t.memo, "%s/moves", t.folder);
	snprintf(path, sizeof path, "%s/store", t.folder);
	snprintf(drivers, sizeof drivers, "[\"%s/drivers\"]", getenv("WEIR_TEST_BUILD"));
	set("drivers.path", drivers);
	set("embedded.path", path);
	if (weir_config_load(t.config, &err))
		fail_msg("%s", err.text);
	open_runtime();
	return 0;
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
		close_runtime();
	weir_config_free(t.config);
	return nftw(t.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- events ----------------------------------------------------------------------- */

static bool publish_one(weir_event *event, unsigned number)
{
	char text[16];

	snprintf(text, sizeof text, "%u", number);
	weir_event_set_text(event, "id", text, NULL);
	weir_event_set_data(event, (struct weir_buf){ text, strlen(text) }, NULL);
	return weir_channel_publish_wait(t.channel, event, soon(), NULL) == WEIR_OK;
}

static weir_event *new_event(void)
{
	weir_event *event;

	if (weir_event_new(&event))
		abort();
	weir_event_set_text(event, "source", "/test", NULL);
	weir_event_set_text(event, "type", "test", NULL);
	return event;
}

static void publish(unsigned count)
{
	weir_event *event = new_event();

	for (; count > 0; count--)
		assert_true(publish_one(event, atomic_fetch_add(&t.published, 1)));
	weir_event_free(event);
}

/* About a thousand events in a second. */
static void *publish_on(void *ctx)
{
	weir_event *event = new_event();

	(void)ctx;
	while (!atomic_load(&t.stop)) {
		if (publish_one(event, atomic_load(&t.published)))
			atomic_fetch_add(&t.published, 1);
		else
			t.failed++;
		wait_us(PAUSE_NS / 1000);
	}
	weir_event_free(event);
	return NULL;
}

static void start_publishing(void)
{
	atomic_store(&t.stop, false);
	assert_int_equal(pthread_create(&t.publisher, NULL, publish_on, NULL), 0);
}

static void stop_publishing(void)
{
	atomic_store(&t.stop, true);
	pthread_join(t.publisher, NULL);
}

static bool all_have(size_t count)
{
	bool all = true;

	pthread_mutex_lock(&t.lock);
	for (size_t i = 0; i < SUBS; i++)
		all = all && t.subs[i].count >= count;
	pthread_mutex_unlock(&t.lock);
	return all;
}

static void wait_all_have(size_t count)
{
	int64_t deadline_ns = soon();

	while (!all_have(count) && weir_clock_now_ns() < deadline_ns)
		wait_us(1000);
	assert_true(all_have(count));
}

static void wait_count(const struct sub *sub, unsigned count)
{
	int64_t deadline_ns = soon();

	while (count_of(sub) < count && weir_clock_now_ns() < deadline_ns)
		wait_us(1000);
	assert_int_equal(count_of(sub), count);
}

/* While the publisher runs: it got that many through since. */
static void wait_published(unsigned more)
{
	int64_t deadline_ns = soon();
	unsigned goal = atomic_load(&t.published) + more;

	while (atomic_load(&t.published) < goal && weir_clock_now_ns() < deadline_ns)
		wait_us(1000);
	assert_true(atomic_load(&t.published) >= goal);
}

/* Everything that was published came to everybody, once and in order. */
static void check_all_came(void)
{
	unsigned published = atomic_load(&t.published);

	wait_all_have(published);
	for (size_t i = 0; i < SUBS; i++) {
		assert_int_equal(count_of(&t.subs[i]), published);
		assert_int_equal(t.subs[i].twice, 0);
		assert_int_equal(t.subs[i].disorder, 0);
	}
}

/* Events that came and are not settled: they lie on EmbeddedChannel. */
static void open_with_held(unsigned count)
{
	atomic_store(&t.hold, true);
	open_channel(EMBEDDED);
	publish(count);
	wait_all_have(count);
}

/* ---- moving ------------------------------------------------------------------------- */

static void move_to(const char *kind)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_channel_move(t.channel, kind, &err))
		fail_msg("%s", err.text);
}

static uint32_t stage(size_t index)
{
	struct weir_move_info info;

	return weir_channel_move_info(t.channel, index, &info) == WEIR_OK ? info.stage : 0;
}

static void wait_stage(uint32_t wanted)
{
	int64_t deadline_ns = soon();

	while (stage(0) != wanted && weir_clock_now_ns() < deadline_ns)
		wait_us(1000);
	assert_int_equal(stage(0), wanted);
}

/* New events go to InMemoryChannel, and what is held keeps EmbeddedChannel from being drained. */
static void begin_move_with_held(unsigned count)
{
	open_with_held(count);
	move_to(MEMORY);
	wait_stage(WEIR_MOVE_DRAINING);
}

static size_t open_backends(void)
{
	struct weir_backend_info info;
	size_t count = 0;

	while (weir_runtime_backend_info(t.runtime, count, &info) == WEIR_OK)
		count++;
	return count;
}

static void moves_under_load(const char *from, const char *to)
{
	open_channel(from);
	start_publishing();
	wait_published(101);
	move_to(to);
	wait_stage(0);
	wait_published(101);
	stop_publishing();
	check_all_came();
	assert_int_equal(t.failed, 0);
	assert_true(atomic_load(&t.published) > 200);
	assert_string_equal(weir_channel_kind(t.channel), to);
	assert_int_equal(open_backends(), 1);
}

static void from_memory_to_embedded_under_load(void **state)
{
	(void)state;
	moves_under_load(MEMORY, EMBEDDED);
}

static void from_embedded_to_memory_under_load(void **state)
{
	(void)state;
	moves_under_load(EMBEDDED, MEMORY);
}

static void to_and_fro_under_load(void **state)
{
	(void)state;
	open_channel(EMBEDDED);
	start_publishing();
	for (int i = 0; i < 10; i++) {
		move_to(i % 2 ? EMBEDDED : MEMORY);
		wait_published(10);
	}
	wait_stage(0);
	stop_publishing();
	check_all_came();
	assert_int_equal(t.failed, 0);
	assert_string_equal(weir_channel_kind(t.channel), EMBEDDED);
}

static void what_is_new_waits_until_what_is_old_is_settled(void **state)
{
	(void)state;
	begin_move_with_held(10);
	publish(10);
	wait_us(200000);
	for (size_t i = 0; i < SUBS; i++)
		assert_int_equal(count_of(&t.subs[i]), 10);
	let_go();
	check_all_came();
	wait_stage(0);
}

static void subscriptions_do_not_wait_for_each_other(void **state)
{
	weir_delivery *held[10];

	(void)state;
	begin_move_with_held(10);
	publish(1);
	take_held(&t.subs[1], held, sizeof held);
	weir_delivery_settle(held, 10, WEIR_ACK, 0);
	wait_count(&t.subs[1], 11);
	assert_int_equal(count_of(&t.subs[0]), 10);
	assert_int_equal(stage(0), WEIR_MOVE_DRAINING);
	let_go();
	check_all_came();
}

static void a_move_tells_what_is_left(void **state)
{
	struct weir_move_info info;

	(void)state;
	atomic_store(&t.hold, true);
	open_channel(EMBEDDED);
	publish(5);
	move_to(MEMORY);
	wait_stage(WEIR_MOVE_DRAINING);
	assert_int_equal(weir_channel_move_info(t.channel, 0, &info), WEIR_OK);
	assert_string_equal(info.from, EMBEDDED);
	assert_string_equal(info.to, MEMORY);
	assert_int_equal(info.subscriptions, SUBS);
	assert_int_equal(info.left, 5 * SUBS);
	assert_int_equal(info.error.code, WEIR_OK);
	assert_int_equal(weir_channel_move_info(t.channel, 1, &info), WEIR_ENOTFOUND);
	wait_all_have(5);
	let_go();
	wait_stage(0);
	assert_true(logged("new events go to InMemoryChannel; what is left on EmbeddedChannel is delivered first"));
	assert_true(logged("EmbeddedChannel is drained and left as it is"));
}

static void the_way_back_waits_until_the_backend_is_drained(void **state)
{
	(void)state;
	begin_move_with_held(5);
	publish(5);
	move_to(EMBEDDED);
	wait_us(100000);
	assert_int_equal(stage(1), WEIR_MOVE_WAITING);
	assert_string_equal(weir_channel_kind(t.channel), MEMORY);
	publish(5);
	let_go();
	wait_stage(0);
	publish(5);
	check_all_came();
	assert_string_equal(weir_channel_kind(t.channel), EMBEDDED);
}

static void a_kind_without_a_driver_leaves_the_channel_where_it_is(void **state)
{
	struct weir_error err = WEIR_ERROR_INIT;

	(void)state;
	open_channel(MEMORY);
	assert_int_equal(weir_channel_move(t.channel, "NoSuchChannel", &err), WEIR_ENOTFOUND);
	assert_int_equal(stage(0), 0);
	publish(1);
	check_all_came();
}

static void a_subscription_made_during_a_move_gets_what_is_new(void **state)
{
	static struct sub late;
	const struct weir_subscription_spec spec = { .name = "late", .window = 9, .deliver = on_deliver, .ctx = &late };
	weir_subscription *handle;

	(void)state;
	memset(&late, 0, sizeof late);
	begin_move_with_held(5);
	assert_int_equal(weir_channel_subscribe(t.channel, &spec, &handle, NULL), WEIR_OK);
	atomic_store(&t.hold, false);
	publish(3);
	wait_count(&late, 3);
	let_go();
	check_all_came();
}

static void a_subscription_that_is_forgotten_is_not_waited_for(void **state)
{
	(void)state;
	begin_move_with_held(5);
	for (size_t i = 0; i < SUBS; i++) {
		assert_int_equal(weir_subscription_close(t.subs[i].handle, 0, soon(), NULL), WEIR_OK);
		free_held(&t.subs[i]);
	}
	wait_stage(0);
}

static void receivers_are_told_that_the_backend_is_another(void **state)
{
	(void)state;
	open_channel(EMBEDDED);
	publish(1);
	move_to(MEMORY);
	wait_stage(0);
	publish(1);
	check_all_came();
	for (size_t i = 0; i < SUBS; i++)
		assert_int_equal(t.subs[i].changes, 1);
	assert_string_equal(weir_channel_caps(t.channel)->durability, "memory");
}

/* ---- restarts --------------------------------------------------------------------------- */

static void forget_what_came(void)
{
	for (size_t i = 0; i < SUBS; i++)
		memset(&t.subs[i], 0, sizeof t.subs[i]);
}

static void a_restart_in_the_middle_goes_on_with_the_drain(void **state)
{
	(void)state;
	begin_move_with_held(10);
	close_runtime();
	forget_what_came();
	atomic_store(&t.hold, false);
	open_runtime();
	open_channel(MEMORY);
	check_all_came();
	wait_stage(0);
	publish(5);
	check_all_came();
	assert_int_equal(open_backends(), 1);
}

static void a_channel_opened_with_another_kind_than_before_moves(void **state)
{
	(void)state;
	open_with_held(10);
	close_runtime();
	forget_what_came();
	atomic_store(&t.hold, false);
	open_runtime();
	open_channel(MEMORY);
	publish(5);
	check_all_came();
	wait_stage(0);
	assert_string_equal(weir_channel_kind(t.channel), MEMORY);
}

static void moving_back_delivers_nothing_again(void **state)
{
	(void)state;
	open_channel(EMBEDDED);
	publish(10);
	move_to(MEMORY);
	wait_stage(0);
	close_runtime();
	open_runtime();
	open_channel(MEMORY);
	publish(5);
	move_to(EMBEDDED);
	wait_stage(0);
	publish(5);
	check_all_came();
}

/* The process is killed at some moment of a move: run in a child, which counts what it was told is persisted. */
static void in_child(int out)
{
	const unsigned end = 5;
	unsigned count;

	open_runtime();
	open_channel(EMBEDDED);
	atomic_store(&t.hold, true);
	start_publishing();
	wait_us(50000);
	move_to(MEMORY);
	for (;;) {
		count = atomic_load(&t.published);
		/* Those of the old backend only: what is in memory does not survive. */
		if (stage(0) == WEIR_MOVE_DRAINING || write(out, &count, sizeof count) != sizeof count)
			break;
		wait_us(end);
	}
	pause();
}

static void what_was_persisted_before_a_kill_in_the_middle_is_delivered(void **state)
{
	(void)state;
	close_runtime();
	for (int round = 0; round < 5; round++) {
		unsigned persisted = 0, count;
		int pipe_fds[2], status;
		pid_t child;

		assert_int_equal(pipe(pipe_fds), 0);
		child = fork();
		if (child == 0) {
			close(pipe_fds[0]);
			in_child(pipe_fds[1]);
			_exit(1);
		}
		close(pipe_fds[1]);
		wait_us(60000 + 15000 * (unsigned)round);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		while (read(pipe_fds[0], &count, sizeof count) == sizeof count)
			persisted = count;
		close(pipe_fds[0]);
		forget_what_came();
		open_runtime();
		open_channel(MEMORY);
		wait_stage(0);
		for (size_t i = 0; i < SUBS; i++)
			for (unsigned n = 0; n < persisted; n++)
				assert_true(t.subs[i].seen[n] > 0);
		move_to(EMBEDDED);
		wait_stage(0);
		close_runtime();
	}
}

/* ---- the memo -------------------------------------------------------------------------------- */

static void write_memo(const char *text)
{
	FILE *file = fopen(t.memo, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void a_damaged_memo_is_refused_with_what_to_do(void **state)
{
	static const char *const damaged[] = {
		"",
		"weir-moves 2\nend\n",
		"weir-moves 1\n",
		"weir-moves 1\nend",
		"weir-moves 1\nend\nmore\n",
		"weir-moves 1\nsub s\nend\n",
		"weir-moves 1\nchannel ns name\nend\n",
		"weir-moves 1\nchannel ns name K\nsub a b\nend\n",
		"weir-moves 1\nchannel ns name K\nsub %G1\nend\n",
		"weir-moves 1\nchannel ns  K\nend\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		struct weir_error err = WEIR_ERROR_INIT;

		write_memo(damaged[i]);
		if (weir_runtime_remember(t.runtime, t.memo, &err) != WEIR_ECORRUPT)
			fail_msg("taken: %s", damaged[i]);
		assert_non_null(strstr(err.text, "move it away to start without it"));
	}
}

static void the_memo_names_what_is_left_to_drain(void **state)
{
	char text[512] = "";
	FILE *file;

	(void)state;
	atomic_store(&t.hold, true);
	open_channel(EMBEDDED);
	publish(1);
	move_to(MEMORY);
	wait_stage(WEIR_MOVE_DRAINING);
	file = fopen(t.memo, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	fclose(file);
	assert_string_equal(text, "weir-moves 1\n"
				  "channel ns orders InMemoryChannel\n"
				  "sub s%200\nsub s%201\nsub s%202\n"
				  "from EmbeddedChannel\n"
				  "sub s%200\nsub s%201\nsub s%202\n"
				  "end\n");
}

/* Where new events go must be on the disk before they go there. */
static void a_memo_that_cannot_be_written_holds_the_move(void **state)
{
	char beside[120];

	(void)state;
	open_channel(EMBEDDED);
	wait_us(100000);
	snprintf(beside, sizeof beside, "%s.new", t.memo);
	assert_int_equal(mkdir(beside, 0700), 0);
	move_to(MEMORY);
	wait_us(200000);
	assert_int_equal(stage(0), WEIR_MOVE_PREPARING);
	assert_string_equal(weir_channel_kind(t.channel), EMBEDDED);
	publish(1);
	rmdir(beside);
	wait_stage(0);
	assert_string_equal(weir_channel_kind(t.channel), MEMORY);
	check_all_came();
}

/* ---- opening anew ------------------------------------------------------------------------------ */

static void a_backend_that_is_renewed_under_load_loses_nothing(void **state)
{
	int64_t deadline_ns = soon();

	(void)state;
	open_channel(EMBEDDED);
	start_publishing();
	wait_published(30);
	assert_int_equal(weir_runtime_renew(t.runtime, EMBEDDED, NULL), WEIR_OK);
	wait_us(100000);
	while (weir_channel_ready(t.channel, NULL) && weir_clock_now_ns() < deadline_ns)
		wait_us(1000);
	wait_published(30);
	stop_publishing();
	wait_all_have(atomic_load(&t.published));
	for (size_t i = 0; i < SUBS; i++)
		for (unsigned n = 0; n < atomic_load(&t.published); n++)
			assert_true(t.subs[i].seen[n] > 0);
}

static void deliveries_of_before_a_renewal_are_stale_and_use_up_the_window(void **state)
{
	int64_t deadline_ns = soon();
	weir_delivery *held[100];

	(void)state;
	atomic_store(&t.hold, true);
	open_channel(EMBEDDED);
	publish(150);
	wait_all_have(100);
	assert_int_equal(weir_runtime_renew(t.runtime, EMBEDDED, NULL), WEIR_OK);
	wait_us(300000);
	while (weir_subscription_ready(t.subs[0].handle, NULL) && weir_clock_now_ns() < deadline_ns)
		wait_us(1000);
	/* The receiver has no room for more than a hundred. */
	assert_int_equal(count_of(&t.subs[0]), 100);
	take_held(&t.subs[0], held, sizeof held);
	assert_int_equal(weir_delivery_settle(held, 10, WEIR_ACK, 0), WEIR_ESTALE);
	wait_count(&t.subs[0], 110);
	wait_us(50000);
	assert_int_equal(count_of(&t.subs[0]), 110);
	weir_delivery_settle(held + 10, 90, WEIR_ACK, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(from_memory_to_embedded_under_load),
		CASE(from_embedded_to_memory_under_load),
		CASE(to_and_fro_under_load),
		CASE(what_is_new_waits_until_what_is_old_is_settled),
		CASE(subscriptions_do_not_wait_for_each_other),
		CASE(a_move_tells_what_is_left),
		CASE(the_way_back_waits_until_the_backend_is_drained),
		CASE(a_kind_without_a_driver_leaves_the_channel_where_it_is),
		CASE(a_subscription_made_during_a_move_gets_what_is_new),
		CASE(a_subscription_that_is_forgotten_is_not_waited_for),
		CASE(receivers_are_told_that_the_backend_is_another),
		CASE(a_restart_in_the_middle_goes_on_with_the_drain),
		CASE(a_channel_opened_with_another_kind_than_before_moves),
		CASE(moving_back_delivers_nothing_again),
		CASE(what_was_persisted_before_a_kill_in_the_middle_is_delivered),
		CASE(a_damaged_memo_is_refused_with_what_to_do),
		CASE(the_memo_names_what_is_left_to_drain),
		CASE(a_memo_that_cannot_be_written_holds_the_move),
		CASE(a_backend_that_is_renewed_under_load_loses_nothing),
		CASE(deliveries_of_before_a_renewal_are_stale_and_use_up_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
