/* SPDX-License-Identifier: Apache-2.0 */
/* ABI: the shared object, and the boundary. */
#include "conform/case.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
	const unsigned char *bytes;
	size_t size;
	const ElfW(Sym) * symbols;
	size_t symbol_count;
	const char *names;
	size_t names_size;
};

static bool inside(const struct image *image, uint64_t offset, uint64_t size)
{
	return offset <= image->size && size <= image->size - offset;
}

/* The dynamic symbols, as the file has them. The loader has accepted the file: damage is not looked for twice. */
static bool read_image(struct image *image)
{
	const ElfW(Ehdr) *header = (const void *)image->bytes;
	const ElfW(Shdr) * sections;

	if (!inside(image, 0, sizeof *header) ||
	    !inside(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof *sections))
		return false;
	sections = (const void *)(image->bytes + header->e_shoff);
	for (size_t i = 0; i < header->e_shnum; i++) {
		const ElfW(Shdr) *section = &sections[i];

		if (section->sh_type != SHT_DYNSYM || section->sh_link >= header->e_shnum ||
		    !inside(image, section->sh_offset, section->sh_size))
			continue;
		image->symbols = (const void *)(image->bytes + section->sh_offset);
		image->symbol_count = section->sh_size / sizeof *image->symbols;
		section = &sections[section->sh_link];
		if (!inside(image, section->sh_offset, section->sh_size))
			return false;
		image->names = (const char *)image->bytes + section->sh_offset;
		image->names_size = section->sh_size;
		return true;
	}
	return false;
}

static void open_image(struct weir_rig *rig, struct image *image)
{
	int fd = open(rig->target->found->path, O_RDONLY | O_CLOEXEC);
	struct stat info;

	if (rig->target->found->init)
		weir_rig_skip(rig, "it is linked into the program");
	if (fd < 0 || fstat(fd, &info) < 0)
		weir_rig_fail(rig, "%s cannot be read", rig->target->found->path);
	image->size = (size_t)info.st_size;
	image->bytes = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (image->bytes == MAP_FAILED || !read_image(image))
		weir_rig_fail(rig, "%s has no symbols that can be read", rig->target->found->path);
}

static const char *name_of(const struct image *image, size_t i)
{
	return image->symbols[i].st_name < image->names_size ? image->names + image->symbols[i].st_name : "?";
}

static void abi_01(struct weir_rig *rig)
{
	struct image image = { 0 };
	unsigned exported = 0;

	open_image(rig, &image);
	for (size_t i = 1; i < image.symbol_count; i++) {
		if (image.symbols[i].st_shndx == SHN_UNDEF)
			continue;
		exported++;
		WEIR_EXPECT(rig, strncmp(name_of(&image, i), "weir_driver_", 12) == 0, "it exports %s",
			    name_of(&image, i));
	}
	WEIR_EXPECT(rig, exported == 1, "it exports %u symbols, not one", exported);
}

static void abi_07(struct weir_rig *rig)
{
	struct image image = { 0 };

	open_image(rig, &image);
	for (size_t i = 1; i < image.symbol_count; i++)
		WEIR_EXPECT(rig, image.symbols[i].st_shndx != SHN_UNDEF || strncmp(name_of(&image, i), "weir_", 5) != 0,
			    "it imports %s from its host", name_of(&image, i));
}

/* ---- init ---------------------------------------------------------------- */

static void abi_03(struct weir_rig *rig)
{
	struct weir_driver table = { .size = sizeof table };
	struct weir_error err = WEIR_ERROR_INIT;

	weir_rig_code(rig, "init for an ABI that is newer", rig->driver->init(WEIR_ABI_MAJOR + 1, 0, &table, &err),
		      WEIR_EVERSION);
	WEIR_EXPECT(rig, err.code == WEIR_EVERSION && err.text[0], "EVERSION comes without a text");
	weir_rig_code(rig, "init for ABI 0", rig->driver->init(0, 0, &table, NULL), WEIR_EVERSION);
	weir_rig_code(rig, "init for a newer minor version",
		      rig->driver->init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR + 5, &table, &err), WEIR_OK);
}

/* The table of an older host ends at a page that cannot be written. */
static void abi_03_guard(struct weir_rig *rig)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = offsetof(struct weir_driver, flush);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct weir_driver *table;

	if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE))
		weir_rig_fail(rig, "the kit has no pages");
	table = (struct weir_driver *)(void *)(pages + page - size);
	table->size = (uint32_t)size;
	weir_rig_doing(rig, "init with a table that ends early");
	weir_rig_code(rig, "init with a table that ends early",
		      rig->driver->init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, table, NULL), WEIR_OK);
	WEIR_EXPECT(rig, table->size <= size, "init says that it filled more than there is room for");
	WEIR_EXPECT(rig, table->open == rig->ops->open && table->unsubscribe == rig->ops->unsubscribe,
		    "the operations of a shorter table are not those of the longer one");
	munmap(pages, 2 * page);
}

/* Structs that the host allocates may be older and shorter. */
static void abi_03_structs(struct weir_rig *rig)
{
	struct weir_caps caps;
	struct weir_stats stats;

	memset(&caps, 0x5a, sizeof caps);
	caps.size = offsetof(struct weir_caps, max_record_bytes);
	weir_rig_code(rig, "caps with a shorter struct", rig->ops->caps(rig->inst, &caps), WEIR_OK);
	WEIR_EXPECT(rig, caps.size == offsetof(struct weir_caps, max_record_bytes),
		    "caps changed the size that it was given");
	WEIR_EXPECT(rig, caps.max_record_bytes == UINT64_C(0x5a5a5a5a5a5a5a5a),
		    "caps wrote beyond the size it was given");
	memset(&stats, 0x5a, sizeof stats);
	stats.size = offsetof(struct weir_stats, pending);
	if (rig->ops->stats(rig->inst, &stats) == WEIR_OK)
		WEIR_EXPECT(rig, stats.stale == UINT64_C(0x5a5a5a5a5a5a5a5a),
			    "stats wrote beyond the size it was given");
}

static void abi_04(struct weir_rig *rig)
{
	/* NULL in its table is the core's function here: it answers, it does not crash. */
	int code = rig->ops->stats(rig->inst, &(struct weir_stats){ .size = sizeof(struct weir_stats) });

	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ENOTSUP, "stats answered %s", weir_code_name(code));
	code = rig->ops->flush(rig->inst, weir_rig_deadline(rig, 1000), &(uint64_t){ 0 });
	WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_ENOTSUP, "flush answered %s", weir_code_name(code));
}

static void abi_06(struct weir_rig *rig)
{
	struct weir_rig *twin = weir_rig_twin(rig);
	struct weir_error err = WEIR_ERROR_INIT;

	weir_rig_code(rig, "loading it a second time", weir_rig_load(twin, &err), WEIR_OK);
	WEIR_EXPECT(rig, twin->ops == rig->ops, "the same file was loaded twice");
	weir_rig_twin_free(twin);
}

/* A driver says who it is without being run: note and table agree, which the loader checked; and they say something. */
static void abi_11(struct weir_rig *rig)
{
	WEIR_EXPECT(rig, rig->target->found->note.name[0] && rig->target->found->note.kind[0], "its note says no name");
	WEIR_EXPECT(rig, rig->ops->version && rig->ops->version[0], "it says no version");
	WEIR_EXPECT(rig, rig->ops->summary && rig->ops->summary[0], "it says no summary");
	for (uint32_t i = 0; i < rig->ops->option_count; i++)
		WEIR_EXPECT(rig, rig->ops->options[i].help && rig->ops->options[i].help[0], "option %s has no help",
			    rig->ops->options[i].key);
}

static void abi_12(struct weir_rig *rig)
{
	WEIR_EXPECT(rig, rig->caps.durability && rig->caps.durability[0], "it does not say how durable it is");
	WEIR_EXPECT(rig, rig->caps.durability_note && rig->caps.durability_note[0],
		    "it does not say what survives what");
	WEIR_EXPECT(rig, !weir_rig_claims(rig, WEIR_CAP_DURABLE) || strcmp(rig->caps.durability, "memory") != 0,
		    "it claims to be durable and calls its durability memory");
	WEIR_EXPECT(rig, !(weir_rig_claims(rig, WEIR_CAP_NACK) && weir_rig_claims(rig, WEIR_CAP_NACK_LOCAL)),
		    "it claims that both the backend and the driver redeliver");
	WEIR_EXPECT(rig, weir_rig_claims(rig, WEIR_CAP_HEADERS) || !weir_rig_claims(rig, WEIR_CAP_HEADERS_BIN),
		    "it claims binary headers and no headers");
	WEIR_EXPECT(rig, !weir_rig_claims(rig, WEIR_CAP_ACK_DEADLINE) || rig->caps.ack_wait_ms,
		    "it claims a deadline for acks and does not say how long it is");
	WEIR_EXPECT(rig, rig->caps.binding <= WEIR_BINDING_DASH, "its binding is none");
}

static const struct weir_conform_case cases[] = {
	{ "ABI-01", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, abi_01, NULL,
	  "its entry point is the one symbol that it exports", NULL },
	{ "ABI-03", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, abi_03, NULL, "another ABI is refused with EVERSION", NULL },
	{ "ABI-03g", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, abi_03_guard, NULL,
	  "init writes no further than the table's size", NULL },
	{ "ABI-03s", WEIR_MUST, 0, 0, 0, abi_03_structs, NULL,
	  "caps and stats write no further than the size they are given", NULL },
	{ "ABI-04", WEIR_MUST, 0, 0, 0, abi_04, NULL, "operations that it does not have answer ENOTSUP", NULL },
	{ "ABI-06", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, abi_06, NULL, "it is loaded once however often it is asked for",
	  NULL },
	{ "ABI-07", WEIR_MUST, WEIR_CASE_CLOSED, 0, 0, abi_07, NULL, "it imports nothing from its host", NULL },
	{ "ABI-11", WEIR_SHOULD, WEIR_CASE_CLOSED, 0, 0, abi_11, NULL,
	  "it says who it is: name, version, summary, help", NULL },
	{ "ABI-12", WEIR_MUST, 0, 0, 0, abi_12, NULL, "its capabilities do not contradict each other", NULL },
};

WEIR_GROUP(abi, "ABI", "the shared object");
