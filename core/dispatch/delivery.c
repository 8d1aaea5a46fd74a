/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/delivery.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch/egress_state.h"

enum { MAX_OUTSTANDING = 4096 }; /* replies and dead letters being published to channels */

/* End of a turn: one call for each subscription that finished something. */
static void on_turn_end(struct weir_hook *hook)
{
	struct weir_delivery_loop *loop = WEIR_CONTAINER(hook, struct weir_delivery_loop, hook);
	struct weir_egress *egress;

	while ((egress = loop->unsettled)) {
		loop->unsettled = egress->next_unsettled;
		weir_egress_settle(egress);
	}
}

static int make_parts(struct weir_delivery_loop *loop, struct weir_error *err)
{
	int code = weir_worker_init(&loop->worker, err);

	if (code)
		return code;
	if (getrandom(&loop->random, sizeof loop->random, GRND_NONBLOCK) < 0)
		loop->random = (uint64_t)weir_clock_now_ns();
	loop->random |= 1;
	code = weir_http_client_new(loop->worker.loop, &loop->options.client, &loop->client, err);
	if (code)
		return code;
	code = weir_publishing_init(&loop->publishing, loop->options.runtime, loop->worker.loop, MAX_OUTSTANDING,
				    weir_attempt_published, loop);
	if (code)
		return weir_fail(err, code, "cannot make a publisher: %s", weir_code_text(code));
	code = weir_filter_scratch_new(&loop->filter_scratch);
	if (code)
		return weir_fail(err, code, "out of memory for a delivery loop");
	loop->hook.run = on_turn_end;
	weir_loop_hook(loop->worker.loop, &loop->hook);
	return WEIR_OK;
}

int weir_delivery_loop_new(const struct weir_delivery_options *options, struct weir_delivery_loop **ret,
			   struct weir_error *err)
{
	struct weir_delivery_loop *loop = weir_mem_zalloc(1, sizeof *loop);
	int code;

	if (!loop)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for a delivery loop");
	loop->options = *options;
	code = make_parts(loop, err);
	if (code)
		weir_delivery_loop_free(loop);
	else
		*ret = loop;
	return code;
}

void weir_delivery_loop_free(struct weir_delivery_loop *loop)
{
	if (!loop)
		return;
	weir_worker_stop(&loop->worker);
	weir_publishing_fini(&loop->publishing);
	if (loop->client)
		weir_http_client_free(loop->client);
	weir_attempt_free_spares(loop);
	weir_filter_scratch_free(loop->filter_scratch);
	weir_worker_fini(&loop->worker);
	weir_mem_free(loop);
}

/* xorshift64: spreads retries, nothing more. */
uint32_t weir_delivery_random(struct weir_delivery_loop *loop)
{
	loop->random ^= loop->random << 13;
	loop->random ^= loop->random >> 7;
	loop->random ^= loop->random << 17;
	return (uint32_t)(loop->random >> 32);
}
