/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <pthread.h>
#include <sched.h>

#include "dispatch/mailbox.h"

enum { ENTRIES = 100000 };

struct receiver {
	struct weir_mailbox mailbox; /* first */
	struct weir_loop *loop;
	uint64_t next;
	size_t batches, stop_at;
	bool in_order;
};

static void receive(struct weir_mailbox *mailbox, const struct weir_mail *mail, size_t count)
{
	struct receiver *receiver = (struct receiver *)mailbox;

	receiver->batches++;
	for (size_t i = 0; i < count; i++)
		receiver->in_order &= mail[i].value == receiver->next++ && mail[i].code == (int)(mail[i].value % 7);
	if (receiver->next == receiver->stop_at)
		weir_loop_stop(receiver->loop);
}

static void make(struct receiver *receiver, size_t capacity, size_t stop_at)
{
	*receiver = (struct receiver){ .stop_at = stop_at, .in_order = true };
	assert_int_equal(weir_loop_new(&receiver->loop, NULL), WEIR_OK);
	assert_int_equal(weir_mailbox_init(&receiver->mailbox, receiver->loop, capacity, receive), WEIR_OK);
}

static void unmake(struct receiver *receiver)
{
	weir_mailbox_fini(&receiver->mailbox);
	weir_loop_free(receiver->loop);
}

static void what_was_sent_arrives_in_one_batch(void **state)
{
	struct receiver receiver;

	(void)state;
	make(&receiver, 16, 3);
	for (uint64_t i = 0; i < 3; i++)
		assert_true(weir_mailbox_put(&receiver.mailbox, i, (int)i));
	weir_mailbox_send(&receiver.mailbox);
	assert_int_equal(weir_loop_run(receiver.loop, NULL), WEIR_OK);
	assert_true(receiver.in_order);
	assert_int_equal(receiver.batches, 1);
	unmake(&receiver);
}

static void what_was_not_sent_does_not_arrive(void **state)
{
	struct receiver receiver;

	(void)state;
	make(&receiver, 16, 1);
	assert_true(weir_mailbox_put(&receiver.mailbox, 0, 0));
	weir_mailbox_take(&receiver.mailbox);
	assert_int_equal(receiver.next, 0);
	unmake(&receiver);
}

static void a_full_mailbox_takes_no_more_until_it_is_read(void **state)
{
	struct receiver receiver;

	(void)state;
	make(&receiver, 16, 0);
	for (uint64_t i = 0; i < 16; i++)
		assert_true(weir_mailbox_put(&receiver.mailbox, i, (int)(i % 7)));
	assert_false(weir_mailbox_put(&receiver.mailbox, 16, 2));
	weir_mailbox_send(&receiver.mailbox);
	weir_mailbox_take(&receiver.mailbox);
	assert_int_equal(receiver.next, 16);
	assert_true(weir_mailbox_put(&receiver.mailbox, 16, 2));
	unmake(&receiver);
}

static void *write_all(void *arg)
{
	struct receiver *receiver = arg;

	for (uint64_t i = 0; i < ENTRIES; i++) {
		while (!weir_mailbox_put(&receiver->mailbox, i, (int)(i % 7)))
			sched_yield();
		if (i % 5 == 4)
			weir_mailbox_send(&receiver->mailbox);
	}
	weir_mailbox_send(&receiver->mailbox);
	return NULL;
}

static void nothing_is_lost_or_reordered_between_threads(void **state)
{
	struct receiver receiver;
	pthread_t writer;

	(void)state;
	make(&receiver, 64, ENTRIES);
	assert_int_equal(pthread_create(&writer, NULL, write_all, &receiver), 0);
	assert_int_equal(weir_loop_run(receiver.loop, NULL), WEIR_OK);
	pthread_join(writer, NULL);
	assert_true(receiver.in_order);
	assert_int_equal(receiver.next, ENTRIES);
	unmake(&receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_arrives_in_one_batch),
		cmocka_unit_test(what_was_not_sent_does_not_arrive),
		cmocka_unit_test(a_full_mailbox_takes_no_more_until_it_is_read),
		cmocka_unit_test(nothing_is_lost_or_reordered_between_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
