/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives one driver through its table alone, as the core would: for tests of
 * drivers. Everything that waits has a deadline; a deadline that passes fails
 * the test with the place that waited.
 */
#ifndef WEIR_TESTS_DRIVER_HARNESS_H
#define WEIR_TESTS_DRIVER_HARNESS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <weir/driver.h>

struct harness {
	weir_driver_init_fn *init;
	struct weir_driver ops;
	struct weir_inst *inst;
	struct weir_host host;
	char folder[64];                /* for drivers with a store; removed at the end */
	struct weir_driver_event *seen; /* reported and not taken yet, in order */
	size_t seen_count, seen_room;
	uint64_t next_tag;
	char overrides[512]; /* what the case opened it with */
};

/* Loads build/drivers/weir-driver-NAME.so. Makes a temporary folder. Opens nothing. */
void harness_load(struct harness *h, const char *name);
/* The same for a driver that is linked in. */
void harness_adopt(struct harness *h, weir_driver_init_fn *init);
/*
 * Opens with the table's defaults, a "path" in the temporary folder if there is
 * such an option, and `overrides`: "key=value" separated by blanks, may be NULL.
 */
int harness_try_open(struct harness *h, const char *overrides, struct weir_error *err);
void harness_open(struct harness *h, const char *overrides);
/* Closes, keeping what is durable. Leases are released. */
void harness_close(struct harness *h);
/* Closes if it is open and removes the folder. */
void harness_unload(struct harness *h);

int64_t harness_now(void);

/* Polls until an event of this type is there, takes it out and returns it. The lease is the caller's. */
struct weir_driver_event harness_wait_(struct harness *h, uint32_t type, const char *file, int line);
#define harness_wait(h, type) harness_wait_(h, type, __FILE__, __LINE__)
/* Takes an event of this type if one is there without waiting. */
bool harness_take(struct harness *h, uint32_t type, struct weir_driver_event *ret);
/* Polls for 30 ms and fails if an event of this type comes. */
void harness_silence_(struct harness *h, uint32_t type, const char *file, int line);
#define harness_silence(h, type) harness_silence_(h, type, __FILE__, __LINE__)
/* How many events of this type were reported and not taken; polls once, without waiting. */
size_t harness_count(struct harness *h, uint32_t type);

struct weir_topic *harness_topic(struct harness *h, const char *name);
/* Subscribes and waits until it is ready. */
struct weir_sub *harness_subscribe(struct harness *h, struct weir_topic *topic, const char *uid, enum weir_start start);
/* The same with WEIR_SUB_EPHEMERAL. */
struct weir_sub *harness_tail(struct harness *h, struct weir_topic *topic, const char *uid, enum weir_start start);
void harness_credit(struct harness *h, struct weir_sub *sub, int64_t records);
void harness_unsubscribe(struct harness *h, struct weir_sub *sub, int keep);

/* A record with this text as its body, and no key and headers. */
struct weir_record harness_text(const char *text);
struct weir_buf harness_buf(const char *text);
/* Publishes and waits until it is persisted. Its completion is taken. Returns its position. */
uint64_t harness_publish_record(struct harness *h, struct weir_topic *topic, const struct weir_record *record);
uint64_t harness_publish(struct harness *h, struct weir_topic *topic, const char *text);
/* Publishes and does not wait. */
int harness_send(struct harness *h, struct weir_topic *topic, const char *text);

/* Waits for a delivery and checks that its body is `text`. The lease is released. */
struct weir_driver_event harness_expect_(struct harness *h, struct weir_sub *sub, const char *text, const char *file,
					 int line);
#define harness_expect(h, sub, text) harness_expect_(h, sub, text, __FILE__, __LINE__)
/* The code for the one token. */
uint16_t harness_settle(struct harness *h, struct weir_sub *sub, int verb, const struct weir_driver_event *event,
			int64_t arg);
void harness_ack(struct harness *h, const struct weir_driver_event *event);

/* Whether event_fd is readable now. */
bool harness_readable(struct harness *h);

/* ---- cases that hold for every driver -------------------------------------------- */

/* The tests of driver_cases.c, for a group; *count of them. State: a struct harness, opened. */
const struct CMUnitTest *driver_cases(size_t *count);
/* Which driver the cases are run with, and what it is opened with. Set before running them. */
extern const char *driver_under_test;
extern const char *driver_overrides;
void driver_case_overrides(char *ret, size_t size);
int driver_case_setup(void **state);
int driver_case_teardown(void **state);
/* Runs the shared cases and then `own`. */
int driver_run(const char *driver, const struct CMUnitTest *own, size_t own_count);

#endif
