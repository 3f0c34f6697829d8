#!/usr/bin/env python3
"""report.py - turns what run.sh measured into a table, and into JSON.

usage: report.py DIRECTORY [--json FILE] [--setting NAME=VALUE ...]

DIRECTORY holds results.tsv, one line for each measurement (work, contender,
clients, transactions a second, latency in ms: mean, median, 95 %, 99 %, worst),
and what else run.sh left there.  Figures are medians over the repetitions.  A
ratio is the median of the ratios of measurements that stood side by side, so
what drifted between the rounds is in neither.
"""

import argparse
import collections
import json
import os
import statistics

NAMES = {
    'txplan': 'txplan',
    'txplan_commit': 'txplan, notify = commit',
    'txplan_worker': 'txplan, notify = worker',
    'txplan_off': 'txplan, notify = off',
    'bare': '(a) bare writes',
    'rules_in_plpgsql': '(b) rules in PL/pgSQL',
    'application': '(c) application',
}
TARGETS = {'bare': 1.0, 'rules_in_plpgsql': 1.2, 'application': 5.0}
WORKER_TARGET = 0.97
LATENCY_TARGET = 20.0
READING_TARGET = 80000
CONSUMED_TARGET = 0.95
BULK_TARGET = 2.0
SIZE_TARGET = 1.2
LISTS_TARGET = 1.5
LISTS_MS_TARGET = 5.0
LARGE_CLINIC_MS_TARGET = 50
PARTITIONS_TARGET = 1.1
STATEMENTS_SHOWN = 12

Measurement = collections.namedtuple(
    'Measurement', 'work contender clients tps mean p50 p95 p99 worst')


def read_measurements(directory):
    """Measurements by work, clients and contender, in the order of rounds."""
    found = collections.defaultdict(list)
    with open(os.path.join(directory, 'results.tsv')) as lines:
        for line in lines:
            fields = line.rstrip('\n').split('\t')
            m = Measurement(fields[0], fields[1], int(fields[2]),
                            *[float(field) for field in fields[3:]])
            found[m.work, m.clients, m.contender].append(m)
    return found


def read_lines(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return []
    with open(path) as lines:
        return [line.rstrip('\n') for line in lines]


def median(measurements, field):
    return statistics.median(getattr(m, field) for m in measurements)


def side_by_side(ours, theirs):
    return statistics.median(a.tps / b.tps for a, b in zip(ours, theirs))


def verdict(reached):
    return 'reached' if reached else 'MISSED'


class Report:
    def __init__(self, directory):
        self.directory = directory
        self.found = read_measurements(directory)
        self.out = {'measurements': [], 'targets': []}

    def title(self, text):
        print('\n' + text)

    def target(self, what, value, bound, reached):
        self.out['targets'].append({
            'what': what, 'value': round(value, 3), 'target': bound,
            'reached': reached})

    def clients_of(self, work):
        return sorted({key[1] for key in self.found if key[0] == work})

    def keep(self, rows):
        self.out['measurements'].append({
            'work': rows[0].work, 'contender': rows[0].contender,
            'clients': rows[0].clients,
            'tps': [round(m.tps, 1) for m in rows],
            'latency_ms': {field: round(median(rows, field), 4)
                           for field in ('mean', 'p50', 'p95', 'p99')}})

    def check(self):
        lines = [line.split('|', 3) for line in read_lines(self.directory, 'check')]
        if not lines:
            return
        self.title('Do the contenders write the same?  Each completed the same 80 '
                   'sessions, lived the same 30 plans, inserted the same items.')
        print('  Row by row, but for ids, times and hashes; the hashes are computed '
              'again.  Figures are rows.')
        tables = collections.defaultdict(dict)
        for contender, table, rows, result in lines:
            tables[table][contender] = '%s %s' % (rows, result)
        for table, by in tables.items():
            print('  %-40s' % table + '  '.join(
                '%s: %s' % (NAMES[c], by[c]) for c in NAMES if c in by))
        self.out['check'] = tables

    def contest(self, work, title, unit, targets):
        if not self.clients_of(work):
            return
        self.title(title)
        print('  clients  %-25s %10s %17s %9s %9s %9s   %s' % (
            'contender', unit, 'lowest-highest', 'p50 ms', 'p95 ms', 'p99 ms',
            'txplan against it'))
        for clients in self.clients_of(work):
            ours = self.found[work, clients, 'txplan']
            for contender in NAMES:
                rows = self.found.get((work, clients, contender))
                if not rows:
                    continue
                self.keep(rows)
                note = ''
                if contender != 'txplan':
                    ratio = side_by_side(ours, rows)
                    note = '%5.2f' % ratio
                    if targets and contender in targets:
                        bound = targets[contender]
                        reached = ratio >= bound
                        note += '  wanted %.1f: %s' % (bound, verdict(reached))
                        self.target('%s, %d clients, against %s' % (
                            work, clients, NAMES[contender]), ratio, bound, reached)
                print('  %7d  %-25s %10.0f %17s %9.3f %9.3f %9.3f   %s' % (
                    clients, NAMES[contender], median(rows, 'tps'),
                    '%.0f-%.0f' % (min(m.tps for m in rows), max(m.tps for m in rows)),
                    median(rows, 'p50'), median(rows, 'p95'), median(rows, 'p99'), note))

    def bulk(self):
        for work, title in (
                ('bulk_many_plans', 'INSERT of 1,000 items, five to each of 200 plans'),
                ('bulk_one_plan', 'INSERT of 1,000 items into one plan')):
            ours = self.found.get((work, 1, 'txplan'))
            bare = self.found.get((work, 1, 'bare'))
            if not ours or not bare:
                continue
            self.keep(ours)
            self.keep(bare)
            # Milliseconds for 1,000 rows are microseconds for one.
            above = statistics.median(a.p50 - b.p50 for a, b in zip(ours, bare))
            reached = above <= BULK_TARGET
            self.title(title + ' (median of %d, nobody waits for the disk)' % len(ours))
            print('  txplan %.1f us a row, bare %.1f us a row: %+.1f us a row, '
                  'wanted at most %.0f: %s' % (
                      median(ours, 'p50'), median(bare, 'p50'), above,
                      BULK_TARGET, verdict(reached)))
            self.target(work + ', us a row above bare', above, BULK_TARGET, reached)

    def size(self):
        big = self.found.get(('size_500', 1, 'txplan'))
        small = self.found.get(('size_5', 1, 'txplan'))
        if not big or not small:
            return
        self.keep(big)
        self.keep(small)
        ratio = statistics.median(b.mean / s.mean for b, s in zip(big, small))
        reached = ratio <= SIZE_TARGET
        self.title('Size of a plan: a completion among 500 items and among 5 '
                   '(1,000 each, %d times, nobody waits for the disk)' % len(big))
        print('  500 items %.3f ms, 5 items %.3f ms: %.2f times, wanted at most %.1f: %s' % (
            median(big, 'mean'), median(small, 'mean'), ratio, SIZE_TARGET,
            verdict(reached)))
        self.target('500 items against 5, time of a completion', ratio,
                    SIZE_TARGET, reached)

    def lists(self):
        found = collections.defaultdict(dict)
        for (work, _, _), rows in self.found.items():
            if work.startswith('inbox_'):
                name, plans = work[len('inbox_'):].rsplit('_', 1)
                found[name][int(plans)] = rows
        if not found:
            return
        sizes = sorted({plans for by in found.values() for plans in by})
        self.title('Inbox and pipeline of 100 clinics, one call after another '
                   '(p50 and p95 in ms)')
        print('  %-22s' % 'plans' + ''.join('%19d' % plans for plans in sizes)
              + '   last against first')
        for name, by in found.items():
            for rows in by.values():
                self.keep(rows)
            p50 = {plans: median(by[plans], 'p50') for plans in sizes}
            ratio = p50[sizes[-1]] / p50[sizes[0]]
            print('  %-22s' % name.replace('_', ' ') + ''.join(
                '%10.2f %8.2f' % (p50[plans], median(by[plans], 'p95'))
                for plans in sizes) + '   %5.2f' % ratio)
            if 'page' in name:
                self.target('%s, ms' % name.replace('_', ' '), p50[sizes[-1]],
                            LISTS_MS_TARGET, p50[sizes[-1]] <= LISTS_MS_TARGET)
                self.target('%s, as plans grow' % name.replace('_', ' '), ratio,
                            LISTS_TARGET, ratio <= LISTS_TARGET)

    def large_clinic(self):
        lists = {work[len('large_clinic_'):]: rows
                 for (work, _, _), rows in self.found.items()
                 if work.startswith('large_clinic_')}
        if not lists:
            return
        self.title('Inbox of one clinic with 95 % of all plans, one call after another '
                   '(ms)')
        print('  %-30s %8s %8s' % ('', 'p50', 'p95'))
        for name, rows in lists.items():
            self.keep(rows)
            p50 = median(rows, 'p50')
            print('  %-30s %8.2f %8.2f  wanted at most %d: %s' % (
                name.replace('_', ' '), p50, median(rows, 'p95'),
                LARGE_CLINIC_MS_TARGET, verdict(p50 <= LARGE_CLINIC_MS_TARGET)))
            self.target('%s in a large clinic, ms' % name.replace('_', ' '), p50,
                        LARGE_CLINIC_MS_TARGET, p50 <= LARGE_CLINIC_MS_TARGET)

    def notify(self):
        works = sorted({key[0] for key in self.found if key[0].startswith('notify_')},
                       key=lambda work: int(work.split('_')[1]))
        if not works:
            return
        self.title('Writers of one event each; who tells the listeners (times what '
                   'nobody told)')
        print('  listeners  writers %12s %20s %20s' % (
            'off tps', 'commit', 'worker'))
        for work in works:
            listeners = int(work.split('_')[1])
            for clients in self.clients_of(work):
                rows = {mode: self.found[work, clients, 'txplan_' + mode]
                        for mode in ('off', 'commit', 'worker')}
                for mode in rows:
                    self.keep(rows[mode])
                ratio = {mode: side_by_side(rows[mode], rows['off']) for mode in rows}
                reached = ratio['worker'] >= WORKER_TARGET
                print('  %9d  %7d %12.0f %12.0f (%.2f) %12.0f (%.2f)  wanted %.2f: %s' % (
                    listeners, clients, median(rows['off'], 'tps'),
                    median(rows['commit'], 'tps'), ratio['commit'],
                    median(rows['worker'], 'tps'), ratio['worker'],
                    WORKER_TARGET, verdict(reached)))
                self.target('%d writers, %d listeners, worker against off' % (
                    clients, listeners), ratio['worker'], WORKER_TARGET, reached)

    def latency(self):
        lines = [line.split('\t') for line in read_lines(self.directory, 'latency')]
        if not lines:
            return
        self.title('From the answer to a commit until its listener has the news, while '
                   'writers do half of what they can')
        print('  writers  a second  told by   measured   p50 ms   p99 ms  worst ms')
        for writers, rate, mode, n, p50, p99, worst in lines:
            note = ''
            if mode == 'worker':
                reached = float(p99) <= LATENCY_TARGET
                note = '  wanted p99 %.0f: %s' % (LATENCY_TARGET, verdict(reached))
                self.target('latency, %s writers, p99 ms' % writers, float(p99),
                            LATENCY_TARGET, reached)
            print('  %7s  %8s  %-8s %9s %8.3f %8.3f %9.3f%s' % (
                writers, rate, mode, n, float(p50), float(p99), float(worst), note))
        self.out['latency'] = lines

    def consumers(self):
        found = collections.defaultdict(list)
        for line in read_lines(self.directory, 'reading'):
            name, size, tps = line.split('\t')
            found[name, int(size)].append(int(size) * float(tps))
        if found:
            self.title('A consumer reads from the beginning, each batch sent to a client')
            best = 0.0
            for (name, size), rates in sorted(found.items(), key=lambda f: f[0][1]):
                print('  %-8s batches of %5d: %8.0f events a second' % (
                    name, size, statistics.median(rates)))
                if name == 'txplan':
                    best = max(best, statistics.median(rates))
            self.out['reading'] = {'%s %d' % key: rates for key, rates in found.items()}
            reached = best >= READING_TARGET
            print('  wanted %d: %s' % (READING_TARGET, verdict(reached)))
            self.target('events read a second', best, READING_TARGET, reached)
        alone = self.found.get(('consumed_0', 32, 'txplan'))
        consumed = self.found.get(('consumed_4', 32, 'txplan'))
        if alone and consumed:
            self.keep(alone)
            self.keep(consumed)
            ratio = side_by_side(consumed, alone)
            reached = ratio >= CONSUMED_TARGET
            self.title('32 writers, of one event each')
            print('  alone %.0f a second, with 4 consumers %.0f: %.2f times, wanted %.2f: %s' % (
                median(alone, 'tps'), median(consumed, 'tps'), ratio,
                CONSUMED_TARGET, verdict(reached)))
            self.target('32 writers with 4 consumers against none', ratio,
                        CONSUMED_TARGET, reached)

    def soak(self):
        lines = [line.split('\t') for line in read_lines(self.directory, 'soak')]
        if not lines:
            return
        self.title('32 writers (%.0f events a second) and 4 consumers for long: how far '
                   'behind' % float(read_lines(self.directory, 'soak.tps')[0]))
        print('  second   events, all four   the last one   its oldest, s')
        shown = lines if len(lines) <= 12 else lines[::len(lines) // 12 + 1] + lines[-1:]
        for second, total, most, age in shown:
            print('  %6s %18s %14s %15.2f' % (second, total, most, float(age or 0)))
        self.out['soak'] = lines

    def partitions(self):
        many = self.found.get(('partitions_many', 1, 'txplan'))
        few = self.found.get(('partitions_few', 1, 'txplan'))
        if not many or not few:
            return
        self.keep(many)
        self.keep(few)
        ratio = statistics.median(m.p50 / f.p50 for m, f in zip(many, few))
        reached = ratio <= PARTITIONS_TARGET
        self.title('Partitions of events: a completion with 1,000 of them and with 12 '
                   '(median of %d, nobody waits for the disk)' % len(many))
        print('  1,000 partitions %.3f ms, 12 partitions %.3f ms: %.2f times, '
              'wanted at most %.1f: %s' % (
                  median(many, 'p50'), median(few, 'p50'), ratio,
                  PARTITIONS_TARGET, verdict(reached)))
        self.target('1,000 partitions against 12, time of a completion', ratio,
                    PARTITIONS_TARGET, reached)

    def floor(self):
        if not self.clients_of('round_trip'):
            return
        self.title('What the machine does at best')
        for clients in self.clients_of('round_trip'):
            trip = self.found['round_trip', clients, 'txplan']
            commit = self.found['commit', clients, 'txplan']
            self.keep(trip)
            self.keep(commit)
            print('  %2d clients: %6.0f round trips a second (%.3f ms each), '
                  '%6.0f commits of one narrow row (%.3f ms each)' % (
                      clients, median(trip, 'tps'), 1000 * clients / median(trip, 'tps'),
                      median(commit, 'tps'), 1000 * clients / median(commit, 'tps')))

    def waits(self):
        kept = {}
        for contender in NAMES:
            counts = collections.Counter()
            for line in read_lines(self.directory, 'waits.' + contender):
                if '\t' in line:
                    event, n = line.split('\t')
                    counts[event] += int(n)
            if counts:
                kept[contender] = dict(counts)
        if not kept:
            return
        self.title('What the clients were doing when looked at, with the most clients '
                   '(Lock: is a row or an object that another holds)')
        for contender, counts in kept.items():
            total = sum(counts.values())
            print('  %-25s %s' % (NAMES[contender], ', '.join(
                '%s %.0f %%' % (event, 100 * n / total)
                for event, n in sorted(counts.items(), key=lambda c: -c[1])
                if n / total >= 0.005)))
            locks = sum(n for event, n in counts.items() if event.startswith('Lock:'))
            print('  %-25s waiting for locks: %.1f %%' % ('', 100 * locks / total))
        deadlocks = read_lines(self.directory, 'deadlocks')
        if deadlocks:
            print('  deadlocks, conflicts: ' + deadlocks[0].replace('|', ', '))
        self.out['waits'] = kept

    def statements(self):
        kept = {}
        for name in list(NAMES) + ['bulk']:
            rows = [line.split('\t') for line in
                    read_lines(self.directory, 'statements.' + name)]
            if not rows:
                continue
            if name == 'bulk':
                self.title('Statements of an INSERT of 1,000 items into txplan, for '
                           'each row')
            else:
                self.title('Statements of one completion (of 2,000): ' + NAMES[name])
            print('  %6s %9s %8s  %s' % ('calls', 'us', 'planned', 'statement; those '
                                         'that others call are indented'))
            for calls, microseconds, plans, top, text in rows[:STATEMENTS_SHOWN]:
                print('  %6s %9s %8s  %s%s' % (
                    calls, microseconds, plans, '' if top == 't' else '  ', text))
            if len(rows) > STATEMENTS_SHOWN:
                print('  and %d more' % (len(rows) - STATEMENTS_SHOWN))
            for wal in read_lines(self.directory, 'wal.' + name):
                print('  log written: %s bytes, %s records, %s full pages' %
                      tuple(wal.split('|')))
            kept[name] = [
                {'calls': float(r[0]), 'microseconds': float(r[1]), 'planned': int(r[2]),
                 'toplevel': r[3] == 't', 'statement': r[4]} for r in rows]
        if kept:
            self.out['statements'] = kept

    def explain(self):
        lines = read_lines(self.directory, 'explain')
        if lines:
            self.title('EXPLAIN ANALYZE of INSERT of 1,000 items (it costs time itself)')
            for line in lines:
                print('  ' + line)
            self.out['explain'] = lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('directory')
    parser.add_argument('--json')
    parser.add_argument('--setting', action='append', default=[])
    arguments = parser.parse_args()

    report = Report(arguments.directory)
    report.out['settings'] = dict(s.split('=', 1) for s in arguments.setting)
    settings = report.out['settings']
    print('PostgreSQL %(server)s, %(processors)s x %(processor)s, load %(load_before)s '
          'before, fsync %(fsync)s, %(plans)s plans, %(rounds)s rounds of '
          '%(seconds_each)s s' % settings)
    report.check()
    report.contest('complete', 'complete_session, one after another',
                   'sessions/s', TARGETS)
    report.contest('complete_without_flush',
                   'The same, and nobody waits for the disk (synchronous_commit = off)',
                   'sessions/s', None)
    report.contest('complete_at_a_distance',
                   'The same, with %s us of way for each statement and back'
                   % settings['round_trip'],
                   'sessions/s', {'application': TARGETS['application']})
    report.contest('day', 'A day: the lives of plans, 12 or 13 calls and 2 reads each',
                   'plans/s', None)
    report.bulk()
    report.size()
    report.partitions()
    report.lists()
    report.large_clinic()
    report.notify()
    report.latency()
    report.consumers()
    report.soak()
    report.floor()
    report.waits()
    report.statements()
    report.explain()

    targets = report.out['targets']
    missed = [t for t in targets if not t['reached']]
    print('\n%d of %d targets reached' % (len(targets) - len(missed), len(targets)))
    for t in missed:
        print('  MISSED %(what)s: %(value)s, wanted %(target)s' % t)
    if arguments.json:
        try:
            with open(arguments.json, 'w') as out:
                json.dump(report.out, out, indent=1, sort_keys=True)
                out.write('\n')
            print('as JSON: ' + arguments.json)
        except OSError as error:
            print('not written as JSON: %s' % error)


if __name__ == '__main__':
    main()
