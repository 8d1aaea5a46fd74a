# SPDX-License-Identifier: Apache-2.0
"""The ledger of a soak: what was sent and answered, what came, and the judge that compares the two. Pure: no clock, no
network; tests/e2e/conform/test_soak.py judges ledgers made by hand."""
import collections
import hashlib

ACCEPTED, REFUSED, UNKNOWN = "accepted", "refused", "unknown"


def body_of(id, size):
    """A body that follows from the id: what arrives can be checked without having been kept."""
    block = hashlib.sha256(id.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class Ledger:
    def __init__(self):
        self.sent = {}  # id -> outcome; also those whose outcome is not known yet
        self.place = {}  # id -> (key, number within the key)
        self.came = collections.defaultdict(collections.Counter)  # subscription -> id -> times answered 2xx
        self.first = collections.defaultdict(list)  # (subscription, key) -> numbers in the order of first success
        self.damaged = []

    def posted(self, id, key, number):
        self.sent[id] = UNKNOWN
        self.place[id] = (key, number)

    def answered(self, id, status):
        self.sent[id] = ACCEPTED if status == 202 else REFUSED if 400 <= status < 500 else UNKNOWN

    def delivered(self, subscription, id, body):
        if body != body_of(id, len(body)):
            self.damaged.append(id)
        if not self.came[subscription][id] and id in self.place:
            key, number = self.place[id]
            self.first[subscription, key].append(number)
        self.came[subscription][id] += 1

    def accepted(self):
        return {id for id, outcome in self.sent.items() if outcome == ACCEPTED}

    def missing(self, subscriptions):
        """I1: accepted and not delivered, by subscription."""
        accepted = self.accepted()
        return {name: accepted - self.came[name].keys() for name in subscriptions if accepted - self.came[name].keys()}

    def duplicates(self):
        return sum(count - 1 for ids in self.came.values() for count in ids.values())

    def judge(self, subscriptions, budget):
        """Sentences about what is wrong; none: all is well. `budget`: duplicates that the faults may have caused."""
        wrong = []
        for name, ids in self.missing(subscriptions).items():
            wrong.append(f"I1: {len(ids)} accepted events never reached {name}; one of them is {min(ids)}")
        for name in subscriptions:
            strange = [id for id in self.came[name] if self.sent.get(id, REFUSED) == REFUSED]
            if strange:
                wrong.append(f"I2: {len(strange)} events reached {name} that nobody sent, or that were refused: {strange[0]}")
        if self.damaged:
            wrong.append(f"I2: {len(self.damaged)} events were damaged; one of them is {self.damaged[0]}")
        if self.duplicates() > budget:
            wrong.append(f"I3: {self.duplicates()} duplicates; the faults explain {budget}")
        accepted = {self.place[id] for id in self.accepted()}
        for (name, key), numbers in self.first.items():
            ordered = [number for number in numbers if (key, number) in accepted]
            if ordered != sorted(ordered):
                wrong.append(f"I4: events of key {key} first reached {name} out of order")
        return wrong
