/* SPDX-License-Identifier: Apache-2.0 */
/* Uses the installed library: publishes an event to a channel and gets it from a subscription, as weir/channel.h says.
 */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <weir/channel.h>
#include <weir/version.h>

static sem_t ready, arrived;

static int64_t seconds_from_now(int seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec + seconds) * INT64_C(1000000000) + now.tv_nsec;
}

static void take(void *ctx, weir_delivery *const *deliveries, size_t count)
{
	weir_event *event = ctx;

	for (size_t i = 0; i < count; i++) {
		struct weir_buf id;

		if (weir_delivery_event(deliveries[i], event, NULL))
			continue;
		id = weir_event_get(event, "id");
		printf("%s %.*s\n", weir_version(), (int)id.len, (const char *)id.ptr);
	}
	weir_delivery_settle(deliveries, count, WEIR_ACK, 0);
	sem_post(&arrived);
}

static void notice(void *ctx, const struct weir_notice *notice)
{
	(void)ctx;
	if (notice->type == WEIR_EV_SUB_READY)
		sem_post(&ready);
}

static int wait_for(sem_t *what, const char *otherwise, struct weir_error *err)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	return sem_timedwait(what, &until) ? weir_fail(err, WEIR_ETIMEDOUT, "%s", otherwise) : WEIR_OK;
}

static int publish_and_take(weir_channel *channel, weir_event *out, weir_event *in, struct weir_error *err)
{
	const struct weir_subscription_spec spec = { .name = "consumer",
						     .start = WEIR_START_LATEST,
						     .window = 8,
						     .deliver = take,
						     .notice = notice,
						     .ctx = in };
	weir_subscription *subscription;
	int code = weir_channel_subscribe(channel, &spec, &subscription, err);

	if (code)
		return code;
	weir_event_set_text(out, "id", "1", NULL);
	weir_event_set_text(out, "source", "/consumer", NULL);
	weir_event_set_text(out, "type", "com.example.test", NULL);
	code = wait_for(&ready, "the subscription did not become ready", err);
	if (!code)
		code = weir_channel_publish_wait(channel, out, seconds_from_now(10), err);
	if (!code)
		code = wait_for(&arrived, "nothing arrived", err);
	weir_subscription_close(subscription, 0, seconds_from_now(10), NULL);
	return code;
}

static int use_channel(const weir_config *config, struct weir_error *err)
{
	weir_event *out = NULL, *in = NULL;
	weir_runtime *runtime;
	weir_channel *channel;
	int code = weir_runtime_open(config, NULL, NULL, &runtime, err);

	if (code)
		return code;
	code = weir_channel_open(runtime, "shop", "orders", NULL, &channel, err);
	if (!code && !weir_event_new(&out) && !weir_event_new(&in))
		code = publish_and_take(channel, out, in, err);
	if (!code)
		weir_channel_close(channel);
	weir_runtime_close(runtime, seconds_from_now(5), NULL);
	weir_event_free(out);
	weir_event_free(in);
	return code;
}

int main(void)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_config *config;
	int code;

	if (sem_init(&ready, 0, 0) || sem_init(&arrived, 0, 0) || weir_config_new(&config))
		return 1;
	weir_config_add_setting(config, "channel.default.kind=InMemoryChannel");
	code = weir_config_load(config, &err);
	if (!code)
		code = use_channel(config, &err);
	if (code)
		fprintf(stderr, "%s\n", err.text);
	weir_config_free(config);
	return code || strcmp(weir_version(), WEIR_VERSION_TEXT) != 0;
}
