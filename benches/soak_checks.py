"""What must hold after a soak, and after each kill within it: what the lab says it showed, what wrmem says
it did (its state database), and what is in the repository, beside each other."""
import collections
import hashlib
import itertools
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import tempfile

# How long a device may take at most: both attempts, and the wait between them.
PATIENCE = 50
# Devices that become due within this form one run.
SLICE = 1
# What a busy machine may add to anything.
SLACK = 10
# Until a process that was started has caught up what was missed.
CATCH_UP = 20

Outcome = collections.namedtuple("Outcome", "began ended outcome kind stored sha")


def after_a_kill(soak):
    """While the process is down. What the life before this one left was mended at this one's start."""
    check(soak, committed_until=soak.lives[-1]["began"])


def at_the_end(soak):
    facts = check(soak, committed_until=float("inf"))
    check_present(soak, facts)
    check_index(soak, facts)
    check_flat(soak)


def check(soak, committed_until):
    check_repository(soak)
    facts = Facts(soak)
    check_turns(soak, facts)
    check_health(soak, facts)
    check_shown(soak, facts)
    check_versions(soak, facts, committed_until)
    soak.facts = facts
    return facts


class Facts:
    """What the three witnesses say, per device and in order."""

    def __init__(self, soak):
        self.until = soak.lives[-1].get("killed") or soak.ended
        self.shown = collections.defaultdict(list)
        for line in (soak.folder / "journal").read_text().splitlines():
            millis, name, sha = line.split()
            self.shown[name].append((int(millis) / 1000, sha))
        self.outcomes = collections.defaultdict(list)
        with copy(soak, soak.folder / "state" / "wrmem.db") as database:
            for problem, in database.execute("PRAGMA integrity_check"):
                if problem != "ok":
                    soak.fault(f"the state database: {problem}")
            for name, ended, took, *rest in database.execute(
                    "SELECT d.name, o.ended_ms / 1000.0, o.took_ms / 1000.0, o.outcome, o.kind, o.stored, lower(hex(o.sha256)) "
                    "FROM outcomes o JOIN devices d ON d.id = o.device ORDER BY d.name, o.ended_ms"):
                self.outcomes[name].append(Outcome(ended - took, ended, *rest))
        self.versions, self.commits = history(soak.folder / "configs.git")


class copy:
    """A database as it is on the disk, its log included; looking must not mend it."""

    def __init__(self, soak, path):
        self.folder = tempfile.TemporaryDirectory(dir=soak.folder)
        for suffix in ("", "-wal"):
            if (source := pathlib.Path(f"{path}{suffix}")).exists():
                shutil.copy(source, self.folder.name)
        self.database = sqlite3.connect(pathlib.Path(self.folder.name) / path.name)

    def __enter__(self):
        return self.database

    def __exit__(self, *_):
        self.database.close()
        self.folder.cleanup()


def git(repository, *words, data=None):
    return subprocess.run(["git", "-C", repository, *words], input=data, capture_output=True, check=True).stdout


def digest(content):
    return hashlib.sha256(content).hexdigest()


def history(repository):
    """Each device's versions, oldest first, as digests of their contents; and how many commits there are."""
    if not repository.exists() or not git(repository, "for-each-ref"):
        return {}, 0
    log = git(repository, "log", "--reverse", "--raw", "--no-abbrev", "--no-renames", "--format=tformat:commit").decode()
    versions, commits = collections.defaultdict(list), 0
    for line in log.splitlines():
        if line.startswith(":"):
            words, path = line.split("\t")
            versions[path.removesuffix(".cfg")].append(words.split()[3])
        elif line:
            commits += 1
    blobs = sorted({blob for of_one in versions.values() for blob in of_one})
    contents = digests(git(repository, "cat-file", "--batch", data="\n".join(blobs).encode() + b"\n"))
    return {name: [contents[blob] for blob in of_one] for name, of_one in versions.items()}, commits


def digests(batch):
    """Of the answer of `git cat-file --batch`."""
    found, at = {}, 0
    while at < len(batch):
        end = batch.index(b"\n", at)
        blob, _, size = batch[at:end].decode().split()
        found[blob] = digest(batch[end + 1:end + 1 + int(size)])
        at = end + 1 + int(size) + 1
    return found


def check_repository(soak):
    repository = soak.folder / "configs.git"
    if not repository.exists():
        return
    # Objects that nothing refers to are what a killed process was about to commit.
    check = subprocess.run(["git", "-C", repository, "fsck", "--full", "--strict", "--no-dangling", "--no-progress"], capture_output=True, text=True)
    soak.fscks += 1
    if check.returncode or check.stderr.strip():
        soak.fault(f"git fsck: {check.stderr.strip() or check.stdout.strip()}")


# What happened around a moment.

def downs(soak, begin, end):
    """The times within in which the process was down."""
    killed = [life["killed"] for life in soak.lives if "killed" in life]
    began = [life["began"] for life in soak.lives[1:]]
    return [(a, b) for a, b in zip(killed, began) if a < end and b > begin]


def absences(soak, name):
    """When it was not in the inventory."""
    since = None
    for at, gone in [*soak.edits, (float("inf"), frozenset())]:
        if name in gone and since is None:
            since = at
        elif name not in gone and since is not None:
            yield since, at
            since = None


def away(soak, name, begin, end):
    """How long it was not in the inventory within, with what a reload takes."""
    return sum(max(0.0, min(until + SLACK, end) - max(since, begin)) for since, until in absences(soak, name))


def part_of(soak, name):
    return next(part for part in soak.parts if name in part.names)


def was_ill(soak, name, begin, end):
    states = part_of(soak, name).history
    return any(ill and at < end and until > begin
               for (at, ill), until in zip(states, [at for at, _ in states[1:]] + [float("inf")]))


# The checks.

def check_turns(soak, facts):
    """Nobody waits longer than its schedule says, and nobody is in two runs at once."""
    for name in soak.names:
        turns = [turn for turn in facts.outcomes[name] if turn.outcome != "cancelled"]
        for one, other in itertools.pairwise(turns):
            if other.began < one.ended - 0.1:
                soak.fault(f"{name}: in two runs at once, {other.ended - soak.began:.1f} s after the begin")
        moments = [(soak.began, 0.0)] + [(turn.ended, turn.ended - turn.began) for turn in turns]
        if facts.until != float("inf"):
            # A turn that has not ended yet may take what it takes.
            moments.append((facts.until, PATIENCE))
        for (before, _), (ended, took) in itertools.pairwise(moments):
            allowed = soak.options.every + SLICE + SLACK + took + away(soak, name, before, ended)
            for began, until in downs(soak, before, ended):
                # The attempt that was under way has to be made again.
                allowed += until - began + CATCH_UP + (PATIENCE if was_ill(soak, name, before, ended) else 0)
            if ended - before > allowed:
                soak.fault(f"{name}: {ended - before:.1f} s without a turn until {ended - soak.began:.1f} s after the begin, "
                           f"{allowed:.1f} s allowed (the backup took {took:.1f} s)")


def check_health(soak, facts):
    """Who was well for long enough does not fail, and who is not in the inventory is not tried."""
    for name in soak.names:
        restarts = [at for at, _ in part_of(soak, name).history]
        disturbed_at = float("-inf")
        for turn in facts.outcomes[name]:
            if any(since + SLACK < turn.began < until for since, until in absences(soak, name)):
                soak.fault(f"{name}: tried {turn.began - soak.began:.1f} s after the begin, although it was not in the inventory")
            if turn.outcome in ("ok", "cancelled"):
                continue
            if any(turn.began - 1 < at < turn.ended + 1 for at in restarts):
                # Its lab was taken away meanwhile, perhaps between password and answer, so that it rests.
                disturbed_at = turn.ended
                continue
            rests = turn.began == turn.ended and turn.ended < disturbed_at + soak.options.rest + 1
            well_since = turn.began - soak.options.rest - soak.options.every - PATIENCE
            if not rests and not was_ill(soak, name, well_since, turn.ended):
                soak.fault(f"{name}: {turn.outcome} ({turn.kind}) {turn.ended - soak.began:.1f} s after the begin, although it was well")


def check_shown(soak, facts):
    """What wrmem says it got is what the device showed last, and whatever was shown had an end."""
    killed = [life["killed"] for life in soak.lives if "killed" in life]
    for name in soak.names:
        shown, outcomes = facts.shown[name], facts.outcomes[name]
        for turn in outcomes:
            if not turn.sha:
                continue
            last = [sha for at, sha in shown if turn.began - 0.5 <= at <= turn.ended + 0.5]
            if not last or last[-1] != turn.sha:
                soak.fault(f"{name}: what was stored {turn.ended - soak.began:.1f} s after the begin is not what it had shown")
        for at, _ in shown:
            lost = any(at - 1 < kill < at + PATIENCE for kill in killed) or at > facts.until - PATIENCE
            if not lost and not any(at - 0.5 <= turn.ended <= at + PATIENCE for turn in outcomes):
                soak.fault(f"{name}: nothing came of what it showed {at - soak.began:.1f} s after the begin")


def check_versions(soak, facts, committed_until):
    """None is lost, none is there twice, none is there that was not shown."""
    for name in soak.names:
        versions = facts.versions.get(name, [])
        if any(one == other for one, other in itertools.pairwise(versions)):
            soak.fault(f"{name}: a version is in the repository twice")
        if not is_within(versions, distinct(sha for _, sha in facts.shown[name])):
            soak.fault(f"{name}: a version is in the repository that it did not show, or not then")
        got = distinct(turn.sha for turn in facts.outcomes[name] if turn.sha and turn.ended < committed_until)
        if not is_within(got, versions):
            soak.fault(f"{name}: a version that was stored is not in the repository ({len(got)} stored, {len(versions)} there)")


def distinct(values):
    return [value for value, _ in itertools.groupby(values)]


def is_within(few, many):
    """Whether `few` is `many` with some left out."""
    rest = iter(many)
    return all(value in rest for value in few)


def check_present(soak, facts):
    """In the end file and last version are what each device has."""
    for part in soak.parts:
        for name in part.names:
            has = digest((part.folder / "expected" / f"{name}.cfg").read_bytes())
            path = soak.folder / "configs" / f"{name}.cfg"
            if not path.exists() or digest(path.read_bytes()) != has:
                soak.fault(f"{name}: its file is not what it has")
            if facts.versions.get(name, [None])[-1] != has:
                soak.fault(f"{name}: its last version is not what it has")


def check_index(soak, facts):
    """The index of versions lists what the repository has."""
    with copy(soak, soak.folder / "configs.git" / "wrmem" / "versions.db") as index:
        listed = dict(index.execute("SELECT f.name, count(*) FROM versions v JOIN files f ON f.number = v.file GROUP BY f.name"))
    there = {name: len(versions) for name, versions in facts.versions.items()}
    if listed != there:
        soak.fault(f"the index lists {sum(listed.values())} versions, the repository has {sum(there.values())}")


# What the process needed.

def quiet(soak):
    """The samples of its longest life, but for the first minute and a half."""
    lives = [(life["began"] + 90, life.get("killed", soak.ended)) for life in soak.lives]
    begin, end = max(lives, key=lambda life: life[1] - life[0])
    return [sample for sample in soak.samples if begin < sample[0] < end] or soak.samples


def growth(soak, index):
    """The medians of the first and the last quarter of its longest life."""
    values = [sample[index] for sample in quiet(soak)]
    quarter = max(1, len(values) // 4)
    return statistics.median(values[:quarter]), statistics.median(values[-quarter:])


# What a sample has, and by how much it may grow besides a tenth.
FLAT = [(4, "MB of memory of its own", 3), (1, "MB of memory, mapped files included", 5), (2, "threads", 10), (3, "open files", 15)]


def check_flat(soak):
    if len(quiet(soak)) < 120:
        return
    for index, what, slack in FLAT:
        before, after = growth(soak, index)
        if after > before * 1.1 + slack:
            soak.fault(f"{what} grew from {before:.0f} to {after:.0f}")


def table(soak):
    """What was seen, for the docs."""
    facts = soak.facts
    turns = [turn for of_one in facts.outcomes.values() for turn in of_one if turn.outcome != "cancelled"]
    ok = sum(turn.outcome == "ok" for turn in turns)
    kills = sum("killed" in life and "ready" in life for life in soak.lives)
    ready = [life["ready"] - life["began"] for life in soak.lives if "ready" in life]
    changed = lambda index, form: "{} → {}".format(*(form.format(value) for value in growth(soak, index)))
    most = lambda index: max(sample[index] for sample in soak.samples)
    length = max(1.0, quiet(soak)[-1][0] - quiet(soak)[0][0]) / 60
    rows = [
        ("length, devices, schedule", f"{soak.length / 60:g} min, {len(soak.names)}, every {soak.options.every} s"),
        ("turns had", f"{len(turns):,}, of which {ok:,} ok; the others at devices that were ill or resting"),
        ("configs that the lab showed whole", f"{sum(map(len, facts.shown.values())):,}"),
        ("versions in the repository, in commits", f"{sum(map(len, facts.versions.values())):,}, in {facts.commits:,}"),
        ("`kill -9`; from start to ready", f"{kills}; median {statistics.median(ready):.2f} s, at most {max(ready):.2f} s"),
        ("inventory changed; lab restarted with other configs and faults", f"{len(soak.edits)} times; {sum(len(part.history) for part in soak.parts)} times"),
        ("`git fsck --full --strict`", f"{soak.fscks} times"),
        (f"resident memory of its own, over {length:.0f} min undisturbed; at most", f"{changed(4, '{:.1f}')} MB; {most(4):.1f} MB"),
        ("resident memory with mapped files, likewise", f"{changed(1, '{:.1f}')} MB; {most(1):.1f} MB"),
        ("threads, likewise", f"{changed(2, '{:.0f}')}; {most(2)}"),
        ("open files, likewise", f"{changed(3, '{:.0f}')}; {most(3)}"),
        ("**turns missed, versions lost, doubled or unknown, other faults**", f"**{len(soak.faults) or 'none'}**"),
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])
