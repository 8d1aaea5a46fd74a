/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/str.h"
#include "bench/load.h"
#include "bench/sink.h"
#include "bench/tally.h"

struct run {
	const struct weir_bench_options *options;
	struct weir_bench_result *result;
	struct weir_loop *loop;
	struct weir_load *load;
	struct weir_sink *sink;
	struct weir_watch signals;
	struct weir_timer second; /* the next second begins */
	struct weir_timer end;    /* of a run without a load, and of the wait for what is under way */
	struct weir_tally tally;
	char name[24]; /* of the run, before the number in ids */
	size_t name_len;
	int64_t begin_ns, measure_ns; /* measure: the warm-up is over */
	int64_t last_answer_ns, first_arrival_ns, last_arrival_ns;
	bool load_over;
};

/* ---- the end -------------------------------------------------------------- */

/* What is under way may arrive for as long as something does. */
static void wait_for_arrivals(struct run *run)
{
	int64_t deadline_ns = weir_clock_after_ms(weir_clock_now_ns(), run->options->settle_ms);

	if (!run->tally.missing || weir_loop_timer_set(run->loop, &run->end, deadline_ns))
		weir_loop_stop(run->loop);
}

static void on_load_finished(void *ctx)
{
	struct run *run = ctx;

	run->load_over = true;
	if (run->sink)
		wait_for_arrivals(run);
	else
		weir_loop_stop(run->loop);
}

static void on_end(struct weir_timer *timer)
{
	weir_loop_stop(WEIR_CONTAINER(timer, struct run, end)->loop);
}

/* The first ends the load, the second everything. */
static void on_signal(struct weir_watch *watch, uint32_t events)
{
	struct run *run = WEIR_CONTAINER(watch, struct run, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof info) != sizeof info)
		return;
	if (run->load && !run->result->interrupted)
		weir_load_stop(run->load);
	else
		weir_loop_stop(run->loop);
	run->result->interrupted = true;
}

/* ---- what happens --------------------------------------------------------- */

static void on_sent(void *ctx, uint64_t number)
{
	struct run *run = ctx;

	(void)number;
	run->result->sent++;
	run->result->series.now.sent++;
}

static void count_answer(struct run *run, uint64_t number, int64_t due_ns)
{
	struct weir_bench_result *result = run->result;
	int64_t now_ns = weir_clock_now_ns();

	result->accepted++;
	result->series.now.accepted++;
	weir_latency_add(&result->series.answers, now_ns - due_ns);
	if (run->sink)
		weir_tally_accept(&run->tally, number);
	if (due_ns < run->measure_ns)
		return;
	result->measured_accepted++;
	weir_latency_add(&result->answers, now_ns - due_ns);
	run->last_answer_ns = now_ns;
}

static void on_answered(void *ctx, uint64_t number, int64_t due_ns, int status, const char *text)
{
	struct run *run = ctx;
	struct weir_bench_result *result = run->result;

	result->statuses[status < WEIR_BENCH_STATUSES ? status : 0]++;
	if (status >= 200 && status < 300) {
		count_answer(run, number, due_ns);
		return;
	}
	result->refused++;
	result->series.now.refused++;
	if (!status && !result->problem[0])
		snprintf(result->problem, sizeof result->problem, "%s", text ? text : "no answer");
}

/* The number in "RUN-NUMBER", if it is an event of this run. */
static bool number_of(const struct run *run, struct weir_buf id, uint64_t *number)
{
	struct weir_buf rest;

	if (!id.ptr || id.len <= run->name_len + 1 || memcmp(id.ptr, run->name, run->name_len) != 0)
		return false;
	rest = (struct weir_buf){ (const char *)id.ptr + run->name_len + 1, id.len - run->name_len - 1 };
	return weir_str_to_uint(rest, number);
}

/* Without a load there is no run whose events alone would count. */
static bool arrival_counts(struct run *run, struct weir_buf id)
{
	uint64_t number;

	if (!run->load)
		return true;
	if (!number_of(run, id, &number))
		return false;
	weir_tally_arrive(&run->tally, number);
	return true;
}

static void on_arrived(void *ctx, const struct weir_sink_arrival *arrival)
{
	struct run *run = ctx;
	struct weir_bench_result *result = run->result;
	int64_t now_ns = weir_clock_now_ns();

	if (!arrival_counts(run, arrival->id))
		return;
	result->received++;
	result->series.now.received++;
	if (arrival->under_way_ns >= 0)
		weir_latency_add(&result->series.deliveries, arrival->under_way_ns);
	if (now_ns - arrival->under_way_ns >= run->measure_ns) {
		if (arrival->under_way_ns >= 0)
			weir_latency_add(&result->deliveries, arrival->under_way_ns);
		if (!run->first_arrival_ns)
			run->first_arrival_ns = now_ns;
		run->last_arrival_ns = now_ns;
		result->measured_received++;
		result->measured_bytes += arrival->bytes;
	}
	if (run->load_over)
		wait_for_arrivals(run);
	else if (!run->load && run->options->events && result->received >= run->options->events)
		weir_loop_stop(run->loop);
}

static void on_second(struct weir_timer *timer)
{
	struct run *run = WEIR_CONTAINER(timer, struct run, second);
	const struct weir_second *second = weir_series_end_second(&run->result->series);

	if (second && run->options->second)
		run->options->second(run->options->ctx, run->result->series.count, second);
	if (weir_loop_timer_set(run->loop, timer, timer->deadline_ns + WEIR_NS_PER_S))
		weir_loop_stop(run->loop);
}

/* ---- life ----------------------------------------------------------------- */

static int open_signals(struct run *run, struct weir_error *err)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	run->signals.ready = on_signal;
	run->signals.fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals.fd < 0)
		return weir_fail(err, WEIR_EIO, "cannot wait for signals: %s", strerror(errno));
	return weir_loop_watch(run->loop, &run->signals, EPOLLIN, err);
}

static int open_load(struct run *run, struct weir_error *err)
{
	const struct weir_bench_options *from = run->options;
	struct weir_load_options options = {
		.url = from->url,
		.ca_file = from->ca_file,
		.run = run->name,
		.connections = from->connections,
		.rate = from->rate,
		.events = from->events,
		.stop_ns = from->events ? WEIR_NS_NEVER : weir_clock_after_ms(run->measure_ns, from->duration_ms),
		.body_bytes = from->body_bytes,
		.keys = from->keys,
		.timeout_ms = from->timeout_ms,
		.answered = on_answered,
		.sent = on_sent,
		.finished = on_load_finished,
		.ctx = run,
	};

	return from->url ? weir_load_new(run->loop, &options, &run->load, err) : WEIR_OK;
}

static int open_timers(struct run *run, struct weir_error *err)
{
	int64_t end_ns = weir_clock_after_ms(run->measure_ns, run->options->duration_ms);
	int code;

	run->second.fire = on_second;
	run->end.fire = on_end;
	code = weir_loop_timer_set(run->loop, &run->second, run->begin_ns + WEIR_NS_PER_S);
	if (!code && !run->load && run->options->duration_ms)
		code = weir_loop_timer_set(run->loop, &run->end, end_ns);
	return code ? weir_fail(err, code, "out of memory for timers") : WEIR_OK;
}

static int open_all(struct run *run, struct weir_error *err)
{
	int code = weir_loop_new(&run->loop, err);

	if (!code)
		code = open_signals(run, err);
	if (!code && run->options->listen)
		code = weir_sink_new(run->loop, run->options->listen, on_arrived, run, &run->sink, err);
	run->begin_ns = weir_clock_now_ns();
	run->measure_ns = weir_clock_after_ms(run->begin_ns, run->options->warmup_ms);
	if (!code)
		code = open_load(run, err);
	if (!code)
		code = open_timers(run, err);
	return code;
}

static void close_all(struct run *run)
{
	weir_load_free(run->load);
	weir_sink_free(run->sink);
	if (run->signals.fd >= 0) {
		weir_loop_unwatch(run->loop, &run->signals);
		close(run->signals.fd);
	}
	weir_loop_free(run->loop);
	weir_tally_fini(&run->tally);
}

static double seconds_between(int64_t from_ns, int64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static bool something_happened(const struct weir_second *second)
{
	return second->sent || second->accepted || second->refused || second->received;
}

static void conclude(struct run *run)
{
	struct weir_bench_result *result = run->result;
	/* Deliveries of a load are counted from its beginning, those of a backlog from the first. */
	int64_t from_ns = run->load ? run->measure_ns : run->first_arrival_ns;

	result->load_seconds = seconds_between(run->measure_ns, run->last_answer_ns);
	result->sink_seconds = seconds_between(from_ns, run->last_arrival_ns);
	result->missing = run->tally.missing;
	result->repeated = run->tally.repeated;
	result->untracked = run->tally.untracked;
	if (something_happened(&result->series.now))
		weir_series_end_second(&result->series);
}

int weir_bench_run(const struct weir_bench_options *options, struct weir_bench_result *result, struct weir_error *err)
{
	struct run run = { .options = options, .result = result, .signals = { .fd = -1 } };
	int code;

	memset(result, 0, sizeof *result);
	weir_tally_init(&run.tally, options->copies);
	run.name_len = (size_t)snprintf(run.name, sizeof run.name, "%llx",
					(unsigned long long)weir_clock_wall_ms() * 65536 + (unsigned)getpid() % 65536);
	code = open_all(&run, err);
	if (!code) {
		if (run.load)
			weir_load_start(run.load);
		code = weir_loop_run(run.loop, err);
		conclude(&run);
	}
	close_all(&run);
	return code;
}

void weir_bench_result_fini(struct weir_bench_result *result)
{
	weir_series_fini(&result->series);
}
