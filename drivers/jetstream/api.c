/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the server, and who waits for the answers. All of it runs on io. */
#include "jetstream.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading answers ----------------------------------------------------------------- */

struct json_object *weir_js_get(struct json_object *object, const char *path)
{
	char part[64];

	while (object && *path) {
		size_t len = strcspn(path, ".");

		snprintf(part, sizeof part, "%.*s", (int)len, path);
		if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, part, &object))
			return NULL;
		path += len;
		path += *path == '.';
	}
	return object;
}

int64_t weir_js_get_int(struct json_object *object, const char *path, int64_t fallback)
{
	struct json_object *value = weir_js_get(object, path);

	return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : fallback;
}

const char *weir_js_get_text(struct json_object *object, const char *path)
{
	struct json_object *value = weir_js_get(object, path);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* ---- asking -------------------------------------------------------------------------- */

bool weir_js_ask(struct weir_inst *inst, const struct call *call, const char *body, const char *format, ...)
{
	char subject[WEIR_JS_MAX_SUBJECT + 128], reply[sizeof inst->inbox + 32];
	struct call *copy = malloc(sizeof *copy);
	size_t used = (size_t)snprintf(subject, sizeof subject, "%s.", inst->settings.api);
	va_list args;

	if (!copy || !inst->nc) {
		free(copy);
		return false;
	}
	*copy = *call;
	copy->id = ++inst->call_count;
	copy->asked_ns = weir_js_now();
	copy->deadline_ns = copy->asked_ns + WEIR_JS_API_MS * WEIR_JS_MS;
	va_start(args, format);
	vsnprintf(subject + used, sizeof subject - used, format, args);
	va_end(args);
	snprintf(reply, sizeof reply, "%s.c.a%llx", inst->inbox, (unsigned long long)copy->id);
	if (natsConnection_PublishRequest(inst->nc, subject, reply, body, body ? (int)strlen(body) : 0) != NATS_OK) {
		free(copy);
		return false;
	}
	weir_list_init(&copy->link);
	weir_list_append(&inst->calls, &copy->link);
	return true;
}

/* ---- answers -------------------------------------------------------------------------- */

static void finish(struct weir_inst *inst, struct call *call, struct json_object *answer,
		   const struct weir_error *failure)
{
	weir_list_unlink(&call->link);
	if (call->done)
		call->done(inst, call, answer, failure);
	free(call);
}

static struct json_object *parse(natsMsg *msg)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *ret;

	if (!tokener)
		return NULL;
	ret = json_tokener_parse_ex(tokener, natsMsg_GetData(msg), natsMsg_GetDataLength(msg));
	if (json_tokener_get_error(tokener) != json_tokener_success || !json_object_is_type(ret, json_type_object)) {
		json_object_put(ret);
		ret = NULL;
	}
	json_tokener_free(tokener);
	return ret;
}

void weir_js_answered(struct weir_inst *inst, uint64_t id, natsMsg *msg)
{
	struct weir_error failure = WEIR_ERROR_INIT;
	struct json_object *answer = NULL;
	struct link *at;

	for (at = inst->calls.next; at != &inst->calls; at = at->next)
		if (weir_list_entry(at, struct call, link)->id == id)
			break;
	if (at == &inst->calls)
		return;
	if (natsMsg_IsNoResponders(msg)) {
		weir_fail(
		    &failure, WEIR_EUNAVAIL,
		    "jetstream: nobody at %.150s answers for JetStream; is it enabled (nats-server -js), for this "
		    "account too, and is jetstream.domain right?",
		    inst->settings.login.shown);
		failure.scope = WEIR_SCOPE_INSTANCE;
	} else if (!(answer = parse(msg))) {
		weir_fail(&failure, WEIR_EUNAVAIL, "jetstream: the server's answer is no JSON");
	}
	finish(inst, weir_list_entry(at, struct call, link), answer, answer ? NULL : &failure);
	json_object_put(answer);
}

void weir_js_calls_fail(struct weir_inst *inst, const struct weir_error *why)
{
	struct link mine;

	/* Whoever hears of it may ask again: those are not failed. */
	weir_list_init(&mine);
	weir_list_append_all(&mine, &inst->calls);
	while (weir_list_linked(&mine))
		finish(inst, weir_list_entry(mine.next, struct call, link), NULL, why);
}

void weir_js_calls_expire(struct weir_inst *inst, int64_t now)
{
	struct weir_error failure = WEIR_ERROR_INIT;
	char complaint[256];

	/* They are in the order of their deadlines. */
	while (weir_list_linked(&inst->calls)) {
		struct call *call = weir_list_entry(inst->calls.next, struct call, link);

		if (call->deadline_ns > now)
			return;
		weir_js_complaint(inst, complaint);
		if (strcasestr(complaint, "permissions violation"))
			weir_fail(&failure, WEIR_ENOPERM, "jetstream: %.250s; let the user publish to %s.>", complaint,
				  inst->settings.api);
		else
			weir_fail(&failure, WEIR_ETIMEDOUT, "jetstream: the server did not answer within %d ms",
				  WEIR_JS_API_MS);
		finish(inst, call, NULL, &failure);
	}
}

void weir_js_calls_forget(struct weir_inst *inst, const struct weir_sub *sub)
{
	struct link *at, *next;

	for (at = inst->calls.next; at != &inst->calls; at = next) {
		struct call *call = weir_list_entry(at, struct call, link);

		next = at->next;
		if (call->sub != sub)
			continue;
		weir_list_unlink(at);
		free(call);
	}
}
