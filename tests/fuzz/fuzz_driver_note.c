/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of driver files: whatever the file is, it is refused with a reason or its note is well formed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_note note;

	if (fd < 0)
		fd = memfd_create("driver", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (weir_note_read(fd, "/driver.so", &note, &err)) {
		if (!err.code || !strstr(err.text, "/driver.so: "))
			abort();
		return 0;
	}
	if (!memchr(note.name, '\0', sizeof note.name) || !memchr(note.kind, '\0', sizeof note.kind))
		abort();
	if (note.abi_major == WEIR_ABI_MAJOR && (!note.name[0] || !note.kind[0]))
		abort();
	return 0;
}
