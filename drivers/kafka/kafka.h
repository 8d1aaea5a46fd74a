/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the Kafka driver share: its objects, its threads, and who
 * guards what.
 *
 *   weir_inst   one connection: a producer, topics, subscriptions
 *   weir_topic  a channel's topic; made by the instance's topic thread
 *   weir_sub    one member of one consumer group: a consumer and its thread
 *   tracker     one partition while it is assigned to a member: what was
 *               received and not yet committed, in the order of receipt
 *
 * Threads. poll() runs on the host's: it takes delivery reports from the
 * producer's queue and records straight from the partitions' queues, which are
 * not forwarded to the consumer's own. So a subscription without credit leaves
 * its records in librdkafka, while its thread goes on serving rebalances,
 * commits and the poll interval on the consumer's queue. Calls of librdkafka
 * that block are made only by the topic thread and by subscriptions' threads.
 *
 * weir_inst.lock guards everything that is not constant after its creation. It
 * is never held across a call that blocks or that may call back.
 */
#ifndef WEIR_DRIVER_KAFKA_H
#define WEIR_DRIVER_KAFKA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include <weir/driver.h>

#include "oauth.h"
#include "../common/list.h"

enum {
	WEIR_KAFKA_MAX_NAME = 249,       /* of a topic, as Kafka has it */
	WEIR_KAFKA_MAX_GROUP = 255,      /* of a group, as Event Hubs has it */
	WEIR_KAFKA_MAX_INFLIGHT = 16384, /* publishes accepted and not yet reported */
	WEIR_KAFKA_MAX_HEADERS = 1024,
	WEIR_KAFKA_CHUNK = 64,         /* records that are tracked, and forgotten, together */
	WEIR_KAFKA_STALL_AT = 1 << 18, /* records behind an unsettled one that are worth a word */
	WEIR_KAFKA_TURN = 32,          /* records that one subscription gets before the next one has its turn */
	WEIR_KAFKA_SLAB = 64 * 1024,   /* of records; larger ones have their own */
	WEIR_KAFKA_COMMIT_MS = 1000,
	WEIR_KAFKA_COMMIT_WAIT_MS = 5000, /* for a commit at revoke or close */
	WEIR_KAFKA_TRY_MS = 1000,         /* a question to the brokers; it is asked again */
	WEIR_KAFKA_MIN_THROTTLE_MS = 100, /* less is not worth a word */
};

/* ---- settings ------------------------------------------------------------- */

enum role { ROLE_BOTH, ROLE_PRODUCER, ROLE_CONSUMER };

struct property {
	enum role role;
	const char *name, *value;
};

/* A profile: how a kind of cluster wants to be talked to. Data, no code. */
struct provider {
	const char *name;
	bool needs_login;        /* SASL_SSL always; user and password are required */
	const char *username;    /* the only one there is; NULL: any */
	const char *replication; /* of topics, unless set */
	uint64_t max_record_bytes;
	const struct property *properties;
};

struct settings {
	const struct provider *provider;
	struct weir_setting *all; /* copies, on the heap */
	size_t count;
	int partitions, replication;
	uint64_t max_behind;
};

/* Tokens, if that is how one logs in. */
struct oauth {
	bool on;
	const char *principal, *extensions; /* of the settings */
	struct weir_kafka_token_request request;
	pthread_mutex_t lock; /* guards the token; held while one is fetched */
	struct weir_kafka_token token;
};

/* ---- objects ------------------------------------------------------------- */

/* An event about one object, kept in that object: reporting it cannot fail for lack of memory. */
struct notice {
	struct link link; /* in weir_inst.notices */
	uint32_t type;    /* enum weir_event_type */
	bool heap;        /* freed once reported */
	struct weir_topic *topic;
	struct weir_sub *sub;
	uint32_t partition;
	uint64_t epoch;
	uint64_t position, position_end;
	struct weir_error error;
};

/*
 * Memory for the records of one subscription, in the order of receipt. Each of
 * them counts once for its tracker and once for its lease; the last one to go
 * frees it, in whatever thread.
 */
struct slab {
	atomic_uint refs;
	size_t used, room;
	_Alignas(16) char bytes[];
};

/* This struct, the headers, the bytes. A lease points to it. */
struct record {
	struct slab *slab;
	size_t bytes;
	int64_t time_ms;
	bool damaged;
	struct weir_record content;
	struct weir_header headers[];
};

struct completion {
	struct weir_topic *topic;
	uint64_t tag;
	int64_t offset;
	int32_t native;
	uint32_t outcome;
};

enum topic_state { TOPIC_WANTED, TOPIC_READY, TOPIC_FAILED };

struct weir_topic {
	struct link link; /* in weir_inst.topics */
	struct weir_inst *inst;
	rd_kafka_topic_t *rkt; /* the producer's */
	enum topic_state state;
	uint32_t opened;
	int partitions; /* once ready */
	struct notice notice;
	const char *ns, *channel; /* behind the name */
	char name[];              /* as Kafka has it */
};

enum entry_state { ENTRY_OUT, ENTRY_AGAIN, ENTRY_DONE };

struct entry {
	int64_t offset;
	struct record *record; /* NULL once settled */
	int64_t out_ns;
	uint32_t attempt;
	uint32_t state;
};

/* Some neighbours in a tracker. Once all of them are settled only the end is kept: 16 bytes instead of kilobytes. */
struct chunk {
	struct entry *entries; /* WEIR_KAFKA_CHUNK; NULL: all settled */
	union {
		uint64_t left; /* not settled yet */
		int64_t end;   /* behind the last of them, once all are */
	};
};

enum { WEIR_KAFKA_SPARE = 4 };

struct tracker {
	struct weir_sub *sub;
	int32_t partition;
	uint64_t epoch;
	rd_kafka_queue_t *queue;
	uint64_t head, tail;  /* indices of records; head: oldest unsettled; tail: next received */
	struct chunk *chunks; /* ring; record i is in chunk (i / WEIR_KAFKA_CHUNK) & (room - 1) */
	uint64_t room;
	struct entry *spare[WEIR_KAFKA_SPARE]; /* of chunks that are settled */
	unsigned spare_count;
	uint64_t out;     /* handed out and not settled */
	int64_t position; /* what to commit: behind the contiguous settled prefix */
	int64_t committed, sent;
	int64_t received;                          /* behind the last record received */
	bool full, stalled;                        /* WEIR_EV_STALL was reported */
	bool lost;                                 /* its position is gone: its thread finds a new one */
	unsigned damaged;                          /* records in front of the next that could not be read */
	rd_kafka_message_t *held[WEIR_KAFKA_TURN]; /* taken from the queue, and from held_at on not yet copied */
	unsigned held_at, held_count;
};

/* A record that waits to be delivered again. A value: what it names may be gone. */
struct waiting {
	int64_t due_ns;
	uint64_t order;
	uint64_t epoch;
	uint64_t index;
	int32_t partition;
};

struct weir_sub {
	struct link link; /* in weir_inst.subs */
	struct weir_inst *inst;
	struct weir_topic *topic;
	uint64_t group; /* number of the group in this process */
	uint32_t start;
	pthread_t thread;
	rd_kafka_t *rk;          /* its thread's */
	rd_kafka_queue_t *queue; /* the consumer's: rebalances, commits, errors */
	bool broken;             /* its thread's: WEIR_EV_SUB_FAILED was reported */
	bool lost;               /* one of its trackers is */
	atomic_bool stop;
	int64_t stop_ns; /* deadline of stopping */
	bool ready;
	int64_t credit_records, credit_bytes;
	bool paused;
	struct slab *slab;         /* that records are copied to */
	struct tracker **trackers; /* by partition; NULL where not assigned */
	int32_t tracker_count, turn;
	struct waiting *waiting; /* heap */
	size_t waiting_count, waiting_room;
	uint64_t unsettled, redelivered;
	struct notice state, stopped, throttled;
	unsigned member; /* number among the members of the group in this process */
	char group_id[];
};

struct group {
	struct link link;
	uint64_t number;
	char id[];
};

struct weir_inst {
	const struct weir_host *host;
	struct settings settings;
	struct oauth oauth;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a topic's state, or stop; CLOCK_MONOTONIC */
	int event_fd;           /* epoll over the two below */
	int wake_fd;            /* eventfd; librdkafka writes to it too */
	int timer_fd;
	int64_t armed_ns;

	pthread_rwlock_t
	    swap; /* read: uses the producer or what hangs on it; write: replaces it. Taken before `lock` */
	rd_kafka_t *producer;
	rd_kafka_queue_t *queue; /* of the producer: delivery reports and errors */
	pthread_t topic_thread;
	atomic_bool stop;
	bool fatal; /* the producer gave up: the topic thread replaces it */
	int renew_wait_ms;
	int64_t renewed_ns;

	struct link topics, subs, groups, notices;
	uint64_t group_count;
	struct notice up, down, writable, throttled;
	bool is_up;

	struct completion *done; /* ring: reported by librdkafka, not yet by us */
	size_t done_head, done_count, done_room;
	uint64_t pending;    /* accepted, not yet reported by us */
	uint64_t in_library; /* accepted, not yet reported by librdkafka */
	bool want_writable;
	uint64_t writable_at;

	uint64_t first_epoch, next_epoch, next_order;
	uint64_t stale, commits;
	struct weir_error errors[32]; /* lent until the next poll() */
};

/* ---- kafka.c --------------------------------------------------------------- */

int64_t weir_kafka_now(void);
void weir_kafka_wake(struct weir_inst *inst);
void weir_kafka_log(const struct weir_inst *inst, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Lock held. */
void weir_kafka_notify(struct weir_inst *inst, struct notice *notice);
/* Milliseconds until then, 0..max. */
int weir_kafka_left_ms(int64_t deadline_ns, int max);
/* What a backend's errors say about whether it can be reached. */
void weir_kafka_reachable(struct weir_inst *inst, bool up, const struct weir_error *why);
/* The brokers delay their answers to us. */
void weir_kafka_throttled(struct weir_inst *inst, struct notice *notice, const char *broker, int ms);

/* ---- producer.c ------------------------------------------------------------ */

int weir_kafka_producer_open(struct weir_inst *inst, struct weir_error *err);
void weir_kafka_producer_close(struct weir_inst *inst);
/* It can do no more: everything that is under way fails, and another one takes its place. */
void weir_kafka_producer_died(struct weir_inst *inst);
/* The topic thread's. False: again after a rest. */
bool weir_kafka_producer_renew(struct weir_inst *inst);

/* ---- options.c --------------------------------------------------------------- */

extern const struct weir_option weir_kafka_options[];
extern const uint32_t weir_kafka_option_count;

int weir_kafka_settings_init(struct settings *settings, const struct weir_setting *given, size_t count,
			     struct weir_error *err);
void weir_kafka_settings_fini(struct settings *settings);
/* "" if it is not set. */
const char *weir_kafka_setting(const struct settings *settings, const char *key);
/* `pattern` with {namespace}, {name}, {uid} put in. */
int weir_kafka_spell(const char *pattern, const char *ns, const char *name, const char *uid, char *ret, size_t size,
		     struct weir_error *err);
size_t weir_kafka_pattern_literals(const char *pattern);

/* ---- conf.c -------------------------------------------------------------------- */

extern const struct provider weir_kafka_providers[];
const struct provider *weir_kafka_provider(const char *name);
int weir_kafka_conf(const struct settings *settings, enum role role, rd_kafka_conf_t **ret, struct weir_error *err);

/* ---- oauth.c -------------------------------------------------------------------- */

/* `stop` ends a fetch that is under way. */
int weir_kafka_oauth_init(struct oauth *oauth, const struct settings *settings, const atomic_bool *stop,
			  struct weir_error *err);
void weir_kafka_oauth_fini(struct oauth *oauth);
/* Gives a client a token. Blocks for 10 s at most: on librdkafka's background thread. */
void weir_kafka_oauth_refresh(struct weir_inst *inst, rd_kafka_t *rk);

/* ---- errors.c -------------------------------------------------------------------- */

int weir_kafka_code(rd_kafka_resp_err_t native);
/* Fills `err` for a code of librdkafka. printf rules; its own text is appended. */
int weir_kafka_fail(struct weir_error *err, rd_kafka_resp_err_t native, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- topic.c --------------------------------------------------------------------- */

int weir_kafka_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
			  struct weir_error *err);
void weir_kafka_topic_close(struct weir_inst *inst, struct weir_topic *topic);
int weir_kafka_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			    struct weir_error *err);
void weir_kafka_topics_free(struct weir_inst *inst);
/* A handle of the topic at a producer. */
rd_kafka_topic_t *weir_kafka_topic_handle(rd_kafka_t *producer, struct weir_topic *topic);
void *weir_kafka_topic_thread(void *arg);

/* ---- admin.c --------------------------------------------------------------------- */

/* These block until the deadline at most, in short steps. */
rd_kafka_resp_err_t weir_kafka_create_topic(struct weir_inst *inst, const char *name, int64_t deadline_ns);
rd_kafka_resp_err_t weir_kafka_delete_topic(struct weir_inst *inst, const char *name, int64_t deadline_ns);
rd_kafka_resp_err_t weir_kafka_delete_group(struct weir_inst *inst, const char *id, int64_t deadline_ns);

/* ---- publish.c --------------------------------------------------------------------- */

int weir_kafka_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		       struct weir_error *err);
/* Takes what the producer has to report, waiting for it that long. Lock not held. */
void weir_kafka_pull(struct weir_inst *inst, int wait_ms);
int weir_kafka_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left);

/* ---- sub.c: subscriptions as the host sees them -------------------------------------- */

int weir_kafka_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			 struct weir_sub **ret, struct weir_error *err);
int weir_kafka_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			   struct weir_error *err);
int weir_kafka_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes);
int weir_kafka_pause(struct weir_inst *inst, struct weir_sub *sub, int on);
int weir_kafka_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret);
/* Stops all subscriptions, side by side. */
void weir_kafka_subs_stop(struct weir_inst *inst, int64_t deadline_ns);

/* ---- consumer.c: a subscription's thread ----------------------------------------------- */

void *weir_kafka_consumer_thread(void *arg);
/* Another tracker for a partition in place of the one it has. False: no memory. */
bool weir_kafka_tracker_renew(struct weir_sub *sub, const rd_kafka_topic_partition_t *at);

/* ---- start.c: where a new subscription begins -------------------------------------------- */

/* Fills the offsets of `list`; those that are new are committed. False: it was stopped or lost meanwhile. */
bool weir_kafka_starts_find(struct weir_sub *sub, rd_kafka_topic_partition_list_t *list);
/* Whether every partition of the topic has a committed offset. */
bool weir_kafka_starts_complete(struct weir_sub *sub);
/* Where a partition goes on whose position retention has overtaken, or which was made anew. */
void weir_kafka_lost_find(struct weir_sub *sub);
/* Commits and waits until the deadline. */
rd_kafka_resp_err_t weir_kafka_commit_wait(struct weir_sub *sub, const rd_kafka_topic_partition_list_t *list,
					   int64_t deadline_ns);

/* ---- tracker.c --------------------------------------------------------------------------- */

struct tracker *weir_kafka_tracker_new(struct weir_sub *sub, int32_t partition, int64_t position);
void weir_kafka_tracker_free(struct tracker *tracker);
/* Room for one more record, and for its nack. Lock held. */
bool weir_kafka_tracker_reserve(struct tracker *tracker);
/* Takes up the room that was reserved. Lock held. */
struct entry *weir_kafka_tracker_push(struct tracker *tracker, int64_t offset, struct record *record, uint64_t *index);
/* A message for the host about a partition, on the heap; NULL: no memory. Lock held. */
struct notice *weir_kafka_tracker_notice(const struct tracker *tracker, uint32_t type);
int weir_kafka_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		      size_t count, int64_t arg, uint16_t *codes);
/* The next record that is to come again and is due. Lock held. */
struct entry *weir_kafka_again(struct weir_sub *sub, int64_t now_ns, struct tracker **tracker, uint64_t *index);
void weir_kafka_release(void *lease);

/* NULL: it is settled, and all of its neighbours are. */
static inline struct entry *weir_kafka_at(const struct tracker *tracker, uint64_t index)
{
	struct chunk *chunk = &tracker->chunks[index / WEIR_KAFKA_CHUNK & (tracker->room - 1)];

	return chunk->entries ? &chunk->entries[index % WEIR_KAFKA_CHUNK] : NULL;
}

/* ---- record.c ------------------------------------------------------------------------------- */

/* A copy: leases may outlive the client, and librdkafka's messages must not. NULL: no memory. Lock held. */
struct record *weir_kafka_record_new(struct weir_sub *sub, const rd_kafka_message_t *message);
/* Of a record that could not be read. */
struct record *weir_kafka_record_damaged(struct weir_sub *sub);
void weir_kafka_slab_drop(struct slab *slab);

static inline void weir_kafka_record_hold(struct record *record)
{
	atomic_fetch_add_explicit(&record->slab->refs, 1, memory_order_relaxed);
}

/* ---- poll.c --------------------------------------------------------------------------------- */

int weir_kafka_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		    size_t *count);

#endif
