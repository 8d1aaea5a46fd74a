/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reload_answer.h"

#include <inttypes.h>

#include "base/str.h"
#include "dispatch/encode.h"

static void add_member(struct weir_dynbuf *body, const char *name, struct weir_buf value)
{
	weir_dynbuf_addf(body, "\"%s\":", name);
	weir_encode_json_text(body, value);
}

static void add_problems(struct weir_dynbuf *body, const struct weir_dynbuf *said)
{
	struct weir_buf rest = weir_dynbuf_view(said), line;
	bool first = true;

	weir_dynbuf_add_text(body, ",\"problems\":[");
	while (weir_str_split(&rest, '\n', &line)) {
		if (!line.len)
			continue;
		if (!first)
			weir_dynbuf_add_char(body, ',');
		weir_encode_json_text(body, line);
		first = false;
	}
	weir_dynbuf_add_char(body, ']');
}

static void add_changes(struct weir_dynbuf *body, const struct weir_plan *plan)
{
	weir_dynbuf_add_text(body, ",\"changes\":[");
	for (size_t i = 0; i < plan->count; i++) {
		const struct weir_plan_step *step = &plan->steps[i];

		weir_dynbuf_add_text(body, i ? ",{" : "{");
		add_member(body, "effect", weir_str(weir_plan_effect_text(step->effect)));
		weir_dynbuf_add_char(body, ',');
		add_member(body, "key", weir_str(step->key));
		weir_dynbuf_add_char(body, ',');
		add_member(body, "text", weir_str(step->text));
		weir_dynbuf_add_char(body, '}');
	}
	weir_dynbuf_add_char(body, ']');
}

static const struct {
	int status;
	const char *code;
} refusals[] = {
	[WEIR_RELOAD_INVALID] = { 422, "invalid_configuration" },
	[WEIR_RELOAD_NEEDS_RESTART] = { 409, "restart_needed" },
	[WEIR_RELOAD_FAILED] = { 503, "not_applied" },
};

int weir_reload_answer(const struct weir_reload_outcome *outcome, uint64_t generation, struct weir_dynbuf *body)
{
	weir_dynbuf_addf(body, "{\"generation\":%" PRIu64 ",", generation);
	if (outcome->result == WEIR_RELOAD_APPLIED) {
		weir_dynbuf_add_text(body, "\"result\":\"applied\"");
	} else {
		add_member(body, "code", weir_str(refusals[outcome->result].code));
		weir_dynbuf_add_char(body, ',');
		add_member(body, "reason", weir_str(outcome->error.text));
	}
	if (outcome->result == WEIR_RELOAD_INVALID)
		add_problems(body, &outcome->said);
	else
		add_changes(body, &outcome->plan);
	weir_dynbuf_add_text(body, "}\n");
	return outcome->result == WEIR_RELOAD_APPLIED ? 200 : refusals[outcome->result].status;
}

void weir_reload_first_line(const struct weir_dynbuf *said, struct weir_error *err)
{
	struct weir_buf rest = weir_dynbuf_view(said), line = { NULL, 0 };

	weir_str_split(&rest, '\n', &line);
	weir_fail(err, WEIR_EINVAL, "%.*s", (int)line.len, line.ptr ? (const char *)line.ptr : "");
}
