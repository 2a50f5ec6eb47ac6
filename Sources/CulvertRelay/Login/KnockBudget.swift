internal import CulvertIO
internal import CulvertPlan

/// How often the process knocks at each address by itself: retries, second logins, added links. One for all tunnels, so
/// that no limit at a server or a firewall in front of it (`ufw limit`, MaxStartups, PerSourcePenalties, fail2ban) is
/// ever met by them together. A value: the time goes in.
///
/// What counts is SYNs on the wire, the kernel's repetitions included. As long as all succeeds nothing is held back. From
/// the first knock that fails, or link that ends before it has settled, an address gets at most N in any 30 s (`--knocks`,
/// 5), of those at most N - 1 in any 20 s and N - 2 in any 10 s. So three may follow quickly, and however those are used,
/// one more can be had every 10 s. A link that settles clears the count, but for its own knock where it
/// settled by payload.
struct KnockBudget {
    /// Names one login, from before its first knock to its end.
    struct Ticket: Hashable, Sendable {
        let number: UInt64
        /// The first of its tunnel: somebody waits for it to stand.
        let isFirst: Bool
    }

    /// What a link has settled by.
    enum Settling: Equatable, Sendable {
        /// It has stood for long.
        case age
        /// It has carried payload, and has not stood for long.
        case payload
    }

    /// What is known of one address.
    fileprivate struct Door {
        /// Of the last `span`, the oldest first.
        var knocks: [Tick] = []
        /// The one of a link that settled by payload: what counts in front of the server counts that one too, for as long.
        var carried: Tick?
        /// Something has failed there, and no link has settled since.
        var isWatched = false
        /// Logins that have knocked, are not over and wait for no person, and when they began.
        var unfinished: [Ticket: Tick] = [:]
        /// When payload alone cleared the count, in the last `payloadSpan`.
        var clearings: [Tick] = []
    }

    /// In which N knocks are made at most; a little more than the 30 s that others count, for what the way there delays.
    static let span = Tick.Span.milliseconds(30_100)
    /// The shorter spans, in which fewer are made.
    static let shorter = [Tick.Span.seconds(10), .seconds(20)]
    /// A server that ends links soon does so after payload too.
    static let payloadClearings = 10
    static let payloadSpan = Tick.Span.seconds(3600)
    /// First logins to one address that are not over, at once: sshd drops at random from ten on (MaxStartups).
    static let firstLogins = 8
    /// Other logins, at once. One that is silent for long is not waited for.
    static let otherLogins = 2
    static let otherPatience = Tick.Span.seconds(5)
    /// When another login to the same address may have ended.
    static let turnPause = Tick.Span.milliseconds(50)

    private var doors: [SocketAddress: Door] = [:]
    private var lastTicket: UInt64 = 0

    mutating func beginLogin(isFirst: Bool) -> Ticket {
        lastTicket += 1
        return Ticket(number: lastTicket, isFirst: isFirst)
    }

    /// Asked before every SYN. What is granted counts as sent.
    mutating func ask(_ knock: Knock, at address: SocketAddress, of ticket: Ticket, limit: KnockLimit, now: Tick)
        -> KnockAnswer
    {
        var door = doors[address] ?? Door()
        door.forget(now)
        defer { doors[address] = door }
        // Nothing has answered the one before.
        if knock != .begins { door.isWatched = true }
        if knock == .wasRepeated {
            door.knocks.append(now)
            return .granted
        }
        if case .perHalfMinute(let most) = limit {
            if door.isCrowded(for: ticket, now) { return .notBefore(now + Self.turnPause) }
            if door.isWatched, let moment = door.earliest(most, now) { return .notBefore(moment) }
        }
        door.knocks.append(now)
        if door.unfinished[ticket] == nil { door.unfinished[ticket] = now }
        return .granted
    }

    /// When a knock at whichever of these addresses has room first; nil: now.
    func earliest(_ addresses: [SocketAddress], limit: KnockLimit, now: Tick) -> Tick? {
        guard case .perHalfMinute(let most) = limit else { return nil }
        var soonest: Tick?
        for address in addresses {
            guard let door = doors[address], door.isWatched, let moment = door.earliest(most, now) else { return nil }
            soonest = min(soonest ?? moment, moment)
        }
        return soonest
    }

    /// The login waits for a person, who may take minutes: nobody else waits for it.
    mutating func waitsForPerson(_ ticket: Ticket) { forget(ticket) }

    /// The login is over, whatever became of it.
    mutating func finished(_ ticket: Ticket) { forget(ticket) }

    private mutating func forget(_ ticket: Ticket) {
        for address in doors.keys { doors[address]?.unfinished[ticket] = nil }
    }

    /// A knock came to nothing, or a link ended before it had settled.
    mutating func failed(at address: SocketAddress) {
        doors[address, default: Door()].isWatched = true
    }

    /// A link to that address has proved itself: what was before does not count. One that settles by payload again and
    /// again proves nothing.
    mutating func settled(_ settling: Settling, at address: SocketAddress, now: Tick) {
        var door = doors[address] ?? Door()
        door.forget(now)
        defer { doors[address] = door }
        if settling == .payload {
            guard door.clearings.count < Self.payloadClearings else { return door.isWatched = true }
            if door.isWatched { door.clearings.append(now) }
            door.carried = door.knocks.last ?? door.carried
        }
        door.isWatched = false
        door.knocks = []
    }
}

extension KnockBudget.Door {
    mutating func forget(_ now: Tick) {
        knocks.removeAll { now - $0 >= KnockBudget.span }
        if let moment = carried, now - moment >= KnockBudget.span { carried = nil }
        clearings.removeAll { now - $0 >= KnockBudget.payloadSpan }
    }

    /// When the next knock has room in every span; nil: now.
    func earliest(_ most: Int, _ now: Tick) -> Tick? {
        var earliest = now
        for (number, span) in (KnockBudget.shorter + [KnockBudget.span]).enumerated() {
            let room = max(1, most - (KnockBudget.shorter.count - number))
            let counted = span == KnockBudget.span ? (carried.map { [$0] } ?? []) + knocks : knocks
            guard counted.count >= room else { continue }
            earliest = max(earliest, counted[counted.count - room] + span)
        }
        return earliest > now ? earliest : nil
    }

    /// As many other logins as may be are not over.
    func isCrowded(for ticket: KnockBudget.Ticket, _ now: Tick) -> Bool {
        guard unfinished[ticket] == nil else { return false }
        let others = unfinished.count { other, begun in
            other.isFirst == ticket.isFirst && (other.isFirst || now - begun < KnockBudget.otherPatience)
        }
        return others >= (ticket.isFirst ? KnockBudget.firstLogins : KnockBudget.otherLogins)
    }
}
