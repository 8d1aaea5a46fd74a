/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/keys.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dynbuf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	REFRESH_MS = 300000,   /* between two readings */
	ASKED_MS = 10000,      /* between two that were asked for */
	FIRST_RETRY_MS = 1000, /* after one that failed; doubles */
	LAST_RETRY_MS = 60000,
	TOTAL_MS = 10000, /* one reading */
	CONNECT_MS = 5000,
};

struct weir_auth_keys {
	char *location;
	pthread_t thread;
	bool started;
	atomic_bool ending;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool asked;
	int64_t asked_ns; /* last time */
	struct weir_jwks *set;
	_Atomic uint64_t generation;
	uint32_t failures; /* in a row */
};

static atomic_uint_fast64_t last_generation;

/* ---- where they are ------------------------------------------------------- */

static bool is_url(const char *location)
{
	return strstr(location, "://") != NULL;
}

static bool is_local(struct weir_buf rest)
{
	static const struct weir_buf hosts[] = { { "127.0.0.1", 9 }, { "localhost", 9 }, { "[::1]", 5 } };

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		const char *end = (const char *)rest.ptr + hosts[i].len;

		if (weir_str_starts_nocase(rest, hosts[i]) && (rest.len == hosts[i].len || strchr(":/", *end)))
			return true;
	}
	return false;
}

const char *weir_auth_keys_check(const char *location)
{
	struct weir_buf text = weir_str(location), plain = WEIR_STR("http://");

	if (!text.len)
		return "is empty";
	if (!is_url(location) || weir_str_starts_nocase(text, WEIR_STR("https://")))
		return NULL;
	if (weir_str_starts_nocase(text, plain) &&
	    is_local((struct weir_buf){ location + plain.len, text.len - plain.len }))
		return NULL;
	return "must be a file or an https:// URL; http:// only on this machine";
}

/* ---- reading -------------------------------------------------------------- */

static size_t keep(char *bytes, size_t size, size_t count, void *ctx)
{
	return weir_dynbuf_add(ctx, bytes, size * count) ? size * count : 0;
}

static int is_over(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	const struct weir_auth_keys *keys = ctx;

	(void)total;
	(void)now;
	(void)up_total;
	(void)up;
	return atomic_load_explicit(&keys->ending, memory_order_relaxed);
}

static int set_up(CURL *curl, struct weir_auth_keys *keys, struct weir_dynbuf *body)
{
	CURLcode failed = CURLE_OK;

	failed |= curl_easy_setopt(curl, CURLOPT_URL, keys->location);
	failed |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
	failed |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	failed |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
	failed |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	failed |= curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)WEIR_JWKS_MAX_BYTES);
	failed |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	failed |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	failed |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	failed |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_over);
	failed |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, keys);
	return failed == CURLE_OK ? WEIR_OK : WEIR_ENOMEM;
}

static int read_url(struct weir_auth_keys *keys, struct weir_dynbuf *body, struct weir_error *err)
{
	CURL *curl = curl_easy_init();
	CURLcode result;
	long status = 0;
	int code = WEIR_OK;

	if (!curl || set_up(curl, keys, body)) {
		curl_easy_cleanup(curl);
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	}
	result = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (result != CURLE_OK)
		code = weir_fail(err, WEIR_EIO, "%s", curl_easy_strerror(result));
	else if (status != 200)
		code = weir_fail(err, WEIR_EIO, "it was answered with %ld", status);
	curl_easy_cleanup(curl);
	return code;
}

static int read_file(const struct weir_auth_keys *keys, struct weir_dynbuf *body, struct weir_error *err)
{
	int fd = open(keys->location, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char block[4096];
	ssize_t got = -1;

	if (fd >= 0) {
		while ((got = read(fd, block, sizeof block)) > 0 && weir_dynbuf_add(body, block, (size_t)got))
			continue;
	}
	if (got < 0)
		weir_fail(err, WEIR_EIO, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (got < 0)
		return WEIR_EIO;
	return body->failed ? weir_fail(err, WEIR_EINVAL, "it is too large") : WEIR_OK;
}

static int read_set(struct weir_auth_keys *keys, struct weir_jwks **ret, struct weir_error *err)
{
	struct weir_dynbuf body;
	int code;

	weir_dynbuf_init(&body, WEIR_JWKS_MAX_BYTES);
	code = is_url(keys->location) ? read_url(keys, &body, err) : read_file(keys, &body, err);
	if (!code)
		code = weir_jwks_parse(weir_dynbuf_view(&body), ret, err);
	weir_dynbuf_fini(&body);
	return code;
}

/* ---- the thread ----------------------------------------------------------- */

static void put(struct weir_auth_keys *keys, struct weir_jwks *set)
{
	struct weir_jwks *former;

	pthread_mutex_lock(&keys->lock);
	former = keys->set;
	keys->set = set;
	atomic_store_explicit(&keys->generation, atomic_fetch_add(&last_generation, 1) + 1, memory_order_release);
	pthread_mutex_unlock(&keys->lock);
	weir_jwks_unref(former);
}

static void renew(struct weir_auth_keys *keys)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_jwks *set;
	bool first = !weir_auth_keys_generation(keys);

	if (read_set(keys, &set, &err) == WEIR_OK) {
		if (first || keys->failures)
			weir_log(WEIR_LOG_NOTICE, "keys of the issuer: %zu read", weir_jwks_count(set));
		keys->failures = 0;
		put(keys, set);
	} else if (!atomic_load(&keys->ending)) {
		keys->failures++;
		weir_log(WEIR_LOG_WARNING, "the keys of the issuer cannot be read: %s; %s", err.text,
			 first ? "no token can be checked until they are" : "those from before stay");
	}
}

static int64_t next_after(const struct weir_auth_keys *keys)
{
	int64_t wait_ms = FIRST_RETRY_MS;

	if (!keys->failures)
		return REFRESH_MS;
	for (uint32_t i = 1; i < keys->failures && wait_ms < LAST_RETRY_MS; i++)
		wait_ms *= 2;
	return wait_ms < LAST_RETRY_MS ? wait_ms : LAST_RETRY_MS;
}

static void *run(void *arg)
{
	struct weir_auth_keys *keys = arg;

	pthread_mutex_lock(&keys->lock);
	while (!atomic_load(&keys->ending)) {
		struct timespec until;
		int rc = 0;

		keys->asked = false;
		pthread_mutex_unlock(&keys->lock);
		renew(keys);
		pthread_mutex_lock(&keys->lock);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += next_after(keys) / 1000;
		while (!atomic_load(&keys->ending) && !keys->asked && rc != ETIMEDOUT)
			rc = pthread_cond_timedwait(&keys->wake, &keys->lock, &until);
	}
	pthread_mutex_unlock(&keys->lock);
	return NULL;
}

/* ---- life ----------------------------------------------------------------- */

static void init_lock(struct weir_auth_keys *keys)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&keys->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&keys->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int weir_auth_keys_new(const char *location, struct weir_auth_keys *before, struct weir_auth_keys **ret,
		       struct weir_error *err)
{
	struct weir_auth_keys *keys = weir_mem_zalloc(1, sizeof *keys);
	int rc;

	if (!keys)
		return weir_fail(err, WEIR_ENOMEM, "no memory for keys");
	init_lock(keys);
	keys->asked_ns = weir_clock_now_ns();
	keys->location = weir_mem_strdup(location);
	if (!keys->location) {
		weir_auth_keys_free(keys);
		return weir_fail(err, WEIR_ENOMEM, "no memory for keys");
	}
	if (before && strcmp(before->location, location) == 0 && weir_auth_keys_generation(before))
		put(keys, weir_auth_keys_get(before));
	rc = pthread_create(&keys->thread, NULL, run, keys);
	if (rc) {
		weir_auth_keys_free(keys);
		return weir_fail(err, WEIR_ENOMEM, "no thread for keys: %s", strerror(rc));
	}
	keys->started = true;
	pthread_setname_np(keys->thread, "weir-keys");
	*ret = keys;
	return WEIR_OK;
}

void weir_auth_keys_free(struct weir_auth_keys *keys)
{
	if (!keys)
		return;
	pthread_mutex_lock(&keys->lock);
	atomic_store(&keys->ending, true);
	pthread_cond_signal(&keys->wake);
	pthread_mutex_unlock(&keys->lock);
	if (keys->started)
		pthread_join(keys->thread, NULL);
	weir_jwks_unref(keys->set);
	pthread_cond_destroy(&keys->wake);
	pthread_mutex_destroy(&keys->lock);
	weir_mem_free(keys->location);
	weir_mem_free(keys);
}

/* ---- asking --------------------------------------------------------------- */

uint64_t weir_auth_keys_generation(const struct weir_auth_keys *keys)
{
	return atomic_load_explicit(&keys->generation, memory_order_acquire);
}

struct weir_jwks *weir_auth_keys_get(struct weir_auth_keys *keys)
{
	struct weir_jwks *set;

	pthread_mutex_lock(&keys->lock);
	set = weir_jwks_ref(keys->set);
	pthread_mutex_unlock(&keys->lock);
	return set;
}

bool weir_auth_keys_refresh(struct weir_auth_keys *keys)
{
	int64_t now = weir_clock_now_ns();
	bool asked;

	pthread_mutex_lock(&keys->lock);
	asked = now >= weir_clock_after_ms(keys->asked_ns, ASKED_MS);
	if (asked) {
		keys->asked_ns = now;
		keys->asked = true;
		pthread_cond_signal(&keys->wake);
	}
	pthread_mutex_unlock(&keys->lock);
	return asked;
}
