/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the JetStream driver share: its objects, its thread, and
 * who guards what.
 *
 *   weir_inst   one connection; a stream for each topic, a consumer for each
 *               subscription
 *   weir_topic  a channel's stream
 *   weir_sub    one member of one durable pull consumer
 *   slot        one publish from publish() until its outcome is known
 *   entry       one message from the server until it is settled
 *
 * One thread of the instance, "io", owns the connection: it alone calls the
 * client library, whose external event loop mode it serves, so that no call of
 * the host ever waits for a socket. It speaks JetStream's own protocol (JSON
 * requests on $JS.API, acknowledgements as published words), which is the
 * server's contract with all of its clients; the library's structs for it
 * differ between versions.
 *
 * weir_inst.lock guards what the host's threads and io share. What is marked
 * "io" belongs to that thread. The lock is never held across a call of the
 * library.
 */
#ifndef WEIR_DRIVER_JETSTREAM_H
#define WEIR_DRIVER_JETSTREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "nats/login.h"
#include "../common/list.h"

enum {
	WEIR_JS_MAX_NAME = 200, /* of a stream, a consumer; the server has 255 */
	WEIR_JS_MAX_SUBJECT = 512,
	WEIR_JS_MAX_INFLIGHT = 16384,  /* publishes accepted and not yet reported; a power of two */
	WEIR_JS_MAX_QUEUED = 64 << 20, /* bytes of them */
	WEIR_JS_MAX_HEADERS = 512,
	WEIR_JS_OVERHEAD = 4096,    /* of a message: what framing and our own headers may add */
	WEIR_JS_API_MS = 3000,      /* a question to the server; it is asked again */
	WEIR_JS_QUIET_MS = 4000,    /* after it we ask whether the server is still there */
	WEIR_JS_DEAD_MS = 10000,    /* after it the connection is given up */
	WEIR_JS_PULL_MS = 30000,    /* a request for messages */
	WEIR_JS_PULL_MAX = 4096,    /* messages in one */
	WEIR_JS_BEAT_MS = 5000,     /* the server says that a request is still open */
	WEIR_JS_PUBLISH_MS = 10000, /* for items without a deadline */
	WEIR_JS_PIN_MS = 3000,      /* silence after which another member has its turn */
};

#define WEIR_JS_MS INT64_C(1000000)

/* ---- settings ------------------------------------------------------------- */

struct settings {
	struct weir_nats_login login;
	char *stream_pattern, *subject_pattern, *consumer_pattern;
	char *inbox_prefix;
	char api[128]; /* "$JS.API" or "$JS.DOMAIN.API" */
	bool create, memory, discard_old, interest, deduplicate;
	int replicas;
	int64_t max_bytes, max_messages, max_age_ms, duplicates_ms;
	uint32_t ack_wait_ms;
	int64_t max_ack_pending;
};

/* ---- objects ------------------------------------------------------------- */

/* An event about one object, kept in that object: reporting it cannot fail for lack of memory. */
struct notice {
	struct link link; /* in weir_inst.notices */
	uint32_t type;    /* enum weir_event_type */
	struct weir_topic *topic;
	struct weir_sub *sub;
	uint64_t epoch, position, position_end;
	struct weir_error error;
};

/* A message of the library, and its headers as the host wants them. A lease is a reference. */
struct record {
	atomic_uint refs;
	uint32_t bytes;
	natsMsg *msg;
	struct weir_record content;
	struct weir_header headers[];
};

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_SENT };

struct slot {
	struct link link; /* in inst.free, inst.incoming, topic.queued or topic.sent */
	struct weir_topic *topic;
	natsMsg *msg;
	uint64_t tag;
	int64_t deadline_ns, sent_ns;
	uint32_t generation; /* counts its uses: a late answer to an earlier one is not for this one */
	uint32_t bytes;
	uint8_t state; /* enum slot_state */
	bool maybe;    /* it was sent once, and what became of it is not known */
};

struct completion {
	struct weir_topic *topic;
	uint64_t tag, position;
	int32_t native; /* the server's code of an error */
	uint16_t code;  /* enum weir_code */
	uint8_t outcome;
};

enum object_state { STATE_WANTED, STATE_ASKED, STATE_READY, STATE_FAILED };

struct weir_topic {
	struct link link; /* in inst.topics or new_topics, until the end: completions may name it */
	struct weir_inst *inst;
	uint32_t opened;
	bool fresh;               /* opened again: the host waits to hear that it is ready */
	enum object_state state;  /* io; read by others under the lock */
	int64_t retry_ns;         /* io: not to be asked before */
	struct link queued, sent; /* io: slots */
	int64_t duplicates_ms;    /* io: window in which the server knows an event again */
	int64_t created;          /* io: when the stream was made: another one of its name has other positions */
	uint64_t first_seq, records, bytes;
	bool lossy;
	struct notice notice;
	char words[200]; /* what the server last said about a publish that it refused */
	char subject[WEIR_JS_MAX_SUBJECT];
	const char *ns, *channel; /* behind the name */
	char stream[];            /* its name */
};

enum entry_state { ENTRY_READY, ENTRY_OUT };

struct entry {
	struct link link;    /* in sub.ready or sub.out */
	struct entry *chain; /* same bucket of sub.table */
	struct record *record;
	uint64_t seq;        /* in the stream */
	int64_t time_ns;     /* when it was stored; with seq it names a message for good */
	int64_t out_ns;      /* when it was handed out */
	int64_t deadline_ns; /* ENTRY_OUT: until then the host works on it */
	int64_t touched_ns;  /* when the server's patience was last renewed */
	uint32_t attempt;
	uint8_t state; /* enum entry_state */
};

/* What was settled lately: the server may not have heard of it. */
struct settled {
	uint64_t seq;
	int64_t time_ns;
	int verb;
};

/* A word that is to be said about a message. */
struct word {
	struct record *record;
	int verb; /* enum weir_verb */
	int64_t arg;
};

struct weir_sub {
	struct link link; /* in inst.subs, or inst.new_subs */
	struct weir_inst *inst;
	struct weir_topic *topic;
	uint64_t number; /* of the consumer in this process: its members share it */
	uint64_t epoch;
	uint32_t start;
	int64_t start_value;
	uint32_t ack_wait_ms, window;
	bool ordered;

	enum object_state state; /* io; read by others under the lock */
	int64_t retry_ns;        /* io */
	bool was_ready;          /* io: it had its consumer once */
	uint64_t floor;          /* io: all before it are settled, as the server last said */
	int64_t created;         /* io: of the stream */
	int64_t asked_ns;        /* io: when figures were last asked for */
	uint64_t told_first;     /* io: the first position when a gap was last told */
	natsSubscription *inbox; /* io */
	uint64_t requested;      /* io: messages asked for and not come */
	int64_t heard_ns;        /* io: last word of the server about it */
	int64_t pull_ns;         /* io: not to be asked before */
	int64_t linger_ns;       /* io: a small request waits until then to become a larger one */
	bool pinned;             /* io: the consumer serves one member at a time */
	bool warned, making;     /* io: ... and should, but cannot; its consumer was not there */
	char pin[64];            /* io: what names us as that one; "" while we are not known to be */
	int64_t pin_ns;          /* io: when the server last heard that we still are */
	int64_t barrier_ns;      /* io: when it was last asked what the one before has left */
	int64_t left_ns;         /* io: since when what it has left is waited for; it is asked for behind its time */
	uint64_t foreign;        /* io: how much that is */

	/* Under the lock. */
	bool closing, paused;
	bool barrier; /* what the member before has left unsettled has not all come yet */
	int64_t credit_records, credit_bytes;
	struct link ready, out;
	uint64_t ready_count, unsettled, redelivered, highest;
	uint64_t behind;  /* messages that the server still has for us */
	int64_t known_ns; /* what was stored before is counted in `behind` */
	bool curious;     /* somebody wants to know: io is to ask */
	uint32_t mean_bytes;
	struct entry **table; /* by seq */
	size_t table_room;
	struct settled *settled;
	size_t settled_room;
	struct notice notice, stopped, gap, revoked;
	struct command *quit; /* made with it: to be rid of it cannot fail */
	char consumer[];
};

/* A consumer that this process knows or knew. */
struct group {
	struct link link;
	uint64_t number, highest; /* the highest position that was handed out */
	char name[];              /* STREAM/CONSUMER */
};

/* A question that waits for its answer. */
struct call {
	struct link link;
	uint64_t id;
	int64_t asked_ns, deadline_ns;
	void (*done)(struct weir_inst *inst, struct call *call, struct json_object *answer,
		     const struct weir_error *failure);
	struct weir_topic *topic;
	struct weir_sub *sub;
	struct command *command;
};

enum command_kind { COMMAND_UNSUBSCRIBE, COMMAND_DELETE_TOPIC };

/* What a thread of the host waits for. Two references: that thread's and io's. */
struct command {
	struct link link; /* in inst.commands */
	int kind, refs;   /* refs under the lock */
	struct weir_sub *sub;
	int keep;
	bool finished;
	int64_t deadline_ns;
	struct weir_error error;
	char stream[WEIR_JS_MAX_NAME + 1], consumer[WEIR_JS_MAX_NAME + 1];
};

/* What the library tells in a thread of its own; outlives the instance if it must. */
struct voice {
	atomic_uint refs;
	pthread_mutex_t lock;
	int status;
	char text[256];
};

struct weir_inst {
	const struct weir_host *host;
	struct settings settings;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a command, pending, or the first word about the connection */
	pthread_t thread;
	int event_fd; /* eventfd: the host's poll() has something to take */
	int io_fd;    /* eventfd: io has something to do */
	int epoll_fd;
	atomic_bool io_woken, io_nudged, raised;
	bool urgent;       /* io: it was woken for something that must not wait */
	int64_t nudged_ns; /* io: since when something waits that may */
	bool orphan;       /* close() did not wait: io frees all */

	/* The connection. io, except where said. */
	natsConnection *nc;
	int fd;
	struct voice *voice;
	bool lost, want_write, out_armed, readable;
	int server;
	int64_t connect_ns, backoff_ms;
	int64_t heard_ns, beat_ns, tick_ns;
	uint64_t call_count, connect_count;
	natsSubscription *control;
	struct link calls;
	bool account_asked, account_ok;
	uint64_t flushed, flush_wanted; /* numbers of the marks that came back and that were sent */
	char inbox[128], control_inbox[160];

	/* Under the lock. */
	bool stop, abort, stopped, is_up, tried;
	int64_t stop_ns;
	uint64_t max_payload;
	/*
	 * Only io changes `topics` and `subs` (with the lock), so it may walk them without. What the host makes goes
	 * to `new_...` first.
	 */
	struct link topics, new_topics, subs, new_subs, groups, notices, commands;
	uint64_t turn; /* which subscription is the first in the next poll() */
	struct notice up, down, writable, caps;
	struct slot *slots;
	struct link free, incoming;
	uint64_t pending, queued_bytes, writable_at;
	bool want_writable;
	struct completion *done; /* ring of WEIR_JS_MAX_INFLIGHT */
	uint64_t done_head, done_count;
	struct word *words, *saying; /* `saying` is io's: the two change places */
	size_t word_count, word_room, saying_count, saying_room;
	uint64_t out_count; /* entries handed out, over all subscriptions: each may need room for a word */
	uint64_t group_count, first_epoch, next_epoch;
	struct link spare; /* entries for later messages */
	uint64_t spare_count;
	uint64_t stale, acks, nonce;
	struct weir_error errors[32]; /* lent until the next poll() */
};

/* ---- jetstream.c ----------------------------------------------------------- */

int64_t weir_js_now(void);
void weir_js_log(const struct weir_inst *inst, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells the host's poll() to look; tells io to look. */
void weir_js_raise(struct weir_inst *inst);
void weir_js_wake(struct weir_inst *inst);
/* The same for what may wait for a millisecond, to be done together with more of its kind. */
void weir_js_nudge(struct weir_inst *inst);
/* Lock held. */
void weir_js_notify(struct weir_inst *inst, struct notice *notice);
void weir_js_inst_free(struct weir_inst *inst);

/* ---- options.c --------------------------------------------------------------- */

extern const struct weir_option weir_js_options[];
extern const uint32_t weir_js_option_count;

int weir_js_settings_init(struct settings *settings, const struct weir_setting *given, size_t count,
			  struct weir_error *err);
void weir_js_settings_fini(struct settings *settings);
/* Names of a channel and a subscription on the server. `size` bytes at `ret`. */
int weir_js_stream_name(const struct settings *settings, const char *ns, const char *name, char *ret, size_t size,
			struct weir_error *err);
int weir_js_subject(const struct settings *settings, const char *ns, const char *name, char *ret, size_t size,
		    struct weir_error *err);
int weir_js_consumer_name(const struct settings *settings, const char *ns, const char *name, const char *uid, char *ret,
			  size_t size, struct weir_error *err);

/* ---- errors.c ----------------------------------------------------------------- */

/* The code for an error of the server: {"code": http, "err_code": native}. */
int weir_js_code(int http, int native);
/* Fills `err` from an answer's "error"; false if there is none. printf rules. */
bool weir_js_refused(struct json_object *answer, struct weir_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- io.c: the thread ------------------------------------------------------------ */

void *weir_js_io_thread(void *arg);

/* ---- conn.c: the connection. io ---------------------------------------------------- */

void weir_js_connect(struct weir_inst *inst);
void weir_js_disconnect(struct weir_inst *inst, const struct weir_error *why);
void weir_js_reachable(struct weir_inst *inst, bool up, const struct weir_error *why);
/* Sends what is buffered, as far as the socket takes it. */
void weir_js_write(struct weir_inst *inst);
/* Takes what came for the instance itself: answers, confirmations. */
void weir_js_control(struct weir_inst *inst);
/* Is anybody there? Once in a while. */
void weir_js_pulse(struct weir_inst *inst, int64_t now);
/* A mark that comes back once the server has read all that was sent before it. */
void weir_js_mark(struct weir_inst *inst);
bool weir_js_say(struct weir_inst *inst, const char *subject, const char *text, size_t len);
/* What the library said about the connection since the last time: "" if nothing. */
void weir_js_complaint(struct weir_inst *inst, char text[256]);

/* ---- api.c: questions to the server. io ---------------------------------------------- */

/* Asks API.`verb`. `done` is called once, always; false (and no call) without a connection or memory. */
bool weir_js_ask(struct weir_inst *inst, const struct call *call, const char *body, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void weir_js_answered(struct weir_inst *inst, uint64_t id, natsMsg *msg);
void weir_js_calls_expire(struct weir_inst *inst, int64_t now);
void weir_js_calls_fail(struct weir_inst *inst, const struct weir_error *why);
/* Nobody waits any more for answers about them. NULL: any. */
void weir_js_calls_forget(struct weir_inst *inst, const struct weir_sub *sub);
/* Member of an object, or NULL / the fallback. `path` parts with dots. */
struct json_object *weir_js_get(struct json_object *object, const char *path);
int64_t weir_js_get_int(struct json_object *object, const char *path, int64_t fallback);
const char *weir_js_get_text(struct json_object *object, const char *path);

/* ---- topic.c ------------------------------------------------------------------------ */

int weir_js_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
		       struct weir_error *err);
void weir_js_topic_close(struct weir_inst *inst, struct weir_topic *topic);
int weir_js_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			 struct weir_error *err);
void weir_js_topics_free(struct weir_inst *inst);
/* io: asks for those that are wanted. */
void weir_js_topics_tend(struct weir_inst *inst, int64_t now);
/* io: something says that the stream may be gone. */
void weir_js_topic_doubt(struct weir_topic *topic);
void weir_js_delete_stream(struct weir_inst *inst, struct command *command);

/* ---- publish.c ------------------------------------------------------------------------ */

int weir_js_publish(struct weir_inst *inst, const struct weir_publish *items, size_t count, size_t *accepted,
		    struct weir_error *err);
int weir_js_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left);
/* io: sends what waits and can be sent. */
void weir_js_publish_send(struct weir_inst *inst, int64_t now);
/* io: the server's answer to slot `id`. */
void weir_js_published(struct weir_inst *inst, uint64_t id, natsMsg *msg);
/* io: nothing that was sent is known to have come. */
void weir_js_publish_lost(struct weir_inst *inst);
void weir_js_publish_expire(struct weir_inst *inst, int64_t now);
void weir_js_publish_abort(struct weir_inst *inst);
/* io: what waits for a topic is answered with its error. */
void weir_js_publish_fail(struct weir_topic *topic, int code, int native);

/* ---- sub.c: subscriptions as the host sees them ------------------------------------------ */

int weir_js_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
		      struct weir_sub **ret, struct weir_error *err);
int weir_js_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			struct weir_error *err);
int weir_js_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes);
int weir_js_pause(struct weir_inst *inst, struct weir_sub *sub, int on);
int weir_js_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret);
/* io, lock not held: gives back what it has and frees it. */
void weir_js_sub_free(struct weir_sub *sub);
struct command *weir_js_command_new(int kind, int64_t deadline_ns);
/* Waits until io has done it, or the deadline. Drops the caller's reference. */
int weir_js_command_run(struct weir_inst *inst, struct command *command, struct weir_error *err);
void weir_js_command_finish(struct weir_inst *inst, struct command *command, const struct weir_error *failure);

/* ---- consumer.c: the consumer behind a subscription. io ------------------------------------- */

void weir_js_subs_tend(struct weir_inst *inst, int64_t now);
void weir_js_sub_doubt(struct weir_sub *sub, int64_t wait_ms);
/* Its connection is gone. */
void weir_js_sub_cut(struct weir_sub *sub);
void weir_js_delete_consumer(struct weir_inst *inst, struct command *command);

/* ---- pull.c: messages from the server. io --------------------------------------------------- */

bool weir_js_sub_listen(struct weir_sub *sub);
/* Takes what came. */
void weir_js_receive(struct weir_sub *sub, int64_t now);
/* Asks for more if there is room. Milliseconds until it wants to be called again; -1: not by itself. */
int weir_js_pull(struct weir_sub *sub, int64_t now);

/* ---- order.c: one member after the other. io ----------------------------------------------- */

/* What makes a consumer serve one member at a time. */
void weir_js_pin_set(struct json_object *config);
bool weir_js_pin_is_set(struct json_object *config);
/* The pin that came with a message: a new one means that it is our turn now. */
void weir_js_pin_take(struct weir_sub *sub, natsMsg *msg);
void weir_js_pin_lose(struct weir_sub *sub);
/* What a request says about it: "" or ",...". */
void weir_js_pin_name(const struct weir_sub *sub, char *ret, size_t size);
/* While we wait for what the one before has left: how much may be asked for. */
uint64_t weir_js_pin_room(struct weir_sub *sub, int64_t now);
/* Says that we are still there, and asks what there is to wait for. Milliseconds until the next time; -1: none. */
int weir_js_pin_tend(struct weir_sub *sub, int64_t now);

/* ---- entry.c: what came and is not settled --------------------------------------------------- */

void weir_js_release(void *lease);
struct record *weir_js_record_new(natsMsg *msg);
/* Lock held. */
struct entry *weir_js_entry_find(const struct weir_sub *sub, uint64_t seq);
struct entry *weir_js_entry_new(struct weir_inst *inst);
bool weir_js_entry_add(struct weir_sub *sub, struct entry *entry);
/* Takes it out of the subscription and frees it, its record's reference too. */
void weir_js_entry_drop(struct weir_sub *sub, struct entry *entry);
const struct settled *weir_js_settled_find(const struct weir_sub *sub, uint64_t seq, int64_t time_ns);
/* Lock held. Takes over a reference of `record`; false (and dropped) without memory. */
bool weir_js_word_add(struct weir_inst *inst, struct record *record, int verb, int64_t arg);
/* Lock held: so that a word for each of `more` more can be added. */
bool weir_js_words_reserve(struct weir_inst *inst, size_t more);
/* io: says them. */
void weir_js_words_say(struct weir_inst *inst);
/* io: messages that are held here, or worked on, stay ours. `all`: not only those that need it now. */
void weir_js_keep(struct weir_sub *sub, int64_t now, bool all);
int weir_js_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		   size_t count, int64_t arg, uint16_t *codes);

/* ---- poll.c --------------------------------------------------------------------------------- */

int weir_js_poll(struct weir_inst *inst, struct weir_driver_event *events, size_t max, int64_t timeout_ns,
		 size_t *count);

#endif
