/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts, and the life of an instance. */
#include "conform/rig.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "conform/case.h"

enum { OPEN_MS = 12000, CLOSE_MS = 10000, WAIT_DONE_MS = 15000 };

/* ---- verdicts ------------------------------------------------------------ */

/* The first verdict counts: a process of a case may fail while another one does too. */
__attribute__((format(printf, 3, 0))) static void leave(struct weir_rig *rig, int verdict, const char *format,
							va_list args)
{
	int none = -1;
	char text[sizeof rig->shared->text];

	vsnprintf(text, sizeof text, format, args);
	if (atomic_compare_exchange_strong(&rig->shared->verdict, &none, verdict))
		memcpy(rig->shared->text, text, sizeof text);
}

void weir_rig_fail(struct weir_rig *rig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	leave(rig, WEIR_FAILED, format, args);
	va_end(args);
	_exit(1);
}

void weir_rig_broken(struct weir_rig *rig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	leave(rig, WEIR_BROKEN, format, args);
	va_end(args);
	_exit(1);
}

void weir_rig_skip(struct weir_rig *rig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	leave(rig, WEIR_SKIPPED, format, args);
	va_end(args);
	_exit(0);
}

void weir_rig_code(struct weir_rig *rig, const char *what, int got, int wanted)
{
	WEIR_EXPECT(rig, got == wanted, "%s answered %s (%s), not %s", what, weir_code_name(got), weir_code_text(got),
		    weir_code_name(wanted));
}

bool weir_rig_claims(const struct weir_rig *rig, enum weir_cap cap)
{
	return (rig->caps.bits & WEIR_CAP_BIT(cap)) != 0;
}

int64_t weir_rig_ms(const struct weir_rig *rig, int64_t ms)
{
	return (int64_t)((double)ms * rig->target->scale);
}

int64_t weir_rig_deadline(const struct weir_rig *rig, int64_t ms)
{
	return weir_clock_now_ns() + weir_rig_ms(rig, ms) * WEIR_NS_PER_MS;
}

void weir_rig_doing(struct weir_rig *rig, const char *what)
{
	snprintf(rig->shared->doing, sizeof rig->shared->doing, "%s", what);
}

void weir_rig_note(struct weir_rig *rig, const struct weir_op *op)
{
	if (!weir_history_add(rig->history, op))
		weir_rig_fail(rig, "the history is full: the driver reports without end");
}

static void finish_judge(struct weir_rig *rig)
{
	struct weir_judgement *out = &rig->shared->judgement;

	if (!weir_judge(rig->history->ops, atomic_load(&rig->history->count), &rig->rules, out))
		weir_rig_fail(rig, "the kit has no memory to judge the history");
	atomic_fetch_add(&rig->shared->judged, out->compared);
	if (out->violations > 1)
		weir_rig_fail(rig, "%s (and %" PRIu64 " more violations)", out->text, out->violations - 1);
	if (out->violations)
		weir_rig_fail(rig, "%s", out->text);
	if (rig->rules.order != WEIR_JUDGE_ANY && !out->compared)
		weir_rig_fail(rig, "vacuous: order was to be judged, and no two deliveries were compared");
}

void weir_rig_finish(struct weir_rig *rig)
{
	int none = -1;

	if (rig->inst) {
		weir_rig_await_done(rig);
		weir_rig_close(rig);
	}
	finish_judge(rig);
	weir_rig_customs_free(rig);
	weir_mem_free(rig->deliveries);
	rig->deliveries = NULL;
	if (!atomic_load(&rig->shared->judged)) {
		memcpy(rig->shared->text, "vacuous: it looked at nothing", 30);
		atomic_compare_exchange_strong(&rig->shared->verdict, &none, WEIR_VACUOUS);
	}
	atomic_compare_exchange_strong(&rig->shared->verdict, &none, WEIR_PASS);
}

/* ---- settings ------------------------------------------------------------ */

struct settings {
	struct weir_setting rows[WEIR_TARGET_SETTINGS];
	char values[WEIR_TARGET_SETTINGS][512];
	size_t count;
};

/* "{case}" becomes a word of this case's own, "{n}" the number of the instance, "{run}" the run's. */
static void expand(const struct weir_rig *rig, const char *from, char *to, size_t size)
{
	size_t used = 0;

	while (*from && used + 1 < size) {
		if (strncmp(from, "{case}", 6) == 0) {
			used += (size_t)snprintf(to + used, size - used, "%s",
						 rig->conform_case ? rig->conform_case->id : "probe");
			from += 6;
		} else if (strncmp(from, "{run}", 5) == 0) {
			used += (size_t)snprintf(to + used, size - used, "%" PRIx64, rig->target->run);
			from += 5;
		} else if (strncmp(from, "{n}", 3) == 0) {
			used += (size_t)snprintf(to + used, size - used, "%" PRIu32, rig->instance);
			from += 3;
		} else {
			to[used++] = *from++;
		}
		used = used < size ? used : size - 1;
	}
	to[used] = '\0';
}

static bool overridden(const char *overrides, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);
	const char *at = overrides;

	while (at && *at) {
		size_t word = strcspn(at, " ");

		if (word > len && strncmp(at, key, len) == 0 && at[len] == '=') {
			snprintf(value, size, "%.*s", (int)(word - len - 1), at + len + 1);
			return true;
		}
		at += word;
		at += strspn(at, " ");
	}
	return false;
}

/* Whoever keeps a store gets one of this case's own, unless the configuration names one. */
static void fill_setting(const struct weir_rig *rig, const struct weir_setting *from, struct settings *to)
{
	char *value = to->values[to->count];

	expand(rig, from->value ? from->value : "", value, sizeof to->values[0]);
	if (strcmp(from->key, "path") == 0 && (!from->value || !*from->value))
		snprintf(value, sizeof to->values[0], "%s/%s", rig->target->folder,
			 rig->conform_case ? rig->conform_case->id : "probe");
	overridden(rig->overrides, from->key, value, sizeof to->values[0]);
	to->rows[to->count] = (struct weir_setting){ from->key, from->value || *value ? value : NULL };
	to->count++;
}

static bool has_key(const struct settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->rows[i].key, key) == 0)
			return true;
	return false;
}

bool weir_rig_has_option(const struct weir_rig *rig, const char *key)
{
	for (uint32_t i = 0; i < rig->ops->option_count; i++)
		if (strcmp(rig->ops->options[i].key, key) == 0)
			return true;
	return false;
}

/* Overrides of keys that the driver does not have: it is to refuse them. */
static void add_strangers(struct weir_rig *rig, struct settings *to)
{
	const char *at = rig->overrides;

	while (*at && to->count < WEIR_TARGET_SETTINGS) {
		size_t word = strcspn(at, " "), len = strcspn(at, "=");
		char key[64];

		snprintf(key, sizeof key, "%.*s", (int)(len < word ? len : word), at);
		if (word && !has_key(to, key)) {
			snprintf(rig->stranger, sizeof rig->stranger, "%s", key);
			fill_setting(rig, &(struct weir_setting){ rig->stranger, NULL }, to);
		}
		at += word;
		at += strspn(at, " ");
	}
}

static int make_settings(struct weir_rig *rig, struct settings *to, struct weir_error *err)
{
	const struct weir_setting *rows;
	size_t count;
	int code = weir_config_driver(rig->target->config, rig->ops, &rows, &count, err);

	to->count = 0;
	for (size_t i = 0; !code && i < count && i + 1 < WEIR_TARGET_SETTINGS; i++)
		fill_setting(rig, &rows[i], to);
	/* An option without a default has no row. */
	for (uint32_t i = 0; !code && i < rig->ops->option_count && to->count < WEIR_TARGET_SETTINGS; i++) {
		const struct weir_setting none = { rig->ops->options[i].key, NULL };
		char value[8];

		if (!has_key(to, none.key) &&
		    (strcmp(none.key, "path") == 0 || overridden(rig->overrides, none.key, value, sizeof value)))
			fill_setting(rig, &none, to);
	}
	if (!code)
		add_strangers(rig, to);
	return code;
}

/* ---- open and close ------------------------------------------------------ */

static void host_log(void *ctx, int level, const char *text)
{
	struct weir_rig *rig = ctx;

	if (rig->target->verbose)
		fprintf(stderr, "    driver[%d]: %s\n", level, text);
}

int weir_rig_load(struct weir_rig *rig, struct weir_error *err)
{
	int code = weir_loader_load(rig->target->found, rig->target->allow_unsafe, &rig->driver, err);

	if (!code)
		rig->ops = &rig->driver->table;
	rig->host = (struct weir_host){ .size = sizeof rig->host,
					.abi_major = WEIR_ABI_MAJOR,
					.abi_minor = WEIR_ABI_MINOR,
					.ctx = rig,
					.log = host_log };
	return code;
}

int weir_rig_try_open(struct weir_rig *rig, const char *overrides, struct weir_error *err)
{
	struct settings *settings = weir_mem_zalloc(1, sizeof *settings);
	int code;

	if (!settings)
		weir_rig_fail(rig, "the kit has no memory");
	snprintf(rig->overrides, sizeof rig->overrides, "%s", overrides ? overrides : "");
	rig->instance = atomic_fetch_add(&rig->shared->flag[7], 1) + 1;
	code = make_settings(rig, settings, err);
	weir_rig_doing(rig, "open");
	if (!code)
		code = rig->ops->open(&rig->host, settings->rows, settings->count, &rig->inst, err);
	weir_rig_doing(rig, "-");
	weir_mem_free(settings);
	if (code)
		rig->inst = NULL;
	rig->topic_count = rig->sub_count = 0;
	rig->delivery_first = rig->delivery_count = 0;
	rig->sent = rig->completed = rig->persisted = rig->unpersisted = 0;
	memset(rig->seen, 0, sizeof rig->seen);
	return code;
}

static void fill_rules(struct weir_rig *rig)
{
	rig->rules.prefix = !weir_rig_claims(rig, WEIR_CAP_ACK_SELECTIVE);
	rig->rules.flags = weir_rig_claims(rig, WEIR_CAP_REDELIVERED_FLAG);
	rig->rules.lose_all_in_crash = !weir_rig_claims(rig, WEIR_CAP_DURABLE);
	if (weir_rig_claims(rig, WEIR_CAP_ACK_DEADLINE) && !rig->rules.ack_wait_ns)
		rig->rules.ack_wait_ns = rig->caps.ack_wait_ms * WEIR_NS_PER_MS;
}

void weir_rig_open(struct weir_rig *rig, const char *overrides)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_rig_try_open(rig, overrides, &err))
		weir_rig_fail(rig, "open: %s", err.text[0] ? err.text : weir_code_text(err.code));
	rig->caps = (struct weir_caps){ .size = sizeof rig->caps };
	if (rig->ops->caps(rig->inst, &rig->caps))
		weir_rig_fail(rig, "caps failed");
	fill_rules(rig);
	if (!weir_rig_try_await(rig, WEIR_EV_UP, 1, weir_rig_deadline(rig, OPEN_MS)))
		weir_rig_fail(rig, "it was opened and did not come up: %s",
			      rig->last_error.text[0] ? rig->last_error.text : "no reason given");
}

int weir_rig_try_close(struct weir_rig *rig, int64_t deadline_ns, uint32_t flags)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	weir_rig_doing(rig, "close");
	code = rig->ops->close(rig->inst, deadline_ns, flags, &err);
	weir_rig_doing(rig, "-");
	rig->inst = NULL;
	for (; rig->delivery_count; rig->delivery_count--, rig->delivery_first++)
		if (rig->deliveries[rig->delivery_first].event.lease)
			rig->ops->release(rig->deliveries[rig->delivery_first].event.lease);
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_CLOSED });
	if (code)
		rig->last_error = err;
	return code;
}

void weir_rig_close(struct weir_rig *rig)
{
	if (weir_rig_try_close(rig, weir_rig_deadline(rig, CLOSE_MS), WEIR_CLOSE_FLUSH))
		weir_rig_fail(rig, "close: %s", rig->last_error.text);
}

void weir_rig_await_done(struct weir_rig *rig)
{
	int64_t deadline_ns = weir_rig_deadline(rig, WAIT_DONE_MS);

	while (rig->completed < rig->sent && weir_clock_now_ns() < deadline_ns)
		weir_rig_pump(rig, deadline_ns);
	if (rig->completed < rig->sent)
		weir_rig_fail(rig, "%" PRIu64 " of %" PRIu64 " accepted publishes never completed",
			      rig->sent - rig->completed, rig->sent);
}

/* ---- other processes ----------------------------------------------------- */

/* Whatever becomes of the case's process, its children go with it. */
static void life_main(struct weir_rig *rig, weir_rig_life_fn *fn, void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fn(rig, arg);
	raise(SIGKILL);
}

void weir_rig_life(struct weir_rig *rig, weir_rig_life_fn *fn, void *arg, int64_t after_ms)
{
	int64_t end_ns = weir_rig_deadline(rig, after_ms ? after_ms : 600000);
	int status = 0;
	pid_t pid;

	if (rig->inst)
		weir_rig_fail(rig, "the kit forks while an instance is open");
	pid = fork();
	if (pid < 0)
		weir_rig_fail(rig, "the kit cannot fork: %s", strerror(errno));
	if (pid == 0)
		life_main(rig, fn, arg);
	while (waitpid(pid, &status, after_ms ? WNOHANG : 0) == 0) {
		struct timespec pause = { 0, 200000 };

		if (weir_clock_now_ns() >= end_ns)
			kill(pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
	weir_rig_note(rig, &(struct weir_op){ .kind = WEIR_OP_CRASH });
	if (atomic_load(&rig->shared->verdict) >= 0)
		_exit(1);
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		weir_rig_fail(rig, "the driver's process died of signal %d in %s", WTERMSIG(status),
			      rig->shared->doing);
}

struct weir_rig *weir_rig_twin(struct weir_rig *rig)
{
	struct weir_rig *twin = weir_mem_zalloc(1, sizeof *twin);

	if (!twin)
		weir_rig_fail(rig, "the kit has no memory");
	twin->target = rig->target;
	twin->conform_case = rig->conform_case;
	twin->shared = rig->shared;
	twin->history = rig->history;
	twin->driver = rig->driver;
	twin->ops = rig->ops;
	twin->host = rig->host;
	twin->host.ctx = twin;
	twin->rules = rig->rules;
	twin->shape = rig->shape;
	return twin;
}

void weir_rig_twin_free(struct weir_rig *twin)
{
	if (twin->inst)
		weir_rig_close(twin);
	weir_rig_customs_free(twin);
	weir_mem_free(twin->deliveries);
	weir_mem_free(twin);
}
