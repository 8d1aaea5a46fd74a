/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conform/rig: what a case drives a driver with.
 *
 * A case runs in a process of its own, so it may be left at any point: what
 * fails calls weir_rig_fail(), which leaves the verdict in shared memory and
 * ends the process. Functions here return only when they succeeded. Everything
 * that is done and reported goes into the history. Every wait has a deadline.
 * One thread, unless a function says otherwise.
 */
#ifndef WEIR_CONFORM_RIG_H
#define WEIR_CONFORM_RIG_H

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/driver.h>

#include "base/clock.h"
#include "channel/loader.h"
#include "conform/history.h"
#include "conform/judge.h"
#include "conform/target.h"

enum weir_verdict { WEIR_PASS = 0, WEIR_FAILED, WEIR_VACUOUS, WEIR_SKIPPED, WEIR_BROKEN, WEIR_VERDICTS };

/* What the processes of one case and the runner share. */
struct weir_rig_shared {
	_Atomic int verdict; /* enum weir_verdict; -1: none yet */
	_Atomic uint64_t judged;
	_Atomic uint64_t next_number;
	_Atomic uint32_t readers, members, topics;
	_Atomic int64_t longest_ns; /* of a call that must not block */
	_Atomic uint32_t flag[8];   /* for a case's own processes to talk to each other */
	char longest[24];
	char doing[64]; /* the operation under way, for when it never returns */
	char text[480]; /* why it failed or was skipped */
	char uids[64][48];
	uint32_t uid_topic[64];
	char topic_names[64][64];
	struct weir_judgement judgement;
};

struct weir_rig_topic {
	struct weir_topic *topic;
	uint32_t number;
	char name[300];
};

struct weir_rig_sub {
	struct weir_sub *sub; /* NULL: ended */
	struct weir_rig_topic *topic;
	uint32_t reader, member;
	bool ready;
	char uid[48];
};

struct weir_rig_delivery {
	struct weir_driver_event event;
	struct weir_rig_sub *sub;
	uint64_t number;
};

struct weir_rig_custom {
	uint64_t number;
	struct weir_record record; /* a copy */
	uint32_t topic;
};

/* What records look like when the case does not say. */
struct weir_rig_shape {
	uint32_t keys; /* spread over that many keys; 0: no key */
	size_t body;   /* bytes of the body; 0: between 32 and 160 */
};

enum { WEIR_RIG_SUBS = 64, WEIR_RIG_TOPICS = 64, WEIR_RIG_EVENTS = 64, WEIR_RIG_EVENT_TYPES = 32 };

struct weir_rig {
	const struct weir_target *target;
	const struct weir_conform_case *conform_case;
	struct weir_rig_shared *shared;
	struct weir_history *history;
	struct weir_loaded *driver;
	struct weir_driver *ops; /* the driver's table; borrowed */
	struct weir_inst *inst;  /* NULL: not open */
	struct weir_host host;
	struct weir_caps caps;
	struct weir_judge_rules rules;
	struct weir_rig_shape shape;
	char overrides[512]; /* what it was opened with */
	char stranger[64];   /* a key that the driver does not have */
	bool keep_leases;    /* the case releases them */
	bool auto_ack;       /* deliveries are acked as they arrive */
	uint32_t instance;   /* counts opens */
	struct weir_rig_topic topics[WEIR_RIG_TOPICS];
	uint32_t topic_count;
	struct weir_rig_sub subs[WEIR_RIG_SUBS];
	uint32_t sub_count;
	struct weir_rig_delivery *deliveries; /* arrived and not taken */
	size_t delivery_first, delivery_count, delivery_room;
	struct weir_rig_custom *customs;
	size_t custom_count, custom_room;
	uint64_t seen[WEIR_RIG_EVENT_TYPES]; /* events by type */
	uint64_t completed;                  /* publishes, in this process */
	uint64_t sent, persisted, unpersisted;
	struct weir_error last_error;         /* of the latest event that carried one */
	struct weir_driver_event latest_done; /* the latest WEIR_EV_PUBLISHED */
};

typedef void weir_rig_fn(struct weir_rig *rig);
typedef void weir_rig_life_fn(struct weir_rig *rig, void *arg);

/* ---- verdicts ------------------------------------------------------------ */

__attribute__((noreturn, format(printf, 2, 3))) void weir_rig_fail(struct weir_rig *rig, const char *format, ...);
__attribute__((noreturn, format(printf, 2, 3))) void weir_rig_skip(struct weir_rig *rig, const char *format, ...);
/* It is the kit's or the harness's fault, not the driver's. */
__attribute__((noreturn, format(printf, 2, 3))) void weir_rig_broken(struct weir_rig *rig, const char *format, ...);
/* Counts one thing looked at; fails if it is false. */
#define WEIR_EXPECT(rig, condition, ...)                                                                               \
	do {                                                                                                           \
		atomic_fetch_add(&(rig)->shared->judged, 1);                                                           \
		if (!(condition))                                                                                      \
			weir_rig_fail(rig, __VA_ARGS__);                                                               \
	} while (0)
/* The codes must be equal; `what` says what answered. */
void weir_rig_code(struct weir_rig *rig, const char *what, int got, int wanted);
bool weir_rig_claims(const struct weir_rig *rig, enum weir_cap cap);
/* Closes what is open, judges the history, and leaves the verdict. Called behind every case. */
void weir_rig_finish(struct weir_rig *rig);

/* From now, times the time scale. */
int64_t weir_rig_deadline(const struct weir_rig *rig, int64_t ms);
int64_t weir_rig_ms(const struct weir_rig *rig, int64_t ms);
void weir_rig_doing(struct weir_rig *rig, const char *what);
/* Adds an operation to the history. */
void weir_rig_note(struct weir_rig *rig, const struct weir_op *op);

/* ---- instances ----------------------------------------------------------- */

/* Loads the driver's table into a rig that has its target, shared and history set. */
int weir_rig_load(struct weir_rig *rig, struct weir_error *err);
/* Opens with the target's settings, and `overrides` ("key=value key=value", may be NULL) on top. */
int weir_rig_try_open(struct weir_rig *rig, const char *overrides, struct weir_error *err);
/* The same; waits until it is up and asks for its capabilities. */
void weir_rig_open(struct weir_rig *rig, const char *overrides);
/* Whether the driver has a setting of that name. */
bool weir_rig_has_option(const struct weir_rig *rig, const char *key);
/* In an orderly way, within 10 s. */
void weir_rig_close(struct weir_rig *rig);
int weir_rig_try_close(struct weir_rig *rig, int64_t deadline_ns, uint32_t flags);
/* Another process's life: `fn` runs there and is killed with SIGKILL at its end, or `after_ms` after its beginning. */
void weir_rig_life(struct weir_rig *rig, weir_rig_life_fn *fn, void *arg, int64_t after_ms);
/* A rig of its own beside this one, for a second instance in the same case. Freed by weir_rig_finish_twin(). */
struct weir_rig *weir_rig_twin(struct weir_rig *rig);
void weir_rig_twin_free(struct weir_rig *twin);

/* ---- topics and subscriptions -------------------------------------------- */

/* Opens and waits until it is ready. The same word is the same topic in every life of the case. */
struct weir_rig_topic *weir_rig_topic(struct weir_rig *rig, const char *word);
/* Subscribes and waits until it is ready. */
struct weir_rig_sub *weir_rig_subscribe(struct weir_rig *rig, struct weir_rig_topic *topic, const char *uid,
					enum weir_start start);
/* Does not wait. The code of subscribe(). */
int weir_rig_try_subscribe(struct weir_rig *rig, struct weir_rig_topic *topic, const char *uid,
			   const struct weir_sub_spec *spec, struct weir_rig_sub **ret);
void weir_rig_await_ready(struct weir_rig *rig, struct weir_rig_sub *sub);
void weir_rig_end(struct weir_rig *rig, struct weir_rig_sub *sub, bool keep);
void weir_rig_credit(struct weir_rig *rig, struct weir_rig_sub *sub, int64_t records);
void weir_rig_credit_bytes(struct weir_rig *rig, struct weir_rig_sub *sub, int64_t records, int64_t bytes);
int weir_rig_pause(struct weir_rig *rig, struct weir_rig_sub *sub, bool on);

/* ---- publishing ---------------------------------------------------------- */

/* One record of the rig's shape; its number in *number. The code of publish(). Any thread. */
int weir_rig_try_send(struct weir_rig *rig, struct weir_rig_topic *topic, uint64_t *number, struct weir_error *err);
/* Sends that many, polling while the driver's queue is full; does not wait for completions. Returns the first number.
 */
uint64_t weir_rig_send(struct weir_rig *rig, struct weir_rig_topic *topic, uint64_t count);
/* The same, and waits until all are persisted. */
uint64_t weir_rig_publish(struct weir_rig *rig, struct weir_rig_topic *topic, uint64_t count);
/* A record of the case's own. It is copied. */
int weir_rig_try_send_record(struct weir_rig *rig, struct weir_rig_topic *topic, const struct weir_record *record,
			     uint64_t *number, struct weir_error *err);
void weir_rig_publish_record(struct weir_rig *rig, struct weir_rig_topic *topic, const struct weir_record *record);
/* Polls until everything that was sent in this process is completed. */
void weir_rig_await_done(struct weir_rig *rig);

/* ---- receiving ----------------------------------------------------------- */

/* One poll: waits until deadline_ns at most. Returns how many events came. */
size_t weir_rig_pump(struct weir_rig *rig, int64_t deadline_ns);
/* Polls until an event of that type was seen `count` times since the rig was opened. */
void weir_rig_await(struct weir_rig *rig, unsigned type, uint64_t count);
bool weir_rig_try_await(struct weir_rig *rig, unsigned type, uint64_t count, int64_t deadline_ns);
/* The next delivery to this member; sub NULL: to any. */
struct weir_rig_delivery weir_rig_next(struct weir_rig *rig, struct weir_rig_sub *sub);
bool weir_rig_try_next(struct weir_rig *rig, struct weir_rig_sub *sub, int64_t deadline_ns,
		       struct weir_rig_delivery *ret);
uint16_t weir_rig_settle(struct weir_rig *rig, const struct weir_rig_delivery *delivery, int verb, int64_t arg);
/* It must be taken. */
void weir_rig_ack(struct weir_rig *rig, const struct weir_rig_delivery *delivery);
void weir_rig_nack(struct weir_rig *rig, const struct weir_rig_delivery *delivery, int64_t delay_ms);
/* Receives that many deliveries and acks each; credit must have been given. */
void weir_rig_receive(struct weir_rig *rig, struct weir_rig_sub *sub, uint64_t count);
/* Gives credit and acks until the reader has all that is its own, and states that it is whole. */
void weir_rig_drain(struct weir_rig *rig, struct weir_rig_sub *sub);
/* Nothing is delivered to this member for a while (50 ms times the scale). */
void weir_rig_silence(struct weir_rig *rig, struct weir_rig_sub *sub);
/* Publishes a record and receives it on `sub`; anything else that comes to it before is a failure. */
void weir_rig_marker(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_rig_sub *sub);

/* ---- records (rig_record.c) ---------------------------------------------- */

struct weir_rig_made {
	struct weir_record record;
	struct weir_header header;
	char key[24], value[24];
	unsigned char *body;
};

/* The record with this number in the rig's shape. False: memory is short. weir_rig_made_fini(). */
bool weir_rig_make(const struct weir_rig *rig, uint64_t number, struct weir_rig_made *ret);
void weir_rig_made_fini(struct weir_rig_made *made);
uint32_t weir_rig_key(const struct weir_rig *rig, uint64_t number);
bool weir_rig_same(const struct weir_rig *rig, const struct weir_record *a, const struct weir_record *b);
/* Which record a delivered one is; WEIR_OP_... flags in *flags. */
uint64_t weir_rig_recognise(const struct weir_rig *rig, const struct weir_record *record, uint32_t *flags);
void weir_rig_custom_add(struct weir_rig *rig, uint64_t number, const struct weir_record *record, uint32_t topic);
void weir_rig_customs_free(struct weir_rig *rig);

#endif
