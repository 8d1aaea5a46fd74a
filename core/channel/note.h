/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel/note: what a driver file says about itself, read without loading it.
 *
 * The file is hostile until the loader has accepted it: every offset and length
 * is checked against the file's size, nothing is mapped, and at most 64 KiB are
 * looked at.
 */
#ifndef WEIR_CHANNEL_NOTE_H
#define WEIR_CHANNEL_NOTE_H

#include <weir/driver.h>
#include <weir/error.h>

struct weir_note {
	uint32_t abi_major, abi_minor;
	char name[32]; /* [a-z][a-z0-9-]* */
	char kind[64]; /* [A-Za-z][A-Za-z0-9]* */
};

/*
 * Reads the note of the file open as `fd`; `path` is for the messages. Checks
 * also what would make dlopen(3) crash instead of fail: that all that is to be
 * mapped is there. WEIR_EINVAL: not a driver of this machine, or damaged; the
 * text says which. WEIR_EIO. Does not judge the ABI version.
 */
int weir_note_read(int fd, const char *path, struct weir_note *ret, struct weir_error *err);

#endif
