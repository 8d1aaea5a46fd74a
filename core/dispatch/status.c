/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/status.h"

const struct weir_status *weir_status_of_code(int code)
{
	static const struct weir_status invalid = { 400, "invalid_event", "This is not a valid CloudEvent." };
	static const struct weir_status media = { 415, "unsupported_media_type",
						  "The content type is no event format that is accepted here." };
	static const struct weir_status too_big = { 413, "too_large", "The event is larger than the channel takes." };
	static const struct weir_status full = { 429, "full", "The channel's queue is full; send again later." };
	static const struct weir_status nowhere = { 404, "unknown_channel", "There is no such channel." };
	static const struct weir_status storage = { 503, "storage_exhausted",
						    "The channel has no room left; nothing was stored." };
	static const struct weir_status unknown = { 503, "outcome_unknown",
						    "The event may or may not be stored; send it again." };
	static const struct weir_status unavailable = { 503, "unavailable",
							"The event was not stored; send it again later." };

	switch (code) {
	case WEIR_EINVAL:
		return &invalid;
	case WEIR_EMEDIATYPE:
		return &media;
	case WEIR_ETOOBIG:
		return &too_big;
	case WEIR_EAGAIN:
		return &full;
	case WEIR_ENOTFOUND:
		return &nowhere;
	case WEIR_ELIMIT:
		return &storage;
	case WEIR_ETIMEDOUT:
	case WEIR_EUNKNOWN:
		return &unknown;
	default:
		return &unavailable;
	}
}
