/* SPDX-License-Identifier: Apache-2.0 */
/* ERR: errors tell the truth, and enough of it. */
#include "conform/case.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

static void look_at(struct weir_rig *rig, const struct weir_error *err, int code, const char *what)
{
	WEIR_EXPECT(rig, err->code == code, "%s answered %s, and its error says %s", what, weir_code_name(code),
		    weir_code_name(err->code));
	WEIR_EXPECT(rig, strcmp(weir_code_name(code), "?") != 0, "%s answered %d, which is no code", what, code);
	WEIR_EXPECT(rig, memchr(err->text, 0, sizeof err->text) && err->text[0], "the error of %s has no text", what);
	WEIR_EXPECT(rig, !strchr(err->text, '\n'), "the error of %s is not one line", what);
	WEIR_EXPECT(rig, err->retry <= WEIR_RETRY_AFTER_REOPEN && err->scope <= WEIR_SCOPE_INSTANCE,
		    "the error of %s has a class or scope that is none", what);
}

static int too_large(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_error *err)
{
	size_t size = (size_t)rig->caps.max_record_bytes + 1;
	char *bytes = weir_mem_zalloc(1, size);
	struct weir_record record = { .body = { bytes, size } };
	uint64_t number;
	int code;

	if (!bytes)
		weir_rig_fail(rig, "the kit has no memory");
	code = weir_rig_try_send_record(rig, topic, &record, &number, err);
	weir_mem_free(bytes);
	return code;
}

static void err_02(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_error err = WEIR_ERROR_INIT;

	if (!rig->caps.max_record_bytes)
		weir_rig_skip(rig, "it tells no limit that a record could be beyond");
	/* What is permanent is permanent: the same call fails the same way. */
	for (int i = 0; i < 3; i++)
		weir_rig_code(rig, "publish of what is too large", too_large(rig, topic, &err), WEIR_ETOOBIG);
	WEIR_EXPECT(rig, err.retry == WEIR_RETRY_NEVER, "what can never pass is marked as worth another try");
}

static void err_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_topic *none = NULL;
	int code = rig->ops->topic_open(rig->inst, "conform", "a\nb", &none, &err);

	look_at(rig, &err, code, "topic_open of a name that cannot be");
	err = (struct weir_error)WEIR_ERROR_INIT;
	if (rig->caps.max_record_bytes && (code = too_large(rig, topic, &err)) != WEIR_OK)
		look_at(rig, &err, code, "publish of what is too large");
	/* NULL is allowed wherever an error goes. */
	WEIR_EXPECT(rig, rig->ops->topic_open(rig->inst, "conform", "a\nb", &none, NULL) == WEIR_EINVAL,
		    "without an error to fill, topic_open answers something else");
}

static void err_04(struct weir_rig *rig)
{
	struct weir_rig_topic *topic = weir_rig_topic(rig, "t");
	struct weir_rig_sub *sub = weir_rig_subscribe(rig, topic, "s", WEIR_START_LATEST);
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_topic *none = NULL;

	weir_rig_credit(rig, sub, 10);
	if (rig->caps.max_record_bytes) {
		weir_rig_code(rig, "publish of what is too large", too_large(rig, topic, &err), WEIR_ETOOBIG);
		WEIR_EXPECT(rig, err.scope == WEIR_SCOPE_CALL, "an error of one record has scope %u", err.scope);
	}
	weir_rig_code(rig, "topic_open of a name that cannot be",
		      rig->ops->topic_open(rig->inst, "conform", "", &none, &err), WEIR_EINVAL);
	weir_rig_marker(rig, topic, sub);
	WEIR_EXPECT(rig, !rig->seen[WEIR_EV_FATAL] && !rig->seen[WEIR_EV_SUB_FAILED],
		    "an error of one call took a subscription or the instance along");
}

static const struct weir_conform_case cases[] = {
	{ "ERR-02", WEIR_MUST, 0, 0, 0, err_02, NULL, "what is permanent fails again, and says so", NULL },
	{ "ERR-03", WEIR_MUST, 0, 0, 0, err_03, NULL, "every error has a code, a text of one line, a class and a scope",
	  NULL },
	{ "ERR-04", WEIR_MUST, 0, 0, 0, err_04, NULL, "an error of one call takes nothing else along", NULL },
};

WEIR_GROUP(errors, "ERR", "errors");
