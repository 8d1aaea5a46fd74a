/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/note.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_SEGMENTS = 64,
	MAX_NOTES = 16 * 1024, /* bytes of one note segment; of MAX_NOTE_SEGMENTS at most */
	MAX_NOTE_SEGMENTS = 4,
	NOTE_TYPE = 1,
};

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#elif defined(__riscv)
#define HOST_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define HOST_MACHINE EM_PPC64
#elif defined(__s390x__)
#define HOST_MACHINE EM_S390
#elif defined(__i386__)
#define HOST_MACHINE EM_386
#elif defined(__arm__)
#define HOST_MACHINE EM_ARM
#else
#error "say which ELF machine this is"
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_DATA ELFDATA2LSB
#else
#define HOST_DATA ELFDATA2MSB
#endif
#define HOST_CLASS (__ELF_NATIVE_CLASS == 64 ? ELFCLASS64 : ELFCLASS32)

struct reader {
	int fd;
	const char *path;
	uint64_t size;
	struct weir_error *err;
};

static int damaged(const struct reader *in, const char *what)
{
	return weir_fail(in->err, WEIR_EINVAL, "driver %s: %s; reinstall it", in->path, what);
}

static int read_at(const struct reader *in, void *into, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset > in->size || len > in->size - offset)
		return damaged(in, "the file is truncated");
	while (done < len) {
		ssize_t got = pread(in->fd, (char *)into + done, len - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int code =
			    weir_fail(in->err, WEIR_EIO, "driver %s: cannot be read: %s", in->path, strerror(errno));

			weir_error_native(in->err, "errno", errno);
			return code;
		}
		if (got == 0)
			return damaged(in, "the file is truncated");
		done += (size_t)got;
	}
	return WEIR_OK;
}

static int read_header(const struct reader *in, ElfW(Ehdr) * header)
{
	int code;

	if (in->size < SELFMAG)
		return damaged(in, "not an ELF file");
	code = read_at(in, header->e_ident, SELFMAG, 0);
	if (code)
		return code;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return damaged(in, "not an ELF file");
	code = read_at(in, header, sizeof *header, 0);
	if (code)
		return code;
	if (header->e_ident[EI_CLASS] != HOST_CLASS || header->e_ident[EI_DATA] != HOST_DATA ||
	    header->e_machine != HOST_MACHINE)
		return damaged(in, "built for another kind of machine");
	if (header->e_type != ET_DYN)
		return damaged(in, "not a shared object");
	if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 || header->e_phnum > MAX_SEGMENTS)
		return damaged(in, "its program headers are damaged");
	return WEIR_OK;
}

static bool is_name(const char *text, size_t size, bool kind)
{
	size_t len = strnlen(text, size);

	if (len == 0 || len == size)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';

		if (lower || (kind && upper))
			continue;
		if (i == 0 || !((c >= '0' && c <= '9') || (!kind && c == '-')))
			return false;
	}
	return true;
}

/* The description of our own note, `len` bytes. */
static int take_note(const struct reader *in, const char *bytes, size_t len, struct weir_note *ret)
{
	struct weir_driver_note note;
	const size_t head = offsetof(struct weir_driver_note, abi_major);

	if (len < sizeof note - head)
		return damaged(in, "its note is damaged");
	memcpy((char *)&note + head, bytes, sizeof note - head);
	ret->abi_major = note.abi_major;
	ret->abi_minor = note.abi_minor;
	/* A later major version may lay out the rest in another way. */
	memset(ret->name, 0, sizeof ret->name);
	memset(ret->kind, 0, sizeof ret->kind);
	if (note.abi_major != WEIR_ABI_MAJOR)
		return WEIR_OK;
	if (!is_name(note.name, sizeof note.name, false) || !is_name(note.kind, sizeof note.kind, true))
		return damaged(in, "its note is damaged");
	memcpy(ret->name, note.name, sizeof ret->name);
	memcpy(ret->kind, note.kind, sizeof ret->kind);
	return WEIR_OK;
}

static uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* WEIR_ENOTFOUND: none of ours in this segment. */
static int scan_notes(const struct reader *in, const char *bytes, size_t len, uint64_t align, struct weir_note *ret)
{
	uint64_t at = 0;

	while (at <= len && len - at >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) head;
		uint64_t name, desc, end;

		memcpy(&head, bytes + at, sizeof head);
		name = at + sizeof head;
		desc = round_up(name + head.n_namesz, align);
		end = desc + head.n_descsz;
		if (desc > len || end > len)
			return damaged(in, "its notes are damaged");
		if (head.n_type == NOTE_TYPE && head.n_namesz == sizeof "Weir" &&
		    memcmp(bytes + name, "Weir", sizeof "Weir") == 0)
			return take_note(in, bytes + desc, head.n_descsz, ret);
		at = round_up(end, align);
	}
	return WEIR_ENOTFOUND;
}

static int read_segment(const struct reader *in, const ElfW(Phdr) * segment, struct weir_note *ret)
{
	char bytes[MAX_NOTES];
	int code;

	if (segment->p_filesz > sizeof bytes)
		return damaged(in, "its notes are too large");
	code = read_at(in, bytes, segment->p_filesz, segment->p_offset);
	if (code)
		return code;
	return scan_notes(in, bytes, segment->p_filesz, segment->p_align == 8 ? 8 : 4, ret);
}

static int check_mapped(const struct reader *in, const ElfW(Phdr) * segments, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const ElfW(Phdr) *segment = &segments[i];

		if (segment->p_type != PT_LOAD && segment->p_type != PT_DYNAMIC)
			continue;
		if (segment->p_offset > in->size || segment->p_filesz > in->size - segment->p_offset)
			return damaged(in, "the file is truncated");
	}
	return WEIR_OK;
}

static int find_note(const struct reader *in, const ElfW(Phdr) * segments, size_t count, struct weir_note *ret)
{
	unsigned seen = 0;

	for (size_t i = 0; i < count && seen < MAX_NOTE_SEGMENTS; i++) {
		int code;

		if (segments[i].p_type != PT_NOTE)
			continue;
		seen++;
		code = read_segment(in, &segments[i], ret);
		if (code != WEIR_ENOTFOUND)
			return code;
	}
	return weir_fail(in->err, WEIR_EINVAL, "driver %s: it has no note of Weir: not a Weir driver", in->path);
}

int weir_note_read(int fd, const char *path, struct weir_note *ret, struct weir_error *err)
{
	struct reader in = { fd, path, 0, err };
	ElfW(Phdr) segments[MAX_SEGMENTS];
	ElfW(Ehdr) header;
	struct stat info;
	int code;

	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return damaged(&in, "not a regular file");
	in.size = (uint64_t)info.st_size;
	code = read_header(&in, &header);
	if (!code)
		code = read_at(&in, segments, header.e_phnum * sizeof segments[0], header.e_phoff);
	/* The note first: a foreign file is told as that, whatever else is wrong with it. */
	if (!code)
		code = find_note(&in, segments, header.e_phnum, ret);
	if (!code)
		code = check_mapped(&in, segments, header.e_phnum);
	return code;
}
