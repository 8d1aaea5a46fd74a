// SPDX-License-Identifier: Apache-2.0
// CrateChannel: a driver in C++, made with the installed headers alone. Built and judged by test_cpp_driver.py.
#include <weir/driver.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

WEIR_DRIVER_NOTE("crate", "CrateChannel");

namespace
{

constexpr uint64_t record_max = 1 << 20;
constexpr size_t name_max = 256;

struct stored {
	std::string key, body;
	bool has_key, has_body;
};
using record_ptr = std::shared_ptr<const stored>;

struct reader {
	uint64_t next = 0; // first record that was never handed out
	std::map<uint64_t, unsigned> waiting, out; // position -> attempts so far
};

} // namespace

struct weir_sub {
	weir_topic *topic;
	std::string uid;
	int64_t records = 0, bytes = 0;
};

struct weir_topic {
	std::string name;
	std::vector<record_ptr> log;
	std::map<std::string, reader> readers;
	std::map<std::string, weir_sub *> members;
};

struct weir_inst {
	std::mutex lock;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	std::map<std::string, std::unique_ptr<weir_topic>> topics;
	std::deque<weir_driver_event> events;

	void wake() const
	{
		const uint64_t one = 1;
		if (write(fd, &one, sizeof one) < 0)
			std::abort();
	}
	void report(uint32_t type, weir_topic *topic, weir_sub *sub, uint64_t tag = 0, uint64_t position = 0)
	{
		weir_driver_event event = {};
		event.size = sizeof event;
		event.type = type;
		event.topic = topic;
		event.sub = sub;
		event.tag = tag;
		event.position = position;
		events.push_back(event);
		wake();
	}
};

namespace
{

using guard = std::lock_guard<std::mutex>;

int crate_open(const weir_host *, const weir_setting *settings, size_t count, weir_inst **ret, weir_error *err)
{
	*ret = nullptr;
	if (count)
		return weir_fail(err, WEIR_EINVAL, "crate.%s: there is no such setting", settings[0].key);
	*ret = new weir_inst;
	(*ret)->report(WEIR_EV_UP, nullptr, nullptr);
	return WEIR_OK;
}

int crate_close(weir_inst *inst, int64_t, uint32_t, weir_error *)
{
	for (auto &topic : inst->topics)
		for (auto &member : topic.second->members)
			delete member.second;
	close(inst->fd);
	delete inst;
	return WEIR_OK;
}

int crate_caps(weir_inst *, weir_caps *ret)
{
	weir_caps caps = {};
	caps.size = sizeof caps;
	caps.thread_level = WEIR_THREAD_FREE;
	for (weir_cap cap : { WEIR_CAP_REPLAY_EARLIEST, WEIR_CAP_ORDERED_TOPIC, WEIR_CAP_ORDERED_KEY, WEIR_CAP_FANOUT,
			      WEIR_CAP_PUB_CONFIRM, WEIR_CAP_KEY, WEIR_CAP_NULL_BODY })
		caps.bits |= WEIR_CAP_BIT(cap);
	caps.max_record_bytes = record_max;
	caps.max_topic_bytes = name_max;
	caps.durability = "memory";
	caps.durability_note = "Records are kept in the memory of this process only: nothing survives a restart.";
	weir_give(ret, &caps, sizeof caps);
	return WEIR_OK;
}

bool is_name(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (static_cast<unsigned char>(text[i]) <= 0x20 || text[i] == 0x7f || text[i] == '/')
			return false;
	return len > 0;
}

int crate_topic_open(weir_inst *inst, const char *ns, const char *name, weir_topic **ret, weir_error *err)
{
	guard hold(inst->lock);
	*ret = nullptr;
	if (!is_name(ns) || !is_name(name) || strlen(ns) + 1 + strlen(name) > name_max)
		return weir_fail(err, WEIR_EINVAL, "crate: this cannot be a channel's name");
	auto &topic = inst->topics[std::string(ns) + "/" + name];
	if (!topic)
		topic.reset(new weir_topic);
	*ret = topic.get();
	inst->report(WEIR_EV_TOPIC_READY, topic.get(), nullptr);
	return WEIR_OK;
}

void crate_topic_close(weir_inst *, weir_topic *)
{
}

record_ptr store(const weir_record &record)
{
	std::unique_ptr<stored> made(new stored);
	made->has_key = record.key.ptr != nullptr;
	made->has_body = record.body.ptr != nullptr;
	made->key.assign(made->has_key ? static_cast<const char *>(record.key.ptr) : "", record.key.len);
	made->body.assign(made->has_body ? static_cast<const char *>(record.body.ptr) : "", record.body.len);
	return record_ptr(made.release());
}

int crate_publish(weir_inst *inst, const weir_publish *items, size_t count, size_t *accepted, weir_error *err)
{
	guard hold(inst->lock);
	for (*accepted = 0; *accepted < count; ++*accepted) {
		const weir_publish &item = items[*accepted];
		if (item.record.key.len + item.record.body.len > record_max)
			return weir_fail(err, WEIR_ETOOBIG, "crate: larger than %d bytes", static_cast<int>(record_max));
		if (item.record.header_count)
			return weir_fail(err, WEIR_EINVAL, "crate: keeps no headers");
		item.topic->log.push_back(store(item.record));
		inst->report(WEIR_EV_PUBLISHED, nullptr, nullptr, item.tag, item.topic->log.size() - 1);
	}
	return WEIR_OK;
}

int crate_subscribe(weir_inst *inst, weir_topic *topic, const weir_sub_spec *spec, weir_sub **ret, weir_error *err)
{
	guard hold(inst->lock);
	*ret = nullptr;
	if (spec->start != WEIR_START_LATEST && spec->start != WEIR_START_EARLIEST)
		return weir_fail(err, WEIR_ENOTSUP, "crate: starts at latest or earliest only");
	if (topic->members.count(spec->uid))
		return weir_fail(err, WEIR_EBUSY, "crate: the subscription has a member");
	auto found = topic->readers.find(spec->uid);
	if (found == topic->readers.end())
		topic->readers[spec->uid].next = spec->start == WEIR_START_LATEST ? topic->log.size() : 0;
	*ret = new weir_sub;
	(*ret)->topic = topic;
	(*ret)->uid = spec->uid;
	topic->members[spec->uid] = *ret;
	inst->report(WEIR_EV_SUB_READY, nullptr, *ret);
	return WEIR_OK;
}

int crate_unsubscribe(weir_inst *inst, weir_sub *sub, int keep, int64_t, weir_error *)
{
	guard hold(inst->lock);
	reader &read = sub->topic->readers[sub->uid];
	read.waiting.insert(read.out.begin(), read.out.end());
	read.out.clear();
	if (!keep)
		sub->topic->readers.erase(sub->uid);
	sub->topic->members.erase(sub->uid);
	for (size_t i = inst->events.size(); i-- > 0;)
		if (inst->events[i].sub == sub)
			inst->events.erase(inst->events.begin() + static_cast<long>(i));
	delete sub;
	return WEIR_OK;
}

int64_t add(int64_t credit, int64_t more)
{
	int64_t sum;
	if (__builtin_add_overflow(credit, more, &sum))
		return more > 0 ? INT64_MAX : 0;
	return sum;
}

int crate_credit(weir_inst *inst, weir_sub *sub, int64_t records, int64_t bytes)
{
	guard hold(inst->lock);
	sub->records = add(sub->records, records);
	sub->bytes = add(sub->bytes, bytes);
	if (records < 0 && sub->records < 0)
		sub->records = 0;
	inst->wake();
	return WEIR_OK;
}

int crate_settle(weir_inst *inst, weir_sub *sub, int verb, const weir_token *tokens, size_t count, int64_t,
		 uint16_t *codes)
{
	guard hold(inst->lock);
	if (verb != WEIR_ACK)
		return WEIR_ENOTSUP;
	reader &read = sub->topic->readers[sub->uid];
	for (size_t i = 0; i < count; i++) {
		bool mine = tokens[i].epoch == 1 && tokens[i].lane == reinterpret_cast<uintptr_t>(sub);
		bool out = mine && read.out.erase(tokens[i].seq);
		if (codes)
			codes[i] = out ? WEIR_OK : mine && tokens[i].seq < read.next ? WEIR_ESTALE : WEIR_EINVAL;
	}
	return WEIR_OK;
}

// The next record for this member: one that came back, else a new one.
bool next_for(weir_sub *sub, weir_driver_event *event)
{
	reader &read = sub->topic->readers[sub->uid];
	uint64_t position = read.next;
	unsigned attempt = 1;
	if (sub->records <= 0 || sub->bytes <= 0)
		return false;
	if (!read.waiting.empty()) {
		position = read.waiting.begin()->first;
		attempt = read.waiting.begin()->second + 1;
		read.waiting.erase(read.waiting.begin());
	} else if (position < sub->topic->log.size()) {
		read.next++;
	} else {
		return false;
	}
	read.out[position] = attempt;
	auto lease = new record_ptr(sub->topic->log[position]);
	const stored &record = **lease;
	*event = weir_driver_event{};
	event->size = sizeof *event;
	event->type = WEIR_EV_DELIVER;
	event->sub = sub;
	event->token = { 1, reinterpret_cast<uintptr_t>(sub), position };
	event->attempt = attempt;
	event->flags = WEIR_MSG_NO_TIME;
	event->position = position;
	event->record.key = { record.has_key ? record.key.data() : nullptr, record.key.size() };
	event->record.body = { record.has_body ? record.body.data() : nullptr, record.body.size() };
	event->lease = lease;
	sub->records--;
	sub->bytes -= static_cast<int64_t>(record.key.size() + record.body.size());
	return true;
}

size_t take(weir_inst *inst, weir_driver_event *events, size_t max)
{
	guard hold(inst->lock);
	uint64_t drained;
	size_t count = 0;
	if (read(inst->fd, &drained, sizeof drained) < 0)
		drained = 0;
	for (; count < max && !inst->events.empty(); inst->events.pop_front())
		events[count++] = inst->events.front();
	// In turns: one of each, so that a busy topic does not starve a quiet one.
	for (bool more = true; more && count < max;) {
		more = false;
		for (auto &topic : inst->topics)
			for (auto &member : topic.second->members)
				if (count < max && next_for(member.second, &events[count])) {
					count++;
					more = true;
				}
	}
	if (count == max)
		inst->wake();
	return count;
}

int crate_poll(weir_inst *inst, weir_driver_event *events, size_t max, int64_t timeout_ns, size_t *count)
{
	for (;;) {
		pollfd readable = { inst->fd, POLLIN, 0 };
		*count = take(inst, events, max);
		int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
				  std::chrono::steady_clock::now().time_since_epoch())
				  .count();
		if (*count || timeout_ns <= now)
			return WEIR_OK;
		int64_t left_ms = (timeout_ns - now) / 1000000 + 1;
		poll(&readable, 1, left_ms < 1000 ? static_cast<int>(left_ms) : 1000);
	}
}

int crate_event_fd(weir_inst *inst)
{
	return inst->fd;
}

void crate_release(void *lease)
{
	delete static_cast<record_ptr *>(lease);
}

} // namespace

extern "C" WEIR_DRIVER_EXPORT int weir_driver_crate_init(uint32_t major, uint32_t, weir_driver *out, weir_error *err)
{
	if (major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION, "crate: built for driver ABI %u", WEIR_ABI_MAJOR);
	weir_driver table = {};
	table.size = sizeof table;
	table.abi_major = WEIR_ABI_MAJOR;
	table.abi_minor = WEIR_ABI_MINOR;
	table.name = "crate";
	table.kind = "CrateChannel";
	table.version = "1.0";
	table.summary = "Records in the memory of this process: an example in C++";
	table.open = crate_open;
	table.close = crate_close;
	table.caps = crate_caps;
	table.topic_open = crate_topic_open;
	table.topic_close = crate_topic_close;
	table.publish = crate_publish;
	table.subscribe = crate_subscribe;
	table.credit = crate_credit;
	table.poll = crate_poll;
	table.event_fd = crate_event_fd;
	table.settle = crate_settle;
	table.release = crate_release;
	table.unsubscribe = crate_unsubscribe;
	weir_give(out, &table, sizeof table);
	return WEIR_OK;
}
