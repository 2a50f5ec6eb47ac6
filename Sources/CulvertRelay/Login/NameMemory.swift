internal import CulvertIO

/// What names were found to be, and for how long that is believed. A value: it has no clock.
///
/// Invariant: an address that is older than `Limits.fresh` is used only when no newer one can be had, and never when the
/// name was found to have none.
struct NameMemory {
    struct Limits {
        /// A burst of connections asks once.
        var fresh = Tick.Span.seconds(2)
        /// A failure is believed for so long: as many as come meanwhile fail at once.
        var failure = Tick.Span.seconds(3)
        /// RFC 8767 §5 keeps stale answers for a day and more; who is away for longer than this has had his reasons.
        var stale = Tick.Span.seconds(3600)
        var names = 1024
    }

    enum Known: Equatable {
        /// Nobody needs to be asked.
        case answer([SocketAddress])
        case failure(String)
        /// To be used when nothing newer comes soon.
        case stale([SocketAddress])
        case nothing
    }

    private struct Entry {
        var addresses: [SocketAddress] = []
        /// When they were found.
        var found: Tick?
        /// The last question failed, and why.
        var failure: String?
        /// When the last question was answered.
        var learned: Tick
    }

    private let limits: Limits
    private var entries: [LookupName: Entry] = [:]

    init(_ limits: Limits = Limits()) { self.limits = limits }

    func known(_ name: LookupName, now: Tick) -> Known {
        guard let entry = entries[name] else { return .nothing }
        let old = stale(entry, now)
        if let failure = entry.failure, now - entry.learned < limits.failure {
            return old.isEmpty ? .failure(failure) : .answer(old)
        }
        if entry.failure == nil, now - entry.learned < limits.fresh { return .answer(entry.addresses) }
        return old.isEmpty ? .nothing : .stale(old)
    }

    mutating func learn(_ name: LookupName, _ result: Result<[SocketAddress], ResolveError>, now: Tick) {
        var entry = entries[name] ?? Entry(learned: now)
        entry.learned = now
        switch result {
        case .success(let addresses): entry = Entry(addresses: addresses, found: now, learned: now)
        case .failure(let error):
            entry.failure = error.description
            if !error.isTemporary { (entry.addresses, entry.found) = ([], nil) }
        }
        entries[name] = entry
        if entries.count > limits.names, let oldest = entries.min(by: { $0.value.learned < $1.value.learned }) {
            entries[oldest.key] = nil
        }
    }

    private func stale(_ entry: Entry, _ now: Tick) -> [SocketAddress] {
        guard let found = entry.found, now - found < limits.stale else { return [] }
        return entry.addresses
    }
}
