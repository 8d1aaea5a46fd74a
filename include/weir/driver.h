/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir/driver.h: the contract between Weir and a driver.
 *
 * A driver teaches Weir one kind of backend. It is a shared object named
 * `weir-driver-NAME.so` that
 *   - exports exactly one symbol, `weir_driver_NAME_init` ('-' in NAME becomes
 *     '_'), of type weir_driver_init_fn;
 *   - carries a note (WEIR_DRIVER_NOTE) from which its kind and ABI are read
 *     without running any of its code;
 *   - imports no symbol of its host: what it may use of the host is handed to
 *     it in a `struct weir_host`.
 * This header and weir/error.h are all that a driver needs. They are C11 and
 * valid C++.
 *
 * Who does what. The driver moves records between the core and a backend and
 * tells the truth about what became of them. Policy (how often to retry, when
 * to dead-letter, what may overtake what) is the core's. A driver never drops,
 * never retries a permanent failure, never acknowledges on its own.
 *
 * Rules that hold for all of it
 *   R1  Structs that cross the boundary begin with `size`. The side that
 *       allocates sets it to its own sizeof; the other side reads or writes no
 *       further than that. Fields are only appended, numbers never reused.
 *       Structs that cross in arrays (weir_publish, weir_driver_event, weir_token,
 *       weir_header, weir_setting, weir_option) keep their size within a major
 *       version: both sides step by their own sizeof.
 *   R2  No operation blocks, except open, close, flush, unsubscribe and
 *       topic_delete, which keep their deadline. Deadlines are absolute
 *       CLOCK_MONOTONIC nanoseconds; 0 means "do not wait".
 *   R3  Memory is freed by the side that allocated it. Records delivered are
 *       lent under a lease and given back with release().
 *   R4  The driver calls the host only through `log`, from any thread, which
 *       never calls back into the driver.
 *   R5  A driver leaves the process alone: signals, locale, umask, working
 *       directory, standard streams.
 *   R6  An operation that a driver does not have is NULL in its table. The
 *       core puts a function there that returns WEIR_ENOTSUP. An operation
 *       whose capability is not claimed returns WEIR_ENOTSUP and does nothing.
 *   R7  After fork() only the parent may use an instance. The core refuses
 *       calls in the child with WEIR_EFORKED before they reach the driver.
 *   R8  The core wraps every driver in a guard that enforces thread level,
 *       credit, token epoch, single completion and no calls after close; a
 *       driver need not check these again.
 */
#ifndef WEIR_DRIVER_H
#define WEIR_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include <weir/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ABI version. MAJOR: incompatible, host and driver must be equal. MINOR: only
 * appended to; the lower of the two is what both may use.
 */
#define WEIR_ABI_MAJOR 1u
#define WEIR_ABI_MINOR 0u

/* ---- plain values ------------------------------------------------------ */

/*
 * Bytes with a length; not NUL-terminated, may contain NUL.
 * ptr == NULL: no value. ptr != NULL and len == 0: an empty value.
 */
struct weir_buf {
	const void *ptr;
	size_t len;
};

/* Headers are an ordered list; names may repeat if WEIR_CAP_HEADERS_DUP. */
struct weir_header {
	struct weir_buf name;
	struct weir_buf value;
};

/* One setting, as text. Both strings are NUL-terminated. */
struct weir_setting {
	const char *key;
	const char *value;
};

/* What a backend stores: key, headers, body. Borrowed by whoever receives it. */
struct weir_record {
	struct weir_buf key;  /* partition or ordering key; NULL: none */
	struct weir_buf body; /* NULL: no body, which is not an empty body */
	const struct weir_header *headers;
	uint32_t header_count;
	uint32_t flags;       /* 0 */
};

/*
 * Names one delivery for settling. A value: it may be copied, and outlives the
 * record's memory. Only the driver reads `lane` and `seq`. `epoch` changes when
 * deliveries handed out before can no longer be settled (partition revoked,
 * session lost); settling with an old epoch answers WEIR_ESTALE.
 */
struct weir_token {
	uint64_t epoch;
	uint64_t lane;
	uint64_t seq;
};

/* Defined by the driver. */
struct weir_inst;  /* one connection to one backend */
struct weir_topic; /* where that backend keeps one channel */
struct weir_sub;   /* one durable reader of one topic, in this process */

/* ---- capabilities ------------------------------------------------------ */

/*
 * Declared for an open instance, because server version, tier and settings
 * decide. A claimed capability works; one that is not claimed answers
 * WEIR_ENOTSUP. The conformance kit tests both.
 */
enum weir_cap {
	/* delivery */
	WEIR_CAP_DURABLE = 0,         /* persisted records survive a process or server restart */
	WEIR_CAP_REPLAY_EARLIEST = 1, /* a new subscription may start at the oldest record */
	WEIR_CAP_REPLAY_POSITION = 2, /* ... at a position */
	WEIR_CAP_REPLAY_TIME = 3,     /* ... at a time */
	WEIR_CAP_ORDERED_TOPIC = 4,   /* first deliveries are in publish order for the topic */
	WEIR_CAP_ORDERED_KEY = 5,     /* ... for each key */
	WEIR_CAP_FANOUT = 6,          /* any number of independent subscriptions */
	WEIR_CAP_GROUPS = 7,          /* members of one subscription share its records */
	WEIR_CAP_WILDCARD = 8,        /* subscriptions over several topics */
	WEIR_CAP_EPHEMERAL = 9,       /* WEIR_SUB_EPHEMERAL */
	/* settling */
	WEIR_CAP_ACK_SELECTIVE = 16,    /* acks out of order survive a restart */
	WEIR_CAP_ACK_CONFIRM = 17,      /* WEIR_EV_SETTLED tells what became of an ack */
	WEIR_CAP_NACK = 18,             /* the backend itself redelivers */
	WEIR_CAP_NACK_LOCAL = 19,       /* the driver redelivers from memory; attempts are lost in a crash */
	WEIR_CAP_NACK_DELAY = 20,       /* nack takes a delay */
	WEIR_CAP_TERM = 21,             /* term: never deliver again */
	WEIR_CAP_EXTEND = 22,           /* extend: more time before the deadline */
	WEIR_CAP_ACK_DEADLINE = 23,     /* unsettled deliveries come back after ack_wait_ms */
	WEIR_CAP_REDELIVERED_FLAG = 24, /* WEIR_MSG_REDELIVERED is set on redelivery */
	WEIR_CAP_DELIVERY_COUNT = 25,   /* `attempt` counts, also across restarts */
	/* publishing */
	WEIR_CAP_PUB_CONFIRM = 32, /* the backend confirms each record */
	WEIR_CAP_IDEMPOTENT = 33,  /* its own retries make no duplicates */
	WEIR_CAP_TXN = 34,
	WEIR_CAP_KEY = 35,         /* keeps the record's key */
	WEIR_CAP_TTL = 36,
	WEIR_CAP_DELAY = 37,
	WEIR_CAP_ATOMIC_BATCH = 38, /* items of one publish with WEIR_PUB_ATOMIC persist together or not at all */
	/* records */
	WEIR_CAP_HEADERS = 40,     /* keeps headers; without it the core uses an envelope */
	WEIR_CAP_HEADERS_BIN = 41, /* header values may be any bytes */
	WEIR_CAP_HEADERS_DUP = 42, /* names may repeat, order is kept */
	WEIR_CAP_NULL_BODY = 43,   /* "no body" and "empty body" stay different */
	WEIR_CAP_TIMESTAMP = 44,   /* keeps the time of publishing */
	/* flow and operation */
	WEIR_CAP_PAUSE = 48,
	WEIR_CAP_AUTO_RECONNECT = 49, /* comes back by itself after the backend was away */
	WEIR_CAP_TOPIC_ADMIN = 50,    /* topic_delete */
	WEIR_CAP_BORROW = 51,         /* publish with WEIR_PUB_BORROW does not copy */
};

/* The bit of a capability in weir_caps.bits. */
#define WEIR_CAP_BIT(cap) (UINT64_C(1) << (cap))

/* How much may be called at the same time. The core locks down to it. */
enum weir_thread_level {
	WEIR_THREAD_PROCESS = 0,  /* one call at a time in the whole process */
	WEIR_THREAD_INSTANCE = 1, /* one call at a time per instance */
	WEIR_THREAD_GROUPS = 2,   /* publish, poll and settle may run beside each other, one of each */
	WEIR_THREAD_FREE = 3,     /* anything, except poll beside poll on one instance */
};

/*
 * How attributes are written into headers: the backend's CloudEvents protocol
 * binding. The core does the writing.
 */
enum weir_binding {
	WEIR_BINDING_UNDERSCORE = 0, /* "ce_name", UTF-8 as it is, "content-type" (Kafka binding) */
	WEIR_BINDING_DASH = 1,       /* "ce-name", percent-encoded (NATS binding) */
};

/* 0 in a limit means: none known. */
struct weir_caps {
	uint32_t size;
	uint32_t thread_level;        /* enum weir_thread_level */
	uint64_t bits;                /* WEIR_CAP_BIT(...) | ... */
	uint32_t binding;             /* enum weir_binding; only with WEIR_CAP_HEADERS */
	uint32_t max_headers;
	uint64_t max_record_bytes;    /* key + headers + body */
	uint32_t max_header_bytes;    /* one name + value */
	uint32_t max_key_bytes;
	uint32_t max_topic_bytes;     /* namespace + name as the backend spells them */
	uint32_t max_publish_inflight;/* accepted and not completed */
	uint32_t ack_wait_min_ms;
	uint32_t ack_wait_step_ms;
	uint32_t dead_detect_ms;      /* at most this long until a silent backend is noticed */
	uint32_t ack_wait_ms;         /* what a subscription gets that asks for none; only with WEIR_CAP_ACK_DEADLINE */
	const char *durability;       /* static: "memory", "process", "disk", "replicated" */
	const char *durability_note;  /* static: what survives what, in one sentence */
};

/* ---- opening ----------------------------------------------------------- */

/*
 * What the host gives. Valid until close() returned. Both may be called from
 * any thread and do not re-enter the driver.
 */
struct weir_host {
	uint32_t size;
	uint32_t abi_major;
	uint32_t abi_minor;
	uint32_t reserved;
	void *ctx;
	/* level: 0 error, 1 warning, 2 notice, 3 debug. `text`: one line. */
	void (*log)(void *ctx, int level, const char *text);
};

enum weir_option_type {
	WEIR_OPT_STRING = 0,
	WEIR_OPT_BOOL = 1,     /* "true" or "false" */
	WEIR_OPT_INT = 2,      /* decimal, within min..max */
	WEIR_OPT_DURATION = 3, /* handed over as milliseconds; min..max in milliseconds */
	WEIR_OPT_BYTES = 4,    /* handed over as bytes; min..max in bytes */
	WEIR_OPT_ENUM = 5,     /* one of `choices` */
	WEIR_OPT_LIST = 6,     /* comma-separated strings */
};

enum {
	WEIR_OPTION_SECRET = 1u << 0,   /* never shown, logged or returned */
	WEIR_OPTION_REQUIRED = 1u << 1,
	WEIR_OPTION_PREFIX = 1u << 2,   /* "properties.*": any key below it is passed on */
};

/*
 * One setting that the driver takes. `key` is without the driver's own prefix:
 * option "path" of the driver "embedded" is configured as `embedded.path`.
 * The core checks type and range before open(), and uses the same row for
 * `weir drivers`, `weir config explain`, the schema and redaction. The driver
 * gets every key, defaults filled in; a key that is not in its table never
 * reaches it.
 */
struct weir_option {
	const char *key;
	uint32_t type;           /* enum weir_option_type */
	uint32_t flags;
	const char *fallback;    /* default as the driver gets it (a duration: milliseconds); NULL: not set */
	int64_t min, max;        /* both 0: any */
	const char *choices;     /* "always|os"; only for WEIR_OPT_ENUM */
	const char *help;        /* one sentence */
};

/* ---- publishing -------------------------------------------------------- */

/* There are three outcomes, not two. */
enum weir_outcome {
	WEIR_PERSISTED = 0,     /* as durable as weir_caps.durability says */
	WEIR_NOT_PERSISTED = 1, /* surely not stored; a retry makes no duplicate */
	WEIR_UNKNOWN = 2,       /* may or may not be stored */
};

enum {
	WEIR_PUB_BORROW = 1u << 0, /* record memory stays valid until the completion; only with WEIR_CAP_BORROW */
	WEIR_PUB_ATOMIC = 1u << 1, /* this and the next item persist together; only with WEIR_CAP_ATOMIC_BATCH */
};

struct weir_publish {
	uint32_t size;
	uint32_t flags;
	struct weir_topic *topic;
	uint64_t tag;        /* comes back in WEIR_EV_PUBLISHED */
	int64_t deadline_ns; /* after it the driver may complete as timed out; 0: none */
	struct weir_record record;
};

/* ---- subscribing ------------------------------------------------------- */

enum weir_start {
	WEIR_START_LATEST = 0,   /* records published after the subscription was made */
	WEIR_START_EARLIEST = 1, /* the oldest record kept */
	WEIR_START_POSITION = 2, /* `start_value` is a position */
	WEIR_START_TIME = 3,     /* `start_value` is milliseconds since 1970-01-01 UTC */
};

struct weir_sub_spec {
	uint32_t size;
	uint32_t start;           /* enum weir_start; only when the subscription is new to the backend */
	int64_t start_value;
	const char *name;         /* for people */
	const char *uid;          /* identity: same uid, same durable position */
	uint32_t ack_wait_ms;     /* 0: the driver's default; only with WEIR_CAP_ACK_DEADLINE */
	uint32_t max_unsettled;   /* the most credit the core will ever have outstanding, in records */
	uint32_t flags;           /* WEIR_SUB_... */
	uint32_t reserved;
};

enum {
	/*
	 * Lives as long as its weir_sub and leaves nothing behind: the backend
	 * keeps no position for it, keeps no record for its sake, and deletes
	 * none because it has settled it. What it has not read may go meanwhile
	 * (WEIR_EV_GAP). unsubscribe forgets it whatever `keep` says; so does
	 * the end of the process. Only with WEIR_CAP_EPHEMERAL: without it the
	 * core makes an ordinary subscription and forgets it at the end.
	 */
	WEIR_SUB_EPHEMERAL = 1u << 0,
	/*
	 * The core keeps the order of each key within this process. A driver
	 * whose backend would hand records of one key to several members at a
	 * time (WEIR_CAP_GROUPS without partitions) then serves one member
	 * after the other, and hands out to the next one first what the one
	 * before has left unsettled. Others ignore it.
	 */
	WEIR_SUB_ORDERED = 1u << 1,
};

enum weir_verb {
	WEIR_ACK = 0,    /* done */
	WEIR_NACK = 1,   /* again; arg: not before this many milliseconds */
	WEIR_TERM = 2,   /* never again, though not done */
	WEIR_EXTEND = 3, /* still working; arg: milliseconds from now */
};

/* ---- events ------------------------------------------------------------ */

enum weir_event_type {
	WEIR_EV_DELIVER = 1,      /* sub, token, record, ...; uses one credit; release(lease) when done with the memory */
	WEIR_EV_PUBLISHED = 2,    /* tag, outcome, position; error if not persisted. Exactly one per accepted item */
	WEIR_EV_SETTLED = 3,      /* sub, token; error NULL: the settling is durable. Only with WEIR_CAP_ACK_CONFIRM, and only
	                             failures need be reported */
	WEIR_EV_WRITABLE = 4,     /* publish answered WEIR_EAGAIN before; there is room again */
	WEIR_EV_UP = 5,           /* the backend is reachable */
	WEIR_EV_DOWN = 6,         /* it is not; error says why. Subscriptions stay: they resume after WEIR_EV_UP */
	WEIR_EV_TOPIC_READY = 7,  /* topic: records published from now on are kept */
	WEIR_EV_TOPIC_FAILED = 8, /* topic, error */
	WEIR_EV_SUB_READY = 9,    /* sub: its position is durable; a record published from now on will reach it */
	WEIR_EV_SUB_FAILED = 10,  /* sub, error; no more deliveries */
	WEIR_EV_ASSIGNED = 11,    /* sub, partition */
	WEIR_EV_REVOKED = 12,     /* sub, partition, token.epoch: tokens of that lane up to this epoch are stale */
	WEIR_EV_PAUSED = 13,      /* sub: no delivery follows until resumed */
	WEIR_EV_GAP = 14,         /* sub, position..position_end were lost to retention */
	WEIR_EV_STALL = 15,       /* sub, partition: an unsettled delivery holds back the rest; error says how old */
	WEIR_EV_THROTTLE = 16,    /* the backend slows us down; error.retry_after_ms */
	WEIR_EV_FENCED = 17,      /* sub: another member took this identity */
	WEIR_EV_CAPS_CHANGED = 18,/* ask caps() again */
	WEIR_EV_FATAL = 19,       /* the instance is dead; error; every call but close now answers WEIR_EFATAL */
};

enum {
	WEIR_MSG_REDELIVERED = 1u << 0, /* delivered before */
	WEIR_MSG_DAMAGED = 1u << 1,     /* could not be read in full; the core quarantines it */
	WEIR_MSG_NO_TIME = 1u << 2,     /* time_ms is not known */
	WEIR_MSG_NO_POSITION = 1u << 3, /* position is not known */
};

/* Fields that an event type does not name are zero. */
struct weir_driver_event {
	uint32_t size;
	uint32_t type;           /* enum weir_event_type */
	struct weir_sub *sub;
	struct weir_topic *topic;
	struct weir_token token;
	uint64_t tag;
	uint32_t outcome;        /* enum weir_outcome */
	uint32_t flags;          /* WEIR_MSG_... */
	uint32_t attempt;        /* 1 for the first delivery; without WEIR_CAP_DELIVERY_COUNT: counted in this process */
	uint32_t partition;
	uint64_t position;       /* where the record is; grows within a partition */
	uint64_t position_end;
	int64_t time_ms;         /* when it was published, since 1970-01-01 UTC */
	struct weir_record record; /* lent until release(lease) */
	void *lease;             /* NULL: nothing to release */
	const struct weir_error *error; /* lent until the next poll(); NULL: none */
};

/* ---- health and figures ------------------------------------------------ */

enum weir_health_state {
	WEIR_HEALTH_UP = 0,
	WEIR_HEALTH_DEGRADED = 1, /* works, but somebody should look */
	WEIR_HEALTH_DOWN = 2,
};

struct weir_health {
	uint32_t size;
	uint32_t state;          /* enum weir_health_state */
	struct weir_error error; /* why, if not up */
};

/* UINT64_MAX where a figure is not known. */
struct weir_stats {
	uint32_t size;
	uint32_t reserved;
	uint64_t records;        /* kept, over all topics */
	uint64_t bytes;          /* used for them */
	uint64_t bytes_max;      /* room there is */
	uint64_t pending;        /* publishes accepted and not completed */
	uint64_t syncs;          /* fsyncs or round trips made to persist */
	uint64_t stale;          /* settles that came with an old epoch */
};

struct weir_sub_stats {
	uint32_t size;
	uint32_t reserved;
	uint64_t lag;            /* records not yet settled, those in flight included */
	uint64_t unsettled;      /* handed out and not settled */
	uint64_t redelivered;    /* deliveries after the first, in this process */
	int64_t oldest_ms;       /* age of the oldest unsettled delivery; -1: none */
	/*
	 * CLOCK_MONOTONIC nanoseconds: `lag` counts every record that was
	 * persisted before this moment. 0: before this call. A driver that asks
	 * its server for the lag now and then says here when it asked. The core
	 * takes a channel that moved to another backend as drained when lag is 0
	 * and was told after the last record was persisted.
	 */
	int64_t lag_ns;
};

/* ---- operations -------------------------------------------------------- */

enum {
	WEIR_CLOSE_FLUSH = 0,      /* wait for pending publishes, store what is settled */
	WEIR_CLOSE_ABORT = 1u << 0 /* complete pending publishes as cancelled */
};

/*
 * The table of operations. "Must" operations are required, the others "may" be
 * NULL. Threads: as thread_level says; poll is only ever called by one thread.
 */
struct weir_driver {
	uint32_t size;      /* set by the host before init; the driver fills no further */
	uint32_t abi_major; /* what the driver was built for */
	uint32_t abi_minor;
	uint32_t option_count;
	const char *name;    /* "memory": prefix of its configuration keys. Static */
	const char *kind;    /* "InMemoryChannel". Static */
	const char *version; /* of the driver, and of the client library it uses. Static */
	const char *summary; /* one line for `weir drivers`. Static */
	const struct weir_option *options; /* static */

	/*
	 * open: must. Makes an instance from `settings` (copied by the driver;
	 * every option of the table has its row). May block up to 10 s to
	 * connect. If the backend cannot be reached but may come back, it
	 * returns WEIR_OK and reports WEIR_EV_DOWN: start-up order does not
	 * matter. Errors: WEIR_EINVAL names the key; WEIR_EAUTH, WEIR_ETLS,
	 * WEIR_EBUSY (held by another process: `text` has its pid), WEIR_EIO,
	 * WEIR_ECORRUPT. On error *ret is NULL and nothing is left open.
	 */
	int (*open)(const struct weir_host *host, const struct weir_setting *settings, size_t count,
	            struct weir_inst **ret, struct weir_error *err);

	/*
	 * close: must. Frees the instance, its topics and subscriptions; stores
	 * what was settled; leaves unsettled deliveries unsettled. Returns by
	 * deadline_ns + 1 s whatever the backend does. Pending publishes are
	 * flushed until the deadline, then given up; after close nobody can
	 * poll, so the core has polled what it wants before. Leases still out
	 * stay readable: their memory is freed by the last release(), which may
	 * come after close. After it returns the driver has no threads left,
	 * but for those that its client library keeps for the whole process.
	 * Errors: WEIR_ETIMEDOUT (closed, but not all was flushed), WEIR_EIO.
	 */
	int (*close)(struct weir_inst *inst, int64_t deadline_ns, uint32_t flags, struct weir_error *err);

	/* caps: must. Constant until WEIR_EV_CAPS_CHANGED. Any thread. */
	int (*caps)(struct weir_inst *inst, struct weir_caps *ret);

	/*
	 * topic_open: must. Names the channel `ns`/`name` and returns its topic at
	 * once; creates it if it is missing and the driver may. Ready when
	 * WEIR_EV_TOPIC_READY comes; publishing before is allowed and waits. The
	 * same names again give the same topic, counted. Errors: WEIR_EINVAL (the
	 * names cannot be spelled in this backend), WEIR_ELIMIT, WEIR_ENOMEM.
	 */
	int (*topic_open)(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
	                  struct weir_error *err);

	/* topic_close: must. Undoes one topic_open. Deletes nothing. Its subscriptions are closed before. */
	void (*topic_close)(struct weir_inst *inst, struct weir_topic *topic);

	/*
	 * publish: must. Takes items[0..*accepted) and answers WEIR_OK if that is
	 * all, WEIR_EAGAIN if the queue is full (WEIR_EV_WRITABLE follows), or
	 * another code that is about items[*accepted] alone: the caller decides
	 * about it and goes on behind it. Every accepted item completes exactly
	 * once through WEIR_EV_PUBLISHED. Memory is copied before it returns,
	 * unless WEIR_PUB_BORROW. Never blocks. Errors: WEIR_EAGAIN,
	 * WEIR_ETOOBIG, WEIR_EINVAL, WEIR_ELIMIT, WEIR_EUNAVAIL, WEIR_EFATAL.
	 */
	int (*publish)(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
	               struct weir_error *err);

	/*
	 * subscribe: must. Returns at once; WEIR_EV_SUB_READY or
	 * WEIR_EV_SUB_FAILED follows. The durable position is made before ready.
	 * Starts with no credit. A second call with the same uid on the same
	 * topic is a second member (WEIR_CAP_GROUPS) or WEIR_EBUSY.
	 */
	int (*subscribe)(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
	                 struct weir_sub **ret, struct weir_error *err);

	/*
	 * credit: must. Adds to what may be delivered: each WEIR_EV_DELIVER uses
	 * one record and its bytes. Settling gives nothing back by itself: the
	 * core adds. The last record may exceed the byte credit. Without credit
	 * there is silence. Negative values take back what is not yet used.
	 */
	int (*credit)(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes);

	/*
	 * poll: must. Fills up to `max` events and *count; waits until
	 * timeout_ns (absolute; 0: do not wait) if there are none. Order: as
	 * they happened, and deliveries in order. One thread at a time.
	 */
	int (*poll)(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
	            size_t *count);

	/*
	 * event_fd: must. A file descriptor that is readable whenever poll would
	 * return events. Belongs to the driver, which resets it inside poll.
	 */
	int (*event_fd)(struct weir_inst *inst);

	/*
	 * settle: must (WEIR_ACK; other verbs by capability). Says what became of
	 * deliveries, in any order, from any thread, `codes[i]` for token i:
	 * WEIR_OK, WEIR_ESTALE (no effect; also for a token settled before),
	 * WEIR_EINVAL (not of this subscription), WEIR_ENOTSUP. `codes` may be
	 * NULL. An ack may be stored late, but never so that a record that was
	 * not settled is skipped after a crash.
	 */
	int (*settle)(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
	              size_t count, int64_t arg, uint16_t *codes);

	/* release: must. Gives a lease back; independent of settling. Any thread, also after close. */
	void (*release)(void *lease);

	/*
	 * unsubscribe: must. keep != 0: the durable position stays and the
	 * deliveries that are out come back to the next member. keep == 0: the
	 * subscription is forgotten. No event about `sub` follows. Errors:
	 * WEIR_ETIMEDOUT (closed here, but the backend may still have it).
	 */
	int (*unsubscribe)(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
	                   struct weir_error *err);

	/* flush: may. Waits until no publish is pending; *left says how many still are. */
	int (*flush)(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left);

	/* pause: may (WEIR_CAP_PAUSE). on != 0 stops deliveries until on == 0; credit is kept. */
	int (*pause)(struct weir_inst *inst, struct weir_sub *sub, int on);

	/* health, stats, sub_stats: may. Do not block. Any thread. */
	int (*health)(struct weir_inst *inst, struct weir_health *ret);
	int (*stats)(struct weir_inst *inst, struct weir_stats *ret);
	int (*sub_stats)(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret);

	/*
	 * topic_delete: may (WEIR_CAP_TOPIC_ADMIN). Deletes the topic, its records
	 * and its subscriptions' positions. WEIR_EBUSY while it is open.
	 */
	int (*topic_delete)(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
	                    struct weir_error *err);
};

/* End of each ABI minor version's table: what a driver of that version fills. */
#define WEIR_DRIVER_SIZE_1_0 (offsetof(struct weir_driver, topic_delete) + sizeof(void *))

/*
 * For drivers: fills a struct of the host's, which begins with its size, from
 * one of the driver's own, no further than both reach. The host's size stays.
 */
static inline void weir_give(void *to, const void *from, uint32_t from_size)
{
	uint32_t size;

	memcpy(&size, to, sizeof size);
	if (from_size > size)
		from_size = size;
	if (from_size > sizeof size)
		memcpy((char *)to + sizeof size, (const char *)from + sizeof size, from_size - sizeof size);
}

/*
 * The entry point. Fills *out up to out->size, which the host has set, and
 * answers WEIR_OK; or WEIR_EVERSION if it cannot serve host_major. Called once,
 * before any other function. Must do nothing else: no threads, no files.
 */
typedef int weir_driver_init_fn(uint32_t host_major, uint32_t host_minor, struct weir_driver *out,
                                struct weir_error *err);

/* ---- the note ---------------------------------------------------------- */

/*
 * Read from the file's section ".note.weir" before anything is loaded, so that
 * `weir drivers` can list a folder, and the loader can refuse a foreign file,
 * without running its code.
 */
struct weir_driver_note {
	uint32_t name_size, desc_size, type; /* ELF note header: 5, sizeof the rest, 1 */
	char owner[8];                       /* "Weir" */
	uint32_t abi_major, abi_minor;
	char name[32];
	char kind[64];
};

/*
 * Put once at file scope:  WEIR_DRIVER_NOTE("memory", "InMemoryChannel");
 */
#define WEIR_DRIVER_NOTE(name_, kind_)                                                         \
	__attribute__((section(".note.weir"), used, aligned(4))) static const struct           \
	    weir_driver_note weir_driver_note_ = { 5, sizeof(struct weir_driver_note) - 20, 1, \
		                                   "Weir", WEIR_ABI_MAJOR, WEIR_ABI_MINOR, \
		                                   name_,  kind_ }

/* Marks the entry point as the one exported symbol. */
#if defined(__GNUC__)
#define WEIR_DRIVER_EXPORT __attribute__((visibility("default")))
#else
#define WEIR_DRIVER_EXPORT
#endif

#ifdef __cplusplus
}
#endif
#endif
