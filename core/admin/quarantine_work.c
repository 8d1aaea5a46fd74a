/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/quarantine_work.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "dispatch/encode.h"

#define ROOT "/quarantine"

enum { LIMIT = 100, LIMIT_MAX = 1000, ANSWER_MAX_BYTES = 4 * 1024 * 1024, PUBLISH_MS = 5000 };

/* ---- the request ------------------------------------------------------------ */

static bool copy_text(struct weir_buf text, char *out, size_t size)
{
	if (text.len >= size || (text.len && memchr(text.ptr, '\0', text.len)))
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

static const char *read_parameter(struct weir_buf text, struct weir_quarantine_query *ret)
{
	struct weir_buf key;

	if (!weir_str_split(&text, '=', &key) || !text.ptr)
		return "a parameter has no value";
	if (weir_str_equal(key, WEIR_STR("limit")))
		return weir_str_to_uint(text, &ret->limit) && ret->limit > 0 && ret->limit <= LIMIT_MAX
			   ? NULL
			   : "limit must be 1 to 1000";
	if (weir_str_equal(key, WEIR_STR("after")))
		return weir_quarantine_is_name(text) && copy_text(text, ret->name, sizeof ret->name)
			   ? NULL
			   : "after must be the name of a file of quarantine";
	if (weir_str_equal(key, WEIR_STR("namespace")))
		return copy_text(text, ret->ns, sizeof ret->ns) ? NULL : "namespace is too long";
	if (weir_str_equal(key, WEIR_STR("channel")))
		return copy_text(text, ret->channel, sizeof ret->channel) ? NULL : "channel is too long";
	if (weir_str_equal(key, WEIR_STR("subscription")))
		return copy_text(text, ret->subscription, sizeof ret->subscription) ? NULL : "subscription is too long";
	return "the parameters are after, limit, namespace, channel and subscription";
}

static const char *read_verb(struct weir_buf verb, bool post, struct weir_quarantine_query *ret)
{
	if (!verb.ptr && !post)
		ret->action = WEIR_QUARANTINE_SHOW;
	else if (post && weir_str_equal(verb, WEIR_STR("replay")))
		ret->action = WEIR_QUARANTINE_REPLAY;
	else if (post && weir_str_equal(verb, WEIR_STR("drop")))
		ret->action = WEIR_QUARANTINE_DROP;
	else
		return "GET " ROOT "/NAME, or POST " ROOT "/NAME/replay or /drop";
	return NULL;
}

const char *weir_quarantine_query_read(struct weir_buf path, struct weir_buf query, bool post,
				       struct weir_quarantine_query *ret)
{
	const struct weir_buf root = WEIR_STR(ROOT "/");
	struct weir_buf name, part;
	const char *why = NULL;

	*ret = (struct weir_quarantine_query){ .limit = LIMIT };
	if (weir_str_starts(path, root)) {
		path = (struct weir_buf){ (const char *)path.ptr + root.len, path.len - root.len };
		if (!weir_str_split(&path, '/', &name) || !weir_quarantine_is_name(name) ||
		    !copy_text(name, ret->name, sizeof ret->name))
			return "there is no file of quarantine with such a name";
		return read_verb(path, post, ret);
	}
	while (query.ptr && !why && weir_str_split(&query, '&', &part))
		why = read_parameter(part, ret);
	return why;
}

/* ---- listing ---------------------------------------------------------------- */

/* One file, with memory of its own. */
struct note {
	struct weir_dynbuf text;
	struct weir_arena arena;
	struct weir_quarantine_about about;
};

static int note_load(struct note *note, const char *folder, const char *name, struct weir_error *err)
{
	int code = weir_quarantine_load(folder, name, &note->text, err);

	return code ? code : weir_quarantine_read(weir_dynbuf_view(&note->text), &note->arena, &note->about, err);
}

static void note_init(struct note *note)
{
	weir_dynbuf_init(&note->text, (size_t)256 * 1024 * 1024);
	weir_arena_init(&note->arena, 0);
}

static void note_fini(struct note *note)
{
	weir_dynbuf_fini(&note->text);
	weir_arena_fini(&note->arena);
}

static bool is_wanted(const char *wanted, struct weir_buf text)
{
	return !*wanted || weir_str_equal(weir_str(wanted), text);
}

/* False: it is not of those that are wanted, or went away meanwhile. */
static bool list_one(const struct weir_quarantine_query *query, const char *folder, const char *name, weir_event *event,
		     struct weir_dynbuf *out)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct note note;
	bool wanted = false;
	int code;

	note_init(&note);
	code = note_load(&note, folder, name, &err);
	if (code && code != WEIR_ENOTFOUND) { /* it is there, and somebody should know */
		note.about = (struct weir_quarantine_about){ .reason = weir_str(err.text) };
		wanted = !*query->ns && !*query->channel && !*query->subscription;
	} else if (!code) {
		wanted = is_wanted(query->ns, note.about.ns) && is_wanted(query->channel, note.about.channel) &&
			 is_wanted(query->subscription, note.about.subscription);
	}
	if (wanted)
		weir_quarantine_line(out, name, &note.about, event);
	note_fini(&note);
	return wanted;
}

static int list(const char *folder, const struct weir_quarantine_query *query, weir_event *event,
		struct weir_dynbuf *out, struct weir_error *err)
{
	struct weir_quarantine_names names;
	int code = weir_quarantine_list(folder, *query->name ? query->name : NULL, &names, err);
	uint64_t found = 0;
	size_t i = 0;

	for (; !code && i < names.count && found < query->limit && out->len < ANSWER_MAX_BYTES; i++)
		found += list_one(query, folder, names.items[i], event, out);
	if (!code && i && i < names.count)
		weir_dynbuf_addf(out, "{\"more\":\"%s\"}\n", names.items[i - 1]);
	weir_quarantine_names_fini(&names);
	if (!code && out->failed)
		return weir_fail(err, WEIR_ENOMEM, "out of memory for the answer");
	return code;
}

/* ---- replaying ---------------------------------------------------------------- */

/* Whether somebody is there to take it: published for nobody, it would be gone. */
struct search {
	const struct weir_quarantine_about *about;
	struct weir_buf uid;
	bool found;
};

static bool search_channel(void *ctx, const struct weir_channel_view *view)
{
	struct search *search = ctx;

	if (!weir_str_equal(weir_str(view->ns), search->about->ns) ||
	    !weir_str_equal(weir_str(view->name), search->about->channel))
		return true;
	for (size_t i = 0; i < view->subscription_count; i++)
		search->found |= weir_str_equal(weir_str(view->subscriptions[i].uid), search->uid);
	return false;
}

static struct weir_buf uid_of(const struct weir_quarantine_about *about)
{
	return about->uid.len ? about->uid : about->subscription;
}

static bool has_subscription(struct weir_dispatcher *dispatcher, const struct weir_quarantine_about *about)
{
	struct search search = { about, uid_of(about), false };

	weir_dispatcher_visit(dispatcher, search_channel, &search);
	return search.found;
}

static int publish(struct weir_dispatcher *dispatcher, const struct weir_quarantine_about *about, weir_event *event,
		   struct weir_error *err)
{
	char ns[256], name[256];
	weir_channel *channel;
	int code;

	if (!copy_text(about->ns, ns, sizeof ns) || !copy_text(about->channel, name, sizeof name))
		return weir_fail(err, WEIR_ECORRUPT, "quarantine: the file names no channel");
	if (!has_subscription(dispatcher, about))
		return weir_fail(err, WEIR_ENOTFOUND, "its channel has no such subscription any more");
	code = weir_dispatcher_open_channel(dispatcher, ns, name, &channel, err);
	if (code)
		return code;
	code = weir_channel_publish_wait(channel, event, weir_clock_after_ms(weir_clock_now_ns(), PUBLISH_MS), err);
	weir_channel_close(channel);
	return code;
}

/* As it was, for its subscription only; how often it was sent on does not count any more. */
static int make_event(const struct weir_quarantine_about *about, weir_event *event, struct weir_error *err)
{
	const struct weir_buf none = { NULL, 0 };
	int code;

	if (!about->event.ptr)
		return weir_fail(err, WEIR_EINVAL, "it is a record that is no event, which cannot be delivered");
	code = weir_event_from_json(event, about->event, err);
	if (!code)
		code = weir_event_set(event, WEIR_EVENT_FOR, uid_of(about), err);
	return code ? code : weir_event_set(event, "weirhops", none, err);
}

static int replay(struct weir_dispatcher *dispatcher, const char *folder, const char *name, weir_event *event,
		  struct weir_dynbuf *out, struct weir_error *err)
{
	struct note note;
	int code;

	note_init(&note);
	code = note_load(&note, folder, name, err);
	if (!code)
		code = make_event(&note.about, event, err);
	if (!code)
		code = publish(dispatcher, &note.about, event, err);
	if (!code) {
		weir_dynbuf_add_text(out, "{\"replayed\":");
		weir_encode_json_text(out, weir_event_attribute(event, WEIR_ATTR_ID));
		weir_dynbuf_add_text(out, "}\n");
		code = weir_quarantine_remove(folder, name, err);
	}
	weir_event_clear(event);
	note_fini(&note);
	return code;
}

int weir_quarantine_work(struct weir_dispatcher *dispatcher, const struct weir_quarantine_query *query,
			 weir_event *event, struct weir_dynbuf *out, struct weir_error *err)
{
	const char *folder = weir_dispatcher_quarantine_folder(dispatcher);
	int code;

	switch (query->action) {
	case WEIR_QUARANTINE_LIST:
		return list(folder, query, event, out, err);
	case WEIR_QUARANTINE_SHOW:
		return weir_quarantine_load(folder, query->name, out, err);
	case WEIR_QUARANTINE_REPLAY:
		return replay(dispatcher, folder, query->name, event, out, err);
	default:
		code = weir_quarantine_remove(folder, query->name, err);
		weir_dynbuf_add_text(out, "{\"dropped\":true}\n");
		return code;
	}
}
