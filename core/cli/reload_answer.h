/* SPDX-License-Identifier: Apache-2.0 */
/* cli/reload_answer: what became of a reload, for POST /reload. */
#ifndef WEIR_CLI_RELOAD_ANSWER_H
#define WEIR_CLI_RELOAD_ANSWER_H

#include <stdint.h>

#include <weir/error.h>

#include "base/dynbuf.h"
#include "config/plan.h"

enum weir_reload_result {
	WEIR_RELOAD_APPLIED,
	WEIR_RELOAD_INVALID,       /* the configuration is wrong */
	WEIR_RELOAD_NEEDS_RESTART, /* something in it cannot change while Weir runs */
	WEIR_RELOAD_FAILED,        /* a backend did not open, memory is short */
};

struct weir_reload_outcome {
	enum weir_reload_result result;
	struct weir_error error; /* unless it was applied */
	struct weir_dynbuf said; /* all that is wrong, a line each */
	struct weir_plan plan;
};

/* The first thing that was said becomes the error. */
void weir_reload_first_line(const struct weir_dynbuf *said, struct weir_error *err);
/* Writes the body; returns the status. What does not fit is left out: then there is no body. */
int weir_reload_answer(const struct weir_reload_outcome *outcome, uint64_t generation, struct weir_dynbuf *body);

#endif
